"""inspect, models and info."""

import json
import shutil
from pathlib import Path

import pytest

from lungscore.cli.main import call
from lungscore.version import RESEARCH_USE, __version__


def test_inspect_says_what_is_there_and_writes_nothing(
    phantom_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(phantom_file.parent.iterdir())
    assert call(["inspect", str(phantom_file)]) == 0
    text = capsys.readouterr().out
    for fact in ("chest.nii.gz", "slices: 16", "spacing_mm: [17.5, 3.75, 3.75]", "plausible: true"):
        assert fact in text
    assert call(["inspect", str(phantom_file), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["geometry"]["source_axes"] == "LPS"
    assert list(tmp_path.iterdir()) == []
    assert sorted(phantom_file.parent.iterdir()) == before


def test_inspect_shows_what_would_be_rejected_and_ends_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert call(["inspect", str(tmp_path / "nothing"), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["rejection"]["code"] == "input-not-found"


def test_models_are_listed_with_their_data_and_terms(capsys: pytest.CaptureFixture) -> None:
    assert call(["models", "list", "--json"]) == 0
    cards = json.loads(capsys.readouterr().out)
    assert "infection" in [card["name"] for card in cards]
    assert call(["models", "list"]) == 0
    text = capsys.readouterr().out
    for card in cards:
        assert card["data_terms"] in text


def test_models_are_verified(capsys: pytest.CaptureFixture) -> None:
    assert call(["models", "verify"]) == 0
    assert "infection: verified" in capsys.readouterr().out


@pytest.fixture
def damaged(tmp_path: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(stand_in_model, tmp_path / "models" / "stand-in")
    (folder / "weights.safetensors").write_bytes(b"one bit off")
    monkeypatch.setattr("lungscore.inference.bundle.models_folder", lambda: tmp_path / "models")


@pytest.mark.usefixtures("damaged")
def test_a_damaged_model_does_not_pass_and_info_says_so(capsys: pytest.CaptureFixture) -> None:
    assert call(["models", "verify"]) == 4
    assert "error [model-damaged] weights.safetensors" in capsys.readouterr().err
    assert call(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"] == {"stand-in": "model-damaged"}


def test_no_model_at_all_does_not_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("lungscore.inference.bundle.models_folder", lambda: tmp_path)
    assert call(["models", "verify"]) == 4
    assert "error [model-missing]" in capsys.readouterr().err


def test_info_tells_versions_engines_and_models(capsys: pytest.CaptureFixture) -> None:
    assert call(["info", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    facts = json.loads(line)
    assert facts["lungscore"] == __version__
    assert facts["use"] == RESEARCH_USE
    assert facts["result_schema"] == "lungscore.result/1"
    assert set(facts["engines"]) == {"openvino", "onnxruntime", "torch"}
    assert facts["models"]["infection"]
    assert call(["info"]) == 0
    assert f"lungscore: {__version__}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "code", "exit_code"),
    [
        ("train nothing.yaml", "input-not-found", 3),
        ("evaluate slices -o figures.json", "input-not-found", 3),
        ("evaluate maps nothing nowhere -o figures.json", "dataset-incomplete", 3),
        ("models export nothing -o model", "checkpoint-mismatch", 3),
        ("demo -o out --preset imaginary", "usage", 2),
        ("demo -o file", "output-not-writable", 4),
    ],
)
def test_commands_with_nothing_to_work_on_end_with_a_code(
    command: str,
    code: str,
    exit_code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LUNGSCORE_DATA", raising=False)
    (tmp_path / "file").touch()
    assert call(command.split()) == exit_code
    assert f"error [{code}]" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_seed_below_0_is_refused(capsys: pytest.CaptureFixture) -> None:
    assert call("demo -o out --seed -1".split()) == 2
    assert "'--seed'" in capsys.readouterr().err
