"""lungscore predict: two pictures for each slice, at its own size."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lungscore import predict_slices
from lungscore.cli.main import call
from lungscore.inference import Segmenter
from lungscore.scan.phantom import Phantom

Predict = Callable[..., int]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def predict(out: Path, stand_in_model: Path) -> Predict:
    def command(*arguments: object, to: Path = out) -> int:
        given = [str(argument) for argument in arguments]
        return call(["predict", *given, "-o", str(to), "--model", str(stand_in_model)])

    return command


@pytest.fixture(scope="module")
def grey(small_phantom: Callable[[str], Phantom]) -> np.ndarray:
    """(H, W) uint8: a slice through the lungs of the phantom with dense disease."""
    hu = small_phantom("dense").scan.values[9].astype(np.float32)
    return (np.clip((hu + 1350) / 1500, 0, 1) * 255).round().astype(np.uint8)


@pytest.fixture
def image(tmp_path: Path, grey: np.ndarray) -> Path:
    path = tmp_path / "slice.png"
    Image.fromarray(grey).save(path)
    return path


def pictures(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Probability and classes as written, their formats checked."""
    with Image.open(folder / f"{name}.png") as probability:
        assert (probability.format, probability.mode) == ("PNG", "L")
        infection = np.asarray(probability)
    with Image.open(folder / f"{name}_classes.png") as palette:
        assert (palette.format, palette.mode) == ("PNG", "P")
        classes = np.asarray(palette)
        assert palette.getpalette()[:3] == [0, 0, 0]
    return infection, classes


def test_a_slice_becomes_a_probability_and_classes_of_its_size(
    predict: Predict, out: Path, image: Path, grey: np.ndarray, capsys: pytest.CaptureFixture
) -> None:
    assert predict(image) == 0
    assert {path.name for path in out.iterdir()} == {"slice.png", "slice_classes.png"}
    infection, classes = pictures(out, "slice")
    assert infection.shape == classes.shape == grey.shape
    assert set(np.unique(classes)) == {0, 1, 2}
    np.testing.assert_array_equal(classes > 0, infection >= 128)
    assert grey[classes == 2].mean() > grey[classes == 1].mean() + 30
    assert "slice: " in capsys.readouterr().out


@pytest.mark.parametrize("size", [(96, 90), (97, 131), (200, 120)], ids=str)
def test_sizes_of_any_kind_and_crops_come_back_as_they_were(
    predict: Predict, out: Path, tmp_path: Path, grey: np.ndarray, size: tuple[int, int]
) -> None:
    path = tmp_path / "odd.png"
    Image.fromarray(grey[20:76, 12:84]).resize(size).save(path)
    assert predict(path) == 0
    for picture in pictures(out, "odd"):
        assert picture.shape == size[::-1]


def test_a_transposed_crop_gives_the_transposed_prediction(
    predict: Predict, out: Path, tmp_path: Path, grey: np.ndarray
) -> None:
    crop = grey[20:76, 12:84]
    Image.fromarray(crop).save(tmp_path / "upright.png")
    Image.fromarray(np.ascontiguousarray(crop.T)).save(tmp_path / "turned.png")
    assert predict(tmp_path / "upright.png", tmp_path / "turned.png") == 0
    upright, turned = (pictures(out, name)[1] for name in ("upright", "turned"))
    assert (turned.T == upright).mean() > 0.99
    assert (upright > 0).any()


