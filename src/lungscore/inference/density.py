"""GGO and consolidation told apart by density, where no network that has learned the two does."""

import numpy as np

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

    spec: of a network for infection; its grey_split is used where there are no Hounsfield
    units.
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

    -inf where none of them is infected. The slice goes on mirrored beyond its border.
    """
    near = np.full(values.shape, -np.inf)
    if not infected.any():
        return near
    box = _around(infected, side)
    mask = infected[box]
    share = _sums_near(mask.astype(np.int32), side)
    # Whole numbers are summed exactly: the mean of equal values is that value.
    wide = np.int32 if values.dtype.itemsize < 4 and values.dtype.kind in "iu" else np.float64
    total = _sums_near(np.where(mask, values[box], 0).astype(wide), side)
    np.divide(total, share, out=near[box], where=share > 0)
    return near


def _around(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """The box around a (H, W) mask that is not empty, wider by ``margin`` where there is room."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(rows[0] - margin, 0), rows[-1] + margin + 1),
        slice(max(columns[0] - margin, 0), columns[-1] + margin + 1),
    )


def _sums_near(values: np.ndarray, side: int) -> np.ndarray:
    """Sums of ``values`` (H, W) over side × side about each, an odd number."""
    padded = np.pad(values, side // 2, mode="symmetric")
    for _ in range(2):
        sums = padded[: len(padded) - side + 1].copy()
        for step in range(1, side):
            sums += padded[step : step + len(sums)]
        padded = sums.T
    return padded


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
        "Ground-glass opacity and consolidation are separated by a threshold of "
        + (
            f"{cut:.0f} HU, ".replace("-", "−")
            if units == "hu"
            else f"grey level {cut:.0f} of 255, "
        )
        + "averaged over nearby opacity, not by a trained network",
    )
