"""Everything around the phantom's lungs: skin, fat, muscle, bones, mediastinum, abdomen, table."""

import numpy as np

from lungscore.scan.phantom.lungs import (
    SPINE,
    LungShape,
    Patient,
    airways,
    great_vessels,
    level,
)
from lungscore.scan.phantom.shapes import (
    Axes,
    Ellipsoid,
    Shape,
    SmoothField,
    Tube,
    box,
    coverage,
    paint,
    paint_shapes,
    subgrid,
)

#: Hounsfield units.
AIR, FAT, MUSCLE, SKIN, LIVER, MARROW, CORTEX = -1000.0, -102.0, 52.0, 10.0, 58.0, 190.0, 720.0
#: Level → the body: half width, front, back (y). Arms are raised: shoulders above, no arms beside.
BODY = np.array(
    [
        (-40, 160, -52, 92),
        (-10, 172, -66, 104),
        (20, 174, -80, 110),
        (60, 172, -92, 114),
        (110, 170, -102, 117),
        (170, 171, -107, 117),
        (220, 174, -111, 116),
        (300, 172, -114, 115),
    ],
    dtype=np.float32,
)
#: Level → the sternum: half width, middle (y).
STERNUM = np.array(
    [(14, 27, -50), (30, 25, -60), (60, 15, -74), (90, 16, -86), (150, 15, -96), (190, 8, -98)],
    dtype=np.float32,
)
#: The costal arch repeats at this pitch and sinks this far from the back to the front.
RIB_PITCH_MM, RIB_DROP_MM = 25.0, 88.0


def paint_body(
    hu: np.ndarray,
    axes: Axes,
    *,
    patient: Patient,
    chest: LungShape,
    where: tuple[slice, ...],
    streaks: SmoothField,
    width_mm: float,
) -> None:
    """Paint the body into ``hu`` (D, H, W), air so far; ``chest`` covers its part ``where``."""
    depth_inside = _body(hu, axes, patient, width_mm)
    _muscles(hu, axes, patient, depth_inside, streaks, width_mm)
    _shoulder_bones(hu, axes, width_mm)
    inner, near = hu[where], subgrid(axes, where)
    paint(inner, coverage(chest.cage - 11, 2 * width_mm), MUSCLE - 22)
    _abdomen(inner, near, patient, chest, streaks, width_mm)
    above = coverage(chest.diaphragm, width_mm) * coverage(chest.cage - 1, width_mm)
    paint(inner, above, FAT + 8)
    paint_shapes(inner, near, great_vessels(patient), width_mm=2 * width_mm)
    _spine(inner, near, width_mm)
    _ribs(inner, near, chest, width_mm)
    _sternum(inner, near, width_mm)


def paint_airways(hu: np.ndarray, axes: Axes, *, width_mm: float) -> None:
    """Trachea and main bronchi: a wall of 1.5 mm around air."""
    for airway in airways():
        if isinstance(airway, Tube):
            wall = Tube(airway.points, [radius + 1.5 for radius in airway.radii], 20)
            paint_shapes(hu, axes, [wall], width_mm=width_mm)
    paint_shapes(hu, axes, airways(), width_mm=width_mm)


def _body(hu: np.ndarray, axes: Axes, patient: Patient, width_mm: float) -> np.ndarray:
    z, y, x = axes
    half_width, front, back = (level(BODY, z, column) for column in (1, 2, 3))
    front = (
        front
        - 0.6 * (patient.fat_mm - 11)
        - 8 * np.exp(-(((np.abs(x) - 75) / 42) ** 2) - ((z - 105) / 60) ** 2)
    )
    middle, half_depth = (front + back) / 2, (back - front) / 2
    power = np.float32(2.6)
    norm = np.abs(x / half_width) ** power + np.abs((y - middle) / half_depth) ** power
    norm = np.maximum(norm, np.float32(1e-3)) ** (1 / power)
    distance = np.sqrt(x**2 + (y - middle) ** 2) * (1 - 1 / norm)
    _table(hu, axes, distance, width_mm)
    paint(hu, coverage(distance, width_mm), SKIN)
    paint(hu, coverage(distance + 2.0, width_mm), FAT)
    return distance


