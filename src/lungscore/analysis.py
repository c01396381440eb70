"""The walk from a path to an analysis: read, find lungs, segment, divide, score.

``score`` begins halfway, with somebody else's or a radiologist's masks, and needs no network.
"""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.anatomy import (
    Lungs,
    divide_regions,
    find_lobes,
    find_lungs,
    include_infection,
    lung_field,
    outer_third,
    separate_lesions,
    sides_of_lobes,
    size_notices,
)
from lungscore.anatomy.boxes import columns_of
from lungscore.background import in_background
from lungscore.errors import InputError, Notice
from lungscore.inference import Lesions, Segmenter, segment
from lungscore.inference.density import DENSE_HU
from lungscore.labels import LEFT_LUNG
from lungscore.result import Analysis
from lungscore.scan import Scan, read_scan
from lungscore.scan.masks import check_same_place, mask_format, read_label_volume, read_labels
from lungscore.scan.names import case_name
from lungscore.scan.read import opened, read_found
from lungscore.severity import measure

AnyPath = str | PathLike[str]

#: A young child's lungs are this tall; less is a part of the lungs, in which lobes have no shape.
SHORTEST_LUNGS_MM = 80.0


def analyze(
    path: AnyPath,
    *,
    segmenter: Segmenter | Callable[[], Segmenter] = Segmenter,
    series: str | None = None,
    allow_gaps: bool = False,
    lungs: AnyPath | None = None,
    lobes: AnyPath | None = None,
    name: str | None = None,
    ranges: bool = True,
) -> Analysis:
    """Analyse the chest CT at ``path``.

    segmenter: a loaded model, to be kept for many scans, or a function that loads one; by default
        the shipped one is loaded.
    series, allow_gaps, name: as scan.read_scan. lungs, lobes: the user's own masks (NIfTI or
    NRRD in the scan's geometry), which win over what would be found.
    ranges: also find what every number would be at other thresholds that are nearly as good
        (docs/uncertainty.md).
    Raises InputError or ResourceError with a stable code (docs/errors.md).
    """
    clock = Clock()
    with _opened(Path(path), segmenter, clock) as (files, loaded):
        with clock.stage("read"):
            scan = read_found(Path(path), files, series=series, allow_gaps=allow_gaps, name=name)
            own_lungs = None if lungs is None else given_lungs(Path(lungs), scan)
            own_lobes = None if lobes is None else given_lobes(Path(lobes), scan)
        with clock.stage("lungs"):
            both_lungs = own_lungs or find_lungs(scan)
        with clock.stage("load model"):
            model = loaded()
    with clock.stage("lesions"):
        field = lung_field(both_lungs, scan.spacing_mm)
        lesions = segment(scan, both_lungs, model, field=field, alternatives=ranges)
    with clock.stage("regions"):
        if own_lungs is None:
            both_lungs = include_infection(both_lungs, lesions.labels, scan, field=field)
        lesions = _within(both_lungs, lesions)
    parts = _divided(scan, both_lungs, lesions, clock=clock, lobes=own_lobes)
    del field, lesions, both_lungs  # not kept for what follows: each is as large as half the scan
    return _scored(parts, clock=clock)


@contextmanager
def _opened(
    path: Path, segmenter: Segmenter | Callable[[], Segmenter], clock: "Clock"
) -> Iterator[tuple[Any, Callable[[], Segmenter]]]:
    """The files of the input, and a function that waits for the model, which loads meanwhile."""

    def load() -> Generator[Segmenter, None, None]:
        yield segmenter if isinstance(segmenter, Segmenter) else segmenter()

    with ExitStack() as stack:
        with clock.stage("read"):
            files = stack.enter_context(opened(path))
        loaded = stack.enter_context(in_background(load()))
        yield files, lambda: loaded()[0]


