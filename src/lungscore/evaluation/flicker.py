"""How steady infection is from slice to slice of a volume."""

from typing import NamedTuple

import numpy as np


class Flicker(NamedTuple):
    """Voxels of infection, and of infection that does not last from one slice to the next.

    infected: voxels of infection. vanished: voxels without infection whose neighbours in the slice
    above and in the slice below are both infected: infection that vanishes and is back within two
    slices. flashed: infected voxels whose neighbours above and below are both free of it.
    """

    infected: int
    vanished: int
    flashed: int

    @property
    def vanished_share(self) -> float:
        """Vanished voxels in parts of infected ones; NaN where nothing is infected."""
        return self.vanished / self.infected if self.infected else float("nan")

    @property
    def flashed_share(self) -> float:
        """Flashed voxels in parts of infected ones; NaN where nothing is infected."""
        return self.flashed / self.infected if self.infected else float("nan")


def flicker(infected: np.ndarray) -> Flicker:
    """The flicker of one volume.

    infected: (D, H, W) bool, neighbouring slices along the first axis. The first and the last
    slice have one neighbour only, and neither vanish nor flash.
    """
    above, middle, below = infected[:-2], infected[1:-1], infected[2:]
    return Flicker(
        int(np.count_nonzero(infected)),
        int(np.count_nonzero(above & ~middle & below)),
        int(np.count_nonzero(~above & middle & ~below)),
    )
