"""The second half of the walk: from lungs and lesions to lobes, regions and scores.

What was drawn by a network, given as masks or corrected by a reader goes the same way.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from lungscore.anatomy import (
    Lungs,
    divide_lungs,
    divide_regions,
    missing_lobes,
    move_lobes,
    outer_third,
    separate_lesions,
    sides_of_lobes,
    size_notices,
)
from lungscore.anatomy.boxes import columns_of
from lungscore.anatomy.checks import broken_lungs
from lungscore.anatomy.grid import spacing_of_lungs
from lungscore.anatomy.lobes import DividedLungs
from lungscore.anatomy.lung_density import dense_thirds
from lungscore.anatomy.moved_lobes import UNCERTAIN_DICE, MovedLobes
from lungscore.errors import InputError, Notice
from lungscore.inference import Lesions
from lungscore.inference.density import DENSE_HU
from lungscore.labels import LEFT_LUNG, LOBE_NAMES, RIGHT_LUNG
from lungscore.result import Analysis
from lungscore.scan import Scan
from lungscore.scan.scan import Geometry
from lungscore.scan.volume import VolumeFormat
from lungscore.severity import Segmentation, Severity, measure

#: A young child's lungs are this tall; less is a part of them, in which lobes have no shape.
SHORTEST_LUNGS_MM = 80.0

#: Slices of an unknown distance are at most this far apart.
THICKEST_MM = 10.0

#: Share of the opacity, and its volume in ml, above which what lies outside a given lung mask is
#: told: borders of two masks drawn apart differ by less.
OUTSIDE, OUTSIDE_ML = 0.02, 1.0

#: From lobes and voxel size to regions.
Divide = Callable[[np.ndarray, tuple[float, float, float]], np.ndarray]


class Clock:
    """Seconds by stage of one walk."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add what happens inside to stage ``name``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            taken = time.perf_counter() - began
            self.seconds[name] = self.seconds.get(name, 0.0) + taken


def assess(
    scan: Scan,
    lungs: Lungs,
    lesions: Lesions,
    *,
    clock: Clock | None = None,
    lobes: np.ndarray | None = None,
    has_ct: bool = True,
) -> Analysis:
    """The second half of the walk: lobes, regions and scores from lungs and lesions.

    lobes: (D, H, W) the user's own lobe labels, or None to approximate them. Where the lungs' sides
        are not known, the lobes tell them.
    has_ct: False where ``scan`` only carries the masks' geometry.
    """
    clock = clock or Clock()
    lesions = within(lungs, told_outside(lungs, lesions, scan.voxel_ml))
    parts = divided(scan, lungs, lesions, clock=clock, lobes=lobes, has_ct=has_ct)
    return scored(parts, clock=clock, has_ct=has_ct)


@dataclass(frozen=True)
class Parts:
    """What is scored: all labels, those of lesions only where there is lung.

    moved: the lobes under moved borders, where they were estimated.
    """

    scan: Scan
    lungs: Lungs
    lesions: Lesions
    lobes: np.ndarray | None
    regions: np.ndarray | None
    notices: tuple[Notice, ...]
    moved: MovedLobes | None = None


def told_outside(lungs: Lungs, lesions: Lesions, voxel_ml: float | None) -> Lesions:
    """``lesions`` with a notice where much of them lies outside ``lungs``, as the user gave them.

    Masks of aerated lung leave dense disease out, which is then missing from every number.
    """
    outside = np.count_nonzero((lesions.labels > 0) & (lungs.labels == 0))
    total = np.count_nonzero(lesions.labels)
    if outside <= OUTSIDE * total or outside * (voxel_ml or OUTSIDE_ML) < OUTSIDE_ML:
        return lesions
    notice = Notice(
        "lesions-outside",
        f"{100 * outside / total:.0f} % of the opacity lies outside the lung mask and is not "
        "counted: the mask may leave out dense disease.",
    )
    return replace(lesions, notices=(*lesions.notices, notice))


def within(lungs: Lungs, lesions: Lesions) -> Lesions:
    """``lesions`` where there is lung."""
    inside = np.zeros(lesions.labels.shape, np.uint8)
    for plane, lung, lesion in zip(inside, lungs.labels, lesions.labels, strict=True):
        np.copyto(plane, lesion, where=(lung > 0) & (lesion > 0))
    return replace(lesions, labels=inside)


