"""The shape of the phantom's lungs, fissures and of what surrounds them.

The numbers are millimetres of a reference body, read off normal chest CTs by eye: width and depth
of the rib cage per level, the course of the great vessels, the height of the diaphragm. A
``Patient`` scales and varies them by seed.
"""

from dataclasses import dataclass

import numpy as np

from lungscore.labels import LOBES
from lungscore.scan.phantom.shapes import (
    Axes,
    Ellipsoid,
    Shape,
    SmoothField,
    Tube,
    soft_maximum,
    soft_minimum,
    union_distance,
)

#: Level below the lung apices → the inside of the rib cage: half width, front, back (y).
CAGE = np.array(
    [
        (-40, 38, -14, 34),
        (-8, 58, -14, 40),
        (0, 66, -16, 44),
        (12, 80, -26, 50),
        (28, 98, -42, 57),
        (44, 110, -57, 64),
        (60, 119, -67, 68),
        (92, 131, -76, 73),
        (124, 139, -81, 78),
        (156, 145, -85, 82),
        (188, 152, -88, 83),
        (220, 156, -91, 82),
        (300, 154, -94, 80),
    ],
    dtype=np.float32,
)
#: Level → the middle of the vertebral bodies (y).
SPINE = np.array([(-40, 14), (0, 24), (60, 37), (120, 43), (200, 40), (300, 30)], dtype=np.float32)
#: Level → half the width of the mediastinum where no organ widens it.
SEPTUM = np.array(
    [(-40, 40), (8, 30), (28, 22), (48, 9), (70, 3), (135, 3), (160, 8), (230, 30)],
    dtype=np.float32,
)


@dataclass(frozen=True)
class Patient:
    """What differs between two phantoms, all drawn from the seed.

    scale: size of the body against the reference. heart: size of the heart. fat_mm: thickness of
    the subcutaneous fat. right_dome, left_dome: level of the diaphragm. fissures: shift of the
    right oblique, right horizontal and left oblique fissure in mm. waves: unevenness of surfaces.
    """

    scale: float
    heart: float
    fat_mm: float
    right_dome: float
    left_dome: float
    fissures: tuple[float, float, float]
    waves: SmoothField
    left_lung: bool = True


def draw_patient(rng: np.random.Generator, *, left_lung: bool = True) -> Patient:
    """A patient within the normal range."""
    dome = 168 + 7 * rng.uniform(-1, 1)
    return Patient(
        scale=0.925 + 0.025 * rng.uniform(-1, 1),
        heart=1.0 + 0.06 * rng.uniform(-1, 1),
        fat_mm=11.0 + 5.0 * rng.uniform(-1, 1),
        right_dome=dome,
        left_dome=dome + 9 + 3 * rng.uniform(-1, 1),
        fissures=tuple(6.0 * rng.uniform(-1, 1, 3)),
        waves=SmoothField(rng, 42.0),
        left_lung=left_lung,
    )


@dataclass(frozen=True)
class LungShape:
    """Distances in mm, negative inside, all (D, H, W) float32; ``lobes`` uint8 (labels.LOBES).

    cage: the inside of the rib cage, measured within the slice; angle: cosine of the direction
    around it, 1 at the back and -1 in front. lung: both lungs. mediastinum: heart, great vessels
    and the fat around them. diaphragm: negative above it. fissure: distance to the next fissure.
    territory: the lobes, continued beyond the pleura.
    """

    cage: np.ndarray
    angle: np.ndarray
    mediastinum: np.ndarray
    diaphragm: np.ndarray
    lung: np.ndarray
    fissure: np.ndarray
    territory: np.ndarray
    lobes: np.ndarray


def level(table: np.ndarray, z: np.ndarray, column: int = 1) -> np.ndarray:
    """A column of a level table at levels ``z``, in the shape of ``z``."""
    return np.interp(z.ravel(), table[:, 0], table[:, column]).astype(np.float32).reshape(z.shape)


