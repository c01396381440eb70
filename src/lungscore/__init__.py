"""lungscore: from a chest CT to a severity of pneumonia. Research use only.

The names below are the public API. They load on first use, so that ``import lungscore`` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lungscore.version import __version__

if TYPE_CHECKING:
    from lungscore.analysis import analyze, score
    from lungscore.followup import Comparison, FollowUp, compare
    from lungscore.inference.predict import predict_slices
    from lungscore.result import Analysis
    from lungscore.scan import Scan, read_scan

_HOMES = {
    "Analysis": "lungscore.result",
    "Comparison": "lungscore.followup",
    "FollowUp": "lungscore.followup",
    "Scan": "lungscore.scan",
    "analyze": "lungscore.analysis",
    "compare": "lungscore.followup",
    "predict_slices": "lungscore.inference.predict",
    "read_scan": "lungscore.scan",
    "score": "lungscore.analysis",
}

__all__ = [
    "Analysis",
    "Comparison",
    "FollowUp",
    "Scan",
    "__version__",
    "analyze",
    "compare",
    "predict_slices",
    "read_scan",
    "score",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lungscore' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
