"""How a network sees the slices of a scan: as the crops it was trained on look."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lungscore.anatomy import Lungs, find_lungs, slice_boxes
from lungscore.inference.bundle import InputSpec
from lungscore.scan import Scan
from lungscore.scan.window import crop, network_boxes, paste, resize, window

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class View:
    """One slice in one box.

    box: row0, row1, column0, column1; may reach over the slice's border. turned: whether the
    network sees it transposed, so that the patient's left–right axis lies across. mirrored:
    whether it sees it left for right (after turning).
    """

    index: int
    box: tuple[int, int, int, int]
    turned: bool = False
    mirrored: bool = False

    def of(self, scan: Scan, spec: InputSpec) -> np.ndarray:
        """(spec.height, spec.width) float32 grey levels 0…1."""
        return resize(window(self.cut(scan), *spec.window(scan.units)), spec.height, spec.width)

    def cut(self, scan: Scan) -> np.ndarray:
        """The same in the scan's own pixels and values."""
        return self._as_seen(crop(scan.values[self.index], self.box))

    def cut_labels(self, labels: np.ndarray) -> np.ndarray:
        """The same of labels (D, H, W); nothing is marked beyond the slice."""
        return self._as_seen(crop(labels[self.index], self.box, outside=0))

    def _as_seen(self, box: np.ndarray) -> np.ndarray:
        upright = box.T if self.turned else box
        return upright[:, ::-1] if self.mirrored else upright

    def back(self, probability: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """A probability map of the view, in the slice's own pixels; 0 outside the box."""
        row0, row1, column0, column1 = self.box
        size = (row1 - row0, column1 - column0)
        crop = resize(
            probability[:, ::-1] if self.mirrored else probability,
            *(size[::-1] if self.turned else size),
        )
        return paste(crop.T if self.turned else crop, self.box, shape)


class ViewedScan:
    """A scan from which views are taken and to which their maps go back, on the processor."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan

    def picture(self, view: View, spec: InputSpec) -> "np.ndarray | Tensor":
        """What the network sees in ``view``: (spec.height, spec.width) float32 in 0…1."""
        return view.of(self.scan, spec)

    def back(self, view: View, probability: np.ndarray) -> np.ndarray:
        """A map of ``view`` in the slice's own pixels, (H, W) float32; 0 outside the box."""
        return view.back(probability, self.scan.shape[1:])


#: How much the lung box of a slice of a volume is widened on each side, as a fraction of its size.
#: As in training, where healthy slices and the full annotated ones have this margin.
MARGIN = 0.1

#: A margin as defensible: out of fold, its Dice is within 0.01 of that of the other one
#: (experiments/views.py).
OTHER_MARGIN = 0.02

#: The boxes in which a lone slice is seen, as multiples of its own.
WIDER = (1.0, 1.14, 1.33)

#: A lone slice whose lung box takes at least this share of it is a lung-box crop. Of the 50
#: training crops the smallest share is 0.62; where the lungs take less, more than lung is shown.
CROP_SHARE = 0.6


def views(scan: Scan, lungs: Lungs | None, *, margin: float = MARGIN) -> Iterator[View]:
    """The views in which a network should see ``scan``, superior to inferior.

    Of a volume, the lung box of every slice that has lung. Of a lone slice, the same, or all of
    it where it is a lung-box crop already or its ``lungs`` are None (not found); turned where its
    orientation is not known and the lungs lie one above the other; from nearer and from farther,
    and each once more mirrored, which is worth its time for one slice (docs/method.md).
    margin: about the lungs of a slice of a volume.
    """
    depth, height, width = scan.shape
    boxes = slice_boxes(lungs.labels) if lungs is not None else np.full((depth, 4), -1)
    if depth > 1:
        boxes = network_boxes(boxes, margin=margin)
        for index in np.flatnonzero(boxes[:, 1] > boxes[:, 0]):
            yield View(int(index), _as_box(boxes[index]))
        return
    box = (0, height, 0, width)
    turned = not scan.sides_known and height > width
    if lungs is not None:
        row0, row1, column0, column1 = _as_box(boxes[0])
        if not scan.sides_known:
            turned = lie_one_above_the_other(lungs.labels[0, row0:row1, column0:column1] > 0)
        if (row1 - row0) * (column1 - column0) < CROP_SHARE * height * width:
            box = _as_box(network_boxes(boxes)[0])
    for times in WIDER:
        for mirrored in (False, True):
            yield View(0, _grown(box, times), turned, mirrored)


def views_to_learn(scan: Scan) -> tuple[View, ...]:
    """The views in which a network learns from ``scan``: one of each slice with lung.

    Raises InputError no-lungs.
    """
    return views_with_lungs(scan, find_lungs(scan))


def views_with_lungs(scan: Scan, lungs: Lungs | None) -> tuple[View, ...]:
    """The same where the lungs are known; None for a lone slice that is seen whole."""
    usual = views(scan, lungs)
    return tuple(usual) if scan.shape[0] > 1 else (next(usual),)


def other_views(scan: Scan, lungs: Lungs | None) -> Iterator[tuple[View, ...]]:
    """Views that could stand for the usual ones as well: OTHERS groups for each slice, in order.

    What is found in a group's views is averaged. Of a slice of a volume they are the usual view
    mirrored, and one with another margin; of a lone slice the narrowest of its boxes alone, and
    the widest alone.
    """
    usual = list(views(scan, lungs))
    if scan.shape[0] == 1:
        yield tuple(usual[:2])
        yield tuple(usual[-2:])
        return
    for view, alternative in zip(usual, views(scan, lungs, margin=OTHER_MARGIN), strict=True):
        yield (replace(view, mirrored=True),)
        yield (alternative,)


#: Groups of other views for each slice.
OTHERS = 2


def lie_one_above_the_other(lungs: np.ndarray) -> bool:
    """Whether a (H, W) bool mask, cut to its box, shows two lungs one above the other.

    Across the lungs, their area falls to a valley between them (the mediastinum); along them it
    does not. The deeper valley decides; where both are alike, whether the box is taller than wide.
    """
    down, across = _valley(lungs.sum(axis=1)), _valley(lungs.sum(axis=0))
    if abs(down - across) < ALIKE:
        return lungs.shape[0] > lungs.shape[1]
    return down > across


#: Valleys whose depths differ by less decide nothing.
ALIKE = 0.02


def _valley(profile: np.ndarray) -> float:
    """Depth of the valley in the middle of ``profile``: 0 none, 1 down to nothing."""
    size = len(profile)
    middle = slice(size * 3 // 10, max(size * 7 // 10, size * 3 // 10 + 1))
    bottom = middle.start + int(np.argmin(profile[middle]))
    sides = min(profile[:bottom].max(initial=0), profile[bottom + 1 :].max(initial=0))
    return 1 - float(profile[bottom]) / sides if sides else 0.0


def _grown(box: tuple[int, int, int, int], times: float) -> tuple[int, int, int, int]:
    """A box ``times`` as tall and wide, about the same centre."""
    row0, row1, column0, column1 = box
    down = round((row1 - row0) * (times - 1) / 2)
    right = round((column1 - column0) * (times - 1) / 2)
    return row0 - down, row1 + down, column0 - right, column1 + right


def _as_box(row: np.ndarray) -> tuple[int, int, int, int]:
    row0, row1, column0, column1 = (int(edge) for edge in row)
    return row0, row1, column0, column1
