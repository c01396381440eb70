"""From the positions of slices to a volume: order, spacing, gaps and the affine. Pure geometry."""

from dataclasses import dataclass

import numpy as np

from lungscore.errors import InputError
from lungscore.scan.affine import MAX_SHEAR_DEGREES

#: Part of a step by which a step may differ; what rounding to 0.1 mm does to a position, and what
#: rounding to 0.01 mm does, which matters to nobody.
STEP_TOLERANCE = 0.01
ROUNDING_MM, NEGLIGIBLE_MM = 0.06, 0.01

#: Difference of direction cosines within one series (0.25 degrees).
DIRECTION_TOLERANCE = 4.4e-3

#: Largest part of the slices that may be missing from a series that is called evenly spaced.
LARGEST_GAP_SHARE = 0.2

#: DICOM's patient axes (left, posterior, superior) to RAS+.
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Stack:
    """How images lie on each other.

    order: (N,) int, image indices sorted along the normal, superior first where the slices are
    axial (then the volume already lies as every other part expects it). slots: (N,) int, the slice
    of the volume that each sorted image is; slices without an image are missing. depth: slices of
    the volume.
    step: (3,) mm from slice to slice, LPS+. rounded: whether positions were rounded.
    """

    order: np.ndarray
    slots: np.ndarray
    depth: int
    step: np.ndarray
    rounded: bool

    @property
    def missing(self) -> list[int]:
        """Slices of the volume that no image fills."""
        return sorted(set(range(self.depth)) - set(self.slots.tolist()))


def common_directions(orientations: np.ndarray, source: str) -> np.ndarray:
    """(2, 3) unit directions of increasing column and row index, of (N, 6) orientations, LPS+.

    Raises InputError ``mixed-geometry`` or ``geometry-invalid``.
    """
    spread = np.abs(orientations - np.median(orientations, axis=0)).max(axis=1)
    if spread.max() > DIRECTION_TOLERANCE:
        different = int((spread > DIRECTION_TOLERANCE).sum())
        raise InputError(
            "mixed-geometry",
            f"{source}: {different} of {len(orientations)} slices have another direction",
            expected="one direction",
        )
    directions = orientations.mean(axis=0).reshape(2, 3)
    lengths = np.linalg.norm(directions, axis=1)
    if np.abs(lengths - 1).max() > 0.01 or abs(directions[0] @ directions[1]) > 0.01:
        raise InputError(
            "geometry-invalid",
            f"{source}: the directions of rows and columns are not perpendicular unit vectors",
        )
    return directions / lengths[:, None]


def arrange(
    positions: np.ndarray, directions: np.ndarray, *, source: str, pixel_mm: float
) -> Stack:
    """Sort N ≥ 2 slices at different (N, 3) positions (mm, LPS+) and check that they are even.

    Raises InputError ``irregular-spacing``, ``gantry-tilt`` or ``mixed-geometry``. Missing slices
    are not an error here: see ``Stack.missing``.
    """
    normal = np.cross(directions[0], directions[1])
    normal = -normal if normal[2] > 0 else normal
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    slots, rounded = _slots(heights[order], source)
    first, last = positions[order[0]], positions[order[-1]]
    step = (last - first) / slots[-1]
    cosine = float(step @ normal / np.linalg.norm(step))
    tilt = float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))
    if tilt > MAX_SHEAR_DEGREES:
        raise InputError(
            "gantry-tilt",
            f"{source}: the slices are sheared by {tilt:.1f} degrees",
            expected="a gantry without tilt",
            hint="Resample to an orthogonal grid, filling voxels outside the scan with −1024 HU",
        )
    aside = positions[order] - (first + slots[:, None] * step)
    aside -= np.outer(aside @ normal, normal)
    if np.linalg.norm(aside, axis=1).max() > 0.5 * pixel_mm:
        raise InputError(
            "mixed-geometry",
            f"{source}: slices are shifted sideways by up to "
            f"{np.linalg.norm(aside, axis=1).max():.2f} mm",
            expected="one straight stack",
        )
    return Stack(order, slots, int(slots[-1]) + 1, step, rounded)


def _slots(heights: np.ndarray, source: str) -> tuple[np.ndarray, bool]:
    """The slice number of every sorted height, and whether heights were rounded."""
    steps = np.diff(heights)
    usual = _usual_step(steps)
    counts = np.maximum(np.rint(steps / usual), 1)
    slots = np.concatenate([[0], np.cumsum(counts)]).astype(int)
    missing = slots[-1] + 1 - len(heights)
    off = np.abs(steps - counts * usual)
    even = bool(off.max() <= STEP_TOLERANCE * usual + 1e-3)
    rounded = not even and _rounded(heights, slots)
    even = even or rounded
    if not even or missing > LARGEST_GAP_SHARE * (slots[-1] + 1):
        worst = int(np.argmax(off)) if not even else int(np.argmax(steps))
        raise InputError(
            "irregular-spacing",
            f"{source}: slices {worst + 1} and {worst + 2} in order are {steps[worst]:.3f} mm "
            f"apart, others {usual:.3f} mm",
            expected="evenly spaced slices (within 1 %)",
            hint="Export one series of one slice thickness",
        )
    return slots, rounded


def _rounded(heights: np.ndarray, slots: np.ndarray) -> bool:
    """Whether even heights would look like these if they were written with one decimal or two."""
    even = np.polyval(np.polyfit(slots, heights, 1), slots)
    off = float(np.abs(heights - even).max())
    tenths = np.abs(heights * 10 - np.rint(heights * 10)).max() < 1e-3
    return off <= NEGLIGIBLE_MM or bool(tenths and off <= ROUNDING_MM)


def _usual_step(steps: np.ndarray) -> float:
    """The most frequent step: the median of the steps near the fullest hundredth of a mm."""
    hundredths = np.rint(steps * 100).astype(int)
    values, counts = np.unique(hundredths, return_counts=True)
    near = np.abs(hundredths - values[np.argmax(counts)]) <= 1
    if np.ptp(steps[near]) > 5e-3:  # rounded to hundredths: steps of 0.62 and 0.63 mm are 0.625
        return float(np.mean(steps[near]))
    return float(np.median(steps[near]))


def gap_text(stack: Stack, heights: np.ndarray) -> str:
    """The places (mm along the normal) at which slices are missing; heights are sorted."""
    gaps = []
    for before in np.nonzero(np.diff(stack.slots) > 1)[0]:
        lost = int(stack.slots[before + 1] - stack.slots[before] - 1)
        gaps.append(f"{lost} between {heights[before]:.1f} and {heights[before + 1]:.1f} mm")
    return ", ".join(gaps[:5]) + (", …" if len(gaps) > 5 else "")


def volume_affine(
    origin: np.ndarray,
    step: np.ndarray,
    directions: np.ndarray,
    *,
    pixel_spacing: tuple[float, float],
) -> np.ndarray:
    """(4, 4) of array axes (slice, row, column) to patient mm, RAS+; the arguments are LPS+.

    pixel_spacing: between rows, between columns (DICOM's order). Source: DICOM PS3.3 C.7.6.2.1.1.
    """
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = directions[1] * pixel_spacing[0]
    affine[:3, 2] = directions[0] * pixel_spacing[1]
    affine[:3, 3] = origin
    return LPS_TO_RAS @ affine
