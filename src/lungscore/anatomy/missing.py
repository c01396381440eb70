"""Lungs whose shape is that of a lung without one of its lobes.

Fitted by ``python experiments/missing_lobes.py`` to the manual lobe masks of 26 LUNA16 scans with
lobes taken away (Tang et al. 2019, CC BY-NC-SA 4.0; see LICENSE-LOBE-ATLAS.txt beside this file).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from lungscore.anatomy.atlas import LUNG_LOBES
from lungscore.anatomy.lobes import DividedLungs
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG

#: By how much a whole lung must be the worse explanation, in squared standard deviations, and how
#: well the better one must explain the shape: what is unlike every lung says nothing.
MARGIN, FARTHEST = 6.0, 30.0


@dataclass(frozen=True)
class LungShapes:
    """The shapes of one lung: whole, and without each of its lobes.

    mean: (n,) over all (atlas.lung_shape); modes: (m, n) the directions in which they vary;
    middles: (1 + lobes, m) of whole lungs and of those without each of LUNG_LOBES; precision:
    (m, m) the inverse of the covariance within each kind.
    """

    mean: np.ndarray
    modes: np.ndarray
    middles: np.ndarray
    precision: np.ndarray

    def missing(self, shape: np.ndarray) -> int | None:
        """The index of the lobe that a lung of this ``shape`` lacks; None where it is whole."""
        places = self.modes.astype(np.float64) @ (shape - self.mean)
        away = places - self.middles
        distances = np.einsum("ki,ij,kj->k", away, self.precision, away)
        best = int(distances[1:].argmin())
        near = distances[1 + best] <= min(distances[0] - MARGIN, FARTHEST)
        return best if near else None


@cache
def load_shapes() -> dict[int, LungShapes]:
    """The shipped shapes of both lungs, by their labels."""
    path = files("lungscore.anatomy").joinpath("missing_lobes.npz")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return {
            side: LungShapes(
                *(stored[f"{name}_{field}"] for field in LungShapes.__dataclass_fields__)
            )
            for side, name in ((RIGHT_LUNG, "right"), (LEFT_LUNG, "left"))
        }


def missing_lobes(
    divided: DividedLungs, *, shapes: Mapping[int, LungShapes] | None = None
) -> tuple[str, ...]:
    """Names of lobes that may be missing, resected or collapsed, by the shape of their lung.

    Whose neighbours fill the room that a lobe has left, has the lungs of a healthy person: that
    cannot be seen here.
    """
    shapes = shapes or load_shapes()
    indices = {side: shapes[side].missing(lung.shape) for side, lung in divided.lungs.items()}
    return tuple(LUNG_LOBES[side][index] for side, index in indices.items() if index is not None)
