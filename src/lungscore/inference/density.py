"""GGO and consolidation told apart by density, where no network that has learned the two does."""

import numpy as np
from scipy.ndimage import uniform_filter

from lungscore.errors import Notice
from lungscore.inference.bundle import InputSpec
from lungscore.scan import Scan

#: Infection at or above this is counted as consolidation (high opacity, Chaganti et al. 2020).
DENSE_HU = -200

#: Side of the square over whose infected part density is averaged before the cut: a pixel alone is
#: noise, or a vessel. In pixels for slices without spacing (5 was chosen on the annotated training
#: slices), in millimetres what that is in a chest CT of usual pixels (0.7 mm).
NEAR, NEAR_MM = 5, 3.5


def dense_from(units: str, spec: InputSpec) -> float:
    """The value of a scan in ``units`` from which infection counts as consolidation.

    spec: of a network for infection; its grey_split is used where there are no Hounsfield units.
    """
    if units == "hu":
        return DENSE_HU
    if spec.grey_split is None:
        raise ValueError("only the card of a network for infection states a grey level")
    return spec.grey_split * 255


def pixels_near(spacing_mm: tuple[float, float, float] | None) -> int:
    """That side in pixels of a slice with this (z, y, x) spacing: an odd number, NEAR without."""
    return NEAR if spacing_mm is None else 2 * int(NEAR_MM / max(spacing_mm[1:]) / 2) + 1


def density_near(values: np.ndarray, infected: np.ndarray, side: int = NEAR) -> np.ndarray:
    """Mean of the ``values`` (H, W) of the infected pixels within side × side; float64.

    -inf where none of them is infected.
    """
    weight = infected.astype(np.float64)
    share = uniform_filter(weight, side)
    total = uniform_filter(values * weight, side)
    near = np.full(values.shape, -np.inf)
    np.divide(total, share, out=near, where=share > 0.5 / side**2)
    return near.round(6)  # so that the mean of equal values is that value


def is_dense(scan: Scan, index: int, infected: np.ndarray, spec: InputSpec) -> np.ndarray:
    """bool (H, W): where infection of slice ``index`` counts as consolidation, elsewhere as GGO.

    infected: bool (H, W). spec: as for dense_from.
    """
    near = density_near(scan.values[index], infected, pixels_near(scan.spacing_mm))
    dense: np.ndarray = near >= dense_from(scan.units, spec)
    return dense


def density_notice(units: str, spec: InputSpec) -> Notice:
    """The notice ``hu-split``, with the threshold."""
    cut = dense_from(units, spec)
    return Notice(
        "hu-split",
        "Ground-glass opacity and consolidation are told apart at "
        + (
            f"{cut:.0f} HU, ".replace("-", "−")
            if units == "hu"
            else f"grey level {cut:.0f} of 255, "
        )
        + "averaged over nearby infection, not by a network that has learned the two.",
    )