def _table(hu: np.ndarray, axes: Axes, body: np.ndarray, width_mm: float) -> None:
    _, y, x = axes
    top = 121 - 26 * (x / 190) ** 2
    for offset, thickness, value in ((0.0, 14.0, -955.0), (2.0, 1.4, -350.0), (20.0, 1.4, -250.0)):
        shell = np.abs(y - top - offset - thickness / 2) - thickness / 2
        paint(hu, coverage(shell, width_mm) * (body > 0), value)


def _muscles(
    hu: np.ndarray,
    axes: Axes,
    patient: Patient,
    body: np.ndarray,
    streaks: SmoothField,
    width_mm: float,
) -> None:
    z, y, x = axes
    # Fat is thicker in front and over the flanks than over the back.
    skin_fat = patient.fat_mm * (1.15 - 0.3 * np.clip(y / 80, -1, 1)) + 2
    muscle = coverage(body + skin_fat + 2 * streaks(axes), 2 * width_mm)
    # Planes of fat between layers of muscle, here and there.
    waves = patient.waves((z, y, x))
    between = np.abs(((-body + 16 * waves) / 21.0) % 1.0 - 0.5) * 21.0
    here = patient.waves((z + 150, y * 1.6, x * 1.6)) + 0.3 * streaks(axes)
    fatty = np.clip(1.5 - between / 1.6, 0, 1) * np.clip(0.9 * here, 0, 0.95)
    paint(hu, muscle * (1 - fatty), MUSCLE)


def _shoulder_bones(hu: np.ndarray, axes: Axes, width_mm: float) -> None:
    """Shoulder blades (thin curved plates with a spine), clavicles and humeral heads."""
    bones: list[Shape] = []
    for side in (-1, 1):
        for t in np.linspace(0, 1, 5):
            top, bottom = 8 + 6 * t, 100 - 34 * (t - 0.35) ** 2 * 4
            x, y = side * (84 + 52 * t), 100 - 44 * t**1.5
            bones.append(Tube([(top, y, x), (bottom, y - 4, x - side * 4)], [3.2, 2.4], 330))
            bones.append(Tube([(top, y + 1, x), (bottom, y - 3, x - side * 4)], [1.2, 1], 600))
        blade = [(8 + 7 * t, 100 - 44 * t**1.5, side * (84 + 52 * t)) for t in np.linspace(0, 1, 7)]
        for sink in np.linspace(2, 80, 16):
            points = [(z + sink, y - 0.04 * sink, x - side * 0.05 * sink) for z, y, x in blade]
            bones.append(Tube(points, [2.8] * 7, 380))
        spine = [(22, 96, side * 92), (12, 92, side * 120), (-4, 74, side * 148)]
        bones.append(Tube(spine, [3.5, 5, 7], 420))
        clavicle = [(18, -54, side * 18), (2, -50, side * 62), (-16, -12, side * 110)]
        bones.append(Tube(clavicle, [8, 5.5, 6.5], 560))
        bones.append(Tube(clavicle, [5.5, 3.2, 4], 260))
        bones.append(Ellipsoid((-16, 22, side * 152), (26, 25, 25), 420))
        bones.append(Ellipsoid((-16, 22, side * 152), (23, 22, 22), 230))
    paint_shapes(hu, axes, bones, width_mm=width_mm)


def _abdomen(
    hu: np.ndarray,
    axes: Axes,
    patient: Patient,
    chest: LungShape,
    streaks: SmoothField,
    width_mm: float,
) -> None:
    z, y, x = axes
    if float(z.max()) < min(patient.right_dome, patient.left_dome) - 8:
        return
    inside = coverage(-chest.diaphragm, width_mm) * coverage(chest.cage, width_mm)
    paint(hu, inside, FAT)
    liver_edge = (x - 22 + 0.25 * y + 5 * patient.waves(axes)) * 0.8
    under = 2.5 - chest.diaphragm
    liver = np.maximum(np.maximum(under, chest.cage + 2.5), liver_edge)
    paint(hu, coverage(liver, width_mm), LIVER)
    top = patient.left_dome
    stomach = Ellipsoid((top + 46, -14, 62), (43, 54, 44), 38)
    spleen = Ellipsoid((top + 58, 44, 96), (52, 34, 38), 52)
    paint_shapes(hu, axes, [spleen, stomach], width_mm=width_mm)
    lumen = Ellipsoid((top + 46, -14, 62), (38, 48, 39), 25)
    where = box(axes, lumen.low, lumen.high, margin=width_mm)
    if all(s.stop > s.start for s in where):
        near = subgrid(axes, where)
        filled = coverage(lumen.distance(near), width_mm)
        content = np.where(near[1] < -28, AIR + 20, 22 + 14 * streaks(near))  # air lies in front
        paint(hu[where], filled, content)
    rim = coverage(np.abs(chest.diaphragm - 1.2) - 1.4, width_mm) * coverage(chest.cage, width_mm)
    paint(hu, rim * (z > patient.right_dome - 6), MUSCLE - 8)


