"""Whether one file is whole: every kind of file, and every way in which it may not be."""

import gzip
import hashlib
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from lungscore.datasets.integrity import Looked, look
from lungscore.datasets.records import Companion, Entry
from tests.datasets.made_dataset import picture, save
from tests.scan.scan_builder import chest, write_series


def looked(root: Path, path: str, kind: str = "slice", **told) -> Looked:
    return look(root, Entry(path, "case", kind, **told))


def problems(result: Looked) -> list[tuple[str, str]]:
    return [(problem.code, problem.path) for problem in result.problems]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def nifti(path: Path, values: np.ndarray) -> Path:
    """(columns, rows, slices) as a NIfTI file with voxels of a chest's size."""
    nib.save(nib.Nifti1Image(values, np.diag([0.8, 0.8, 2.0, 1.0])), path)
    return path


def volume() -> np.ndarray:
    return np.ascontiguousarray(chest(6).T)


def labels() -> np.ndarray:
    return (volume() > -900).astype(np.uint8)


# Pictures


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("shape", [(8, 9), (8, 9, 3)])
def test_a_whole_picture_has_its_checksum_and_no_problem(tmp_path, name, shape):
    path = save(tmp_path / name, picture(0, shape))
    assert problems(result := looked(tmp_path, name)) == []
    assert (result.sha256, result.mask_sha256) == (sha256(path), None)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("cut", [1, 4, 12, 20, 300])
def test_a_picture_that_ends_too_early_is_unreadable(tmp_path, name, cut):
    path = save(tmp_path / name, picture(0, (40, 50)))
    path.write_bytes(path.read_bytes()[:-cut])
    assert problems(looked(tmp_path, name)) == [("image-unreadable", name)]


def test_a_changed_byte_of_a_png_is_noticed(tmp_path):
    path = save(tmp_path / "a.png", picture(0, (40, 50)))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for offset in rng.integers(8, len(whole), 200):
        damaged = bytearray(whole)
        damaged[offset] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        assert problems(looked(tmp_path, "a.png")) == [("image-unreadable", "a.png")], offset


def test_whatever_stands_in_a_jpeg_is_read_or_told(tmp_path):
    path = save(tmp_path / "a.jpg", picture(0, (40, 50)))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(whole)
        for offset in rng.integers(0, len(whole), 3):
            damaged[offset] = rng.integers(256)
        path.write_bytes(damaged)
        assert set(problems(looked(tmp_path, "a.jpg"))) <= {("image-unreadable", "a.jpg")}