def score(
    lungs: AnyPath,
    lesions: AnyPath,
    *,
    lobes: AnyPath | None = None,
    ct: AnyPath | None = None,
    name: str | None = None,
) -> Analysis:
    """Severity from masks in one geometry (NIfTI, NRRD or MetaImage).

    lungs: 1 right, 2 left (or 1 throughout: then only lobes can tell the sides). lesions: 1 GGO,
    2 consolidation. lobes: 1–5 as lungmask or 10–14 as TotalSegmentator. ct: the scan itself, for
    the numbers that need Hounsfield units; without it they are null.
    Lesions outside the lungs are not counted: a lung mask must include the disease.
    Raises InputError mask-geometry, mask-labels or no-lungs.
    """
    lungs, lesions = Path(lungs), Path(lesions)
    lung_labels, geometry = read_label_volume(lungs, "lungs")
    found = as_lungs(lung_labels, lungs.name)
    if ct is None:
        scan = Scan(
            # A placeholder that carries the geometry; every number that needs HU is null.
            values=np.zeros(lung_labels.shape, np.int16),
            units="hu",
            geometry=geometry,
            spacing_mm=geometry.spacing_mm,
            sides_known=found.sides_known,
            kind=mask_format(lungs),
            name=case_name(lesions, name),
            notices=(Notice("no-ct", "No CT was given: numbers that need one are not given."),),
        )
    else:
        scan = read_scan(ct, name=name)
        known = scan.spacing_mm is not None
        check_same_place(lungs.name, geometry, scan.geometry, spacing_known=known)
    return assess(
        scan,
        found,
        Lesions(read_labels(lesions, scan, "lesions"), (), None),
        lobes=None if lobes is None else given_lobes(Path(lobes), scan),
        has_ct=ct is not None,
    )


def assess(
    scan: Scan,
    lungs: Lungs,
    lesions: Lesions,
    *,
    clock: "Clock | None" = None,
    lobes: np.ndarray | None = None,
    has_ct: bool = True,
) -> Analysis:
    """The second half of the walk: lobes, regions and scores from lungs and lesions.

    lobes: (D, H, W) the user's own lobe labels, or None to approximate them. Where the lungs' sides
        are not known, the lobes tell them.
    has_ct: False where ``scan`` only carries the masks' geometry.
    """
    clock = clock or Clock()
    lesions = _within(lungs, lesions)
    parts = _divided(scan, lungs, lesions, clock=clock, lobes=lobes, has_ct=has_ct)
    return _scored(parts, clock=clock, has_ct=has_ct)


@dataclass(frozen=True)
class _Parts:
    """What is scored: all labels, those of lesions only where there is lung."""

    scan: Scan
    lungs: Lungs
    lesions: Lesions
    lobes: np.ndarray | None
    regions: np.ndarray | None
    notices: tuple[Notice, ...]


def _within(lungs: Lungs, lesions: Lesions) -> Lesions:
    """``lesions`` where there is lung."""
    inside = np.zeros(lesions.labels.shape, np.uint8)
    for plane, lung, found in zip(inside, lungs.labels, lesions.labels, strict=True):
        np.copyto(plane, found, where=(lung > 0) & (found > 0))
    return replace(lesions, labels=inside)


