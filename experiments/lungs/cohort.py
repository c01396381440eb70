"""The scans that the lung network learns from, with their labels: our own masks, looked at, and
mended by hand where they were wrong. Every rule here was written looking at the slices.

Values of the labels (D, H, W): LOBES (1 to 5), AIRWAY, UNSURE (no verdict), TISSUE, and 0 for what
lies outside the body.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import nrrd
import numpy as np
from PIL import Image, ImageDraw
from scans import PATHS
from scipy import ndimage

from lungscore.anatomy import find_lobes, find_lungs
from lungscore.anatomy.body import inside_body
from lungscore.anatomy.grid import Grid, assumed_spacing_mm
from lungscore.anatomy.levels import find_levels
from lungscore.anatomy.lungs import Lungs
from lungscore.anatomy.overview import AIRWAY_MM, Airways, Overview
from lungscore.labels import LEFT_LUNG, LOBES, RIGHT_LUNG
from lungscore.scan import Scan, read_scan

AIRWAY, UNSURE, TISSUE = 6, 7, 8
#: Air that a threshold finds near the midline in patches below this is windpipe, mm², mm.
WINDPIPE_MM2, WINDPIPE_OFF_MIDLINE_MM = 900.0, 18.0


@dataclass(frozen=True)
class Labelled:
    """A scan and its labels. patient: scans of one patient are held out together."""

    name: str
    patient: str
    scan: Scan
    labels: np.ndarray


Mend = Callable[[Scan, Lungs, np.ndarray, np.ndarray], None]


def mend_aitest(scan: Scan, lungs: Lungs, labels: np.ndarray, airway: np.ndarray) -> None:
    """Nothing above the apices (slice 75) is lung; the trachea below counted as lung."""
    labels[:75] = 0
    _windpipe(scan, labels, airway, slice(75, 92))


def mend_aitest2(scan: Scan, lungs: Lungs, labels: np.ndarray, airway: np.ndarray) -> None:
    """Heart and fat were filled; colon gas lies in front from slice 6 on."""
    aerated = lungs.labels if lungs.aerated is None else lungs.aerated
    labels[:] = aerated
    front = np.zeros(labels.shape, bool)
    front[7:, :138, 128:] = True
    labels[front & (labels == LEFT_LUNG)] = 0
    labels[14:] = 0
    beside = ndimage.binary_dilation(labels[5:8, 100:130, 150:] > 0, iterations=2)
    labels[5:8, 100:130, 150:][beside & (scan.values[5:8, 100:130, 150:] < -300)] = UNSURE


def mend_apical_tumour(scan: Scan, lungs: Lungs, labels: np.ndarray, airway: np.ndarray) -> None:
    """The tumour's own border with chest wall and hilum is not to be seen."""
    _unsure_rim(scan, lungs, labels, rim_mm=4.0)
    labels[:10, :, :120][labels[:10, :, :120] == RIGHT_LUNG] = 0
    labels[:10, :130] = 0


#: Outlines of the collapsed right upper lobe: slice -> (x, y) of its corners.
COLLAPSE = {
    26: [(72, 152), (76, 140), (84, 130), (96, 127), (106, 135), (108, 150), (104, 165), (92, 175),
         (80, 172), (72, 163)],
    32: [(66, 160), (66, 148), (72, 137), (82, 126), (96, 122), (108, 130), (110, 145), (108, 160),
         (108, 178), (95, 184), (82, 180), (74, 170)],
    38: [(62, 160), (62, 145), (66, 133), (76, 121), (90, 114), (103, 118), (106, 128), (104, 140),
         (104, 150), (85, 165)],
    43: [(62, 160), (60, 140), (66, 126), (76, 116), (88, 113), (101, 120), (104, 130), (102, 140),
         (100, 150), (85, 165)],
}  # fmt: skip


