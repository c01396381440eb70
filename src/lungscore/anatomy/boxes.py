"""Bounding boxes of masks."""

import numpy as np

Box = tuple[slice, slice, slice]


def lung_box(mask: np.ndarray, *, margin: tuple[int, int, int] = (0, 0, 0)) -> Box:
    """The box around all voxels above 0 of ``mask`` (D, H, W), grown by ``margin`` voxels.

    It is cut at the array's ends. Raises ValueError for an empty mask.
    """
    box = []
    for axis, (size, extra) in enumerate(zip(mask.shape, margin, strict=True)):
        others = tuple(other for other in range(3) if other != axis)
        filled = np.flatnonzero(mask.any(axis=others))
        if not len(filled):
            raise ValueError("an empty mask has no box")
        box.append(slice(max(int(filled[0]) - extra, 0), min(int(filled[-1]) + 1 + extra, size)))
    return box[0], box[1], box[2]


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