def _spine(hu: np.ndarray, axes: Axes, width_mm: float) -> None:
    z, y, x = axes
    centre = level(SPINE, z)
    back = y - centre
    # Muscles beside the spinous processes.
    muscle = np.maximum(np.abs(x) - 52 + 0.25 * np.abs(back - 50), np.abs(back - 47) - 21)
    muscle = np.maximum(muscle, 3 - np.abs(x))
    paint(hu, coverage(muscle, 3 * width_mm), MUSCLE)
    phase = np.abs(((z / 24.0) % 1.0) - 0.5) * 24.0  # mm from the middle of a vertebra
    waist = 1 - 0.10 * np.cos(phase / 12.0 * np.pi)
    body = (np.sqrt((x / (18.0 * waist)) ** 2 + (back / (15.0 * waist)) ** 2) - 1) * 15
    bone = np.broadcast_to(phase < 9.6, body.shape)
    paint(hu, coverage(body, width_mm), np.where(bone, CORTEX * 0.75, 85.0))
    inside = coverage(body + 2.0, width_mm) * (phase < 8.4)
    paint(hu, inside, MARROW - 10)
    arch = np.abs(np.sqrt((x / 12) ** 2 + ((back - 23) / 10.5) ** 2) - 1) * 10 - 2.6
    arch = np.where(phase < 8.5, arch, arch + 1.6)
    paint(hu, coverage(arch, width_mm) * (back > 12), 480.0)
    canal = (np.sqrt((x / 9.8) ** 2 + ((back - 23) / 8.2) ** 2) - 1) * 8
    paint(hu, coverage(canal, width_mm), 28.0)
    process = np.maximum(np.abs(x) - 2.6, np.abs(back - 44) - 13)
    transverse = np.abs(back - 26 - 0.42 * np.abs(x)) - 4.2
    transverse = np.maximum(transverse, np.abs(np.abs(x) - 23) - 13)
    paint(hu, coverage(process, width_mm) * (phase < 9.5), 430.0)
    paint(hu, coverage(transverse, width_mm) * (phase < 6.5), 400.0)


def _ribs(hu: np.ndarray, axes: Axes, chest: LungShape, width_mm: float) -> None:
    z = axes[0]
    outward = chest.cage - 5.5
    near = np.abs(outward) < 6 + width_mm
    near &= (z > 4) & (chest.angle < 0.97)
    where = np.nonzero(near)
    out, cosine = outward[where], chest.angle[where]
    height = z[where[0], 0, 0] - RIB_DROP_MM * (1 - cosine) / 2
    phase = ((height / RIB_PITCH_MM + 0.35) % 1.0 - 0.5) * RIB_PITCH_MM
    # Only every rib's own course exists: none above the first, no cartilage below the tenth.
    exists = (height > -16) & (height < 205)
    distance = (np.sqrt((out / 4.0) ** 2 + (phase / 6.6) ** 2) - 1) * 4.0
    cartilage = cosine < -0.86 + 0.25 * np.clip((height - 40) / 100, 0, 1)
    shell = np.where(cartilage, 105.0, CORTEX)
    core = np.where(cartilage, 95.0, MARROW)
    values = hu[where]
    paint(values, coverage(distance, width_mm) * exists, shell)
    paint(values, coverage(distance + 1.6, width_mm) * exists, core)
    hu[where] = values


def _sternum(hu: np.ndarray, axes: Axes, width_mm: float) -> None:
    z, y, x = axes
    across = np.abs(x) - level(STERNUM, z, 1)
    plate = np.maximum(across, np.abs(y - level(STERNUM, z, 2)) - 5.5)
    plate = np.maximum(plate, np.abs(z - 98) - 84)
    paint(hu, coverage(plate, width_mm), CORTEX * 0.7)
    paint(hu, coverage(plate + 2.0, width_mm), MARROW - 30)
