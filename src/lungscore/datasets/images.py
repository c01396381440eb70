"""Reading image and label files of datasets, paired by name, never by position in a list."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
from PIL import Image

from lungscore.errors import InputError
from lungscore.labels import CONSOLIDATION


def files_by_stem(folder: Path) -> dict[str, Path]:
    """stem -> path of every PNG or JPG in ``folder``. Raises dataset-incomplete."""
    if not folder.is_dir():
        raise InputError(
            "dataset-incomplete",
            f"The folder {folder.name} is missing",
            hint="Unpack the dataset exactly as downloaded",
        )
    suffixes = {".png", ".jpg", ".jpeg"}
    return {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() in suffixes}


def pair(
    images: Path, labels: Path, *, ignored: Collection[str] = ()
) -> list[tuple[str, Path, Path]]:
    """(name, image, label) for every image, sorted by name. Raises dataset-incomplete.

    ignored: names of images that need no label, where they have none.
    """
    image_files, label_files = files_by_stem(images), files_by_stem(labels)
    for name in set(ignored) - label_files.keys():
        image_files.pop(name, None)
    alone = sorted(image_files.keys() ^ label_files.keys())
    if alone or not image_files:
        raise InputError(
            "dataset-incomplete",
            f"{len(image_files)} images in {images.name} and {len(label_files)} labels in "
            f"{labels.name} do not pair up" + (f" (first: {alone[0]})" if alone else ""),
            expected="one label for each image",
        )
    names = sorted(image_files, key=lambda stem: (len(stem), stem))
    return [(name, image_files[name], label_files[name]) for name in names]


def read_grey(path: Path) -> np.ndarray:
    """(H, W) uint8 grey levels. Raises input-unreadable."""
    return _read(path, mode="L")


def read_colour(path: Path) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8, as stored. Raises input-unreadable."""
    return _read(path)


def read_indices(path: Path, *, allowed: tuple[int, ...]) -> np.ndarray:
    """(H, W) uint8 class indices of a palette or grey label image. Raises label-invalid.

    A palette image's index is the class; read as grey levels it would give 38 and 75.
    """
    values = _read(path)
    levels = np.unique(values)
    if values.ndim != 2 or not set(levels.tolist()) <= set(allowed):
        raise InputError(
            "label-invalid",
            f"{path.name} contains {levels[:8].tolist()}",
            expected=f"only {allowed}",
        )
    return values.astype(np.uint8)


def read_mask(path: Path) -> np.ndarray:
    """(H, W) bool of a 0/255 mask. Raises label-invalid where values lie between."""
    values = read_grey(path)
    levels = np.unique(values)
    if not set(levels.tolist()) <= {0, 255}:
        raise InputError(
            "label-invalid",
            f"{path.name} contains {levels[:8].tolist()}",
            expected="only 0 and 255",
        )
    return values > 128


def read_truth(path: Path) -> np.ndarray:
    """(H, W) bool of a mask: of 0 and 255 what is above 128, of classes 0, 1 and 2 what is not 0.

    A palette image's index is the class, but where its colours are black and white. Raises
    label-invalid for other small numbers, of which nothing would be infected, and for a picture
    with transparent parts, which may be the mask.
    """
    picture = _opened(path)
    if "A" in picture.getbands():
        lowest, highest = picture.getchannel("A").getextrema()
        if lowest != highest:
            raise InputError(
                "label-invalid",
                f"{path.name} has transparent parts",
                expected="a mask in grey levels without transparency",
            )
    if len(picture.getbands()) > 1 or _is_black_and_white(picture):
        picture = picture.convert("L")
    values = np.asarray(picture)
    highest = values.max()
    if highest <= CONSOLIDATION:
        return values > 0
    if highest <= 128:
        raise InputError(
            "label-invalid",
            f"{path.name} contains {np.unique(values)[:8].tolist()}",
            expected="0 and 255, or 0, 1 and 2",
        )
    return values > 128


def _is_black_and_white(picture: Image.Image) -> bool:
    """Whether a palette image shows black and white, both, whatever their indices are."""
    if picture.mode != "P":
        return False
    palette = np.array(picture.getpalette("RGB")).reshape(-1, 3)
    colours = {tuple(palette[index]) for index in np.unique(np.asarray(picture))}
    return colours == {(0, 0, 0), (255, 255, 255)}


def _read(path: Path, *, mode: str | None = None) -> np.ndarray:
    picture = _opened(path)
    if mode == "L" and picture.mode.startswith(("I", "F")):
        return _grey_of_16_bits(path, np.asarray(picture))
    return np.asarray(picture if mode is None else picture.convert(mode))


def _grey_of_16_bits(path: Path, values: np.ndarray) -> np.ndarray:
    """uint8 grey levels of a picture of 16 bits; Pillow would cut off what is above 255."""
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise InputError(
            "input-unreadable",
            f"{path.name} has grey levels from {values.min()} to {values.max()}",
            expected="8 or 16 bits per pixel",
        )
    return np.round(values / 257).astype(np.uint8)


def _opened(path: Path) -> Image.Image:
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as picture:
            picture.load()
            return picture.copy()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError("input-unreadable", f"{path.name} is not a readable image") from error
