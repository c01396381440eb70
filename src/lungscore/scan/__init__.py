"""A scan from anywhere, in one convention. The names below load on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lungscore.scan.inspection import inspect_input
    from lungscore.scan.read import read_scan
    from lungscore.scan.scan import CANONICAL_AXES, Geometry, Scan

_HOMES = {
    "CANONICAL_AXES": "lungscore.scan.scan",
    "Geometry": "lungscore.scan.scan",
    "Scan": "lungscore.scan.scan",
    "inspect_input": "lungscore.scan.inspection",
    "read_scan": "lungscore.scan.read",
}

__all__ = ["CANONICAL_AXES", "Geometry", "Scan", "inspect_input", "read_scan"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
