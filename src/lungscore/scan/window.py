"""How a slice is shown to eyes and networks: a window of grey levels, a box, a size."""

from collections.abc import Sequence

import numpy as np
from PIL import Image


def window(values: np.ndarray, lower: float, upper: float) -> np.ndarray:
    """``values`` mapped linearly so that lower is 0 and upper is 1, clipped; float32."""
    scaled = (values.astype(np.float32) - np.float32(lower)) / np.float32(upper - lower)
    return np.clip(scaled, 0, 1, out=scaled)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear resize of a 2-D float32 image, averaging where it shrinks."""
    if image.shape == (height, width):
        return image
    picture = Image.fromarray(np.ascontiguousarray(image, dtype=np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


def crop(
    image: np.ndarray, box: tuple[int, int, int, int], *, outside: float | None = None
) -> np.ndarray:
    """The part of a 2-D ``image`` inside box (row0, row1, column0, column1).

    The box may reach over the border: what lies outside is ``outside``, by default the image's
    smallest value (air).
    """
    row0, row1, column0, column1 = box
    in_image, in_box = inside(box, image.shape)
    shown = image[in_image]
    if shown.shape == (row1 - row0, column1 - column0):
        return shown
    filled = image.min() if outside is None else outside
    result = np.full((row1 - row0, column1 - column0), filled, dtype=image.dtype)
    result[in_box] = shown
    return result


def paste(patch: np.ndarray, box: tuple[int, int, int, int], shape: tuple[int, int]) -> np.ndarray:
    """The opposite of crop: ``patch`` at its box in a zero image of ``shape``."""
    result = np.zeros(shape, dtype=patch.dtype)
    in_image, in_box = inside(box, shape)
    result[in_image] = patch[in_box]
    return result


def inside(
    box: tuple[int, int, int, int], shape: Sequence[int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """What a box and an image of ``shape`` have in common: in the image, and in the box."""
    row0, row1, column0, column1 = box
    height, width = shape
    top, left = max(row0, 0), max(column0, 0)
    bottom, right = max(min(row1, height), top), max(min(column1, width), left)
    in_image = slice(top, bottom), slice(left, right)
    return in_image, (slice(top - row0, bottom - row0), slice(left - column0, right - column0))


def network_boxes(boxes: np.ndarray, *, margin: float = 0.02, smallest: float = 0.6) -> np.ndarray:
    """The boxes in which a network sees the slices of a volume, as the training crops look.

    boxes: (D, 4) int lung boxes (row0, row1, column0, column1) of every slice, negative where a
    slice has no lung. Each grows by ``margin`` of its size, and about its centre to at least
    ``smallest`` of the size of the box around all slices: the tips of the lungs are not magnified
    beyond what the network has seen. Rows of slices without lung stay negative.
    """
    boxes = np.asarray(boxes)
    filled = boxes[:, 0] >= 0
    result = boxes.copy()
    if not filled.any():
        return result
    for low, high in ((0, 1), (2, 3)):
        start, stop = boxes[filled, low], boxes[filled, high]
        whole = stop.max() - start.min()
        size = np.maximum((stop - start) * (1 + 2 * margin), whole * smallest)
        centre = (start + stop) / 2
        result[filled, low] = np.floor(centre - size / 2)
        result[filled, high] = np.ceil(centre + size / 2)
    return result
