"""GGO and consolidation told apart by density, where no network that has learned the two does."""

import numpy as np

from lungscore.errors import Notice
from lungscore.inference.bundle import InputSpec

#: Infection at or above this is counted as consolidation (high opacity, Chaganti et al. 2020).
DENSE_HU = -200


def dense_from(units: str, spec: InputSpec) -> float:
    """The value of a scan in ``units`` from which infection counts as consolidation.

    spec: of a network for infection; its grey_split is used where there are no Hounsfield units.
    """
    if units == "hu":
        return DENSE_HU
    if spec.grey_split is None:
        raise ValueError("only the card of a network for infection states a grey level")
    return spec.grey_split * 255


def is_dense(values: np.ndarray, units: str, spec: InputSpec) -> np.ndarray:
    """bool, as large as ``values``: where infection counts as consolidation, elsewhere as GGO."""
    dense: np.ndarray = values >= dense_from(units, spec)
    return dense


def density_notice(units: str, spec: InputSpec) -> Notice:
    """The notice ``hu-split``, with the threshold."""
    cut = dense_from(units, spec)
    return Notice(
        "hu-split",
        "Ground-glass opacity and consolidation are told apart at "
        + (f"{cut:.0f} HU, " if units == "hu" else f"grey level {cut:.0f} of 255, ")
        + "not by a network that has learned the two.",
    )
