"""Bounding boxes of masks."""

import numpy as np

Box = tuple[slice, slice, slice]


def lung_box(mask: np.ndarray, *, margin: tuple[int, int, int] = (0, 0, 0)) -> Box:
    """The box around all voxels above 0 of ``mask`` (D, H, W), grown by ``margin`` voxels.

    It is cut at the array's ends. Raises ValueError for an empty mask.
    """
    shadow = np.bitwise_or.reduce(mask, axis=0) != 0
    lines = np.array([plane.any() for plane in mask]), shadow.any(axis=1), shadow.any(axis=0)
    box = []
    for line, size, extra in zip(lines, mask.shape, margin, strict=True):
        filled = np.flatnonzero(line)
        if not len(filled):
            raise ValueError("an empty mask has no box")
        box.append(slice(max(int(filled[0]) - extra, 0), min(int(filled[-1]) + 1 + extra, size)))
    return box[0], box[1], box[2]


def extent_of(plane: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns that hold all of ``plane`` (H, W), which is not empty."""
    return _span(np.flatnonzero(plane.any(axis=1))), _span(np.flatnonzero(plane.any(axis=0)))


def box_of_label(labels: np.ndarray, value: int) -> Box | None:
    """The box around all voxels of ``labels`` (D, H, W) that are ``value``; None without any."""
    rows = np.zeros(labels.shape[:2], bool)
    columns = np.zeros(labels.shape[2], bool)
    for index, plane in enumerate(labels):
        mask = plane == value
        rows[index] = mask.any(axis=1)
        if rows[index].any():
            columns |= mask.any(axis=0)
    if not columns.any():
        return None
    slices, across = np.flatnonzero(rows.any(axis=1)), np.flatnonzero(rows.any(axis=0))
    return _span(slices), _span(across), _span(np.flatnonzero(columns))


def columns_of(labels: np.ndarray) -> Box:
    """All slices of ``labels`` (D, H, W), within the rows and columns that are not 0 in any.

    The whole of them where all are 0.
    """
    rows, columns = (np.asarray(labels.any(axis=axis)).any(axis=0) for axis in (2, 1))
    if not rows.any():
        return slice(0, labels.shape[0]), slice(0, labels.shape[1]), slice(0, labels.shape[2])
    return (
        slice(0, labels.shape[0]),
        _span(np.flatnonzero(rows)),
        _span(np.flatnonzero(columns)),
    )


def _span(indices: np.ndarray) -> slice:
    return slice(int(indices[0]), int(indices[-1]) + 1)


def copy_within(labels: np.ndarray, box: Box) -> np.ndarray:
    """A copy of ``labels`` (D, H, W), which are 0 outside ``box``.

    What is outside is not written to, so that the system gives no memory to most of it.
    """
    copied = np.zeros(labels.shape, labels.dtype)
    copied[box] = labels[box]
    return copied


def slice_boxes(labels: np.ndarray) -> np.ndarray:
    """The box of each slice of ``labels`` (D, H, W): int (D, 4) of row0, row1, column0, column1.

    row1 and column1 are one past the end; slices without any label get -1 four times.
    """
    boxes = np.full((len(labels), 4), -1)
    for axis, column in ((2, 0), (1, 2)):
        filled = np.asarray(np.any(labels, axis=axis))  # (D, H), then (D, W)
        some = filled.any(axis=1)
        boxes[some, column] = filled[some].argmax(axis=1)
        boxes[some, column + 1] = filled.shape[1] - filled[some, ::-1].argmax(axis=1)
    return boxes
