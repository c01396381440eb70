"""How a network sees the slices of a scan: as the crops it was trained on look."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lungscore.anatomy import Lungs, slice_boxes
from lungscore.inference.bundle import InputSpec
from lungscore.scan import Scan
from lungscore.scan.window import crop, network_boxes, paste, resize, window


@dataclass(frozen=True)
class View:
    """One slice in one box.

    box: row0, row1, column0, column1; may reach over the slice's border. turned: whether the
    network sees it transposed, so that the patient's left–right axis lies across.
    """

    index: int
    box: tuple[int, int, int, int]
    turned: bool = False

    def of(self, scan: Scan, spec: InputSpec) -> np.ndarray:
        """(spec.height, spec.width) float32 grey levels 0…1."""
        lower, upper = spec.window_hu if scan.units == "hu" else (0.0, 255.0)
        part = window(crop(scan.values[self.index], self.box), lower, upper)
        return resize(part.T if self.turned else part, spec.height, spec.width)

    def back(self, probability: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """A probability map of the view, in the slice's own pixels; 0 outside the box."""
        row0, row1, column0, column1 = self.box
        height, width = row1 - row0, column1 - column0
        if self.turned:
            part = resize(probability, width, height).T
        else:
            part = resize(probability, height, width)
        return paste(part, self.box, shape)


#: A lone slice whose lung box takes at least this share of it is a lung-box crop. Of the 50
#: training crops the smallest share is 0.62; where the lungs take less, more than lung is shown.
CROP_SHARE = 0.6


def views(scan: Scan, lungs: Lungs | None) -> Iterator[View]:
    """The views in which a network should see ``scan``, superior to inferior.

    The lung box of every slice that has lung. A lone slice that is a lung-box crop already is seen
    whole, turned where it is taller than wide (two lungs side by side are wider than tall) and its
    orientation is not known; so is a lone slice whose ``lungs`` are None, not found.
    """
    depth, height, width = scan.shape
    boxes = slice_boxes(lungs.labels) if lungs is not None else np.full((depth, 4), -1)
    if depth == 1:
        row0, row1, column0, column1 = boxes[0]
        share = (row1 - row0) * (column1 - column0) / (height * width)
        if lungs is None or share >= CROP_SHARE:
            yield View(0, (0, height, 0, width), turned=not scan.sides_known and height > width)
            return
    boxes = network_boxes(boxes)
    for index in np.flatnonzero(boxes[:, 1] > boxes[:, 0]):
        row0, row1, column0, column1 = (int(edge) for edge in boxes[index])
        yield View(int(index), (row0, row1, column0, column1))