def divided(
    scan: Scan,
    lungs: Lungs,
    lesions: Lesions,
    *,
    clock: Clock,
    lobes: np.ndarray | None = None,
    has_ct: bool = True,
    divide: Divide = divide_regions,
) -> Parts:
    """Lobes and regions of the lungs, and every notice about the masks.

    The arguments are those of ``assess``; divide: what makes regions of lobes.
    """
    spacing_mm = scan.spacing_mm or spacing_of_lungs(lungs.labels)
    if lobes is not None and not lungs.sides_known:
        named = sides_of_lobes(lungs.labels, lobes, spacing_mm)
        lungs = replace(lungs, labels=named, sides_known=True)
    notices = [*scan.notices, *lungs.notices, *lesions.notices]
    if lungs.sides_known and scan.geometry.oriented:
        notices = [notice for notice in notices if notice.code != "unknown-orientation"]
    moved = None
    divisible = lungs.sides_known and scan.shape[0] > 1 and _tall_enough(scan, lungs)
    regions = None
    with clock.stage("regions"):
        if lobes is not None:
            notices.append(Notice("user-lobes", "The lobe mask was supplied by the user."))
            lobes = np.where(lungs.labels > 0, lobes, np.uint8(0))
        elif divisible:
            shown = scan.values if scan.units == "hu" and has_ct and scan.spacing_mm else None
            estimated = divide_lungs(lungs.labels, spacing_mm, hounsfield=shown)
            lobes = estimated.lobes
            moved = move_lobes(lungs.labels, spacing_mm, estimated)
            text = "The lobes are estimated from the shape of the lungs"
            text += "." if shown is None else " and, where the scan shows them, from the fissures."
            notices.append(Notice("approximate-lobes", text))
            notices += [*_missing(estimated), *_uncertain(moved)]
        if divisible and lobes is not None:
            regions = divide(lobes, spacing_mm)
            notices.append(
                Notice(
                    "approximate-regions",
                    "The 20 regions are geometric approximations, not segments.",
                )
            )
    noted = {notice.code for notice in notices}
    notices += [notice for notice in _facts_about(scan, lungs) if notice.code not in noted]
    return Parts(scan, lungs, lesions, lobes, regions, tuple(notices), moved)


def with_density(parts: Parts, *, has_ct: bool = True) -> Parts:
    """``parts`` with a notice where lung outside the opacity is too dense to be free of it."""
    scan, lungs = parts.scan, parts.lungs
    if scan.units != "hu" or not (has_ct and scan.spacing_mm and lungs.sides_known):
        return parts
    if scan.shape[0] == 1 or not _tall_enough(scan, lungs):
        return parts
    told = dense_thirds(scan.values, lungs.labels, parts.lesions.labels, scan.spacing_mm)
    return replace(parts, notices=(*parts.notices, *told))


def scored(parts: Parts, *, clock: Clock, has_ct: bool = True) -> Analysis:
    """The analysis of what was divided."""
    parts = with_density(parts, has_ct=has_ct)
    lungs = parts.lungs
    with clock.stage("scores"):
        components = separate_lesions(lungs.labels, parts.lesions.labels, parts.lobes)
        box = columns_of(lungs.labels)  # all that is counted lies in their rows and columns
        segmentation = segmentation_of(
            parts, box=box, components=components, peripheral=periphery(parts), has_ct=has_ct
        )
        severity = measure(segmentation)
    return analysis_of(parts, severity, clock.seconds)


def _missing(estimated: DividedLungs) -> Iterator[Notice]:
    """What to say of lobes without which their lung has the shape that it has."""
    for name in missing_lobes(estimated):
        yield Notice(
            "lobe-missing",
            f"The {LOBE_NAMES[name]} may be missing, resected or collapsed: its lung has the shape "
            "of a lung without it. Numbers by lobe and region of that lung are then wrong",
        )


def _uncertain(moved: MovedLobes) -> Iterator[Notice]:
    """What to say of lobes that may be far off."""
    names = [LOBE_NAMES[name] for name, lobe in moved.confidence.items() if lobe.uncertain]
    if names:
        yield Notice(
            "uncertain-lobes",
            f"The borders of these lobes are uncertain: {', '.join(names)}. Their overlap with "
            f"what a reader would draw (Dice) may be below {UNCERTAIN_DICE:g}, so their numbers "
            "and those of their regions may be far off",
        )


def periphery(parts: Parts) -> np.ndarray | None:
    """The outer third of the lungs; None where there is none.

    Depth needs a voxel size, and a third of it the lung as a whole.
    """
    scan, lungs = parts.scan, parts.lungs
    if not (lungs.sides_known and scan.spacing_mm and scan.shape[0] > 1):
        return None
    return outer_third(lungs.labels, scan.spacing_mm)


