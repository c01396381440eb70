"""Datasets as small generated trees of files, laid out as downloaded."""

import csv

import numpy as np
import pytest
from PIL import Image

from lungscore.datasets import covid_semiseg, medseg
from lungscore.datasets.healthy import part_of
from lungscore.datasets.images import files_by_stem, read_grey, read_indices, read_mask
from lungscore.datasets.sample import Sample
from lungscore.datasets.training_slices import data_root, fold_of, load_healthy, load_infected
from lungscore.errors import InputError

TRAIN = "TrainingSet/LungInfection-Train/Doctor-label"
CLASSES = "TrainingSet/MultiClassInfection-Train"


def save(path, values: np.ndarray, *, palette: bool = False) -> None:
    """Write uint8 values as a picture; as palette indices if asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values)
    if palette:
        picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 0, 0, 128])
    picture.save(path)


def lesions_of(seed: int, shape: tuple[int, int]) -> np.ndarray:
    """Classes 0, 1 and 2 in blocks that differ between slices."""
    lesions = np.zeros(shape, np.uint8)
    lesions[3 + seed : 9, 2:12] = 1
    lesions[6:9, 4 + seed : 10] = 2
    return lesions


@pytest.fixture
def semiseg(tmp_path):
    """Three training slices, stored transposed; names 2, 10 and 9."""
    root = tmp_path / "covid-semiseg"
    for seed, name in enumerate(("2", "10", "9")):
        shape = 20 + seed, 14  # stored: taller than wide
        lesions = lesions_of(seed, shape[::-1]).T.copy()
        image = np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8)
        save(root / TRAIN / "Imgs" / f"{name}.png", image)
        save(root / TRAIN / "GT" / f"{name}.png", np.uint8(255) * (lesions > 0))
        save(root / CLASSES / "GT" / f"{name}.png", lesions, palette=True)
    return root


@pytest.fixture
def full_slices(tmp_path):
    """Two full slices, one a training and one a test slice, with the table of crops."""
    root = tmp_path / "medseg-slices"
    for seed, name in enumerate(("5", "7")):
        image = np.random.default_rng(seed).integers(1, 255, (64, 64)).astype(np.uint8)
        labels = np.zeros((64, 64), np.uint8)
        labels[20:30, 30:40], labels[25:30, 30:33], labels[31:33, 30:40] = 1, 2, 3
        save(root / "images" / f"{name}.png", image)
        save(root / "labels" / f"{name}.png", labels)
    write_crops(root, [["5", "train", 30, 20, 18, 16], ["7", "test", 30, 20, 18, 16]])
    return root


def write_crops(root, rows: list[list]) -> None:
    """The table that maps crops (transposed) to full slices."""
    with open(root / medseg.CROPS, "w", newline="") as file:
        writer = csv.writer(file)
        header = "name,split,height,width,row0_in_transposed,col0_in_transposed"
        writer.writerows([header.split(","), *rows])


def rejected(load, code: str) -> str:
    """The message with which ``load`` is refused."""
    with pytest.raises(InputError) as caught:
        load()
    assert caught.value.code == code
    return caught.value.message


def test_slices_are_turned_back_with_their_labels_and_come_in_natural_order(semiseg):
    samples = covid_semiseg.load(semiseg, "train")
    assert [sample.name for sample in samples] == ["2", "9", "10"]
    for sample in samples:
        seed = ("2", "10", "9").index(sample.name)
        assert sample.image.shape == (14, 20 + seed)
        np.testing.assert_array_equal(sample.lesions, lesions_of(seed, sample.image.shape))
        np.testing.assert_array_equal(sample.infection, sample.lesions > 0)
        stored = np.asarray(Image.open(semiseg / TRAIN / "Imgs" / f"{sample.name}.png"))
        np.testing.assert_array_equal(sample.image, stored.T)
        assert sample.source == "covid-semiseg"


def test_an_image_without_its_label_is_named(semiseg):
    (semiseg / TRAIN / "GT" / "9.png").unlink()
    message = rejected(lambda: covid_semiseg.load(semiseg, "train"), "dataset-incomplete")
    assert "3 images" in message
    assert "2 labels" in message
    assert "9" in message


def test_an_image_without_its_classes_is_named(semiseg):
    (semiseg / CLASSES / "GT" / "10.png").unlink()
    message = rejected(lambda: covid_semiseg.load(semiseg, "train"), "dataset-incomplete")
    assert "10 has no class labels" in message


def test_a_missing_folder_is_named(semiseg):
    message = rejected(lambda: covid_semiseg.load(semiseg, "test"), "dataset-incomplete")
    assert "is missing" in message


def test_an_empty_folder_is_no_dataset(semiseg):
    for path in (semiseg / TRAIN).rglob("*.png"):
        path.unlink()
    rejected(lambda: covid_semiseg.load(semiseg, "train"), "dataset-incomplete")


def test_grey_values_in_a_mask_are_refused(semiseg):
    save(semiseg / TRAIN / "GT" / "2.png", np.full((20, 14), 128, np.uint8))
    message = rejected(lambda: covid_semiseg.load(semiseg, "train"), "label-invalid")
    assert "2.png holds [128]" in message


def test_classes_outside_the_table_are_refused(semiseg):
    save(semiseg / CLASSES / "GT" / "2.png", np.full((20, 14), 75, np.uint8))
    message = rejected(lambda: covid_semiseg.load(semiseg, "train"), "label-invalid")
    assert "2.png holds [75]" in message


@pytest.mark.parametrize("folder", [f"{TRAIN}/GT", f"{CLASSES}/GT"])
def test_labels_of_another_size_than_the_image_are_refused(semiseg, folder):
    save(semiseg / folder / "2.png", np.zeros((14, 20), np.uint8))
    message = rejected(lambda: covid_semiseg.load(semiseg, "train"), "label-invalid")
    assert "2: image and labels differ in size" in message


def test_palette_labels_are_read_as_indices_not_as_colours(semiseg):
    path = semiseg / CLASSES / "GT" / "2.png"
    assert set(np.unique(read_indices(path, allowed=(0, 1, 2)))) == {0, 1, 2}
    assert set(np.unique(read_grey(path))) == {0, 38, 75}
    rejected(lambda: read_mask(path), "label-invalid")


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"])
def test_a_damaged_picture_is_named(tmp_path, content):
    (tmp_path / "4.png").write_bytes(content)
    assert "4.png" in rejected(lambda: read_grey(tmp_path / "4.png"), "input-unreadable")
    rejected(lambda: read_indices(tmp_path / "4.png", allowed=(0,)), "input-unreadable")


def test_a_truncated_picture_is_named(tmp_path):
    save(tmp_path / "4.png", np.random.default_rng(0).integers(0, 255, (99, 99)).astype(np.uint8))
    content = (tmp_path / "4.png").read_bytes()
    (tmp_path / "4.png").write_bytes(content[: len(content) // 2])
    assert "4.png" in rejected(lambda: read_grey(tmp_path / "4.png"), "input-unreadable")


def test_a_label_in_colour_is_refused(tmp_path):
    save(tmp_path / "4.png", np.zeros((9, 9, 3), np.uint8))
    rejected(lambda: read_indices(tmp_path / "4.png", allowed=(0,)), "label-invalid")


def test_only_pictures_count_as_files(semiseg):
    (semiseg / TRAIN / "Imgs" / "notes.txt").write_text("x")
    assert list(files_by_stem(semiseg / TRAIN / "Imgs")) == ["10", "2", "9"]


def test_the_crop_of_a_full_slice_is_the_stated_box_and_a_margin(full_slices):
    (sample,) = medseg.load_training_crops(full_slices, margin=0.1)
    full = np.asarray(Image.open(full_slices / "images/5.png"))
    # Row 18, column 16 in the transposed slice, 30 x 20 there: columns 18…48 and rows 16…36 here.
    np.testing.assert_array_equal(sample.image, full[16 - 2 : 36 + 2, 18 - 3 : 48 + 3])
    assert sample.name == "5"


def test_effusion_is_background_and_the_other_classes_are_infection(full_slices):
    (sample,) = medseg.load_training_crops(full_slices, margin=0)
    assert set(np.unique(sample.lesions)) == {0, 1, 2}
    np.testing.assert_array_equal(sample.infection, sample.lesions > 0)
    assert np.count_nonzero(sample.infection) == 100


def test_a_crop_that_reaches_over_the_border_is_filled_with_air(full_slices):
    write_crops(full_slices, [["5", "train", 64, 64, 0, 0]])
    (sample,) = medseg.load_training_crops(full_slices, margin=0.25)
    assert sample.image.shape == (96, 96)
    assert (sample.image[:16] == sample.image.min()).all()
    assert not sample.infection[:16].any()


def test_test_slices_are_never_among_the_training_crops(full_slices):
    assert [sample.name for sample in medseg.load_training_crops(full_slices)] == ["5"]


def test_a_missing_table_of_crops_is_named(full_slices):
    (full_slices / medseg.CROPS).unlink()
    message = rejected(lambda: medseg.load_training_crops(full_slices), "dataset-incomplete")
    assert medseg.CROPS in message


@pytest.mark.parametrize(
    "table", ["name,height\n5,3\n", "split,name\ntrain,5\n", "split,name,height\ntrain,5,x\n"]
)
def test_a_damaged_table_of_crops_is_named(full_slices, table):
    (full_slices / medseg.CROPS).write_text(table)
    message = rejected(lambda: medseg.load_training_crops(full_slices), "dataset-incomplete")
    assert medseg.CROPS in message


def test_a_slice_that_the_table_names_and_nobody_has_is_named(full_slices):
    write_crops(full_slices, [["6", "train", 30, 20, 18, 16]])
    message = rejected(lambda: medseg.load_training_crops(full_slices), "dataset-incomplete")
    assert "slice 6 is missing" in message


def test_a_full_slice_and_its_labels_are_of_one_size(full_slices):
    save(full_slices / "labels/5.png", np.zeros((32, 32), np.uint8))
    rejected(lambda: medseg.load_training_crops(full_slices), "label-invalid")


def test_named_datasets_are_joined(tmp_path, semiseg, full_slices):
    samples = load_infected(("covid-semiseg", "medseg"), tmp_path)
    assert [sample.source for sample in samples] == ["covid-semiseg"] * 3 + ["medseg"]
    assert load_healthy(None, "all", tmp_path) == []


def test_the_folder_of_datasets_is_an_environment_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("LUNGSCORE_DATA", str(tmp_path))
    assert data_root() == tmp_path
    for value in ("", str(tmp_path / "none")):
        monkeypatch.setenv("LUNGSCORE_DATA", value)
        assert "LUNGSCORE_DATA" in rejected(data_root, "input-not-found")
    monkeypatch.delenv("LUNGSCORE_DATA")
    rejected(data_root, "input-not-found")


def test_folds_are_even_and_the_same_whatever_the_order():
    names = [str(number) for number in range(53)]
    folds = fold_of(names, 5)
    assert fold_of(names[::-1] + names, 5) == folds
    sizes = np.bincount(list(folds.values()))
    assert len(sizes) == 5
    assert sizes.max() - sizes.min() <= 1
    assert fold_of(names, 5, seed=1) != folds


def test_halves_share_no_slice_and_leave_none_out():
    for count in (0, 1, 8, 9):
        indices = np.arange(3, 3 + count)
        halves = part_of(indices, "cranial"), part_of(indices, "caudal")
        np.testing.assert_array_equal(np.concatenate(halves), part_of(indices, "all"))


def test_a_sample_holds_an_image_and_a_mask_of_one_size():
    image = np.zeros((4, 5), np.uint8)
    with pytest.raises(ValueError, match="bool"):
        Sample(image, image, "a", "b")
    with pytest.raises(ValueError, match="as large"):
        Sample(image, np.zeros((5, 4), bool), "a", "b")
