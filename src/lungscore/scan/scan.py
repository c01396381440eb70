"""The scan: one array in one convention, and the way back to the source's own geometry."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lungscore.errors import Notice

#: Array axes of every volume inside lungscore: superior→inferior, anterior→posterior,
#: patient right→left. An axial slice ``values[z]`` then looks as radiologists see it.
CANONICAL_AXES = ("I", "P", "L")


@dataclass(frozen=True)
class Geometry:
    """How the source stored its voxels.

    shape: the source array's shape, three axes in the source's own order.
    affine: (4, 4) float64, source voxel index to patient position in mm, RAS+ (nibabel's sense).
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    def to_canonical(self, array: np.ndarray) -> np.ndarray:
        """Source-ordered ``array`` as (D, H, W) in CANONICAL_AXES order (a view where possible)."""
        from nibabel import orientations

        return orientations.apply_orientation(array, self._to_canonical_orientation())

    def to_source(self, array: np.ndarray) -> np.ndarray:
        """Canonical (D, H, W) ``array`` in the source's own axis order and directions."""
        from nibabel import orientations

        source = orientations.io_orientation(self.affine)
        target = orientations.axcodes2ornt(CANONICAL_AXES)
        back = orientations.ornt_transform(target, source)
        result = orientations.apply_orientation(array, back)
        if result.shape != self.shape:
            raise ValueError(f"array {array.shape} does not belong to a source of {self.shape}")
        return result

    @property
    def canonical_affine(self) -> np.ndarray:
        """(4, 4) canonical voxel index (z, y, x) to patient position in mm, RAS+."""
        from nibabel import orientations

        transform = self._to_canonical_orientation()
        return self.affine @ orientations.inv_ornt_aff(transform, self.shape)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along the canonical axes (z, y, x)."""
        z, y, x = np.linalg.norm(self.canonical_affine[:3, :3], axis=0)
        return float(z), float(y), float(x)

    def _to_canonical_orientation(self) -> np.ndarray:
        from nibabel import orientations

        source = orientations.io_orientation(self.affine)
        target = orientations.axcodes2ornt(CANONICAL_AXES)
        return orientations.ornt_transform(source, target)


@dataclass(frozen=True)
class Scan:
    """A chest CT, or slices of one, ready to analyse.

    values: (D, H, W) in CANONICAL_AXES order. int16 Hounsfield units when ``units`` is "hu",
        uint8 grey levels of a windowed image when "grey".
    geometry: the source's own geometry; for slices without one, unit voxels.
    spacing_mm: (z, y, x), or None where the source does not state it.
    sides_known: whether right and left are known (a lone 2-D crop does not say).
    kind: what was read. name: the case's name, from the user's own file name, never a DICOM tag.
    """

    values: np.ndarray
    units: Literal["hu", "grey"]
    geometry: Geometry
    spacing_mm: tuple[float, float, float] | None
    sides_known: bool
    kind: Literal["dicom", "nifti", "nrrd", "metaimage", "slices", "slice", "phantom"]
    name: str
    series_uid: str | None = None
    notices: tuple[Notice, ...] = ()
    left_out: tuple[dict, ...] = field(default=())

    def __post_init__(self) -> None:
        expected = np.dtype(np.int16 if self.units == "hu" else np.uint8)
        if self.values.ndim != 3 or self.values.dtype != expected:
            raise ValueError(f"a scan in {self.units} is a (D, H, W) array of {expected}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(D, H, W)."""
        depth, height, width = self.values.shape
        return depth, height, width

    @property
    def voxel_ml(self) -> float | None:
        """Millilitres of one voxel, or None without spacing."""
        if self.spacing_mm is None:
            return None
        z, y, x = self.spacing_mm
        return z * y * x / 1000.0

    @property
    def positions_mm(self) -> np.ndarray | None:
        """(D,) position of each slice along the patient's inferior→superior axis, in mm."""
        if self.spacing_mm is None:
            return None
        affine = self.geometry.canonical_affine
        return affine[2, 3] + affine[2, 0] * np.arange(self.values.shape[0])
