"""PNG and JPEG slices."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lungscore.scan import Scan, read_scan
from lungscore.scan.slices import natural_order, otsu_threshold, shows_whole_body
from tests.scan.reading import rejection
from tests.scan.scan_builder import chest


def grey_chest(depth: int = 12, rows: int = 60, columns: int = 90) -> np.ndarray:
    return np.clip((chest(depth, rows, columns) + 1350) / 6, 0, 255).astype(np.uint8)


def save(path: Path, image: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, **options)
    return path


def codes(scan: Scan) -> set[str]:
    return {notice.code for notice in scan.notices}


def test_folder_is_stacked_in_the_order_people_count(tmp_path: Path) -> None:
    values = grey_chest()
    for index, plane in enumerate(values):
        save(tmp_path / "case" / f"slice-{index + 1}.png", plane)
    scan = read_scan(tmp_path / "case")
    np.testing.assert_array_equal(scan.values, values)
    assert (scan.kind, scan.units, scan.spacing_mm) == ("slices", "grey", None)
    assert scan.sides_known
    assert {"approximate-8bit", "no-spacing"} <= codes(scan)
    assert any("first one superior" in notice.message for notice in scan.notices)


def test_masks_go_back_as_they_came(tmp_path: Path) -> None:
    for index, plane in enumerate(grey_chest()):
        save(tmp_path / "case" / f"{index}.png", plane)
    scan = read_scan(tmp_path / "case")
    np.testing.assert_array_equal(scan.geometry.to_source(scan.values), scan.values)


def test_natural_order() -> None:
    names = ["IM-10", "im-9", "IM-100", "IM-2", "a"]
    assert sorted(map(Path, names), key=natural_order) == [
        Path(name) for name in ("a", "IM-2", "im-9", "IM-10", "IM-100")
    ]


def test_whole_body_slice_says_its_sides_and_a_crop_does_not(tmp_path: Path) -> None:
    whole = grey_chest()[5]
    crop = whole[12:48, 18:75]
    assert read_scan(save(tmp_path / "whole.png", whole)).sides_known
    scan = read_scan(save(tmp_path / "crop.png", crop))
    assert not scan.sides_known
    assert {"unknown-orientation", "single-slice"} <= codes(scan)


def test_transposed_slice_does_not_say_its_sides() -> None:
    whole = grey_chest()[5]
    assert shows_whole_body(whole)
    assert not shows_whole_body(np.ascontiguousarray(whole.T))


def test_otsu_threshold_parts_two_levels() -> None:
    grey = np.array([10] * 50 + [12] * 50 + [200] * 60, dtype=np.uint8)
    assert 12 <= otsu_threshold(grey) < 200


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_grey_stored_as_colour_is_grey(tmp_path: Path, mode: str) -> None:
    grey = grey_chest()[5]
    Image.fromarray(grey).convert(mode).save(tmp_path / "slice.png")
    np.testing.assert_array_equal(read_scan(tmp_path / "slice.png").values[0], grey)


def test_jpeg_is_read(tmp_path: Path) -> None:
    grey = grey_chest()[5]
    path = save(tmp_path / "no ending", np.stack([grey] * 3, -1), format="JPEG", quality=95)
    difference = np.abs(read_scan(path).values[0].astype(int) - grey)
    assert difference.mean() < 4


def test_colour_image_is_rejected(tmp_path: Path) -> None:
    image = np.stack([grey_chest()[5]] * 3, -1)
    image[:20, :20] = (255, 0, 0)
    assert rejection(save(tmp_path / "a.png", image)).code == "colour-image"


def test_small_coloured_mark_is_tolerated(tmp_path: Path) -> None:
    image = np.stack([grey_chest()[5]] * 3, -1)
    image[0, :3] = (255, 0, 0)
    read_scan(save(tmp_path / "a.png", image))


def test_sixteen_bit_over_its_full_range_becomes_eight_bit(tmp_path: Path) -> None:
    grey = grey_chest()[5]
    path = save(tmp_path / "a.png", grey.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_scan(path).values[0], grey)


def test_twelve_bit_in_sixteen_is_rejected(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", (chest()[5] + 1024).astype(np.uint16))
    assert rejection(path).code == "not-hounsfield"


def test_different_sizes_are_no_volume(tmp_path: Path) -> None:
    save(tmp_path / "in" / "1.png", grey_chest()[5])
    save(tmp_path / "in" / "2.png", grey_chest(rows=50)[5])
    assert rejection(tmp_path / "in").code == "slices-differ-in-size"


def test_mask_and_constant_images_are_rejected(tmp_path: Path) -> None:
    mask = (grey_chest()[5] > 100).astype(np.uint8) * 255
    assert rejection(save(tmp_path / "mask.png", mask)).code == "not-hounsfield"
    assert rejection(save(tmp_path / "black.png", mask * 0)).code == "constant-image"


def test_truncated_image_is_rejected(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", grey_chest()[5])
    path.write_bytes(path.read_bytes()[:-200])
    assert rejection(path).code == "input-unreadable"


@pytest.mark.parametrize("size", [6_000, 12_000, 60_000])
def test_giant_image_is_rejected_before_it_is_decoded(tmp_path: Path, size: int) -> None:
    header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", b"")
    )
    assert rejection(tmp_path / "a.png").code == "volume-too-large"


def test_image_with_a_text_bomb_is_harmless(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", grey_chest()[5])
    content = path.read_bytes()
    bomb = _chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(bytes(80 * 2**20), 9))
    path.write_bytes(content[:33] + bomb + content[33:])
    assert rejection(path).code == "input-unreadable"


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


# Images that must be turned, and masks beside the slices


def turned_back(image: np.ndarray, orientation: int) -> np.ndarray:
    """What a camera stores that is to be shown as ``image``, by Pillow's own rule."""
    from PIL import ImageOps

    for candidate in (image, image.T, *(np.rot90(image, k) for k in (1, 2, 3))):
        for stored in (candidate, candidate[::-1], candidate[:, ::-1]):
            picture = Image.fromarray(np.ascontiguousarray(stored))
            picture.getexif()[0x0112] = orientation
            shown = np.asarray(ImageOps.exif_transpose(picture))
            if shown.shape == image.shape and np.array_equal(shown, image):
                return np.ascontiguousarray(stored)
    raise AssertionError("no such image")