def airways() -> list[Shape]:
    """Trachea and main bronchi (air), with the carina at level 98."""
    carina = (98, 13, -3)
    trachea = Tube([(-60, -16, 0), (30, 0, -1), carina], [8.2, 8.2, 8.6], -995)
    right = Tube([carina, (117, 15, -31), (138, 18, -42)], [7.2, 6.2, 5.0], -990)
    upper = Tube([(112, 15, -24), (109, 14, -50)], [4.6, 3.6], -985)
    left = Tube([carina, (126, 20, 38), (134, 22, 48)], [6.8, 5.8, 4.2], -990)
    return [trachea, right, upper, left]


def great_vessels(patient: Patient) -> list[Shape]:
    """Heart, great vessels, oesophagus: soft tissue that shapes the mediastinum."""
    h = patient.heart
    floor = (patient.right_dome + patient.left_dome) / 2
    aorta = [(152, -32, -8), (122, -34, -14), (92, -33, -13), (74, -27, -4), (63, -6, 11)]
    aorta += [(66, 17, 20), (82, 33, 26), (120, 38, 27), (180, 40, 23), (300, 30, 6)]
    return [
        Tube(aorta, [17, 17, 16, 15, 14, 13.5, 13, 12.5, 12, 11]),
        Tube([(150, -46, 14), (122, -32, 19), (113, -8, 24)], [15, 14, 13]),
        Tube([(113, -8, 24), (108, 13, 43), (122, 26, 51)], [11.5, 10.5, 8]),
        Tube([(116, -20, 18), (118, -7, -10), (121, 3, -41)], [11.5, 11, 9]),
        Tube([(36, -14, -26), (90, -14, -27), (150, -16, -26)], [9.5, 10, 11]),
        Tube([(40, -16, -25), (34, -26, 4), (18, -20, 38), (0, -12, 70)], [7, 6.5, 6.5, 6.5]),
        Tube([(40, -14, -26), (14, -12, -36), (-2, -10, -66)], [7, 7, 6.5]),
        Tube([(66, -16, 2), (30, -13, -12), (0, -7, -22), (-50, -14, -24)], [6.5, 6, 5.5, 4]),
        Tube([(64, -4, 12), (20, -7, 15), (-50, -12, 22)], [4.5, 4.2, 3.8]),
        Tube([(66, 10, 20), (26, 8, 26), (4, 6, 38), (-4, 0, 70)], [5.5, 5.2, 5, 4.5]),
        Tube([(-60, 2, 3), (60, 22, 4), (110, 28, 8), (floor + 30, 26, 12)], [6, 6, 6, 7], 35),
        Ellipsoid((142, 8, 4), (21 * h, 16, 33 * h)),
        Ellipsoid((floor - 10, -28, 27), (48 * h, 41 * h, 49 * h)),
        Ellipsoid((floor - 24, -20, -20), (38 * h, 31 * h, 27 * h)),
        Ellipsoid((floor - 34, -48, 14), (40 * h, 24 * h, 36 * h)),
        Tube([(floor - 22, -4, -26), (floor + 20, 4, -24), (300, 6, -20)], [12, 12, 11]),
    ]


def mediastinal_fat() -> list[Shape]:
    """Fat that fills the nooks between the vessels: aortopulmonary window and both hila."""
    return [
        Ellipsoid((90, 14, 18), (20, 20, 16), -95),
        Ellipsoid((94, -4, -13), (26, 18, 14), -95),
        Ellipsoid((120, 8, -32), (20, 15, 14), -60),
        Ellipsoid((122, 16, 36), (22, 17, 15), -60),
        Ellipsoid((60, -4, -16), (30, 14, 12), -95),
    ]


