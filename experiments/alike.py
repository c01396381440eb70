"""Slices of different sources made alike, so that a detector can see the lungs and not the source.

A healthy person's slices and infected ones come from other scanners, in other windows and boxes and
compressed otherwise; a classifier that sees that has learned nothing about infection. Here both go
one way: window, 8 bits, JPEG, the box of the lungs, JPEG again, one size. Two kinds of copies show
what is left to be told apart: without the lungs, and with infected tissue painted over.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from scipy.spatial import ConvexHull, QhullError
from scipy.stats import wasserstein_distance

from lungscore.anatomy import find_lungs, slice_boxes
from lungscore.scan.slices import SHOWN_AFFINE
from lungscore.scan.volume import Volume, to_scan
from lungscore.scan.window import crop, network_boxes, resize, window

#: Height and width at which slices are compared: the input of the shipped network.
SIZE = 256, 320

#: COVID-SemiSeg's crops carry the quantisation tables of this quality.
JPEG_QUALITY = 75

#: What is kept about the lungs at first, as a fraction of their box, as published crops do. In the
#: end nothing is: what lies beyond the border of a crop would have to be made up.
LOOSE = 0.1

#: Grey level that takes the place of the lungs, and pixels by which their place is widened.
FILL, WIDER = 128, 5


@dataclass(frozen=True)
class AlikeSlice:
    """A slice as every source is shown.

    image: SIZE uint8. lungs: SIZE bool, the hull of either lung, with all that lies in it.
    infection: SIZE bool, as annotated; empty for a healthy person.
    """

    name: str
    image: np.ndarray
    lungs: np.ndarray
    infection: np.ndarray

    @property
    def infected(self) -> bool:
        """Whether any infection is annotated."""
        return bool(self.infection.any())


def as_published(
    hounsfield: np.ndarray, box: tuple[int, int, int, int], window_hu: tuple[float, float]
) -> np.ndarray:
    """A slice (H, W) in HU as a published crop would show it: uint8, cut to ``box``, once JPEG."""
    return _jpeg(_grey(crop(window(hounsfield, *window_hu), box)))


def make_alike(name: str, shown: np.ndarray, infection: np.ndarray) -> AlikeSlice:
    """The second half of the way, the same for all: shown (H, W) uint8, infection (H, W) bool.

    Raises InputError ``no-lungs``.
    """
    volume = Volume(
        shown[None], SHOWN_AFFINE, "grey", "slice", spacing_known=False, sides_known=False,
    )  # fmt: skip
    lungs = find_lungs(to_scan(volume, name, name)).labels > 0
    row0, row1, column0, column1 = network_boxes(slice_boxes(lungs), margin=0.0)[0]
    box = int(row0), int(row1), int(column0), int(column1)
    image = _grey(resize(window(_jpeg(np.ascontiguousarray(crop(shown, box))), 0, 255), *SIZE))
    lung, ill = (
        resize(crop(mask, box).astype(np.float32), *SIZE) >= 0.5 for mask in (lungs[0], infection)
    )
    return AlikeSlice(name, image, _hulls(lung | ill), ill)


def without_lungs(slice_: AlikeSlice) -> np.ndarray:
    """The image with one grey level where the lungs are: what only the source can tell."""
    return np.where(slice_.lungs, np.uint8(FILL), slice_.image)


def without_lesions(slice_: AlikeSlice, lesions: np.ndarray) -> np.ndarray:
    """The image with the median of its other lung painted over ``lesions`` (SIZE bool).

    An infected slice is given its own; a healthy one those of another slice, so that paint alone
    tells nothing.
    """
    over = ndimage.binary_dilation(lesions, iterations=WIDER) & slice_.lungs
    rest = slice_.image[slice_.lungs & ~over]
    return np.where(over, np.uint8(np.median(rest)) if rest.size else np.uint8(0), slice_.image)


def matching_window(grey: np.ndarray, hounsfield: np.ndarray) -> tuple[float, float]:
    """The window in which ``hounsfield`` looks most like ``grey`` (0–255), both (pixels,).

    Meant for pixels outside the lungs, so that nothing of infection enters the choice. The least
    Wasserstein distance over a grid of 50 and 25 HU.
    """
    choices = [(float(a), float(b)) for a in range(-1600, -700, 50) for b in range(50, 475, 25)]
    return min(
        choices, key=lambda choice: wasserstein_distance(255 * window(hounsfield, *choice), grey)
    )


def match_by_shape(lungs: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """(n,) which of ``candidates`` (m, H, W) is the partner of each of ``lungs`` (n, H, W), n ≤ m.

    No partner is given twice; the sum of their overlaps (intersection over union) is the largest.
    """
    flat = (masks.reshape(len(masks), -1).astype(np.float32) for masks in (lungs, candidates))
    first, second = flat
    common = first @ second.T
    overlap = common / (first.sum(axis=1)[:, None] + second.sum(axis=1)[None] - common)
    return linear_sum_assignment(-overlap)[1]


def _hulls(lungs: np.ndarray) -> np.ndarray:
    """The convex hull of what lies on either side of the middle, a little wider."""
    hulls = np.zeros_like(lungs)
    middle = lungs.shape[1] // 2
    for side in (slice(None, middle), slice(middle, None)):
        half = np.zeros_like(lungs)
        half[:, side] = lungs[:, side]
        hulls |= _hull(half)
    return ndimage.binary_dilation(hulls, iterations=WIDER)


def _hull(mask: np.ndarray) -> np.ndarray:
    points = np.argwhere(mask)
    try:
        corners = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):  # too few points, or all in a line
        return mask
    picture = Image.new("1", mask.shape[::-1])
    ImageDraw.Draw(picture).polygon([(int(x), int(y)) for y, x in corners], fill=1, outline=1)
    return np.asarray(picture)


def _grey(image: np.ndarray) -> np.ndarray:
    return np.floor(image * 255 + 0.5).astype(np.uint8)


def _jpeg(image: np.ndarray) -> np.ndarray:
    """What is left of a picture (H, W) uint8 after JPEG."""
    with io.BytesIO() as file:
        Image.fromarray(image).save(file, "JPEG", quality=JPEG_QUALITY)
        file.seek(0)
        with Image.open(file) as picture:
            return np.asarray(picture)