def test_a_folder_of_slices_is_predicted_in_the_order_of_counting(
    predict: Predict, tmp_path: Path, image: Path, grey: np.ndarray, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "slices"
    folder.mkdir()
    for name in ("s10.png", "s2.PNG", "s1.jpg"):
        Image.fromarray(grey).save(folder / name)
    (folder / "notes.txt").write_text("no slice")
    (folder / "deeper.png").mkdir()
    assert predict(folder, image, "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["slice"] for line in lines] == ["s1", "s2", "s10", "slice"]
    assert lines[1]["infected_percent_of_image"] == lines[3]["infected_percent_of_image"] > 0


def test_a_slice_says_whether_its_lungs_show_an_infection_pattern(
    predict: Predict, tmp_path: Path, grey: np.ndarray, capsys: pytest.CaptureFixture
) -> None:
    healthy = grey.copy()
    healthy[(grey > 80) & (grey < 200)] = 70  # what is denser than lung and lighter than muscle
    blank = np.tile(np.linspace(150, 250, grey.shape[1]).astype(np.uint8), (len(grey), 1))
    for name, picture in (("ill", grey), ("well", healthy), ("none", blank)):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    paths = [tmp_path / f"{name}.png" for name in ("ill", "well", "none")]
    assert predict(*paths, "--json") == 0
    ill, well, none = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert ill["infection_pattern"] is True
    assert ill["infected_percent_of_image"] < ill["infected_percent_of_lungs"] <= 100
    assert well["infection_pattern"] is (well["infected_percent_of_lungs"] >= 1)
    assert well["infected_percent_of_lungs"] < ill["infected_percent_of_lungs"]
    assert (none["infection_pattern"], none["infected_percent_of_lungs"]) == (None, None)
    assert predict(paths[0], paths[2], to=tmp_path / "again") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ill: infection pattern; opacity ")
    assert lines[1].startswith("none: no lungs found; ")


def test_a_slice_that_is_none_is_named_and_stops_no_other(
    predict: Predict, out: Path, tmp_path: Path, image: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "broken.png").write_bytes(image.read_bytes()[:200])
    colours = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "colour.png")
    paths = [tmp_path / "broken.png", tmp_path / "colour.png", tmp_path / "none.png", image]
    assert predict(*paths, "--json") == 3
    output = capsys.readouterr()
    lines = [json.loads(line) for line in output.out.splitlines()]
    codes = [line["error"]["code"] for line in lines[:3]]
    assert codes == ["input-unreadable", "colour-image", "input-not-found"]
    assert lines[3]["slice"] == "slice"
    assert sorted(path.name for path in out.iterdir()) == ["slice.png", "slice_classes.png"]
    assert "broken.png: error [input-unreadable]" in output.err


def test_a_volume_is_no_slice(
    predict: Predict, phantom_file: Path, capsys: pytest.CaptureFixture
) -> None:
    assert predict(phantom_file) == 3
    assert "lungscore analyze" in capsys.readouterr().err


def test_pictures_that_are_there_are_kept_unless_told_otherwise(
    predict: Predict, out: Path, image: Path, capsys: pytest.CaptureFixture
) -> None:
    out.mkdir()
    (out / "slice_classes.png").write_bytes(b"mine")
    assert predict(image) == 2
    assert "error [output-exists]" in capsys.readouterr().err
    assert (out / "slice_classes.png").read_bytes() == b"mine"
    assert not (out / "slice.png").exists()
    assert predict(image, "--overwrite") == 0
    pictures(out, "slice")


def test_an_input_is_never_overwritten(
    predict: Predict, image: Path, capsys: pytest.CaptureFixture
) -> None:
    before = image.read_bytes()
    assert predict(image, "--overwrite", to=image.parent) == 2
    assert image.read_bytes() == before
    assert "overwritten" in capsys.readouterr().err


@pytest.mark.parametrize("names", [("a.png", "a.jpg"), ("a.png", "a_classes.png")])
def test_two_slices_of_one_name_are_refused(
    predict: Predict,
    out: Path,
    tmp_path: Path,
    grey: np.ndarray,
    names: tuple[str, str],
    capsys: pytest.CaptureFixture,
) -> None:
    for name in names:
        Image.fromarray(grey).save(tmp_path / name)
    assert predict(*(tmp_path / name for name in names)) == 2
    assert "error [usage]" in capsys.readouterr().err
    assert not out.exists()


def test_a_folder_without_slices_is_rejected(
    predict: Predict, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "empty").mkdir()
    assert predict(tmp_path / "empty") == 3
    assert "error [input-empty]" in capsys.readouterr().err


def test_the_python_call_gives_what_the_command_writes(
    predict: Predict, out: Path, image: Path, segmenter: Segmenter
) -> None:
    assert predict(image) == 0
    (prediction,) = predict_slices([image], segmenter=segmenter)
    infection, classes = pictures(out, "slice")
    assert prediction.name == "slice"
    np.testing.assert_array_equal(prediction.infection, infection)
    np.testing.assert_array_equal(prediction.classes, classes)


@pytest.mark.parametrize(
    ("model", "code", "exit_code"),
    [("nowhere", "model-missing", 4), ("infection", "usage", 2)],
)
def test_a_model_for_lesions_that_is_none_is_refused(
    predict: Predict,
    out: Path,
    image: Path,
    model: str,
    code: str,
    exit_code: int,
    capsys: pytest.CaptureFixture,
):
    assert predict(image, "--lesions-model", model) == exit_code
    assert code in capsys.readouterr().err
    assert not out.exists()