def diaphragm_level(patient: Patient, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The level of the diaphragm over the plane: two domes, steep towards the back."""
    left = 1 / (1 + np.exp(-x / 7))
    drop = np.where(y > -8, 72 * ((y + 8) / 92) ** 2, 30 * ((y + 8) / 78) ** 2)
    across = 42 * ((np.abs(x) - 74) / 80) ** 2
    return (patient.right_dome * (1 - left) + patient.left_dome * left + drop + across).astype(
        np.float32
    )


def lung_shape(patient: Patient, axes: Axes) -> LungShape:
    """The lungs and their lobes at the positions ``axes``."""
    z, y, x = axes
    cage, angle = _cage(patient, axes)
    waves = patient.waves(axes)
    cage -= 1.2 * waves
    mediastinum = _mediastinum(patient, axes)
    floor = diaphragm_level(patient, y, x)
    slope = np.hypot(*np.gradient(floor[0], y.ravel(), x.ravel()))[None].astype(np.float32)
    diaphragm = (z - floor + 2 * waves) / np.sqrt(1 + np.minimum(slope, 2.5) ** 2)
    apex = 2 + 24 * ((np.abs(x) - 50) / 52) ** 2 + 15 * ((y - 16) / 46) ** 2
    lung = soft_maximum(cage, -mediastinum, 4.0)
    lung = soft_maximum(lung, diaphragm, 3.0)
    lung = soft_maximum(lung, 0.7 * (apex - z), 6.0)
    territory, fissure = _lobes(patient, axes, waves)
    lobes = territory * (lung < 0)
    return LungShape(cage, angle, mediastinum, diaphragm, lung, fissure, territory, lobes)


def _cage(patient: Patient, axes: Axes) -> tuple[np.ndarray, np.ndarray]:
    z, y, x = axes
    half_width, front, back = (level(CAGE, z, column) for column in (1, 2, 3))
    middle, half_depth = (front + back) / 2, (back - front) / 2
    power = np.float32(2.35)
    norm = np.abs(x / half_width) ** power + np.abs((y - middle) / half_depth) ** power
    norm = np.maximum(norm, np.float32(1e-3)) ** (1 / power)
    radius = np.sqrt(x**2 + (y - middle) ** 2)
    return radius * (1 - 1 / norm), (y - middle) / half_depth / norm


def _mediastinum(patient: Patient, axes: Axes) -> np.ndarray:
    z, y, x = axes
    organs = [*great_vessels(patient), *airways(), *mediastinal_fat()]
    around = union_distance(axes, organs, blend_mm=9.0) - 1.5
    half_width = level(SEPTUM, z) + 8 / (1 + np.exp(-(y - 12) / 6))
    septum = np.abs(x - 2) - half_width
    spine = level(SPINE, z)
    body = np.sqrt((x / 20) ** 2 + ((y - spine) / 17) ** 2)
    wedge = (np.abs(x) - 17 - 0.9 * np.clip(y - spine - 2, 0, None)) * 0.75
    column = soft_minimum((body - 1) * 18, soft_maximum(wedge, spine - y, 6.0), 8.0)
    return soft_minimum(soft_minimum(around, septum, 12.0), column, 8.0)


def _lobes(patient: Patient, axes: Axes, waves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z, y, x = axes
    right_shift, horizontal_shift, left_shift = patient.fissures
    bow = 10 * ((np.abs(x) - 80) / 60) ** 2
    right_oblique = (z - (60 + right_shift + 0.95 * (78 - y) - bow + 5 * waves)) / 1.38
    left_oblique = (z - (47 + left_shift + 1.02 * (78 - y) - bow + 5 * waves)) / 1.43
    horizontal = z - (118 + horizontal_shift + 9 * ((x + 70) / 60) ** 2 + 3 * waves)
    right, below_right, below_left = x < 2, right_oblique > 0, left_oblique > 0
    label = {name: np.uint8(value) for name, value in LOBES.items()}
    right_lobe = np.where(horizontal > 0, label["RML"], label["RUL"])
    right_lobe = np.where(below_right, label["RLL"], right_lobe)
    left_lobe = np.where(below_left, label["LLL"], label["LUL"]) * np.uint8(patient.left_lung)
    middle = np.where(below_right, np.float32(99), np.abs(horizontal))
    fissure = np.where(right, np.minimum(np.abs(right_oblique), middle), np.abs(left_oblique))
    return np.where(right, right_lobe, left_lobe), fissure.astype(np.float32)
