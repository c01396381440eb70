"""The scan: one array in one convention, and the way back to the source's own geometry."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Literal

import numpy as np

from lungscore.errors import Notice

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: Where ``Scan.from_array`` is written: it needs what reads scans, which needs this module.
_FROM_ARRAY = "lungscore.scan.array"

#: Array axes of every volume inside lungscore: superior→inferior, anterior→posterior,
#: patient right→left. An axial slice ``values[z]`` then looks as radiologists see it.
CANONICAL_AXES = ("I", "P", "L")


@dataclass(frozen=True)
class Geometry:
    """How the source stored its voxels.

    shape: the source array's shape, three axes in the source's own order.
    affine: (4, 4) float64, source voxel index to patient position in mm, RAS+ (nibabel's sense).
    oriented: whether a mask states where the patient's sides are.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    oriented: bool = True

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
class Identifiers:
    """What joins a result with an archive; None where the source does not have it.

    They may identify a patient: nothing writes them unless it is asked to. study_date: YYYYMMDD.
    """

    study_uid: str | None
    series_uid: str | None
    study_date: str | None
    accession_number: str | None
    series_description: str | None


@dataclass(frozen=True, repr=False)
class Scan:
    """A chest CT, or slices of one, ready to analyse.

    Parameters
    ----------
    values : ndarray
        (D, H, W), from superior to inferior, anterior to posterior and patient right to left.
        int16 Hounsfield units if ``units`` is "hu", uint8 grey levels of a windowed image if
        "grey".
    units : {"hu", "grey"}
        Unit of ``values``.
    geometry : Geometry
        Shape and affine of the source; unit voxels for slices without a geometry.
    spacing_mm : tuple of float or None
        Voxel size (z, y, x) in mm; None if the source does not state it.
    sides_known : bool
        Whether right and left are known. A single 2-D crop does not tell.
    kind : str
        Type of the source.
    name : str
        Name of the case, from the user's own file name, never from a DICOM tag.
    series_uid : str or None
        SeriesInstanceUID of a DICOM series.
    notices : tuple of Notice
        What the user should know about the input.
    left_out : tuple of dict
        Further series of the input, with the reason why each was not used.
    identifiers : Identifiers or None
        Of a DICOM series. They may identify a patient, and are written only with --identifiers.
    """

    values: np.ndarray
    units: Literal["hu", "grey"]
    geometry: Geometry
    spacing_mm: tuple[float, float, float] | None
    sides_known: bool
    kind: Literal["dicom", "nifti", "nrrd", "metaimage", "slices", "slice", "array", "phantom"]
    name: str
    series_uid: str | None = None
    notices: tuple[Notice, ...] = ()
    left_out: tuple[dict, ...] = field(default=())
    identifiers: Identifiers | None = None

    def __post_init__(self) -> None:
        expected = np.dtype(np.int16 if self.units == "hu" else np.uint8)
        if self.values.ndim != 3 or self.values.dtype != expected:
            raise ValueError(f"a scan in {self.units} is a (D, H, W) array of {expected}")

    @classmethod
    def from_array(
        cls,
        values_hu: "ArrayLike",
        spacing_mm: tuple[float, float, float] | None = None,
        affine: "ArrayLike | None" = None,
        *,
        name: str = "array",
    ) -> "Scan":
        """Make a scan from an array of Hounsfield units.

        Parameters
        ----------
        values_hu : array_like
            Three axes of Hounsfield units. Without ``affine``: from superior to inferior, anterior
            to posterior and patient right to left. With ``affine``: in any order.
        spacing_mm : tuple of float, optional
            Voxel size along each axis of the array, in mm. Without it and ``affine``, numbers in
            millilitres are not given.
        affine : array_like, optional
            (4, 4), from array index to patient position in mm, RAS+ (as in NIfTI and nibabel).
        name : str
            Name of the case.

        Returns
        -------
        Scan
            Checked as a file would be, with ``kind`` "array".

        Raises
        ------
        UsageError
            If the array does not have three axes of numbers or the affine is not (4, 4).
        InputError
            ``geometry-invalid``, ``gantry-tilt``, ``spacing-out-of-range``, ``volume-too-large``,
            ``constant-image``, ``not-finite`` or ``not-hounsfield``.

        Examples
        --------
        >>> from lungscore import Scan
        >>> from lungscore.scan.phantom import make_phantom
        >>> values = make_phantom("few-patches", shape=(24, 96, 96)).scan.values
        >>> Scan.from_array(values, (11.67, 3.73, 3.73), name="case 1")
        Scan('case 1', array, 24 × 96 × 96, 11.67 × 3.73 × 3.73 mm, hu)
        """
        scan: Scan = import_module(_FROM_ARRAY).scan_from_array(
            values_hu, spacing_mm, affine, name=name
        )
        return scan

    def __repr__(self) -> str:
        shape = " × ".join(map(str, self.shape))
        spacing = "unknown spacing"
        if self.spacing_mm is not None:
            spacing = " × ".join(f"{size:.4g}" for size in self.spacing_mm) + " mm"
        return f"Scan({self.name!r}, {self.kind}, {shape}, {spacing}, {self.units})"

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

    @cached_property
    def voxels_sha256(self) -> str:
        """SHA-256 of ``values``: 16-bit little-endian, or 8-bit, in the order of their axes."""
        stored = self.values.astype(self.values.dtype.newbyteorder("<"), copy=False)
        return hashlib.sha256(np.ascontiguousarray(stored).data).hexdigest()

    @property
    def positions_mm(self) -> np.ndarray | None:
        """(D,) position of each slice along the patient's inferior→superior axis, in mm."""
        if self.spacing_mm is None:
            return None
        affine = self.geometry.canonical_affine
        return affine[2, 3] + affine[2, 0] * np.arange(self.values.shape[0])