def _divided(
    scan: Scan,
    lungs: Lungs,
    lesions: Lesions,
    *,
    clock: "Clock",
    lobes: np.ndarray | None = None,
    has_ct: bool = True,
) -> _Parts:
    # Lobes and regions are shapes in space: without a voxel size, a cube is assumed.
    spacing_mm = scan.spacing_mm or (1.0, 1.0, 1.0)
    if lobes is not None and not lungs.sides_known:
        named = sides_of_lobes(lungs.labels, lobes, spacing_mm)
        lungs = replace(lungs, labels=named, sides_known=True)
    notices = [*scan.notices, *lungs.notices, *lesions.notices]
    if lungs.sides_known:
        notices = [notice for notice in notices if notice.code != "unknown-orientation"]
    divisible = lungs.sides_known and scan.shape[0] > 1 and _tall_enough(scan, lungs)
    regions = None
    with clock.stage("regions"):
        if lobes is not None:
            notices.append(Notice("user-lobes", "The lobe mask was given by the user."))
            lobes = np.where(lungs.labels > 0, lobes, np.uint8(0))
        elif divisible:
            shown = scan.values if scan.units == "hu" and has_ct and scan.spacing_mm else None
            lobes = find_lobes(lungs.labels, spacing_mm, hounsfield=shown)
            text = "The lobes are approximated from the lungs' shape"
            text += "." if shown is None else ", and from the fissures where the scan shows them."
            notices.append(Notice("approximate-lobes", text))
        if divisible and lobes is not None:
            regions = divide_regions(lobes, spacing_mm)
            notices.append(
                Notice(
                    "approximate-regions",
                    "The 20 regions are geometric approximations, not segments.",
                )
            )
    noted = {notice.code for notice in notices}
    notices += [notice for notice in _facts_about(scan, lungs) if notice.code not in noted]
    return _Parts(scan, lungs, lesions, lobes, regions, tuple(notices))


def _scored(parts: _Parts, *, clock: "Clock", has_ct: bool = True) -> Analysis:
    scan, lungs, lesions = parts.scan, parts.lungs, parts.lesions
    with clock.stage("scores"):
        components = separate_lesions(lungs.labels, lesions.labels, parts.lobes)
        # Depth needs a voxel size, and a third of it the lung as a whole.
        peripheral = None
        if lungs.sides_known and scan.spacing_mm and scan.shape[0] > 1:
            peripheral = outer_third(lungs.labels, scan.spacing_mm)
        # All that is counted lies in the lungs' rows and columns: there is no need to look at more.
        box = columns_of(lungs.labels)
        hu = scan.values[box] if scan.units == "hu" and has_ct else None
        others = lesions.alternatives
        severity = measure(
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
            alternatives=None if others is None else others.within(box, scan.shape),
        )
    return Analysis(
        scan=scan,
        lungs=lungs,
        lesions=lesions,
        lobes=parts.lobes,
        regions=parts.regions,
        severity=severity,
        notices=tuple(dict.fromkeys((*parts.notices, *severity.notices))),
        times=clock.seconds,
    )


def _facts_about(scan: Scan, lungs: Lungs) -> Iterator[Notice]:
    """What masks that were given, or lungs without sides, add to the notices of reading."""
    if scan.shape[0] == 1:
        yield Notice("single-slice", "One slice: percentages are of this slice, not of the lungs.")
    if not lungs.sides_known:
        yield Notice("unknown-orientation", "Right and left are not known.")
    yield from size_notices(scan, lungs.labels)


def _tall_enough(scan: Scan, lungs: Lungs) -> bool:
    """Whether the lungs seen reach far enough down the body to know lobes from their shape."""
    height = np.count_nonzero(lungs.labels.any(axis=(1, 2)))
    return scan.spacing_mm is None or bool(height * scan.spacing_mm[0] >= SHORTEST_LUNGS_MM)


def given_lungs(path: Path, scan: Scan) -> Lungs:
    """The user's own lungs, on the voxels of ``scan``. Raises InputError."""
    return as_lungs(read_labels(path, scan, "lungs"), path.name)


def given_lobes(path: Path, scan: Scan) -> np.ndarray:
    """The user's own lobes (labels.LOBES), on the voxels of ``scan``. Raises InputError."""
    labels = read_labels(path, scan, "lobes")
    if not labels.any():
        raise InputError("mask-labels", f"{path.name} is empty", expected="the labels of lobes")
    return labels


def as_lungs(labels: np.ndarray, source: str) -> Lungs:
    """Given labels, 1 right and 2 left; 1 throughout says nothing about sides."""
    if not labels.any():
        raise InputError("no-lungs", f"{source} is empty", expected="1 right lung, 2 left lung")
    notice = Notice("user-lungs", "The lung mask was given by the user.")
    return Lungs(labels, bool((labels == LEFT_LUNG).any()), (notice,))


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
