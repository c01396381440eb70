"""From counts to numbers: the burden of every part of the lungs, and every score that adds up."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lungscore.labels import LEFT_LUNG, LOBE_ORDER, LOBES, REGIONS, RIGHT_LUNG
from lungscore.severity import scores
from lungscore.severity.counts import Counts, Tally
from lungscore.severity.distribution import thirds
from lungscore.severity.notices import Obstacles
from lungscore.severity.scores import ZONES, Score
from lungscore.severity.severity import Burden


@dataclass(frozen=True)
class Numbers:
    """What one tally says of the lungs, before any verdict on the patient.

    lungs, right, left, lobes, slices: as in Severity. scores: by the names of Severity's fields.
    in_lobes_percent: how much of the lungs lies in a lobe; None without a lobe mask.
    """

    lungs: Burden
    right: Burden | None
    left: Burden | None
    lobes: Mapping[str, Burden]
    slices: tuple[Burden, ...]
    scores: Mapping[str, Score]
    in_lobes_percent: float | None


def numbers_of(
    counted: Tally,
    obstacles: Obstacles,
    *,
    has_lobes: bool,
    has_regions: bool,
    voxel_ml: float | None,
) -> Numbers:
    """The numbers of ``counted``; a score has no total where one of ``obstacles`` is in its way.

    voxel_ml: millilitres of one voxel; None without spacing.
    """
    sides_known = obstacles.sides is None

    def burden(counts: Counts) -> Burden:
        return _burden(counts, voxel_ml, obstacles.hu is None)

    by_lobe = {}
    if has_lobes:
        by_lobe = {name: burden(counted.part(lobe=LOBES[name])) for name in LOBE_ORDER}
    return Numbers(
        lungs=burden(counted.part()),
        right=burden(counted.part(lung=RIGHT_LUNG)) if sides_known else None,
        left=burden(counted.part(lung=LEFT_LUNG)) if sides_known else None,
        lobes=by_lobe,
        slices=tuple(burden(counts) for counts in counted.per_slice()),
        scores=_scores_of(counted, by_lobe, obstacles, has_regions=has_regions),
        in_lobes_percent=_percent_in_lobes(counted) if has_lobes else None,
    )


def _scores_of(
    counted: Tally, by_lobe: Mapping[str, Burden], obstacles: Obstacles, *, has_regions: bool
) -> dict[str, Score]:
    """Every score that adds up parts, by name; without a total where something is in the way."""
    sides_known = obstacles.sides is None
    by_region = {}
    if has_regions:
        by_region = {
            name: _infected(counted.part(region=value))
            for value, (name, _) in enumerate(REGIONS, start=1)
        }
    of_lobes = {name: part.infection_percent for name, part in by_lobe.items()}
    dense_of_lobes = {name: part.dense_percent for name, part in by_lobe.items()}
    no_sides = obstacles.volume or obstacles.sides
    no_lobes = no_sides or (None if by_lobe else "no lobe mask is available")
    no_regions = no_sides or (None if by_region else "no region mask is available")
    return {
        "ct_ss": _given(scores.ct_ss(by_region), no_regions),
        "tss": _given(scores.tss(of_lobes), no_lobes),
        "ctsi": _given(scores.ctsi(of_lobes), no_lobes),
        "lss": _given(scores.lss(of_lobes), no_lobes),
        "lhos": _given(scores.lhos(dense_of_lobes), no_lobes or obstacles.hu),
        "zones": _given(scores.zone_score(_zones(counted, sides_known)), no_sides),
    }


def _burden(counts: Counts, voxel_ml: float | None, has_density: bool) -> Burden:
    return Burden(
        volume_ml=None if voxel_ml is None else counts.voxels * voxel_ml,
        infection_ml=None if voxel_ml is None else counts.infection * voxel_ml,
        infection_percent=counts.percent(counts.infection),
        ggo_percent=counts.percent(counts.ggo),
        consolidation_percent=counts.percent(counts.consolidation),
        dense_percent=counts.percent(counts.dense) if has_density else None,
    )


def _infected(counts: Counts) -> float | None:
    """Infected percent of a part."""
    return counts.percent(counts.infection)


def _zones(counted: Tally, sides_known: bool) -> dict[str, float | None]:
    """Infected percent of the thirds of each lung's height."""
    if not sides_known:
        return {}
    percents: dict[str, float | None] = {}
    for side, lung in (("right", RIGHT_LUNG), ("left", LEFT_LUNG)):
        occupied = np.flatnonzero(counted.slices_of_lung(lung))
        names = [zone for zone in ZONES if zone.startswith(side)]
        edges = thirds(occupied)
        if edges is None:
            percents.update(dict.fromkeys(names))
            continue
        for name, start, stop in zip(names, edges[:-1], edges[1:], strict=True):
            counts = counted.part(lung=lung, slices=slice(int(start), int(stop)))
            percents[name] = _infected(counts)
    return percents


def _percent_in_lobes(counted: Tally) -> float | None:
    """How much of the lungs lies in a lobe."""
    whole = counted.part()
    return whole.percent(whole.voxels - counted.part(lobe=0).voxels)


def _given(score: Score, obstacle: str | None) -> Score:
    """``score``, or without its total where something stands against it."""
    if obstacle is None:
        return score
    return replace(score, total=None, reason=obstacle)