def mend_fnndsc(scan: Scan, lungs: Lungs, labels: np.ndarray, airway: np.ndarray) -> None:
    """The collapsed upper lobe: drawn by hand; its top and its rim stay open."""
    drawn = _between(COLLAPSE, labels.shape)
    tissue = (scan.values > -500) & (scan.values < 200)
    rim = ndimage.binary_dilation(drawn, np.ones((1, 3, 3), bool), iterations=4)
    labels[rim & tissue & (labels == 0) & ~airway] = UNSURE
    labels[drawn & ~airway & (scan.values < 200)] = RIGHT_LUNG
    top = ndimage.binary_dilation(drawn[26], iterations=3)
    for z in range(16, 26):
        labels[z][top & tissue[z]] = UNSURE


def mend_lungfcp(scan: Scan, lungs: Lungs, labels: np.ndarray, airway: np.ndarray) -> None:
    """Neck, clavicle and mediastinum were filled; part of the trachea counted as lung."""
    aerated = lungs.labels if lungs.aerated is None else lungs.aerated
    labels[:] = aerated
    _windpipe(scan, labels, airway, slice(0, 98))
    middle = _midline(scan)
    near = int(15 / scan.spacing_mm[2])
    neck = labels[:60, :, middle - near : middle + near]
    neck[neck == LEFT_LUNG] = 0


def mend_stesarc(scan: Scan, lungs: Lungs, labels: np.ndarray, airway: np.ndarray) -> None:
    """Bowel gas in front from slice 13 on."""
    labels[13:, :120] = 0


def mend_dx(scan: Scan, lungs: Lungs, labels: np.ndarray, airway: np.ndarray) -> None:
    """A mass at the right hilum: what closes over is open."""
    for z in range(12, 19):
        right = labels[z] == RIGHT_LUNG
        closed = ndimage.binary_closing(np.pad(right, 60), iterations=50)[60:-60, 60:-60]
        labels[z][closed & (labels[z] == 0) & ~airway[z]] = UNSURE


def keep(scan: Scan, lungs: Lungs, labels: np.ndarray, airway: np.ndarray) -> None:
    """The mask was looked at and is right."""


#: name -> patient, path below the data folder, how its mask is mended.
SCANS: dict[str, tuple[str, str, Mend]] = {
    "lidc767": ("lidc767", PATHS["lidc767"], keep),
    "fnndsc": ("fnndsc", PATHS["fnndsc"], mend_fnndsc),
    "dxa1b": ("dxa1", PATHS["dxa1b"], mend_apical_tumour),
    "dxa1l": ("dxa1", PATHS["dxa1l"], mend_apical_tumour),
    "lungfcp": ("lungfcp", PATHS["lungfcp"], mend_lungfcp),
    "gomez": ("gomez", PATHS["gomez"], keep),
    "stecolon": ("stecolon", PATHS["stecolon"], keep),
    "stesarc": ("stesarc", PATHS["stesarc"], mend_stesarc),
    "aitest": ("aitest", PATHS["aitest"], mend_aitest),
    "aitest2": ("aitest", PATHS["aitest2"], mend_aitest2),
    "P002": ("P002", PATHS["P002"], keep),
    "normal002": ("normal002", PATHS["normal002"], keep),
    PATHS["lung-pet-ct-dx"]: (PATHS["lung-pet-ct-dx"], PATHS["lung-pet-ct-dx"], mend_dx),
    PATHS["lungmask-testdata"]: (PATHS["lungmask-testdata"], PATHS["lungmask-testdata"], keep),
    "ct-64": ("ct-64", PATHS["ct-64"], keep),
    PATHS["ictcf-volume-jpg"]: (PATHS["ictcf-volume-jpg"], PATHS["ictcf-volume-jpg"], keep),
}
#: Scans with dense lung in their lower half.
MASSES = (PATHS["lung-pet-ct-dx"], "P002", PATHS["ictcf-volume-jpg"])
#: Never trained on: it measures.
HELD_OUT = ("P002",)


