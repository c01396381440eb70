"""Pieces of a lobe or region that lie apart from the rest of it."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from lungscore.anatomy.boxes import box_of_label

#: What has less than this part in one piece on a sample is looked at voxel by voxel.
WHOLE = 0.99
ROUNDS = 3


def join_pieces(labels: np.ndarray, numbers: Sequence[int], steps: tuple[int, ...]) -> None:
    """Give what lies apart from the largest piece of each of ``numbers`` to what it touches most.

    labels: (D, H, W), changed in place. steps: the sampling step in voxels along each axis of
    the first look, which sees whether there is anything to join. A piece that touches none of the
    other ``numbers``, an island, stays; so does dust, pieces below a thousandth.
    """
    sample = labels[:: steps[0], :: steps[1], :: steps[2]]
    # A piece may join another number where that has a piece of its own: hence once more.
    for _ in range(ROUNDS):
        apart = [number for number in numbers if _largest_part(sample == number) < WHOLE]
        for number in apart:
            _join(labels, number, numbers)
        if not apart:
            break


def _largest_part(mask: np.ndarray) -> float:
    """The part of ``mask`` in its largest face-connected piece; 0 where there is none."""
    pieces, count = ndimage.label(mask)
    if not count:
        return 0.0
    sizes = np.bincount(pieces.ravel())[1:]
    return float(sizes.max() / sizes.sum())


def _join(labels: np.ndarray, number: int, numbers: Sequence[int]) -> None:
    box = box_of_label(labels, number)
    if box is None:
        return
    # With what it touches; the rest of a lobe need not be looked at.
    labels = labels[tuple(slice(max(span.start - 1, 0), span.stop + 1) for span in box)]
    pieces, _ = ndimage.label(labels == number)
    sizes = np.bincount(pieces.ravel())[1:]
    boxes = ndimage.find_objects(pieces)
    for index in np.flatnonzero(1000 * sizes >= sizes.sum()):
        if index == sizes.argmax():
            continue
        around = tuple(slice(max(span.start - 1, 0), span.stop + 1) for span in boxes[index])
        inside, near = pieces[around] == index + 1, labels[around]
        edge = ndimage.binary_dilation(inside) & ~inside
        touched = np.bincount(near[edge], minlength=max(numbers) + 1)[numbers]
        if touched.any():
            near[inside] = numbers[int(touched.argmax())]