def segmentation_of(
    parts: Parts,
    *,
    box: tuple[slice, slice, slice],
    components: np.ndarray,
    peripheral: np.ndarray | None,
    has_ct: bool = True,
) -> Segmentation:
    """What the severity is measured from: all labels within ``box``, which holds the lungs."""
    scan, lungs, lesions = parts.scan, parts.lungs, parts.lesions
    hu = scan.values[box] if scan.units == "hu" and has_ct else None
    return Segmentation(
        lungs.labels[box],
        lesions.labels[box],
        lobes=None if parts.lobes is None else parts.lobes[box],
        regions=None if parts.regions is None else parts.regions[box],
        dense=None if hu is None else hu >= DENSE_HU,
        hu=hu,
        components=components,
        peripheral=None if peripheral is None else peripheral[box],
        voxel_ml=scan.voxel_ml,
        sides_known=lungs.sides_known,
        notice_codes=[notice.code for notice in parts.notices],
        alternatives=lesions.alternatives and lesions.alternatives.within(box, scan.shape),
        unsure_ml=(lungs.doubtful_ml, lungs.perhaps_ml),
        moved=parts.moved and parts.moved.within(box),
    )


def analysis_of(parts: Parts, severity: Severity, seconds: dict[str, float]) -> Analysis:
    """The analysis of ``parts`` with ``severity``; seconds: by stage of the walk."""
    return Analysis(
        scan=parts.scan,
        lungs=parts.lungs,
        lesions=parts.lesions,
        lobes=parts.lobes,
        regions=parts.regions,
        lobe_confidence={} if parts.moved is None else parts.moved.confidence,
        severity=severity,
        notices=tuple(dict.fromkeys((*parts.notices, *severity.notices))),
        times=seconds,
    )


def _facts_about(scan: Scan, lungs: Lungs) -> Iterator[Notice]:
    """What masks that were given, or lungs without sides, add to the notices of reading."""
    if scan.shape[0] == 1:
        yield Notice(
            "single-slice", "The input is one slice: percentages refer to it, not to the lungs."
        )
    if not lungs.sides_known:
        yield Notice("unknown-orientation", "Right and left are unknown.")
    yield from size_notices(scan, lungs.labels)
    if lungs.found_by == "user" and lungs.sides_known and scan.spacing_mm:
        yield from broken_lungs(lungs.labels, scan.spacing_mm[0])


def _tall_enough(scan: Scan, lungs: Lungs) -> bool:
    """Whether the lungs seen reach far enough down the body to know lobes from their shape."""
    height = np.count_nonzero(lungs.labels.any(axis=(1, 2)))
    slice_mm = THICKEST_MM if scan.spacing_mm is None else scan.spacing_mm[0]
    return bool(height * slice_mm >= SHORTEST_LUNGS_MM)


def placeholder(lungs: Lungs, geometry: Geometry, *, kind: VolumeFormat, name: str) -> Scan:
    """A scan that carries the geometry of masks given alone; every number that needs HU is null."""
    notices = [Notice("no-ct", "No CT was given: numbers that need one are missing.")]
    if not geometry.oriented:
        text = "No orientation is stated: up and down, front and back are unknown."
        notices.append(Notice("unknown-orientation", text))
    return Scan(
        values=np.zeros(lungs.labels.shape, np.int16),
        units="hu",
        geometry=geometry,
        spacing_mm=geometry.spacing_mm,
        sides_known=lungs.sides_known,
        kind=kind,
        name=name,
        notices=tuple(notices),
    )


def as_lungs(labels: np.ndarray, source: str, *, oriented: bool = False) -> Lungs:
    """Given labels (D, H, W) on canonical axes, 1 right and 2 left; 1 throughout says nothing about
    sides.

    oriented: whether the axes are known to be the patient's; then the sides are compared with
    them. Raises InputError no-lungs, and mask-labels where right and left are exchanged.
    """
    if not labels.any():
        raise InputError("no-lungs", f"{source} is empty", expected="1 right lung, 2 left lung")
    right, left = (
        np.count_nonzero(labels == side, axis=(0, 1)) for side in (RIGHT_LUNG, LEFT_LUNG)
    )
    columns = np.arange(labels.shape[2])
    if oriented and right.any() and left.any():
        # Columns run from the patient's right to the left.
        if right @ columns / right.sum() > left @ columns / left.sum():
            raise InputError(
                "mask-labels",
                f"{source}: label 1 lies to the left of label 2 in the patient",
                expected="1 right lung, 2 left lung",
                hint="Exchange the labels 1 and 2, or use 1 for both lungs",
            )
    notice = Notice("user-lungs", "The lung mask was supplied by the user.")
    return Lungs(labels, bool(left.any()), (notice,), found_by="user")
