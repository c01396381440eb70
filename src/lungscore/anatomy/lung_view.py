"""How the lung network sees a scan: every slice 192 pixels of 2 mm around the body's middle."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from lungscore.anatomy.body import inside_body, median_midline
from lungscore.anatomy.grid import Grid, assumed_spacing_mm
from lungscore.scan import Scan

#: Side of the network's picture, pixels, and of a pixel, mm.
SIZE, PIXEL_MM = 192, 2.0
#: Slices nearer than this are averaged, mm.
LAYER_MM = 2.5
#: Where the network's neighbouring slices lie, mm from the slice itself, superior first.
OFFSETS_MM = (-45.0, -15.0, -5.0, 0.0, 5.0, 15.0, 45.0)
#: Hounsfield units that are black (1) and white (255); 0 is where there is no picture.
WINDOW_HU = (-1024.0, 400.0)
#: Grey levels 0 and 255 of 8-bit slices are taken to be these, HU: a usual lung window.
GREY_HU = (-1250.0, 250.0)
#: Tissue is denser than this on the grid on which the body's middle is looked for, HU.
TISSUE_HU, GRID_MM = -400.0, 5.0


@dataclass(frozen=True)
class LungView:
    """Where a scan's slices lie in the network's pictures.

    shape: (D, H, W) of the scan. spacing_mm: (z, y, x), assumed where the scan states none.
    middle: row and column of the body's middle, voxels. layer: slices averaged to one picture.
    size: side of a picture, pixels.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    middle: tuple[float, float]
    layer: int
    size: int = SIZE

    @classmethod
    def of(cls, scan: Scan, *, size: int = SIZE) -> "LungView":
        """The view of ``scan``, around the middle of its body."""
        spacing_mm = scan.spacing_mm or assumed_spacing_mm(scan.shape)
        grid = Grid.over(scan.shape, spacing_mm, block_mm=GRID_MM)
        floor = -1024 if scan.units == "hu" else 0
        coarse = to_hounsfield(grid.reduce(scan.values, floor=floor), scan)
        body = inside_body(coarse > TISSUE_HU)
        row = (median_midline(body.transpose(0, 2, 1)) + 0.5) * grid.factors[1]
        column = (median_midline(body) + 0.5) * grid.factors[2]
        layer = max(1, round(LAYER_MM / spacing_mm[0])) if len(scan.values) > 1 else 1
        return cls(scan.shape, spacing_mm, (row, column), layer, size)

    @property
    def layer_mm(self) -> float:
        """Distance of two pictures, mm."""
        return self.layer * self.spacing_mm[0]

    @property
    def layers(self) -> int:
        """How many pictures there are."""
        return -(-self.shape[0] // self.layer)

    def pictures(self, scan: Scan) -> np.ndarray:
        """The scan's slices as pictures, uint8 (layers, size, size): 1 to 255 within WINDOW_HU."""
        pictures = np.zeros((self.layers, self.size, self.size), np.uint8)
        box, target = self._boxes()
        low, high = WINDOW_HU
        for index in range(self.layers):
            slab = scan.values[index * self.layer : (index + 1) * self.layer]
            plane = slab[0] if len(slab) == 1 else slab.mean(axis=0, dtype=np.float32)
            units = to_hounsfield(plane, scan)
            grey = np.clip((units - low) * (254 / (high - low)), 0, 254).astype(np.uint8) + 1
            image = Image.fromarray(grey).resize(_size(target), Image.Resampling.BILINEAR, box=box)
            pictures[index][target] = np.asarray(image)
        return pictures

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """Labels (D, H, W) uint8 of the scan in its pictures, from the middle slice of a layer."""
        drawn = np.zeros((self.layers, self.size, self.size), np.uint8)
        box, target = self._boxes()
        for index in range(self.layers):
            plane = labels[min(index * self.layer + self.layer // 2, len(labels) - 1)]
            image = Image.fromarray(np.ascontiguousarray(plane, np.uint8))
            image = image.resize(_size(target), Image.Resampling.NEAREST, box=box)
            drawn[index][target] = np.asarray(image)
        return drawn

    def neighbours(self) -> np.ndarray:
        """For each picture, those at OFFSETS_MM: int (layers, 7), −1 beyond the scan's ends."""
        steps = np.rint(np.array(OFFSETS_MM) / self.layer_mm).astype(int)
        # The nearest neighbours are other slices, however far apart these are.
        steps = np.where(steps == 0, np.sign(OFFSETS_MM).astype(int), steps)
        index = np.arange(self.layers)[:, None] + steps
        return np.where((index >= 0) & (index < self.layers), index, -1)

    def inputs(self, pictures: np.ndarray) -> Iterator[np.ndarray]:
        """What the network sees of each picture: float32 (7, size, size) in 0…1."""
        beyond = np.zeros(pictures.shape[1:], np.uint8)
        for row in self.neighbours():
            planes = [pictures[index] if index >= 0 else beyond for index in row]
            yield np.stack(planes).astype(np.float32) / np.float32(255)

    def _boxes(self) -> tuple[tuple[float, float, float, float], tuple[slice, slice]]:
        """The part of a slice that its picture shows (left, upper, right, lower; voxels), and
        where in the picture that lies."""
        edges, targets = [], []
        for axis in (1, 2):
            voxels = PIXEL_MM / self.spacing_mm[axis]
            start = self.middle[axis - 1] - voxels * self.size / 2
            first = max(0, int(np.ceil(-start / voxels)))
            last = min(self.size, int(np.floor((self.shape[axis] - start) / voxels)))
            edges.append((start + first * voxels, start + last * voxels))
            targets.append(slice(first, last))
        (upper, lower), (left, right) = edges
        box = (max(left, 0.0), max(upper, 0.0), right, lower)
        return box, (targets[0], targets[1])


def to_hounsfield(values: np.ndarray, scan: Scan) -> np.ndarray:
    """``values`` of the scan in HU, float32; of 8-bit slices as GREY_HU has them."""
    if scan.units == "hu":
        return values.astype(np.float32)
    low, high = GREY_HU
    return values.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)


def _size(target: tuple[slice, slice]) -> tuple[int, int]:
    """Width and height of ``target``."""
    return target[1].stop - target[1].start, target[0].stop - target[0].start
