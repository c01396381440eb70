"""A model in the layout of MONAI's bundles: MONAI itself verifies it."""

import json
from pathlib import Path

import pytest

from lungscore.cli.main import call
from lungscore.inference import load_bundle


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("monai") / "bundle"
    assert call(["models", "export", "lungs", "-o", str(folder), "--monai"]) == 0
    return folder


def test_the_layout_is_that_of_a_bundle(exported: Path) -> None:
    files = {p.relative_to(exported).as_posix() for p in exported.rglob("*") if p.is_file()}
    assert files == {
        *("LICENSE", "configs/metadata.json", "configs/inference.json"),
        *("docs/README.md", "docs/data_license.txt"),
        *("models/card.json", "models/model.onnx", "models/weights.safetensors"),
    }
    card = load_bundle("lungs").card
    metadata = json.loads((exported / "configs" / "metadata.json").read_text())
    assert metadata["version"] == card.version
    assert metadata["network_data_format"]["outputs"]["pred"]["channel_def"] == {
        str(number): name for number, name in enumerate(card.outputs)
    }
    assert load_bundle(exported / "models").card == card
    assert card.data_terms in (exported / "docs" / "data_license.txt").read_text()


@pytest.mark.slow
def test_monai_verifies_what_goes_in_and_comes_out(exported: Path) -> None:
    bundle = pytest.importorskip("monai.bundle", reason="monai is not installed")
    bundle.verify_net_in_out(
        net_id="network_def",
        meta_file=str(exported / "configs" / "metadata.json"),
        config_file=str(exported / "configs" / "inference.json"),
        device="cpu",
        bundle_root=str(exported),
    )


def test_a_folder_that_is_there_is_left_alone(exported: Path, capsys) -> None:
    assert call(["models", "export", "lungs", "-o", str(exported), "--monai"]) == 2
    assert "output-exists" in capsys.readouterr().err


def test_what_a_card_is_made_of_does_not_apply(tmp_path: Path, capsys) -> None:
    words = ["models", "export", "lungs", "-o", str(tmp_path / "x"), "--monai", "--name", "other"]
    assert call(words) == 2
    assert "do not apply" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
