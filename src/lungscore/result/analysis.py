"""The analysis of one case."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lungscore.errors import Notice
from lungscore.result.detection import Detected
from lungscore.scan.scan import Scan
from lungscore.severity import Severity

if TYPE_CHECKING:
    from lungscore.anatomy.lungs import Lungs
    from lungscore.inference.lesions import Lesions


@dataclass(frozen=True)
class Analysis:
    """Everything known about one case.

    lobes, regions: (D, H, W) uint8 labels; None where sides are unknown or for one slice.
    notices: all of them, in order, none twice.
    times: seconds by stage; they go to run.json only.
    detected: what the user's detector said; None without one.
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

    @property
    def has_ct(self) -> bool:
        """Whether ``scan.values`` are an image, and not a placeholder of masks given alone."""
        return all(notice.code != "no-ct" for notice in self.notices)


def case_name(analysis: Analysis) -> str:
    """The case's name as text: bytes of a file name that are no UTF-8 become question marks."""
    return analysis.scan.name.encode("utf-8", "replace").decode()