def labelled_scan(name: str, data: Path) -> Labelled:
    """The scan of that name with its labels."""
    patient, path, mend = SCANS[name]
    scan = read_scan(data / path)
    lungs = find_lungs(scan)
    labels = lungs.labels.copy()
    airway = airways_of(scan)
    if name == "ct-64":
        labels = _thirds(data / "chest-imaging-platform/lm-64.nrrd", scan)
    if name not in MASSES and len(labels) > 2:
        _without_domes(scan, labels)
    mend(scan, lungs, labels, airway)
    return Labelled(name, patient, scan, with_parts(scan, labels, airway))


def with_parts(scan: Scan, labels: np.ndarray, airway: np.ndarray) -> np.ndarray:
    """Lung labels (1, 2, UNSURE) with lobes, airways and the body's tissue."""
    lung = np.where(np.isin(labels, (RIGHT_LUNG, LEFT_LUNG)), labels, 0).astype(np.uint8)
    hounsfield = scan.values if scan.units == "hu" else None
    several = len(labels) > 1
    lobes = find_lobes(lung, scan.spacing_mm, hounsfield=hounsfield) if several else _halves(lung)
    out = np.where(body_of(scan), TISSUE, 0).astype(np.uint8)
    out[airway & (lung == 0)] = AIRWAY
    out[lung > 0] = lobes[lung > 0]
    out[labels == UNSURE] = UNSURE
    return out


def airways_of(scan: Scan) -> np.ndarray:
    """Trachea and main bronchi with their walls, bool (D, H, W)."""
    whole = tuple(slice(0, size) for size in scan.shape)
    return Airways.find(Overview.of(scan)).within(whole)


def body_of(scan: Scan) -> np.ndarray:
    """The body with what it encloses, bool (D, H, W)."""
    levels = find_levels(scan)
    spacing_mm = scan.spacing_mm or assumed_spacing_mm(scan.shape)
    grid = Grid.over(scan.shape, spacing_mm, block_mm=AIRWAY_MM * 2)
    inside = inside_body(grid.reduce(scan.values, floor=levels.floor) >= levels.lung)
    return grid.enlarge(inside, tuple(slice(0, size) for size in scan.shape))


def medseg_slices(data: Path) -> Iterator[Labelled]:
    """Single slices of patients with COVID-19 (training slices alone), infection joined to the
    lungs and effusion kept out; sides by the middle of the lungs."""
    folder = data / "medseg-slices"
    rows = (folder / "crop_of_covid_semiseg.csv").read_text().splitlines()[1:]
    names = [row.split(",")[0] for row in rows if row.split(",")[1] == "train"]
    for name in sorted(names, key=int):
        # Pictures with arrows, circles or white bars, and some whose lungs were not found.
        if name in {"1", "19", "30", "41", "49", "58", "60", "62"}:
            continue
        scan = read_scan(folder / "images" / f"{name}.png")
        disease = np.asarray(Image.open(folder / "labels" / f"{name}.png"))[None]
        lung = (find_lungs(scan).labels > 0) | (disease == 1) | (disease == 2)
        lung &= disease != 3
        columns = np.flatnonzero(lung.any(axis=(0, 1)))
        width, middle = np.ptp(columns) + 1, (columns[0] + columns[-1]) / 2
        spacing = (5.0, 255.0 / width, 255.0 / width)
        reach = max(1, round(4 / spacing[1]))
        closed = ndimage.binary_closing(np.pad(lung[0], 40), iterations=reach)[40:-40, 40:-40]
        closed = ndimage.binary_fill_holes(closed) & (disease[0] != 3)
        sides = np.where(np.arange(lung.shape[2]) < middle, RIGHT_LUNG, LEFT_LUNG)
        labels = np.where(closed, sides, 0).astype(np.uint8)[None]
        scan = replace(scan, spacing_mm=spacing)
        nothing = np.zeros(labels.shape, bool)
        yield Labelled(f"medseg-{name}", f"medseg-{name}", scan, with_parts(scan, labels, nothing))


