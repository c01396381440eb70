"""From label arrays to a Severity: counting, then numbers, then a verdict."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from lungscore.severity import scores
from lungscore.severity.aeration import Aeration, aeration_of, no_aeration, voxels_in_bands
from lungscore.severity.category import WITHHOLDING
from lungscore.severity.counts import Tally, tallies_of_others, tally
from lungscore.severity.distribution import Distribution, shares_of, voxels_in_rows
from lungscore.severity.edges import FLOOR_PERCENT
from lungscore.severity.lesions import LesionSizes, lesion_sizes
from lungscore.severity.moved import MovedLabels, tallies_of_moves, with_moves
from lungscore.severity.notices import Obstacles, notices_of
from lungscore.severity.numbers import numbers_of
from lungscore.severity.ranges import Alternatives, ranges_of, too_uncertain, with_unsure_lung
from lungscore.severity.severity import Severity
from lungscore.severity.verdict import verdict_on, with_ranges

NOT_ASKED = "not asked for"


@dataclass(frozen=True, eq=False)
class Segmentation:
    """One segmented scan, and what is known about it: all that a severity is measured from.

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
    unsure_ml: millilitres of dense lung that may be none, and of dense tissue beside the lungs that
        may be infected lung; the range of the infection percent includes both.
    moved: lobes and regions with their borders moved; the ranges include them. None where they are
        taken as they are.
    """

    lungs: np.ndarray
    lesions: np.ndarray
    lobes: np.ndarray | None = None
    regions: np.ndarray | None = None
    dense: np.ndarray | None = None
    hu: np.ndarray | None = None
    components: np.ndarray | None = None
    peripheral: np.ndarray | None = None
    voxel_ml: float | None = None
    sides_known: bool = True
    notice_codes: Collection[str] = ()
    alternatives: Alternatives | None = None
    unsure_ml: tuple[float, float] = (0.0, 0.0)
    moved: MovedLabels | None = None

    @property
    def layers(self) -> dict[str, np.ndarray | None]:
        """What is counted beside lungs and lesions, by name."""
        return {"lobes": self.lobes, "regions": self.regions, "dense": self.dense}

    @property
    def obstacles(self) -> Obstacles:
        """What keeps numbers from being computed."""
        no_volume = None if len(self.lungs) > 1 else WITHHOLDING["single-slice"]
        return Obstacles(
            volume=no_volume,
            sides=None if self.sides_known else "right and left are not known",
            hu=None if self.dense is not None else "no Hounsfield units are available",
            size=no_volume or (None if self.voxel_ml is not None else "no voxel size is known"),
        )


@dataclass(frozen=True, eq=False)
class Counted:
    """All counts that a severity is made of, slice by slice: what changes in one slice changes no
    count of another.

    bands: of aeration.voxels_in_bands; None where the aeration is not asked for. rows: of
    distribution.voxels_in_rows; None where there is no distribution.
    """

    tally: Tally
    bands: np.ndarray | None
    rows: np.ndarray | None


def count(segmentation: Segmentation) -> Counted:
    """Every count of a segmentation."""
    lungs, lesions, lobes = segmentation.lungs, segmentation.lesions, segmentation.lobes
    hu, obstacles = segmentation.hu, segmentation.obstacles
    spread = not (obstacles.volume or obstacles.sides)
    return Counted(
        tally(lungs, lesions, **segmentation.layers),
        None if hu is None else voxels_in_bands(lungs, hu, lobes),
        voxels_in_rows(lungs, lesions, segmentation.peripheral) if spread else None,
    )


def measure(segmentation: Segmentation) -> Severity:
    """Measure infection and score severity.

    Raises ValueError for arrays that do not belong together or hold unknown labels.
    """
    lungs, layers = segmentation.lungs, segmentation.layers
    divided = segmentation.lobes is not None or segmentation.regions is not None
    if divided and not segmentation.sides_known:
        raise ValueError("lobes and regions need known sides")
    counted = count(segmentation)
    severity = severity_of(counted, segmentation)
    alternatives = segmentation.alternatives
    if alternatives is None:
        return severity
    tallies = tallies_of_others(
        counted.tally, alternatives.voxels, alternatives.lesions(), lungs=lungs, **layers
    )
    ranges = ranges_of([_severity(alternative, segmentation) for alternative in tallies])
    unsure = too_uncertain(ranges)
    moved = segmentation.moved
    if moved is not None and len(alternatives.voxels):
        ranges = with_moves(ranges, severity, _under_moves(moved, segmentation, alternatives))
    if segmentation.voxel_ml is not None:
        ranges = with_unsure_lung(ranges, severity.lungs, *segmentation.unsure_ml)
    return with_ranges(severity, ranges, unsure=unsure)


def _under_moves(
    moved: MovedLabels, segmentation: Segmentation, alternatives: Alternatives
) -> list[list[Severity]]:
    """The severity of the reading measured, and of each alternative, under each moved border."""
    measured = np.flatnonzero(segmentation.lesions)
    readings = [
        (measured, [segmentation.lesions.take(measured)]),
        (alternatives.voxels, list(alternatives.lesions())),
    ]
    tallies = tallies_of_moves(moved, segmentation.lungs, readings, segmentation.dense)
    return [[_severity(tally, segmentation) for tally in row] for row in tallies]


def severity_of(counted: Counted, segmentation: Segmentation) -> Severity:
    """The severity, without ranges, of counts that are those of ``segmentation``."""
    severity = _severity(counted.tally, segmentation)
    return replace(
        severity,
        aeration=_aeration(counted.bands, segmentation),
        lesions=_lesions(counted.tally, segmentation),
        distribution=_distribution(counted.rows, severity, segmentation),
    )


def _severity(counted: Tally, segmentation: Segmentation) -> Severity:
    """Every number of one tally, and the verdict."""
    obstacles = segmentation.obstacles
    numbers = numbers_of(
        counted,
        obstacles,
        has_lobes=segmentation.lobes is not None,
        has_regions=segmentation.regions is not None,
        voxel_ml=segmentation.voxel_ml,
    )
    verdict = verdict_on(
        numbers,
        depth=len(segmentation.lungs),
        sides_known=segmentation.sides_known,
        notice_codes=segmentation.notice_codes,
    )
    whole, volume = numbers.lungs, obstacles.volume is None
    return Severity(
        lungs=whole,
        right=numbers.right,
        left=numbers.left,
        lobes=numbers.lobes,
        slices=numbers.slices,
        po=whole.infection_percent if volume else None,
        pho=whole.dense_percent if volume else None,
        mosmed=scores.mosmed_class(whole.infection_percent if volume else None),
        category=verdict.category,
        basis=verdict.basis,
        withheld=verdict.withheld,
        infected=verdict.infected,
        outside_voxels=counted.outside,
        notices=notices_of(
            whole,
            numbers.lobes,
            numbers.scores,
            slice_percents=[part.infection_percent for part in numbers.slices],
            withheld=verdict.withheld,
            obstacles=obstacles,
            in_lobes_percent=numbers.in_lobes_percent,
            noted=segmentation.notice_codes,
        ),
        # These come in ``measure``: they are not asked of every alternative.
        aeration=no_aeration(NOT_ASKED),
        lesions=LesionSizes(reason=NOT_ASKED),
        distribution=Distribution(reason=NOT_ASKED),
        ranges=None,
        **numbers.scores,
    )


def _aeration(bands: np.ndarray | None, segmentation: Segmentation) -> Aeration:
    if bands is None:
        return no_aeration(segmentation.obstacles.hu or NOT_ASKED)
    has_lobes = segmentation.lobes is not None
    return aeration_of(bands, has_lobes=has_lobes, voxel_ml=segmentation.voxel_ml)


def _lesions(counted: Tally, segmentation: Segmentation) -> LesionSizes:
    obstacle, components = segmentation.obstacles.size, segmentation.components
    if obstacle or segmentation.voxel_ml is None:
        return LesionSizes(reason=obstacle)
    if components is None:
        return LesionSizes(reason=NOT_ASKED)
    if components.sum() != counted.part().infection:
        raise ValueError("the components do not add up to the infection within the lungs")
    has_lobes = segmentation.lobes is not None
    return lesion_sizes(components, segmentation.voxel_ml, has_lobes=has_lobes)


def _distribution(
    rows: np.ndarray | None, severity: Severity, segmentation: Segmentation
) -> Distribution:
    obstacle = segmentation.obstacles.volume or segmentation.obstacles.sides
    if rows is None:
        return Distribution(reason=obstacle)
    has_periphery = segmentation.peripheral is not None
    outer, posterior, lower = shares_of(rows, has_periphery=has_periphery)
    sides = [side for side in (severity.right, severity.left) if side is not None]
    lungs_affected = _affected([side.infection_percent for side in sides])
    return Distribution(
        outer,
        posterior,
        lower,
        bilateral=None if lungs_affected is None else lungs_affected == len(sides),
        lobes_affected=_affected([lobe.infection_percent for lobe in severity.lobes.values()]),
    )


def _affected(percents: Collection[float | None]) -> int | None:
    """How many parts are infected by 1 % or more; None without parts or where one has no voxels."""
    known = [percent >= FLOOR_PERCENT for percent in percents if percent is not None]
    return sum(known) if known and len(known) == len(percents) else None
