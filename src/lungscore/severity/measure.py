"""From label arrays to every number of the result."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from lungscore.errors import Notice
from lungscore.labels import LEFT_LUNG, LOBE_NAMES, LOBE_ORDER, LOBES, REGIONS, RIGHT_LUNG
from lungscore.severity import scores
from lungscore.severity.aeration import Aeration, aeration, no_aeration
from lungscore.severity.category import (
    LOBES_COMPLETE,
    SMALL_LUNG_LITRES,
    UNSUITABLE,
    WITHHOLDING,
    Category,
    categorise,
    withheld_codes,
)
from lungscore.severity.counts import Counts, Tally, tally
from lungscore.severity.distribution import Distribution, shares, thirds
from lungscore.severity.edges import FLOOR_PERCENT
from lungscore.severity.lesions import LesionSizes, lesion_sizes
from lungscore.severity.scores import ZONES, Score


@dataclass(frozen=True)
class Burden:
    """How much of one part of the lungs is infected.

    Percents are of the part, lesions included, 0–100; ``dense_percent`` is infection at −200 HU
    and denser. None: the part has no voxels, or there are no Hounsfield units or no voxel size.
    """

    volume_ml: float | None
    infection_ml: float | None
    infection_percent: float | None
    ggo_percent: float | None
    consolidation_percent: float | None
    dense_percent: float | None


@dataclass(frozen=True)
class Severity:
    """All that was measured on one scan's labels.

    lungs, right, left: both lungs together and each; right and left None where sides are unknown.
    lobes: by LOBE_ORDER, empty where there is no lobe mask.
    slices: one per slice of the array, superior to inferior.
    ct_ss … zones: totals may be None, each with its reason. po, pho: percent of the lungs.
    aeration, lesions, distribution: each holds a reason where it has no numbers.
    category: None where withheld or not computable; ``basis`` says what it rests on, ``withheld``
        holds the codes (category.WITHHOLDING).
    infected: infection of at least 1 % of the lungs; None where the scan cannot say.
    outside_voxels: infected voxels outside the lungs, counted nowhere.
    notices: what a reader should know, among it why numbers are missing.
    """

    lungs: Burden
    right: Burden | None
    left: Burden | None
    lobes: Mapping[str, Burden]
    slices: tuple[Burden, ...]
    ct_ss: Score
    tss: Score
    ctsi: Score
    lss: Score
    lhos: Score
    zones: Score
    po: float | None
    pho: float | None
    mosmed: str | None
    aeration: Aeration
    lesions: LesionSizes
    distribution: Distribution
    category: Category | None
    basis: str
    withheld: tuple[str, ...]
    infected: bool | None
    outside_voxels: int
    notices: tuple[Notice, ...]


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
    Raises ValueError for arrays that do not belong together or hold unknown labels.
    """
    if not sides_known and (lobes is not None or regions is not None):
        raise ValueError("lobes and regions need known sides")
    counted = tally(lungs, lesions, lobes=lobes, regions=regions, dense=dense)
    depth = lungs.shape[0]

    def burden(counts: Counts) -> Burden:
        return _burden(counts, voxel_ml, dense is not None)

    whole = burden(counted.part())
    right = burden(counted.part(lung=RIGHT_LUNG)) if sides_known else None
    left = burden(counted.part(lung=LEFT_LUNG)) if sides_known else None
    by_lobe = {}
    if lobes is not None:
        by_lobe = {name: burden(counted.part(lobe=LOBES[name])) for name in LOBE_ORDER}
    by_region = {}
    if regions is not None:
        by_region = {
            name: burden(counted.part(region=value)).infection_percent
            for value, (name, _) in enumerate(REGIONS, start=1)
        }
    of_lobes = {name: part.infection_percent for name, part in by_lobe.items()}
    dense_of_lobes = {name: part.dense_percent for name, part in by_lobe.items()}
    volume = depth > 1
    no_volume = None if volume else WITHHOLDING["single-slice"]
    no_sides = None if sides_known else "right and left are not known"
    no_lobes = no_volume or no_sides or (None if by_lobe else "there is no lobe mask")
    no_regions = no_volume or no_sides or (None if by_region else "there is no region mask")
    no_hu = None if dense is not None else "there are no Hounsfield units"
    no_size = no_volume or (None if voxel_ml is not None else "no voxel size is known")
    ct_ss = _given(scores.ct_ss(by_region), no_regions)
    in_lobes = None if lobes is None else _percent_in_lobes(counted)
    withheld = withheld_codes(
        lungs_ml=whole.volume_ml,
        depth=depth,
        sides_known=sides_known,
        in_lobes_percent=in_lobes,
        notice_codes=notice_codes,
    )
    category, basis, withheld = _category(whole.infection_percent, ct_ss, withheld)
    infected = None
    if whole.infection_percent is not None and not UNSUITABLE & set(withheld):
        infected = whole.infection_percent >= FLOOR_PERCENT
    in_bands = no_aeration(no_hu or "not asked for")
    if hu is not None:
        in_bands = aeration(lungs, hu, lobes=lobes, voxel_ml=voxel_ml)
    results = {
        "ct_ss": ct_ss,
        "tss": _given(scores.tss(of_lobes), no_lobes),
        "ctsi": _given(scores.ctsi(of_lobes), no_lobes),
        "lss": _given(scores.lss(of_lobes), no_lobes),
        "lhos": _given(scores.lhos(dense_of_lobes), no_lobes or no_hu),
        "zones": _given(scores.zone_score(_zones(counted, sides_known)), no_volume or no_sides),
    }
    return Severity(
        lungs=whole,
        right=right,
        left=left,
        lobes=by_lobe,
        slices=tuple(burden(counts) for counts in counted.per_slice()),
        po=whole.infection_percent if volume else None,
        pho=whole.dense_percent if volume else None,
        mosmed=scores.mosmed_class(whole.infection_percent if volume else None),
        aeration=in_bands,
        lesions=_lesions(components, counted, voxel_ml, no_size, has_lobes=lobes is not None),
        distribution=_distribution(
            lungs, lesions, peripheral, (right, left), of_lobes, no_volume or no_sides
        ),
        category=category,
        basis=basis,
        withheld=withheld,
        infected=infected,
        outside_voxels=counted.outside,
        notices=_notices(
            whole,
            by_lobe,
            results,
            withheld=withheld,
            no_volume=no_volume,
            no_sides=no_sides,
            no_size=no_size,
            no_hu=no_hu,
            in_lobes_percent=in_lobes,
            noted=notice_codes,
        ),
        **results,
    )


