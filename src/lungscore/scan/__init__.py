"""A scan from anywhere, in one convention."""

from lungscore.scan.inspection import inspect_input
from lungscore.scan.read import read_scan
from lungscore.scan.scan import CANONICAL_AXES, Geometry, Scan

__all__ = ["CANONICAL_AXES", "Geometry", "Scan", "inspect_input", "read_scan"]
