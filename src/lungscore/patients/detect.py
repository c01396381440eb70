"""A detector applied to an analysis, for its result."""

from lungscore.patients.cohort import measured
from lungscore.patients.detection import probability_of
from lungscore.patients.stored import Detector
from lungscore.result import Analysis, Detected, to_result


def detect(analysis: Analysis, detector: Detector, sha256: str) -> Detected:
    """What ``detector`` says of a scan, from the numbers that its result will state.

    sha256: of the detector's file. Needs numpy only.
    """
    content = to_result(analysis).model_dump(mode="json", by_alias=True)
    probability, _ = probability_of(detector, measured(content, "the result"))
    return Detected(detector.name, sha256, detector.trained_on.patients, probability)
