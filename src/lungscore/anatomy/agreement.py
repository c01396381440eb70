"""Where two methods differ about the lungs: the measure of how far a mask can be trusted."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lungscore.labels import LEFT_LUNG, RIGHT_LUNG

SIDES = {"right": RIGHT_LUNG, "left": LEFT_LUNG}
THIRDS = ("upper", "middle", "lower")
#: Differences are noted above this share of a third of a lung and this volume, ml.
NOTED, NOTED_ML = 0.08, 15.0
#: Above these the lungs are too doubtful for a severity category: of a third, of a lung, and ml.
DOUBTFUL_THIRD, DOUBTFUL_LUNG, DOUBTFUL_ML = 0.5, 0.25, 100.0


@dataclass(frozen=True)
class Difference:
    """How much of a third of a lung's air only one of two methods calls that lung.

    where: such as "right lung, lower third". share: 0…1 of what either calls it.
    """

    side: str
    third: str
    share: float
    ml: float

    @property
    def where(self) -> str:
        """The place in words."""
        return f"{self.side} lung, {self.third} third"


def differences(
    labels: np.ndarray, other_labels: np.ndarray, aerated: np.ndarray, block_ml: float
) -> Iterator[Difference]:
    """The differences of two label arrays (D, H, W; 1 right, 2 left) in each third of each lung.

    aerated: bool, the voxels that count: dense lung has another measure. block_ml: of one voxel.
    Thirds are of the height that either lung has.
    """
    for name, side in SIDES.items():
        mine, theirs = (labels == side) & aerated, (other_labels == side) & aerated
        either = mine | theirs
        levels = np.flatnonzero(either.any(axis=(1, 2)))
        if not len(levels):
            continue
        edges = np.linspace(levels[0], levels[-1] + 1, 4).round().astype(int)
        for third, start, stop in zip(THIRDS, edges[:-1], edges[1:], strict=True):
            whole = int(either[start:stop].sum())
            apart = int((mine[start:stop] != theirs[start:stop]).sum())
            yield Difference(name, third, apart / whole if whole else 0.0, apart * block_ml)


def is_noted(difference: Difference) -> bool:
    """Whether a reader should know of it."""
    return difference.share > NOTED and difference.ml > NOTED_ML


def are_doubtful(compared_thirds: list[Difference]) -> bool:
    """Whether so much differs that the lungs are in doubt."""
    for name in SIDES:
        thirds = [difference for difference in compared_thirds if difference.side == name]
        if any(d.share > DOUBTFUL_THIRD and d.ml > DOUBTFUL_ML for d in thirds):
            return True
        whole = sum(d.ml / d.share for d in thirds if d.share)
        apart = sum(d.ml for d in thirds)
        if apart > DOUBTFUL_ML and apart > DOUBTFUL_LUNG * whole:
            return True
    return False
