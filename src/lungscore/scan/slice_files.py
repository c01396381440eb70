"""Which of many slice images are the slices, and how one is turned upright."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lungscore.scan.voxels import GREY_LEVELS

#: Part of a mask's pixels that are near its darkest or its brightest level, which JPEG smears.
TWO_LEVELS, SMEAR = 0.98, 8

#: Files that make a kind of their own by their names, and words in the names of masks.
LEAST_OF_A_KIND = 3
MASK_WORDS = re.compile(r"mask|seg|label|lesion|infect|annot|(^|[^a-z])gt([^a-z]|$)")

#: The Exif tag that says how a picture must be turned to be seen as it was taken.
ORIENTATION_TAG = 0x0112


def find_masks(files: Sequence[Path], images: Sequence[np.ndarray]) -> list[int]:
    """Which of ``images``, (H, W) uint8 each, are masks that lie beside slices.

    Files of one folder whose names differ in numbers alone are of one kind. A kind is masks where
    most of what is not blank has two levels, or a few, and another kind has grey levels.
    """
    masks: list[int] = []
    slices = False
    for members in _kinds(files):
        shown = [number for number in members if images[number].min() < images[number].max()]
        like_masks = sum(_is_like_mask(images[number]) for number in shown)
        blank = not shown and len(members) >= LEAST_OF_A_KIND
        if blank or (shown and 2 * like_masks >= len(shown)):
            masks += members
        else:
            slices = True
    return sorted(masks) if slices else []


def _kinds(files: Sequence[Path]) -> list[list[int]]:
    """The numbers of ``files`` by kind; of kinds of few files only the words for a mask part."""
    kinds: dict[tuple[str, str], list[int]] = {}
    for number, file in enumerate(files):
        pattern = re.sub(r"\d+", "0", file.name.casefold())
        kinds.setdefault((str(file.parent), pattern), []).append(number)
    result: dict[tuple[str, str], list[int]] = {}
    for (folder, pattern), members in kinds.items():
        if len(members) < LEAST_OF_A_KIND:
            pattern = "mask" if MASK_WORDS.search(pattern) else ""
        result.setdefault((folder, pattern), []).extend(members)
    return list(result.values())


def upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """(H, W) ``image`` as it is to be seen. orientation: Exif 2.3, table 6, 1 to 8."""
    turned = {
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: image.T,
        6: np.rot90(image, -1),
        7: image[::-1, ::-1].T,
        8: np.rot90(image, 1),
    }
    return turned.get(orientation, image)


def stored_affine(shape: tuple[int, int], orientation: int, affine: np.ndarray) -> np.ndarray:
    """The affine of an image as it is stored, from that of its upright pixels.

    shape: (H, W) as stored. affine: (4, 4) of (slice, row, column) of the upright image.
    """
    height, width = shape
    order = upright(np.arange(height * width).reshape(shape), orientation)

    def seen_at(row: int, column: int) -> np.ndarray:
        return np.argwhere(order == row * width + column)[0]

    into = np.eye(4)
    into[1:3, 3] = seen_at(0, 0)
    into[1:3, 1] = (seen_at(height - 1, 0) - seen_at(0, 0)) / max(height - 1, 1)
    into[1:3, 2] = (seen_at(0, width - 1) - seen_at(0, 0)) / max(width - 1, 1)
    return affine @ into


def _is_like_mask(image: np.ndarray) -> bool:
    counts = np.bincount(image.ravel(), minlength=256)
    levels = np.flatnonzero(counts)
    if len(levels) < GREY_LEVELS:
        return True
    ends = counts[: levels[0] + SMEAR].sum() + counts[levels[-1] - SMEAR + 1 :].sum()
    return bool(ends >= TWO_LEVELS * image.size)