def _without_domes(scan: Scan, labels: np.ndarray) -> None:
    """The domes of liver and spleen, filled in slices that show lung all around, become tissue."""
    levels = np.flatnonzero(labels.any(axis=(1, 2)))
    low = int(levels[0] + 0.5 * (levels[-1] - levels[0]))
    wide = max(1, round(5 / scan.spacing_mm[1]))
    for z in range(low, levels[-1] + 1):
        dense = (scan.values[z] > -350) & (labels[z] > 0)
        core = ndimage.binary_erosion(dense, iterations=wide)
        if core.any():
            labels[z][ndimage.binary_dilation(core, iterations=wide + 1, mask=dense)] = 0


def _halves(lung: np.ndarray) -> np.ndarray:
    """Lone slices have no lobes: the upper ones stand for the lungs."""
    names = {RIGHT_LUNG: LOBES["RUL"], LEFT_LUNG: LOBES["LUL"]}
    return np.select([lung == side for side in names], list(names.values()), 0)


def _thirds(path: Path, scan: Scan) -> np.ndarray:
    """The lungs of ct-64 from its map of thirds: 9 to 11 left, 12 to 14 right."""
    values, _ = nrrd.read(str(path))
    thirds = scan.geometry.to_canonical(values) & 255
    sides = np.where((thirds >= 9) & (thirds <= 11), LEFT_LUNG, 0)
    return np.where((thirds >= 12) & (thirds <= 14), RIGHT_LUNG, sides).astype(np.uint8)


def _midline(scan: Scan) -> int:
    return int(Overview.of(scan).midline)


def _windpipe(scan: Scan, labels: np.ndarray, airway: np.ndarray, slices: slice) -> None:
    """Dark patches near the midline that counted as lung become airway."""
    middle = _midline(scan)
    for z in range(slices.start, min(slices.stop, len(labels))):
        patches, _ = ndimage.label((scan.values[z] < -700) & body_plane(scan, z))
        for index, place in enumerate(ndimage.find_objects(patches), start=1):
            patch = patches[place] == index
            area = patch.sum() * scan.spacing_mm[1] * scan.spacing_mm[2]
            column = place[1].start + np.nonzero(patch)[1].mean()
            off_mm = abs(column - middle) * scan.spacing_mm[2]
            if area < WINDPIPE_MM2 and off_mm < WINDPIPE_OFF_MIDLINE_MM:
                walls = ndimage.binary_dilation(patches == index, iterations=2)
                walls &= (labels[z] == 0) | (patches == index) | (scan.values[z] > -600)
                airway[z] |= walls
                labels[z][walls] = 0


def body_plane(scan: Scan, z: int) -> np.ndarray:
    return ndimage.binary_fill_holes(ndimage.binary_opening(scan.values[z] > -400, iterations=2))


def _unsure_rim(scan: Scan, lungs: Lungs, labels: np.ndarray, *, rim_mm: float) -> None:
    """Where dense lung was found by its place, its outline is open."""
    if lungs.aerated is None:
        return
    added = (lungs.labels > 0) & (lungs.aerated == 0)
    steps = max(1, round(rim_mm / scan.spacing_mm[1]))
    plane = np.zeros((3, 3, 3), bool)
    plane[1] = True
    rim = ndimage.binary_dilation(added, plane, iterations=steps)
    rim &= ~ndimage.binary_erosion(lungs.labels > 0, plane, iterations=steps, border_value=1)
    labels[rim & (scan.values > -500)] = UNSURE


def _between(outlines: dict[int, list[tuple[int, int]]], shape: tuple[int, int, int]) -> np.ndarray:
    """Polygons drawn on some slices, and between them by their distance maps."""
    mask, levels = np.zeros(shape, bool), sorted(outlines)
    distances = []
    for z in levels:
        image = Image.new("1", (shape[2], shape[1]))
        ImageDraw.Draw(image).polygon(outlines[z], fill=1)
        inside = np.asarray(image)
        outwards = ndimage.distance_transform_edt(~inside)
        distances.append(ndimage.distance_transform_edt(inside) - outwards)
    for index, (low, high) in enumerate(pairwise(levels)):
        for z in range(low, high + 1):
            part = (z - low) / (high - low)
            mask[z] = (1 - part) * distances[index] + part * distances[index + 1] > 0
    return mask
