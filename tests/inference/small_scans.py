"""Scans of a few slices, made in memory."""

import numpy as np

from lungscore.scan import Geometry, Scan

#: Slices so far apart that none is averaged with its neighbours.
SPACING_MM = (10.0, 4.0, 4.0)


def scan_of(values: np.ndarray, *, sides_known: bool = True, name: str = "scan") -> Scan:
    """``values`` (D, H, W) as a scan: int16 in Hounsfield units, uint8 in grey levels."""
    grey = values.dtype == np.uint8
    z, y, x = (1.0, 1.0, 1.0) if grey else SPACING_MM
    affine = np.array([[0, 0, -x, 0], [0, -y, 0, 0], [-z, 0, 0, 0], [0, 0, 0, 1.0]])
    depth, height, width = values.shape
    return Scan(
        values=values,
        units="grey" if grey else "hu",
        geometry=Geometry((depth, height, width), affine),
        spacing_mm=None if grey else SPACING_MM,
        sides_known=sides_known,
        kind="slice" if grey else "phantom",
        name=name,
    )
