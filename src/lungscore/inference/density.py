"""GGO and consolidation told apart by density, where no network that has learned the two does."""

import numpy as np
from scipy.ndimage import uniform_filter

from lungscore.errors import Notice
from lungscore.inference.bundle import InputSpec

#: Infection at or above this is counted as consolidation (high opacity, Chaganti et al. 2020).
DENSE_HU = -200

#: Side of the square, in pixels, over whose infected part density is averaged before the cut: a
#: pixel alone is noise, or a vessel. Chosen on the annotated training slices (docs/method.md).
NEAR = 5


def dense_from(units: str, spec: InputSpec) -> float:
    """The value of a scan in ``units`` from which infection counts as consolidation.

    spec: of a network for infection; its grey_split is used where there are no Hounsfield units.
    """
    if units == "hu":
        return DENSE_HU
    if spec.grey_split is None:
        raise ValueError("only the card of a network for infection states a grey level")
    return spec.grey_split * 255


def density_near(values: np.ndarray, infected: np.ndarray) -> np.ndarray:
    """Mean of the ``values`` (H, W) of the infected pixels within NEAR × NEAR; float64.

    -inf where none of them is infected.
    """
    weight = infected.astype(np.float64)
    share = uniform_filter(weight, NEAR)
    total = uniform_filter(values * weight, NEAR)
    near = np.full(values.shape, -np.inf)
    np.divide(total, share, out=near, where=share > 0.5 / NEAR**2)
    return near.round(6)  # so that the mean of equal values is that value


def is_dense(values: np.ndarray, infected: np.ndarray, units: str, spec: InputSpec) -> np.ndarray:
    """bool (H, W): where infection counts as consolidation, elsewhere as GGO.

    values, infected: (H, W), a slice and where it is infected.
    """
    dense: np.ndarray = density_near(values, infected) >= dense_from(units, spec)
    return dense


def density_notice(units: str, spec: InputSpec) -> Notice:
    """The notice ``hu-split``, with the threshold."""
    cut = dense_from(units, spec)
    return Notice(
        "hu-split",
        "Ground-glass opacity and consolidation are told apart at "
        + (f"{cut:.0f} HU, " if units == "hu" else f"grey level {cut:.0f} of 255, ")
        + f"a mean of {NEAR} × {NEAR} pixels, not by a network that has learned the two.",
    )
