"""A scan from anywhere, in one convention."""

from lungscore.scan.scan import CANONICAL_AXES, Geometry, Scan

__all__ = ["CANONICAL_AXES", "Geometry", "Scan"]
