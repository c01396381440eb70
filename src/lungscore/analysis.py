"""The walk from a path to an analysis: read, find lungs, segment, divide, score.

``score`` begins halfway, with somebody else's or a radiologist's masks, and needs no network.
"""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np

from lungscore.anatomy import (
    Lungs,
    complete_lungs,
    divide_regions,
    find_lobes,
    lung_field,
    outer_third,
    separate_lesions,
    sides_of_lobes,
    size_notices,
)
from lungscore.anatomy.boxes import columns_of
from lungscore.background import in_background
from lungscore.errors import InputError, Notice
from lungscore.inference import Lesions, Segmenter
from lungscore.inference.density import DENSE_HU
from lungscore.inference.readings import Alternatives, Basis, SliceAlternatives, joined
from lungscore.inference.segment import find_alternatives, find_lesions, find_lungs_of
from lungscore.labels import LEFT_LUNG
from lungscore.result import Analysis
from lungscore.scan import Scan, read_scan
from lungscore.scan.masks import check_same_place, mask_format, read_label_volume, read_labels
from lungscore.scan.names import case_name
from lungscore.scan.read import source_of
from lungscore.severity import Segmentation, measure

AnyPath = str | PathLike[str]

#: A young child's lungs are this tall; less is a part of them, in which lobes have no shape.
SHORTEST_LUNGS_MM = 80.0


def analyze(
    path: AnyPath | Scan,
    *,
    segmenter: Segmenter | Callable[[], Segmenter] = Segmenter,
    series: str | None = None,
    allow_gaps: bool = False,
    lungs: AnyPath | None = None,
    lobes: AnyPath | None = None,
    name: str | None = None,
    ranges: bool = True,
) -> Analysis:
    """Measure the extent and severity of pneumonia on a chest CT.

    Parameters
    ----------
    path : path or Scan
        Any input of ``read_scan``, or a scan that was read or made already.
    segmenter : Segmenter or callable, optional
        Loaded networks, to be kept for many scans, or a function that loads them.
    series, allow_gaps, name
        As in ``read_scan``.
    lungs, lobes : path, optional
        Your own masks, in the geometry of the scan.
    ranges : bool
        Also compute the range of every number (docs/uncertainty.md), which takes longer.

    Returns
    -------
    Analysis
        Masks as (D, H, W) labels, percentages 0 to 100, volumes in ml, and the scores CT-SS (Yang
        2020), CTSI (Pan 2020), TSS (Chung 2020), PO, PHO, LSS, LHOS (Chaganti 2020) and MosMed.

    Raises
    ------
    InputError, ResourceError, UsageError
        With a stable code (docs/errors.md).

    Examples
    --------
    >>> from lungscore.scan.phantom import make_phantom
    >>> scan = make_phantom("few-patches", seed=2, shape=(28, 128, 128)).scan
    >>> lungscore.analyze(scan, ranges=False).severity.category
    'mild'
    """
    clock = Clock()
    source = source_of(path, series=series, allow_gaps=allow_gaps, name=name)
    with _opened(source, segmenter, clock) as (read, loaded):
        with clock.stage("read"):
            scan = read()
            own_lungs = None if lungs is None else given_lungs(Path(lungs), scan)
            own_lobes = None if lobes is None else given_lobes(Path(lobes), scan)
        with clock.stage("lungs"):
            both_lungs = own_lungs or find_lungs_of(scan, loaded)
        with clock.stage("load model"):
            model = loaded()
    with clock.stage("lesions"):
        field = lung_field(both_lungs, scan.spacing_mm)
        lesions, codes = find_lesions(scan, both_lungs, model, field)
        lesions = lesions.with_models(model.lung_models if own_lungs is None else ())
    readings = find_alternatives(scan, both_lungs, model, field, lesions.labels, codes)
    with _read_otherwise(readings if ranges else None, scan, model.basis) as alternatives:
        if own_lungs is None:
            with clock.stage("regions"):
                both_lungs = complete_lungs(both_lungs, lesions.labels, scan, field)
        lesions = _within(both_lungs, lesions)
        parts = _divided(scan, both_lungs, lesions, clock=clock, lobes=own_lobes)
        if ranges:
            with clock.stage("ranges"):
                parts = replace(parts, lesions=replace(lesions, alternatives=alternatives()))
    del field, lesions, both_lungs  # not kept for what follows: each is as large as half the scan
    return _scored(parts, clock=clock)


@contextmanager
def _opened(
    source: AbstractContextManager[Callable[[], Scan]],
    segmenter: Segmenter | Callable[[], Segmenter],
    clock: "Clock",
) -> Iterator[tuple[Callable[[], Scan], Callable[[], Segmenter]]]:
    """Functions that read the scan and wait for the model, which loads meanwhile."""

    def load() -> Generator[Segmenter, None, None]:
        yield segmenter if isinstance(segmenter, Segmenter) else segmenter()

    with ExitStack() as stack:
        with clock.stage("read"):
            read = stack.enter_context(source)
        loaded = stack.enter_context(in_background(load()))
        yield read, lambda: loaded()[0]