@pytest.mark.parametrize("content", [b"no picture", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"])
def test_what_is_no_png_or_jpeg_is_unreadable(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    assert problems(looked(tmp_path, "a.png")) == [("image-unreadable", "a.png")]


def test_a_picture_of_too_many_pixels_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr("lungscore.datasets.integrity.MAX_PIXELS", 71)
    save(tmp_path / "a.png", picture(0, (8, 9)))
    (problem,) = looked(tmp_path, "a.png").problems
    assert (problem.code, problem.found) == ("image-unreadable", "9 × 8 pixels")


@pytest.mark.parametrize("kind", ["slice", "volume", "dicom"])
def test_an_empty_and_a_missing_file_and_a_folder(tmp_path, kind):
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    assert problems(looked(tmp_path, "empty", kind)) == [("image-empty", "empty")]
    assert problems(looked(tmp_path, "missing", kind)) == [("file-missing", "missing")]
    assert problems(looked(tmp_path, "folder", kind)) == [("image-unreadable", "folder")]


def test_a_pipe_does_not_make_anybody_wait(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    assert problems(looked(tmp_path, "a.png")) == [("image-unreadable", "a.png")]


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("L", (9, 8), 7),
        Image.new("RGB", (9, 8), (10, 20, 30)),
        Image.new("RGBA", (9, 8), (0, 0, 0, 255)),
        Image.new("LA", (9, 8), (7, 255)),
        Image.new("P", (9, 8), 3),
        Image.new("1", (9, 8), 1),
        Image.new("I;16", (9, 8), 700),
    ],
    ids=lambda picture: picture.mode,
)
def test_a_constant_picture_of_any_mode(tmp_path, picture):
    picture.save(tmp_path / "a.png")
    assert problems(looked(tmp_path, "a.png")) == [("image-constant", "a.png")]
    picture.putpixel(
        (2, 3),
        0
        if isinstance(picture.getpixel((2, 3)), int)
        else (0, 200, 0, 255)[: len(picture.getbands())],
    )
    picture.save(tmp_path / "a.png")
    assert problems(looked(tmp_path, "a.png")) == []


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_a_name_that_is_no_utf8_is_told_since_no_manifest_can_hold_it(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    save(tmp_path / name, picture(0), format="PNG")
    (problem,) = looked(tmp_path, name).problems
    assert (problem.code, problem.found) == ("image-unreadable", "its name is not in UTF-8")
    assert problems(looked(tmp_path, "ü-ß-寿.png")) == [("file-missing", "ü-ß-寿.png")]


# Labels of pictures


def with_mask(root: Path, mask: Image.Image | np.ndarray, values=(0, 1, 2), **told) -> Looked:
    """An image of 8 × 9 pixels with ``mask``, which may hold ``values``."""
    save(root / "a.png", picture(0))
    mask = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
    mask.save(root / "m.png")
    return looked(root, "a.png", mask="m.png", mask_values=values, **told)


def classes() -> np.ndarray:
    mask = np.zeros((8, 9), np.uint8)
    mask[2:4], mask[5:6, 3:] = 1, 2
    return mask


def as_palette(mask: np.ndarray) -> Image.Image:
    """Indices whose colours, read as grey, are 0, 38 and 75."""
    image = Image.fromarray(mask)
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    assert image.mode == "P"
    return image


@pytest.mark.parametrize(
    "mask",
    [
        classes(),
        as_palette(classes()),
        np.repeat(classes()[..., None], 3, axis=2),
        Image.merge("LA", [Image.fromarray(classes()), Image.new("L", (9, 8), 255)]),
        Image.merge("RGBA", [Image.fromarray(classes())] * 3 + [Image.new("L", (9, 8), 255)]),
    ],
    ids=["grey", "palette", "RGB", "LA", "RGBA"],
)
def test_a_mask_is_read_as_it_is_stored(tmp_path, mask):
    assert problems(result := with_mask(tmp_path, mask)) == []
    assert result.mask_sha256 == sha256(tmp_path / "m.png")
    assert problems(with_mask(tmp_path, mask, values=(0, 1))) == [("label-values", "m.png")]


def test_a_mask_of_one_bit_holds_0_and_1(tmp_path):
    mask = Image.fromarray(classes() > 0)
    assert mask.mode == "1"
    assert problems(with_mask(tmp_path, mask, values=(0, 1))) == []


def test_values_outside_the_table_are_named(tmp_path):
    mask = classes()
    mask[0, 0], mask[0, 1] = 3, 200
    (problem,) = with_mask(tmp_path, mask).problems
    assert (problem.code, problem.path) == ("label-values", "m.png")
    assert problem.found == "it holds 3, 200; known are (0, 1, 2)"


def test_a_mask_without_a_table_of_values_may_hold_any(tmp_path):
    assert problems(with_mask(tmp_path, picture(5), values=())) == []


def test_a_mask_in_colours_is_none(tmp_path):
    assert problems(with_mask(tmp_path, picture(1, (8, 9, 3)))) == [("image-unreadable", "m.png")]


def test_a_constant_mask_is_whole(tmp_path):
    assert problems(with_mask(tmp_path, np.zeros((8, 9), np.uint8))) == []


def test_a_mask_of_another_size(tmp_path):
    (problem,) = with_mask(tmp_path, classes().T.copy()).problems
    assert (problem.code, problem.path) == ("sizes-differ", "m.png")
    assert problem.found == "it is 9 × 8, its image 8 × 9"


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "image-empty"), (b"x", "image-unreadable"), (None, "file-missing")]
)
def test_a_damaged_mask_is_told_and_its_image_is_not(tmp_path, content, code):
    save(tmp_path / "a.png", picture(0))
    if content is not None:
        (tmp_path / "m.png").write_bytes(content)
    assert problems(looked(tmp_path, "a.png", mask="m.png")) == [(code, "m.png")]


def test_a_damaged_image_says_nothing_of_its_mask(tmp_path):
    with_mask(tmp_path, classes().T.copy())
    (tmp_path / "a.png").write_bytes(b"x")
    assert problems(looked(tmp_path, "a.png", mask="m.png")) == [("image-unreadable", "a.png")]


def test_companions_are_looked_at_like_masks(tmp_path):
    save(tmp_path / "e.png", classes())
    result = with_mask(tmp_path, classes(), companions=(Companion("e.png", (0, 1)),))
    assert problems(result) == [("label-values", "e.png")]
    assert result.mask_sha256 == sha256(tmp_path / "m.png")
    save(tmp_path / "e.png", classes()[1:])
    result = with_mask(tmp_path, classes(), companions=(Companion("e.png"),))
    assert problems(result) == [("sizes-differ", "e.png")]


