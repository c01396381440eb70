"""The walk from a path to an analysis: read, find lungs, segment, divide, score.

``score`` begins halfway, with somebody else's or a radiologist's masks, and needs no network.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from os import PathLike
from pathlib import Path

import numpy as np

from lungscore.anatomy import (
    Lungs,
    complete_lungs,
    lung_field,
    solid_lung,
)
from lungscore.assessment import (
    Clock,
    as_lungs,
    assess,
    divided,
    placeholder,
    scored,
    told_outside,
    within,
)
from lungscore.background import in_background
from lungscore.errors import InputError
from lungscore.inference import Lesions, Segmenter
from lungscore.inference.one_device import with_segmenter
from lungscore.inference.readings import Alternatives, SliceAlternatives, joined
from lungscore.inference.segment import find_alternatives, find_lesions, find_lungs_of
from lungscore.result import Analysis
from lungscore.scan import Scan, read_scan
from lungscore.scan.masks import check_same_place, mask_format, read_label_volume, read_labels
from lungscore.scan.names import case_name
from lungscore.scan.read import source_of

AnyPath = str | PathLike[str]


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

    def walk(load: Callable[[], Segmenter]) -> Analysis:
        source = source_of(path, series=series, allow_gaps=allow_gaps, name=name)
        return _walked(source, load, lungs=lungs, lobes=lobes, ranges=ranges)

    return with_segmenter(
        cache(lambda: segmenter if isinstance(segmenter, Segmenter) else segmenter()), walk
    )


def _walked(
    source: AbstractContextManager[Callable[[], Scan]],
    load: Callable[[], Segmenter],
    *,
    lungs: AnyPath | None,
    lobes: AnyPath | None,
    ranges: bool,
) -> Analysis:
    """The analysis of the scan that ``source`` reads, by the segmenter that ``load`` gives."""
    clock = Clock()
    with _opened(source, load, clock) as (read, loaded):
        with clock.stage("read"):
            scan = read()
            own_lungs = None if lungs is None else given_lungs(Path(lungs), scan)
            own_lobes = None if lobes is None else given_lobes(Path(lobes), scan)
        with clock.stage("lungs"):
            both_lungs = own_lungs or find_lungs_of(scan, loaded)
        with clock.stage("load model"):
            model = loaded()
    with clock.stage("lesions"):
        field, solid = lung_field(both_lungs, scan.spacing_mm), solid_lung(both_lungs, scan)
        lesions, codes = find_lesions(scan, both_lungs, model, field, solid)
        lesions = lesions.with_models(model.lung_models if own_lungs is None else ())
    slice_alternatives = find_alternatives(
        scan, both_lungs, model, field, lesions.labels, codes, solid
    )
    with _read_otherwise(slice_alternatives if ranges else None, scan) as alternatives:
        if own_lungs is None:
            with clock.stage("regions"):
                both_lungs = complete_lungs(both_lungs, lesions.labels, scan, field)
        else:
            lesions = told_outside(both_lungs, lesions, scan.voxel_ml)
        lesions = within(both_lungs, lesions)
        parts = divided(scan, both_lungs, lesions, clock=clock, lobes=own_lobes)
        if ranges:
            with clock.stage("ranges"):
                parts = replace(parts, lesions=replace(lesions, alternatives=alternatives()))
    # Not kept for what follows: each is as large as half the scan.
    del field, solid, lesions, both_lungs
    return scored(parts, clock=clock)


@contextmanager
def _opened(
    source: AbstractContextManager[Callable[[], Scan]],
    segmenter: Callable[[], Segmenter],
    clock: Clock,
) -> Iterator[tuple[Callable[[], Scan], Callable[[], Segmenter]]]:
    """Functions that read the scan and wait for the model, which loads meanwhile."""

    def load() -> Generator[Segmenter, None, None]:
        yield segmenter()

    with ExitStack() as stack:
        with clock.stage("read"):
            read = stack.enter_context(source)
        loaded = stack.enter_context(in_background(load()))
        yield read, lambda: loaded()[0]


@contextmanager
def _read_otherwise(
    slices: Generator[SliceAlternatives, None, None] | None, scan: Scan
) -> Iterator[Callable[[], Alternatives | None]]:
    """A function that waits for the other readings, which are made meanwhile; None without."""
    if slices is None:
        yield lambda: None
        return
    with in_background(slices) as readings:
        yield lambda: joined(readings(), scan.shape[1] * scan.shape[2])


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
        Case name; by default that of ``ct``, or without one of ``lesions``.

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
    labelled_lungs = as_lungs(lung_labels, lungs.name, oriented=geometry.oriented)
    if ct is None:
        name = case_name(lesions, name)
        scan = placeholder(labelled_lungs, geometry, kind=mask_format(lungs), name=name)
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


def given_lungs(path: Path, scan: Scan) -> Lungs:
    """The user's own lungs, on the voxels of ``scan``. Raises InputError."""
    return as_lungs(read_labels(path, scan, "lungs"), path.name, oriented=scan.sides_known)


def given_lobes(path: Path, scan: Scan) -> np.ndarray:
    """The user's own lobes (labels.LOBES), on the voxels of ``scan``. Raises InputError."""
    labels = read_labels(path, scan, "lobes")
    if not labels.any():
        raise InputError("mask-labels", f"{path.name} is empty", expected="the labels of lobes")
    return labels