def _burden(counts: Counts, voxel_ml: float | None, has_density: bool) -> Burden:
    return Burden(
        volume_ml=None if voxel_ml is None else counts.voxels * voxel_ml,
        infection_ml=None if voxel_ml is None else counts.infection * voxel_ml,
        infection_percent=counts.percent(counts.infection),
        ggo_percent=counts.percent(counts.ggo),
        consolidation_percent=counts.percent(counts.consolidation),
        dense_percent=counts.percent(counts.dense) if has_density else None,
    )


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
            percents[name] = counts.percent(counts.infection)
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
        return LesionSizes(reason="not asked for")
    if components.sum() != counted.part().infection:
        raise ValueError("the components do not add up to the infection within the lungs")
    return lesion_sizes(components, voxel_ml, has_lobes=has_lobes)


def _distribution(
    lungs: np.ndarray,
    lesions: np.ndarray,
    peripheral: np.ndarray | None,
    sides: tuple[Burden | None, Burden | None],
    of_lobes: Mapping[str, float | None],
    obstacle: str | None,
) -> Distribution:
    if obstacle:
        return Distribution(reason=obstacle)
    outer, posterior, lower = shares(lungs, lesions, peripheral)
    lungs_affected = _affected([part.infection_percent for part in sides if part is not None])
    return Distribution(
        outer,
        posterior,
        lower,
        bilateral=None if lungs_affected is None else lungs_affected == len(sides),
        lobes_affected=_affected(of_lobes.values()),
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


def _notices(
    whole: Burden,
    lobes: Mapping[str, Burden],
    results: Mapping[str, Score],
    *,
    withheld: tuple[str, ...],
    no_volume: str | None,
    no_sides: str | None,
    no_size: str | None,
    no_hu: str | None,
    in_lobes_percent: float | None,
    noted: Collection[str],
) -> tuple[Notice, ...]:
    notices = []
    litres = None if whole.volume_ml is None else whole.volume_ml / 1000
    small = litres is not None and litres < SMALL_LUNG_LITRES and "single-slice" not in withheld
    if ("lung-volume" in withheld or small) and "lung-volume" not in noted:
        message = f"the lungs measure {litres:.2f} litres, usual are 1 to 10"
        notices.append(Notice("lung-volume", message))
    if in_lobes_percent is not None and in_lobes_percent < LOBES_COMPLETE:
        message = (
            f"only {in_lobes_percent:.1f} % of the lungs lie in a lobe: the rest counts in the "
            "totals of the lungs, but in no lobe and no region"
        )
        notices.append(Notice("lobes-incomplete", message))
    empty = [LOBE_NAMES[name] for name, lobe in lobes.items() if lobe.infection_percent is None]
    if empty:
        message = f"no voxels were found of the {', '.join(empty)}: no percent, no score"
        notices.append(Notice("not-computable", message))
    reasons: dict[str, list[str]] = {}
    for name, score in results.items():
        if score.total is None:
            reasons.setdefault(score.reason or "", []).append(_TITLES[name])
    if no_volume:
        reasons.setdefault(no_volume, []).extend(("PO", "PHO", "MosMed class"))
    elif no_hu:
        reasons.setdefault(no_hu, []).append("PHO")
    for obstacle, title in (
        (no_hu, "aeration"),
        (no_size, "number and size of lesions"),
        (no_volume or no_sides, "distribution"),
    ):
        if obstacle:
            reasons.setdefault(obstacle, []).append(title)
    if no_size and not (no_volume or no_sides):
        reasons.setdefault(no_size, []).append("peripheral share")
    for reason, titles in reasons.items():
        notices.append(Notice("not-computable", f"not computed: {', '.join(titles)}; {reason}"))
    if withheld:
        why = "; ".join(WITHHOLDING[code] for code in withheld)
        notices.append(Notice("severity-withheld", f"no severity category is given: {why}"))
    return tuple(notices)


_TITLES = {
    "ct_ss": "CT-SS",
    "tss": "TSS",
    "ctsi": "CTSI",
    "lss": "LSS",
    "lhos": "LHOS",
    "zones": "six-zone score",
}
