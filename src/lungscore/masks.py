"""Scoring from masks alone: no network, somebody else's or a radiologist's segmentation."""

from os import PathLike
from pathlib import Path

import numpy as np

from lungscore.analysis import as_lungs, assess, given_lobes
from lungscore.errors import Notice
from lungscore.inference.lesions import Lesions
from lungscore.result import Analysis
from lungscore.scan import Scan, read_scan
from lungscore.scan.masks import check_same_place, mask_format, read_label_volume, read_labels
from lungscore.scan.names import case_name

AnyPath = str | PathLike[str]


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
            notices=(Notice("no-ct", "No CT was given: numbers that need one are missing."),),
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