def save_turned(path: Path, image: np.ndarray, orientation: int) -> Path:
    picture = Image.fromarray(turned_back(image, orientation))
    exif = picture.getexif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, exif=exif, **({"quality": 100} if path.suffix == ".jpg" else {}))
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_a_slice_is_turned_as_exif_says_and_masks_go_back(
    tmp_path: Path, orientation: int, ending: str
) -> None:
    image = grey_chest()[3]
    path = save_turned(tmp_path / f"slice{ending}", image, orientation)
    scan = read_scan(path)
    assert scan.shape[1:] == image.shape
    assert np.abs(scan.values[0].astype(int) - image).max() <= (0 if ending == ".png" else 8)
    assert scan.sides_known
    stored = np.asarray(Image.open(path))
    np.testing.assert_array_equal(np.squeeze(scan.geometry.to_source(scan.values)), stored)


def test_a_folder_of_turned_slices_is_turned(tmp_path: Path) -> None:
    values = grey_chest()
    for index, plane in enumerate(values):
        save_turned(tmp_path / "case" / f"{index}.png", plane, 1 + index % 8)
    np.testing.assert_array_equal(read_scan(tmp_path / "case").values, values)


LAYOUTS = {
    "folders": ("images/{}.png", "masks/{}.png"),
    "endings": ("{}.png", "{}_mask.png"),
    "beginnings": ("ct_{}.png", "seg_{}.png"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("white", [1, 2, 255])
@pytest.mark.parametrize("packed", [True, False])
def test_masks_beside_the_slices_are_set_aside_and_counted(
    tmp_path: Path, layout: str, white: int, packed: bool
) -> None:
    import zipfile

    values = grey_chest()
    slices, masks = LAYOUTS[layout]
    for index, plane in enumerate(values):
        save(tmp_path / "case" / slices.format(index), plane)
        mask = np.where((plane > 100) & (index % 3 > 0), white, 0).astype(np.uint8)
        save(tmp_path / "case" / masks.format(index), mask)
    path = tmp_path / "case"
    if packed:
        path = tmp_path / "case.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in (tmp_path / "case").rglob("*.png"):
                archive.write(file, file.relative_to(tmp_path))
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.values, values)
    assert any(f"{len(values)} masks" in notice.message for notice in scan.notices)


def test_masks_as_jpeg_are_set_aside(tmp_path: Path) -> None:
    values = grey_chest(rows=120, columns=180)
    for index, plane in enumerate(values):
        save(tmp_path / "case" / "images" / f"{index}.png", plane)
        mask = np.zeros_like(plane)
        mask[40:80, 50:90] = 255
        save(tmp_path / "case" / "masks" / f"{index}.jpg", mask)
    np.testing.assert_array_equal(read_scan(tmp_path / "case").values, values)


def test_coloured_pictures_beside_the_slices_are_set_aside(tmp_path: Path) -> None:
    values = grey_chest()
    for index, plane in enumerate(values):
        save(tmp_path / "case" / f"{index}.png", plane)
        colours = np.stack([plane, plane // 2, np.zeros_like(plane)], axis=-1)
        save(tmp_path / "case" / "overlay" / f"{index}.png", colours)
    np.testing.assert_array_equal(read_scan(tmp_path / "case").values, values)


def test_a_folder_of_masks_alone_is_rejected(tmp_path: Path) -> None:
    for index, plane in enumerate(grey_chest()):
        save(tmp_path / "case" / f"{index}.png", np.where(plane > 100, 255, 0).astype(np.uint8))
    assert rejection(tmp_path / "case").code == "not-hounsfield"


def test_black_slices_before_the_first_are_outside_the_body(tmp_path: Path) -> None:
    values = grey_chest()
    values[:2] = 0
    for index, plane in enumerate(values):
        save(tmp_path / "case" / f"{index}.png", plane)
    scan = read_scan(tmp_path / "case")
    np.testing.assert_array_equal(scan.values, values)
    assert "slices-blank" in codes(scan)


def test_slices_of_any_names_are_kept_beside_masks(tmp_path: Path) -> None:
    values = grey_chest()
    names = [f"{chr(97 + index)}.png" for index in range(len(values))]
    for name, plane in zip(names, values, strict=True):
        save(tmp_path / "case" / name, plane)
        save(tmp_path / "case" / f"{name[0]}_mask.png", np.where(plane > 99, 255, 0).astype("u1"))
    np.testing.assert_array_equal(read_scan(tmp_path / "case").values, values)
