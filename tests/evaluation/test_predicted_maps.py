"""evaluate maps on what predict writes, and on truths of every usual kind."""

import json

import numpy as np
import pytest
from PIL import Image

from lungscore.cli.main import call
from lungscore.datasets.images import read_truth
from lungscore.errors import InputError
from lungscore.evaluation.protocols import on_released_maps
from tests.datasets.own_data import INDEX, picture, save


@pytest.fixture
def predicted(tmp_path, small_phantom, stand_in_model):
    """The output folder of predict, and the labels of its slices."""
    phantom = small_phantom("moderate")
    for index in (INDEX, INDEX + 1):
        save(tmp_path / "images" / f"{index}.png", picture(phantom, index))
    command = ["predict", str(tmp_path / "images"), "-o", str(tmp_path / "maps")]
    assert not call([*command, "--model", str(stand_in_model)])
    assert (tmp_path / "maps" / f"{INDEX}_classes.png").is_file()
    return tmp_path / "maps", phantom.lesions


def test_the_folder_of_predict_is_measured_as_it_is(predicted, tmp_path):
    maps, lesions = predicted
    for index in (INDEX, INDEX + 1):
        save(tmp_path / "truth" / f"{index}.png", (255 * (lesions[index] > 0)).astype(np.uint8))
    command = ["evaluate", "maps", str(maps), str(tmp_path / "truth")]
    assert not call([*command, "-o", str(tmp_path / "r.json")])
    figures = json.loads((tmp_path / "r.json").read_text())["figures"]
    assert [row["name"] for row in figures["slices"]] == [str(INDEX), str(INDEX + 1)]
    assert all(row["true_fraction"] > 0 for row in figures["slices"])
    assert call([*command, "-o", str(tmp_path / "r.json")]) == 2  # it is there already
    (tmp_path / "truth" / f"{INDEX}.png").unlink()
    assert call([*command, "-o", str(tmp_path / "r.json"), "--overwrite"]) == 3


def test_truths_of_classes_of_a_palette_and_of_255_are_the_same(predicted, tmp_path):
    maps, lesions = predicted
    figures = []
    for kind in ("255", "classes", "palette", "bit"):
        for index in (INDEX, INDEX + 1):
            labels = lesions[index]
            if kind == "255":
                shown = Image.fromarray((255 * (labels > 0)).astype(np.uint8))
            elif kind == "bit":
                shown = Image.fromarray(labels > 0)
            else:
                shown = Image.fromarray(labels)
                if kind == "palette":
                    shown = shown.convert("P")
                    shown.putpalette([0, 0, 0, 90, 0, 0, 0, 90, 0])
            path = tmp_path / kind / f"{index}.png"
            path.parent.mkdir(exist_ok=True)
            shown.save(path)
        figures.append(on_released_maps(maps, tmp_path / kind)["dice"])
    assert all(figure == figures[0] for figure in figures)
    assert figures[0]["mean"] > 0


def test_a_truth_of_other_numbers_is_no_silent_zero(predicted, tmp_path):
    maps, lesions = predicted
    for index in (INDEX, INDEX + 1):
        save(tmp_path / "truth" / f"{index}.png", 3 * (lesions[index] > 0).astype(np.uint8))
    with pytest.raises(InputError, match="contains") as caught:
        on_released_maps(maps, tmp_path / "truth")
    assert caught.value.code == "label-invalid"


def test_maps_of_16_bits_say_what_maps_of_8_bits_say(tmp_path):
    levels = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
    save(tmp_path / "truth" / "a.png", np.where(levels > 100, 255, 0).astype(np.uint8))
    save(tmp_path / "8" / "a.png", levels)
    (tmp_path / "16").mkdir()
    Image.fromarray(levels.astype(np.uint16) * 257).save(tmp_path / "16" / "a.png")
    maps = [on_released_maps(tmp_path / bits, tmp_path / "truth") for bits in ("8", "16")]
    assert maps[0]["slices"] == maps[1]["slices"]
    assert 0 < maps[0]["dice"]["mean"] < 1


@pytest.mark.parametrize("background", [0, 1])
def test_a_palette_of_black_and_white_is_read_by_its_colours(tmp_path, background):
    truth = np.zeros((64, 64), np.uint8)
    truth[10:30, 10:30] = 255
    indexed = Image.fromarray(((truth == 0) == (background == 1)).astype(np.uint8), "P")
    white, black = (255, 255, 255), (0, 0, 0)
    indexed.putpalette([*black, *white] if background == 0 else [*white, *black])
    indexed.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_truth(tmp_path / "mask.png"), truth > 0)


def test_a_mask_with_transparent_parts_is_refused(tmp_path):
    layers = np.zeros((64, 64, 4), np.uint8)
    layers[10:30, 10:30, 3] = 255
    Image.fromarray(layers).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match="transparent") as refused:
        read_truth(tmp_path / "mask.png")
    assert refused.value.code == "label-invalid"
