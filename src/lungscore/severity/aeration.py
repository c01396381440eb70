"""How much air the lungs hold: their volume in bands of Hounsfield units."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lungscore.labels import LOBE_ORDER, LOBES
from lungscore.severity.counts import lung_voxels


@dataclass(frozen=True)
class Band:
    """The densities ``low`` ≤ HU < ``high``; None where the band is open."""

    low: int | None
    high: int | None


#: name -> band, from air to bone. Edges at −900, −500, −100 and +100 HU after Gattinoni L et al.,
#: "What has computed tomography taught us about the acute respiratory distress syndrome?", Am J
#: Respir Crit Care Med 2001;164:1701–1711; used for COVID-19 by Lanza E et al., Eur Radiol 2020.
#: What is denser than the last of theirs (contrast in vessels, calcium) is a band of its own here,
#: so that the bands sum to the lungs.
BANDS: dict[str, Band] = {
    "over_inflated": Band(None, -900),
    "well_aerated": Band(-900, -500),
    "poorly_aerated": Band(-500, -100),
    "not_aerated": Band(-100, 100),
    "denser": Band(100, None),
}

_WELL = list(BANDS).index("well_aerated")


@dataclass(frozen=True)
class BandShare:
    """What of the lungs lies in one band. ml: None without a voxel size; percent 0–100."""

    ml: float | None
    percent: float | None


@dataclass(frozen=True)
class Aeration:
    """The lungs, lesions included, by bands of density.

    bands: by the names of BANDS, in their order; they sum to the lungs.
    well_aerated_of_lobes: percent of each lobe that is well aerated, by LOBE_ORDER; None for a lobe
        without voxels; empty without lobes.
    reason: why there are no numbers; None where there are.
    """

    bands: Mapping[str, BandShare]
    well_aerated_of_lobes: Mapping[str, float | None] = field(default_factory=dict)
    reason: str | None = None


def no_aeration(reason: str) -> Aeration:
    """All bands without numbers, because of ``reason``."""
    return Aeration(dict.fromkeys(BANDS, BandShare(None, None)), reason=reason)


def aeration(
    lungs: np.ndarray,
    hu: np.ndarray,
    *,
    lobes: np.ndarray | None = None,
    voxel_ml: float | None = None,
) -> Aeration:
    """The volume of the lungs in each of BANDS.

    lungs, lobes: (D, H, W) labels (labels.py). hu: (D, H, W) Hounsfield units. voxel_ml:
    millilitres of one voxel, None without spacing. Raises ValueError for another shape of ``hu``.
    """
    voxels = voxels_in_bands(lungs, hu, lobes)
    return aeration_of(voxels, has_lobes=lobes is not None, voxel_ml=voxel_ml)


def voxels_in_bands(
    lungs: np.ndarray, hu: np.ndarray, lobes: np.ndarray | None = None
) -> np.ndarray:
    """(D, lobe, band) int64 voxels of each slice; lobe 0 is none. Arrays as for ``aeration``."""
    if hu.shape != lungs.shape:
        raise ValueError(f"hu have shape {hu.shape}; expected that of the lungs, {lungs.shape}")
    voxels = np.zeros((len(lungs), len(LOBES) + 1, len(BANDS)), np.int64)
    edges = [band.low for band in BANDS.values() if band.low is not None]
    for z, inside in lung_voxels(lungs):
        values = hu[z][inside]
        band = sum(((values >= edge).view(np.uint8) for edge in edges), np.uint8(0))
        if lobes is not None:
            band = band + lobes[z][inside].astype(np.uint8) * np.uint8(len(BANDS))
        voxels[z] = np.bincount(band, minlength=voxels[z].size).reshape(voxels[z].shape)
    return voxels


def aeration_of(voxels: np.ndarray, *, has_lobes: bool, voxel_ml: float | None) -> Aeration:
    """The aeration from what ``voxels_in_bands`` counted."""
    of_lobes = voxels.sum(axis=0)
    total = int(of_lobes.sum())
    if total == 0:
        return no_aeration("there are no lungs")
    in_band = of_lobes.sum(axis=0).tolist()
    lobes = LOBE_ORDER if has_lobes else ()
    return Aeration(
        {
            name: BandShare(None if voxel_ml is None else count * voxel_ml, 100 * count / total)
            for name, count in zip(BANDS, in_band, strict=True)
        },
        {name: _well_aerated(of_lobes[LOBES[name]]) for name in lobes},
    )


def _well_aerated(bands: np.ndarray) -> float | None:
    total = int(bands.sum())
    return 100 * int(bands[_WELL]) / total if total else None