# Volumes


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_whole_volume(tmp_path, name):
    path = nifti(tmp_path / name, volume())
    assert problems(result := looked(tmp_path, name, "volume")) == []
    assert result.sha256 == sha256(path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kept", [0.01, 0.5, 0.999])
def test_a_volume_that_ends_too_early_is_unreadable(tmp_path, name, kept):
    path = nifti(tmp_path / name, volume())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert problems(looked(tmp_path, name, "volume")) == [("image-unreadable", name)]


def test_a_volume_packed_with_another_checksum_is_unreadable(tmp_path):
    path = nifti(tmp_path / "a.nii", volume())
    packed = bytearray(gzip.compress(path.read_bytes()))
    packed[-6] ^= 255
    (tmp_path / "a.nii.gz").write_bytes(packed)
    assert problems(looked(tmp_path, "a.nii.gz", "volume")) == [("image-unreadable", "a.nii.gz")]


@pytest.mark.parametrize("value", [-1000, np.nan])
def test_a_constant_volume(tmp_path, value):
    nifti(tmp_path / "a.nii.gz", np.full((20, 20, 4), value, np.float32))
    assert problems(looked(tmp_path, "a.nii.gz", "volume")) == [("image-constant", "a.nii.gz")]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda mask: mask, None),
        (lambda mask: mask * np.float32(1), None),
        (lambda mask: mask * np.uint8(4), "label-values"),
        (lambda mask: mask * np.float32(0.5), "label-values"),
        (lambda mask: np.where(mask > 0, np.float32("nan"), 0), "label-values"),
        (lambda mask: np.arange(mask.size, dtype=np.int32).reshape(mask.shape), "label-values"),
        (lambda mask: mask[:, :, 1:], "sizes-differ"),
        (lambda mask: mask[:-1], "sizes-differ"),
    ],
)
def test_the_labels_of_a_volume(tmp_path, change, code):
    nifti(tmp_path / "a.nii.gz", volume())
    nifti(tmp_path / "m.nii.gz", change(labels()))
    told = {"mask": "m.nii.gz", "mask_values": (0, 1)}
    assert problems(looked(tmp_path, "a.nii.gz", "volume", **told)) == (
        [] if code is None else [(code, "m.nii.gz")]
    )


# DICOM


def test_a_whole_dicom_image_and_one_that_ends_too_early(tmp_path):
    path = write_series(tmp_path, chest(1))[0]
    assert problems(result := looked(tmp_path, path.name, "dicom")) == []
    assert result.sha256 == sha256(path)
    content = path.read_bytes()
    for kept in (100, 300, len(content) - 200, len(content) - 2):
        path.write_bytes(content[:kept])
        assert problems(looked(tmp_path, path.name, "dicom")) == [("image-unreadable", path.name)]


def test_a_constant_dicom_image_and_what_is_no_dicom(tmp_path):
    path = write_series(tmp_path, np.full((1, 20, 20), -1000, np.int16))[0]
    assert problems(looked(tmp_path, path.name, "dicom")) == [("image-constant", path.name)]
    path.write_bytes(b"no dicom at all" * 20)
    assert problems(looked(tmp_path, path.name, "dicom")) == [("image-unreadable", path.name)]


@pytest.mark.parametrize(
    ("modality", "code"),
    [("CT", None), ("DX", "x-ray"), ("CR", "x-ray"), ("MR", "not-ct"), ("PT", "not-ct")],
)
def test_an_x_ray_among_cts_is_named_by_its_modality(tmp_path, modality, code):
    path = write_series(
        tmp_path, chest(1), edit=lambda index, dataset: setattr(dataset, "Modality", modality)
    )[0]
    assert problems(looked(tmp_path, path.name, "dicom")) == (
        [] if code is None else [(code, path.name)]
    )


def test_a_volume_is_read_by_its_content_and_not_its_name(tmp_path):
    (tmp_path / "scan.nii.gz").write_bytes(b"no volume at all" * 20)
    assert problems(looked(tmp_path, "scan.nii.gz", "volume")) == [
        ("image-unreadable", "scan.nii.gz")
    ]


def test_a_dicom_file_without_an_image(tmp_path):
    def leave_out(index, dataset) -> None:
        del dataset.PixelData

    path = write_series(tmp_path, chest(1), edit=leave_out)[0]
    assert problems(looked(tmp_path, path.name, "dicom")) == [("image-unreadable", path.name)]


def test_a_label_beside_one_dicom_image_is_not_known(tmp_path):
    path = write_series(tmp_path, chest(1))[0]
    save(tmp_path / "m.png", classes())
    result = looked(tmp_path, path.name, "dicom", mask="m.png")
    assert problems(result) == [("image-unreadable", "m.png")]