@contextmanager
def _read_otherwise(
    slices: Generator[SliceAlternatives, None, None] | None, scan: Scan, basis: Basis
) -> Iterator[Callable[[], Alternatives | None]]:
    """A function that waits for the other readings, which are made meanwhile; None without."""
    if slices is None:
        yield lambda: None
        return
    with in_background(slices) as readings:
        yield lambda: joined(readings(), scan.shape[1] * scan.shape[2], basis)


def score(
    lungs: AnyPath,
    lesions: AnyPath,
    *,
    lobes: AnyPath | None = None,
    ct: AnyPath | None = None,
    name: str | None = None,
) -> Analysis:
    """Score severity from existing masks, without a network.

    Lesions outside the lungs do not count, so the lung mask must include the disease. Masks are
    NIfTI, NRRD or MetaImage files in one geometry.

    Parameters
    ----------
    lungs : path
        1 right lung, 2 left lung; or 1 throughout: then only lobes can tell the sides.
    lesions : path
        1 ground-glass opacity, 2 consolidation.
    lobes : path, optional
        1 to 5 as lungmask, or 10 to 14 as TotalSegmentator; estimated if not given.
    ct : path, optional
        The scan, for numbers in Hounsfield units; without it they are None.
    name : str, optional
        Case name; by default that of ``lesions``.

    Returns
    -------
    Analysis
        Without models and ranges.

    Raises
    ------
    InputError
        ``mask-geometry``, ``mask-labels``, ``no-lungs``, or as ``read_scan``.

    Examples
    --------
    >>> from pathlib import Path
    >>> from lungscore import score
    >>> from lungscore.scan.phantom import make_phantom
    >>> from lungscore.scan.write import nifti_bytes
    >>> phantom = make_phantom("several-patches", shape=(28, 96, 96))
    >>> for name in ("lungs", "lobes", "lesions"):
    ...     mask = nifti_bytes(getattr(phantom, name), phantom.scan.geometry)
    ...     _ = Path(f"{name}.nii.gz").write_bytes(mask)
    >>> score("lungs.nii.gz", "lesions.nii.gz", lobes="lobes.nii.gz", name="phantom")
    Analysis('phantom', mild, opacity 12.6 % of the lungs, CT-SS 15 of 40)
    """
    lungs, lesions = Path(lungs), Path(lesions)
    lung_labels, geometry = read_label_volume(lungs, "lungs")
    labelled_lungs = as_lungs(lung_labels, lungs.name)
    if ct is None:
        scan = Scan(
            # A placeholder that carries the geometry; every number that needs HU is null.
            values=np.zeros(lung_labels.shape, np.int16),
            units="hu",
            geometry=geometry,
            spacing_mm=geometry.spacing_mm,
            sides_known=labelled_lungs.sides_known,
            kind=mask_format(lungs),
            name=case_name(lesions, name),
            notices=(Notice("no-ct", "No CT was given: numbers that need one are missing."),),
        )
    else:
        scan = read_scan(ct, name=name)
        known = scan.spacing_mm is not None
        check_same_place(lungs.name, geometry, scan.geometry, spacing_known=known)
    return assess(
        scan,
        labelled_lungs,
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
    for plane, lung, lesion in zip(inside, lungs.labels, lesions.labels, strict=True):
        np.copyto(plane, lesion, where=(lung > 0) & (lesion > 0))
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
            notices.append(Notice("user-lobes", "The lobe mask was supplied by the user."))
            lobes = np.where(lungs.labels > 0, lobes, np.uint8(0))
        elif divisible:
            shown = scan.values if scan.units == "hu" and has_ct and scan.spacing_mm else None
            lobes = find_lobes(lungs.labels, spacing_mm, hounsfield=shown)
            text = "The lobes are estimated from the shape of the lungs"
            text += "." if shown is None else " and, where the scan shows them, from the fissures."
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
        peripheral = None  # depth needs a voxel size, and a third of it the lung as a whole
        if lungs.sides_known and scan.spacing_mm and scan.shape[0] > 1:
            peripheral = outer_third(lungs.labels, scan.spacing_mm)
        box = columns_of(lungs.labels)  # all that is counted lies in their rows and columns
        hu = scan.values[box] if scan.units == "hu" and has_ct else None
        severity = measure(
            Segmentation(
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
            )
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
        yield Notice(
            "single-slice", "The input is one slice: percentages refer to it, not to the lungs."
        )
    if not lungs.sides_known:
        yield Notice("unknown-orientation", "Right and left are unknown.")
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
    notice = Notice("user-lungs", "The lung mask was supplied by the user.")
    return Lungs(labels, bool((labels == LEFT_LUNG).any()), (notice,), found_by="user")


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
