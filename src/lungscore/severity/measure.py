"""From label arrays to every number of the result."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from lungscore.errors import Notice
from lungscore.labels import LEFT_LUNG, LOBE_ORDER, LOBES, REGIONS, RIGHT_LUNG
from lungscore.severity import scores
from lungscore.severity.aeration import aeration, no_aeration
from lungscore.severity.category import (
    UNSUITABLE,
    WITHHOLDING,
    Category,
    categorise,
    withheld_codes,
)
from lungscore.severity.counts import Counts, Tally, tallies_of_others, tally
from lungscore.severity.distribution import Distribution, shares, thirds
from lungscore.severity.edges import FLOOR_PERCENT
from lungscore.severity.lesions import LesionSizes, lesion_sizes
from lungscore.severity.notices import Obstacles, notices_of
from lungscore.severity.ranges import Alternatives, ranges_of, too_uncertain
from lungscore.severity.scores import ZONES, Score
from lungscore.severity.severity import Burden, Ranges, Severity

NOT_ASKED = "not asked for"


def measure(
    lungs: np.ndarray,
    lesions: np.ndarray,
    *,
    lobes: np.ndarray | None = None,
    regions: np.ndarray | None = None,
    dense: np.ndarray | None = None,
    hu: np.ndarray | None = None,
    components: np.ndarray | None = None,
    peripheral: np.ndarray | None = None,
    voxel_ml: float | None = None,
    sides_known: bool = True,
    notice_codes: Collection[str] = (),
    alternatives: Alternatives | None = None,
) -> Severity:
    """Measure infection and score severity.

    lungs, lesions, lobes, regions: (D, H, W) labels (labels.py) on canonical axes, superior
        slice first. Only what lies in the lungs counts, so that no part exceeds 100 %.
    dense: (D, H, W) bool, voxels at −200 HU and denser; None without Hounsfield units.
    hu: (D, H, W) Hounsfield units, for the aeration; None without, or where it is not asked for.
    components: (n, 6) voxels of each separate lesion in no lobe and in each lobe, for number and
        size of lesions (anatomy.separate_lesions); None where they are not asked for.
    peripheral: (D, H, W) bool, the outer third of the lungs (anatomy.outer_third); None without.
    voxel_ml: millilitres of one voxel; None without spacing.
    sides_known: False when lungs are 1 throughout whatever their side; then no lobes are taken.
    notice_codes: what is already noted about the scan; some of it withholds the category.
    alternatives: other lesions that are as defensible, over which ``ranges`` are taken. Where they
        lie too far apart, the category is withheld.
    Raises ValueError for arrays that do not belong together or hold unknown labels.
    """
    if not sides_known and (lobes is not None or regions is not None):
        raise ValueError("lobes and regions need known sides")
    parts = {"lobes": lobes, "regions": regions, "dense": dense}
    counted = tally(lungs, lesions, **parts)
    obstacles = _obstacles(
        len(lungs), sides_known=sides_known, has_density=dense is not None, voxel_ml=voxel_ml
    )

    def read(each: Tally) -> Severity:
        return _read(
            each,
            obstacles,
            has_lobes=lobes is not None,
            has_regions=regions is not None,
            voxel_ml=voxel_ml,
            notice_codes=notice_codes,
        )

    severity = read(counted)
    no_hu, no_place = obstacles.hu, obstacles.volume or obstacles.sides
    severity = replace(
        severity,
        aeration=no_aeration(no_hu or NOT_ASKED)
        if hu is None
        else aeration(lungs, hu, lobes=lobes, voxel_ml=voxel_ml),
        lesions=_lesions(
            components, counted, voxel_ml, obstacles.size, has_lobes=lobes is not None
        ),
        distribution=_distribution(lungs, lesions, peripheral, severity, no_place),
    )
    if alternatives is None:
        return severity
    others = tallies_of_others(
        counted, alternatives.voxels, alternatives.lesions(), lungs=lungs, **parts
    )
    return _with_ranges(severity, ranges_of([read(each) for each in others]))


def _obstacles(
    depth: int, *, sides_known: bool, has_density: bool, voxel_ml: float | None
) -> Obstacles:
    no_volume = None if depth > 1 else WITHHOLDING["single-slice"]
    return Obstacles(
        volume=no_volume,
        sides=None if sides_known else "right and left are not known",
        hu=None if has_density else "there are no Hounsfield units",
        size=no_volume or (None if voxel_ml is not None else "no voxel size is known"),
    )


def _with_ranges(severity: Severity, ranges: Ranges) -> Severity:
    """``severity`` with its ranges, its category withheld where they are too wide."""
    if severity.category is None or not too_uncertain(ranges):
        return replace(severity, ranges=ranges)
    code = "uncertain-infection"
    mildest, gravest = ranges.categories[0], ranges.categories[-1]
    reason = f"{WITHHOLDING[code]}: at other thresholds, it says {mildest} to {gravest}"
    lowest, highest = ranges.burden["infection_percent"] or (0.0, 100.0)
    sure = lowest >= FLOOR_PERCENT or highest < FLOOR_PERCENT
    return replace(
        severity,
        category=None,
        basis=f"withheld: {reason}",
        withheld=(code,),
        infected=severity.infected if sure else None,
        notices=(
            *severity.notices,
            Notice(code, reason),
            Notice("severity-withheld", f"no severity category is given: {reason}"),
        ),
        ranges=replace(ranges, categories=()),
    )


def _read(
    counted: Tally,
    obstacles: Obstacles,
    *,
    has_lobes: bool,
    has_regions: bool,
    voxel_ml: float | None,
    notice_codes: Collection[str],
) -> Severity:
    """Every number of one tally."""
    sides_known, volume = obstacles.sides is None, obstacles.volume is None

    def burden(counts: Counts) -> Burden:
        return _burden(counts, voxel_ml, obstacles.hu is None)

    whole = burden(counted.part())
    right = burden(counted.part(lung=RIGHT_LUNG)) if sides_known else None
    left = burden(counted.part(lung=LEFT_LUNG)) if sides_known else None
    by_lobe = {}
    if has_lobes:
        by_lobe = {name: burden(counted.part(lobe=LOBES[name])) for name in LOBE_ORDER}
    results = _scores_of(counted, by_lobe, obstacles, has_regions=has_regions)
    in_lobes = _percent_in_lobes(counted) if has_lobes else None
    withheld = withheld_codes(
        lungs_ml=whole.volume_ml,
        depth=len(counted.histogram),
        sides_known=sides_known,
        in_lobes_percent=in_lobes,
        notice_codes=notice_codes,
    )
    category, basis, withheld = _category(whole.infection_percent, results["ct_ss"], withheld)
    infected = None
    if whole.infection_percent is not None and not UNSUITABLE & set(withheld):
        infected = whole.infection_percent >= FLOOR_PERCENT
    slices = tuple(burden(counts) for counts in counted.per_slice())
    return Severity(
        lungs=whole,
        right=right,
        left=left,
        lobes=by_lobe,
        slices=slices,
        po=whole.infection_percent if volume else None,
        pho=whole.dense_percent if volume else None,
        mosmed=scores.mosmed_class(whole.infection_percent if volume else None),
        category=category,
        basis=basis,
        withheld=withheld,
        infected=infected,
        outside_voxels=counted.outside,
        notices=notices_of(
            whole,
            by_lobe,
            results,
            slice_percents=[part.infection_percent for part in slices],
            withheld=withheld,
            obstacles=obstacles,
            in_lobes_percent=in_lobes,
            noted=notice_codes,
        ),
        # These come in ``measure``: they are not asked of every alternative.
        aeration=no_aeration(NOT_ASKED),
        lesions=LesionSizes(reason=NOT_ASKED),
        distribution=Distribution(reason=NOT_ASKED),
        ranges=None,
        **results,
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
    no_lobes = no_sides or (None if by_lobe else "there is no lobe mask")
    no_regions = no_sides or (None if by_region else "there is no region mask")
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


def _lesions(
    components: np.ndarray | None,
    counted: Tally,
    voxel_ml: float | None,
    obstacle: str | None,
    *,
    has_lobes: bool,
) -> LesionSizes:
    if obstacle or voxel_ml is None:
        return LesionSizes(reason=obstacle)
    if components is None:
        return LesionSizes(reason=NOT_ASKED)
    if components.sum() != counted.part().infection:
        raise ValueError("the components do not add up to the infection within the lungs")
    return lesion_sizes(components, voxel_ml, has_lobes=has_lobes)


def _distribution(
    lungs: np.ndarray,
    lesions: np.ndarray,
    peripheral: np.ndarray | None,
    severity: Severity,
    obstacle: str | None,
) -> Distribution:
    if obstacle:
        return Distribution(reason=obstacle)
    outer, posterior, lower = shares(lungs, lesions, peripheral)
    sides = [part for part in (severity.right, severity.left) if part is not None]
    lungs_affected = _affected([part.infection_percent for part in sides])
    return Distribution(
        outer,
        posterior,
        lower,
        bilateral=None if lungs_affected is None else lungs_affected == len(sides),
        lobes_affected=_affected([part.infection_percent for part in severity.lobes.values()]),
    )


def _affected(percents: Collection[float | None]) -> int | None:
    """How many parts are infected by 1 % or more; None without parts or where one has no voxels."""
    known = [percent >= FLOOR_PERCENT for percent in percents if percent is not None]
    return sum(known) if known and len(known) == len(percents) else None


def _given(score: Score, obstacle: str | None) -> Score:
    """``score``, or without its total where something stands against it."""
    if obstacle is None:
        return score
    return replace(score, total=None, reason=obstacle)


def _category(
    infection_percent: float | None, ct_ss: Score, withheld: tuple[str, ...]
) -> tuple[Category | None, str, tuple[str, ...]]:
    if not withheld and (infection_percent is None or ct_ss.total is None):
        withheld = ("not-computable",)
    if withheld:
        reasons = "; ".join(WITHHOLDING[code] for code in withheld)
        return None, f"withheld: {reasons}", withheld
    if infection_percent is None:
        raise ValueError("unreachable: a missing percent withholds the category")
    category, reason = categorise(infection_percent, ct_ss)
    return category, reason, withheld
