"""From what is drawn in an axial, coronal or sagittal picture to voxels."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from lungscore.errors import InputError
from lungscore.review.masks import expanded

Plane = Literal["axial", "coronal", "sagittal"]


def picture_shape(plane: Plane, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """How many pictures a plane has, and their rows and columns."""
    depth, height, width = shape
    return {
        "axial": (depth, height, width),
        "coronal": (height, depth, width),
        "sagittal": (width, depth, height),
    }[plane]


def voxels_of_runs(
    plane: Plane, index: int, runs: Sequence[tuple[int, int]], shape: tuple[int, int, int]
) -> np.ndarray:
    """Places in the flattened volume (int64) of runs (start, length) of a picture, row by row.

    Raises InputError ``review-invalid`` for a picture that there is not, and for runs that leave
    it, overlap, or do not ascend.
    """
    pictures, rows, columns = picture_shape(plane, shape)
    if not 0 <= index < pictures:
        raise invalid(f"there is no {plane} picture {index}", expected=f"0 to {pictures - 1}")
    table = np.array(runs, np.int64).reshape(-1, 2)
    starts, lengths = table[:, 0], table[:, 1]
    if (lengths < 1).any() or (starts < 0).any() or (starts > rows * columns - lengths).any():
        raise invalid("a run leaves the picture")
    if (starts[1:] < (starts + lengths)[:-1]).any():
        raise invalid("the runs of a picture do not ascend, or they overlap")
    row, column = np.divmod(expanded(starts, lengths), columns)
    _, height, width = shape
    if plane == "axial":
        return (index * height + row) * width + column
    if plane == "coronal":
        return (row * height + index) * width + column
    return (row * height + column) * width + index


def invalid(fault: str, *, expected: str = "", hint: str = "") -> InputError:
    """The error ``review-invalid`` of what a browser sent."""
    return InputError(
        "review-invalid", f"The change cannot be made: {fault}", expected=expected, hint=hint
    )
