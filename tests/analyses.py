"""What the tests of whole analyses ask of one."""

from typing import Any

from lungscore import Analysis
from lungscore.inference import Segmenter
from lungscore.result import to_result

NUMBERS = ("lungs", "burden", "scores", "severity", "lobes", "slices", "detection")


def numbers(analysis: Analysis) -> dict[str, Any]:
    """All that does not depend on the form of the input."""
    content = to_result(analysis).model_dump()
    return {key: content[key] for key in NUMBERS}


def codes(analysis: Analysis) -> list[str]:
    """The codes of its notices, in their order."""
    return [notice.code for notice in analysis.notices]


def never() -> Segmenter:
    """A segmenter for inputs that are rejected before a model is loaded."""
    raise AssertionError("no model is needed to reject an input")
