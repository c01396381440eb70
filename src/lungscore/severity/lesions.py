"""Number and size of separate lesions."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lungscore.labels import LOBE_ORDER, LOBES

#: A component smaller than this is a speck: counted apart, because in an automatic mask it is hard
#: to tell from noise. 0.1 ml is a ball of 5.8 mm, about the size (6 mm, 100 mm³) below which the
#: Fleischner Society recommends no routine follow-up of a nodule (MacMahon H et al., Radiology
#: 2017;284:228–243).
SPECK_ML = 0.1


@dataclass(frozen=True)
class LesionSizes:
    """The separate lesions: connected components of infection within one lung.

    count: those of at least SPECK_ML. largest_ml, median_ml: None without any.
    by_lobe: lesions by the lobe that holds most of each (by LOBE_ORDER); empty without lobes.
    specks, specks_ml: number of the smaller ones, and their volume together.
    reason: why there are no numbers; None where there are.
    """

    count: int | None = None
    largest_ml: float | None = None
    median_ml: float | None = None
    by_lobe: Mapping[str, int] = field(default_factory=dict)
    specks: int | None = None
    specks_ml: float | None = None
    reason: str | None = None


def lesion_sizes(components: np.ndarray, voxel_ml: float, *, has_lobes: bool) -> LesionSizes:
    """Number and size of lesions from the voxels of each component.

    components: (n, 6) voxels of each component in no lobe (column 0) and in each lobe (the columns
        of labels.LOBES). voxel_ml: millilitres of one voxel.
    """
    voxels = components.sum(axis=1)
    ml = voxels * voxel_ml
    large = ml >= SPECK_ML
    by_lobe: dict[str, int] = {}
    if has_lobes:
        in_lobes = components[large][:, [LOBES[name] for name in LOBE_ORDER]]
        # What touches no lobe counts in none.
        most = in_lobes.argmax(axis=1)[in_lobes.any(axis=1)]
        counts = np.bincount(most, minlength=len(LOBE_ORDER))
        by_lobe = dict(zip(LOBE_ORDER, counts.tolist(), strict=True))
    return LesionSizes(
        count=int(large.sum()),
        largest_ml=float(ml[large].max()) if large.any() else None,
        median_ml=float(np.median(ml[large])) if large.any() else None,
        by_lobe=by_lobe,
        specks=int((~large).sum()),
        specks_ml=float(voxels[~large].sum() * voxel_ml),
    )
