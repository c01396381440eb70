"""docs/faults.md names a test for every kind of fault, and docs/errors.md counts those tried."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([a-z_/]+\.py)::(test_\w+)`", PAGE)))


def study() -> ModuleType:
    spec = importlib.util.spec_from_file_location("faults", ROOT / "experiments" / "faults.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_kind_stands_there_once() -> None:
    kinds = re.findall(r"^\| F(\d+) \|", PAGE, re.M)
    assert [int(kind) for kind in kinds] == list(range(1, 78))


@pytest.mark.parametrize("line", re.findall(r"^\| F.*$", PAGE, re.M), ids=lambda line: line[2:5])
def test_every_kind_names_a_test(line: str) -> None:
    assert re.search(r"::test_", line)


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_named_test_exists(file: str, name: str) -> None:
    assert re.search(rf"^def {name}\b", (ROOT / "tests" / file).read_text("utf-8"), re.M)


def test_the_counts_are_those_of_the_result_file() -> None:
    module = study()
    ends = json.loads(module.RESULT.read_text(encoding="utf-8"))["ends"]
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert f"{module.BEGIN}\n{module.table(ends)}\n{module.END}" in page
    assert set(ends) == set(module.FAULTS)
    assert not [name for name, end in ends.items() if end["outcome"].startswith("crash")]
    assert not [name for name, end in ends.items() if end["outcome"] == "not-analysable"]


@pytest.mark.parametrize("name", ["nothing there", "zip: a bomb", "DICOM: pixels cut off"])
def test_a_fault_ends_as_the_result_file_says(name: str) -> None:
    module = study()
    ends = json.loads(module.RESULT.read_text(encoding="utf-8"))["ends"]
    code, notices = module.outcome(module.FAULTS[name])
    assert ends[name] == {"outcome": code, "notices": notices}
