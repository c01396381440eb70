"""The analysis of one case."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lungscore.errors import Notice
from lungscore.result.detection import Detected
from lungscore.scan.scan import Scan
from lungscore.severity import Severity

if TYPE_CHECKING:
    from lungscore.anatomy.lungs import Lungs
    from lungscore.anatomy.moved_lobes import LobeConfidence
    from lungscore.inference.lesions import Lesions


#: Where the methods of an Analysis are written that need rooms above this one: they are loaded on
#: use, as the public names of lungscore are.
_HOMES = {
    "to_result": "lungscore.result.content",
    "write_outputs": "lungscore.report.outputs",
    "summary_html": "lungscore.report.summary",
}


def _load(name: str) -> Any:
    return getattr(import_module(_HOMES[name]), name)


@dataclass(frozen=True, repr=False)
class Analysis:
    """Everything measured on one case: masks, severity and warnings.

    Parameters
    ----------
    scan : Scan
        The scan, in canonical axes: superior to inferior, anterior to posterior, right to left.
    lungs : Lungs
        ``lungs.labels`` is (D, H, W) uint8: 1 right lung, 2 left lung.
    lesions : Lesions
        ``lesions.labels`` is (D, H, W) uint8: 1 ground-glass opacity, 2 consolidation.
    lobes, regions : ndarray or None
        (D, H, W) uint8: 1 LUL, 2 LLL, 3 RUL, 4 RML, 5 RLL; and the 20 regions of CT-SS. None if the
        sides are unknown or the scan is one slice.
    severity : Severity
        All numbers: percentages 0 to 100, volumes in ml, scores.
    notices : tuple of Notice
        The warnings, each with its code.
    times : dict
        Seconds by stage. They are written to run.json only.
    detected : Detected or None
        Output of the user's own detector, if one was used.
    method : str or None
        "reviewed by" whom, of masks that a person reviewed.
    lobe_confidence : dict
        How far the border of each lobe may be off; empty where the lobes were given.

    See Also
    --------
    lungscore.analyze : Makes one from a chest CT.
    lungscore.score : Makes one from masks.
    """

    scan: Scan
    lungs: "Lungs"
    lesions: "Lesions"
    lobes: np.ndarray | None
    regions: np.ndarray | None
    severity: Severity
    notices: tuple[Notice, ...]
    times: dict[str, float]
    detected: Detected | None = None
    method: str | None = None
    lobe_confidence: Mapping[str, "LobeConfidence"] = field(default_factory=dict)

    @property
    def has_ct(self) -> bool:
        """Whether ``scan.values`` are an image, and not a placeholder of masks given alone."""
        return all(notice.code != "no-ct" for notice in self.notices)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of result.json (docs/result.md).

        Returns
        -------
        dict
            Of JSON types only. What cannot be computed is None, with a warning that says why.
        """
        content: dict[str, Any] = _load("to_result")(self).model_dump(mode="json", by_alias=True)
        return content

    def masks(self) -> dict[str, np.ndarray]:
        """Return the masks in the axes and orientation of the scan's source.

        Returns
        -------
        dict of str to ndarray
            "lungs", "lesions" and, where they were found, "lobes" and "regions"; uint8 labels in
            the shape of ``scan.geometry``, whose affine places them.
        """
        labels = {
            "lungs": self.lungs.labels,
            "lobes": self.lobes,
            "regions": self.regions,
            "lesions": self.lesions.labels,
        }
        to_source = self.scan.geometry.to_source
        return {name: to_source(array) for name, array in labels.items() if array is not None}

    def save(self, folder: str | PathLike[str], *, overwrite: bool = False) -> Path:
        """Write result.json, masks, figures and report into ``folder``/<case name>.

        Parameters
        ----------
        folder : path
            Output folder, as of ``lungscore analyze -o``. It is created if necessary.
        overwrite : bool
            Replace the results of an earlier run.

        Returns
        -------
        Path
            The case folder. It appears when all of it is written.

        Raises
        ------
        UsageError
            ``output-exists`` if the case folder exists and ``overwrite`` is False.
        ResourceError
            ``disk-full`` or ``output-not-writable``.
        """
        written: Path = _load("write_outputs")(self, Path(folder), overwrite=overwrite)
        return written

    def __repr__(self) -> str:
        severity, percent = self.severity, self.severity.lungs.infection_percent
        category = severity.category or "no severity category"
        opacity = "" if percent is None else f", opacity {percent:.1f} % of the lungs"
        total = severity.ct_ss.total
        score = "" if total is None else f", CT-SS {total} of 40"
        return f"Analysis({case_name(self)!r}, {category}{opacity}{score})"

    def _repr_html_(self) -> str:
        """The numbers of the headline, for notebooks."""
        html: str = _load("summary_html")(self)
        return html


def case_name(analysis: Analysis) -> str:
    """The case's name as text: bytes of a file name that are not UTF-8 become question marks."""
    return analysis.scan.name.encode("utf-8", "replace").decode()
