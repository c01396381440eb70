"""What the lung network says of a scan, and how it comes onto the scan's own grids."""

from dataclasses import dataclass

import numpy as np

from lungscore.anatomy.grid import Grid
from lungscore.anatomy.lung_view import PIXEL_MM, LungView

#: The channels of ``LungMaps.probabilities``.
RIGHT, LEFT, AIRWAYS = 0, 1, 2


@dataclass(frozen=True)
class LungMaps:
    """Probabilities of right lung, left lung and airways in the pictures of ``view``.

    probabilities: (layers, 3, size, size) uint8, 255 is certain; the rest is background.
    """

    probabilities: np.ndarray
    view: LungView

    @classmethod
    def of(cls, probabilities: list[np.ndarray], view: LungView) -> "LungMaps":
        """From the network's answers, each (4, size, size) float32, background first."""
        maps = np.empty((len(probabilities), 3, view.size, view.size), np.uint8)
        for index, answer in enumerate(probabilities):
            maps[index] = np.rint(255 * answer[1:])
        return cls(maps, view)

    def on(self, grid: Grid) -> np.ndarray:
        """The probabilities at the blocks of ``grid``: (3, D', H', W') uint8, linear between."""
        view = self.view
        centres = [
            np.arange(blocks) * factor + (np.minimum(factor, size) - 1) / 2
            for blocks, factor, size in zip(grid.blocks, grid.factors, grid.shape, strict=True)
        ]
        layers = np.clip((centres[0] + 0.5) / view.layer - 0.5, 0, len(self.probabilities) - 1)
        pixels = [
            (centres[axis] + 0.5 - view.middle[axis - 1]) * view.spacing_mm[axis] / PIXEL_MM
            + view.size / 2
            - 0.5
            for axis in (1, 2)
        ]
        rows, columns = (_weights(positions, view.size) for positions in pixels)
        out = np.zeros((3, *grid.blocks), np.uint8)
        for z, layer in enumerate(layers):
            low = int(layer)
            high = min(low + 1, len(self.probabilities) - 1)
            weight = np.float32(layer - low)
            plane = self.probabilities[low].astype(np.float32)
            if weight:
                plane += weight * (self.probabilities[high].astype(np.float32) - plane)
            for channel in range(3):
                if plane[channel].any():
                    out[channel, z] = np.rint(rows @ plane[channel] @ columns.T)
        return out


def _weights(positions: np.ndarray, size: int) -> np.ndarray:
    """The matrix (n, size) that takes values at pixels to ``positions``, linearly; 0 beyond."""
    weights = np.zeros((len(positions), size), np.float32)
    low = np.floor(positions).astype(int)
    for index, share in ((low, 1 - (positions - low)), (low + 1, positions - low)):
        inside = np.flatnonzero((index >= 0) & (index < size))
        weights[inside, index[inside]] += share[inside].astype(np.float32)
    return weights
