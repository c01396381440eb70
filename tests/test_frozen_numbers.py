"""Numbers of phantoms and of one patient: they move with an entry in CHANGELOG.md or not at all."""

import json
from pathlib import Path
from typing import Any

import pytest

import frozen_numbers
from tests.sampling import sampled

HOW = "if this is meant: an entry with **numbers:** in CHANGELOG.md, then `make numbers`"


@pytest.fixture(scope="module")
def frozen() -> dict[str, Any]:
    if not frozen_numbers.FROZEN.is_file():
        pytest.skip("no numbers are frozen yet: `make numbers` does it")
    content: dict[str, Any] = json.loads(frozen_numbers.FROZEN.read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("name", sampled(sorted(frozen_numbers.PHANTOMS), every=3))
def test_no_number_of_a_phantom_moves_unsaid(name: str, frozen: dict[str, Any]) -> None:
    now, before = frozen_numbers.phantom_numbers(name), frozen["phantoms"][name]
    moved = {path: (before.get(path), now[path]) for path in now if before.get(path) != now[path]}
    assert not moved, HOW


@pytest.mark.slow
def test_no_number_of_the_patient_moves_unsaid(frozen: dict[str, Any], real_data: Path) -> None:
    if "patient" not in frozen:
        pytest.skip("the numbers of the patient are not frozen: `make numbers` with LUNGSCORE_DATA")
    assert frozen_numbers.patient_hash(real_data) == frozen["patient"], HOW


# The rule


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A changelog, and a phantom whose numbers the test says."""
    monkeypatch.setattr(frozen_numbers, "ROOT", tmp_path)
    monkeypatch.setattr(frozen_numbers, "FROZEN", tmp_path / "frozen" / "numbers.json")
    monkeypatch.setattr(frozen_numbers, "phantom_numbers", lambda name: {"x": 1.0})
    monkeypatch.delenv("LUNGSCORE_DATA", raising=False)
    head = "# Changelog\n\nWhat moves numbers is marked **numbers**.\n\n## 1\n\n- One thing.\n"
    (tmp_path / "CHANGELOG.md").write_text(head, encoding="utf-8")
    frozen_numbers.main()
    return tmp_path


def test_numbers_are_frozen_again_only_with_an_entry(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen_numbers.main()  # the same numbers: nothing to say
    monkeypatch.setattr(frozen_numbers, "phantom_numbers", lambda name: {"x": 2.0})
    with pytest.raises(SystemExit, match="no new entry"):
        frozen_numbers.main()
    with open(project / "CHANGELOG.md", "a", encoding="utf-8") as changelog:
        changelog.write("- **numbers:** x is counted anew.\n")
    frozen_numbers.main()
    content = json.loads(frozen_numbers.FROZEN.read_text(encoding="utf-8"))
    assert content["phantoms"]["healthy"] == {"x": 2.0}


def test_an_entry_of_another_kind_is_none(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen_numbers, "phantom_numbers", lambda name: {"x": 2.0})
    with open(project / "CHANGELOG.md", "a", encoding="utf-8") as changelog:
        changelog.write("- Another thing.\n")
    with pytest.raises(SystemExit, match="no new entry"):
        frozen_numbers.main()


def test_without_the_scans_the_hash_of_the_patient_stays(project: Path) -> None:
    content = json.loads(frozen_numbers.FROZEN.read_text(encoding="utf-8"))
    frozen_numbers.FROZEN.write_text(json.dumps({**content, "patient": "ab"}), encoding="utf-8")
    frozen_numbers.main()
    assert json.loads(frozen_numbers.FROZEN.read_text(encoding="utf-8"))["patient"] == "ab"
