"""Shapes of real lungs (manual lobe masks of LUNA16, Tang et al. 2019) in the bodies of real scans.

A scan is stretched so that the box of its lungs becomes that of the masks. Where both have lung it
keeps its own; where only the mask has, noise and vessel-like specks are painted; where only the
scan had, fat takes the place.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from cohort import TISSUE
from scipy import ndimage

from lungscore.anatomy.lung_view import PIXEL_MM, WINDOW_HU

sys.path.append(str(Path(__file__).parents[1]))
from fit_lobe_atlas import LUNA_VALUES, read_values
from lungscore.labels import LOBES

#: Whose bodies, in turn, and every how manieth mask.
BODIES, EVERY = ("lidc767", "stecolon", "normal002", "dxa1b"), 2
#: Distance of the made pictures, and how far they go on above and below the lungs, mm.
LAYER_MM, MARGIN_MM = 4.0, (30.0, 45.0)
SIZE = 224
PATIENTS = {"dxa1b": "dxa1"}
LUNG_HU, FAT_HU = -850.0, -100.0

Pictures = tuple[np.ndarray, np.ndarray, float]


def made_scans(
    data: Path, real: dict[str, Pictures]
) -> Iterator[tuple[str, str, np.ndarray, np.ndarray, float]]:
    """Name, patient (whose body it is), pictures, labels and distance of the pictures."""
    paths = sorted((data / "luna16-lobes").glob("*.nrrd"))[::EVERY]
    for index, path in enumerate(paths):
        body = BODIES[index % len(BODIES)]
        pictures, labels = put_into(lobes_of(path), real[body], np.random.default_rng(index))
        yield f"made-{index}", PATIENTS.get(body, body), pictures, labels, LAYER_MM


def lobes_of(path: Path) -> np.ndarray:
    """Manual lobes on voxels of LAYER_MM and PIXEL_MM, uint8 (n, h, w) of labels.LOBES."""
    values, geometry = read_values(path)
    steps = np.array([LAYER_MM, PIXEL_MM, PIXEL_MM]) / geometry.spacing_mm
    indices = [
        np.arange(0, size, step).astype(int) for size, step in zip(values.shape, steps, strict=True)
    ]
    values = values[np.ix_(*indices)]
    lobes = np.zeros(values.shape, np.uint8)
    for value, name in LUNA_VALUES.items():
        lobes[values == value] = LOBES[name]
    return lobes


def put_into(
    lobes: np.ndarray, body: Pictures, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and labels (n, 224, 224) of the lungs ``lobes`` in another's body."""
    pictures, labels, layer_mm = body
    above, below = (round(mm / LAYER_MM) for mm in MARGIN_MM)
    box = ndimage.find_objects((lobes > 0).astype(int))[0]
    lobes = lobes[box]
    count = len(lobes) + above + below
    new = np.zeros((count, SIZE, SIZE), np.uint8)
    row, column = (SIZE - lobes.shape[1]) // 2, (SIZE - lobes.shape[2]) // 2
    new[
        above : above + len(lobes), row : row + lobes.shape[1], column : column + lobes.shape[2]
    ] = lobes

    lung = (labels >= 1) & (labels <= 5)
    old_box = ndimage.find_objects(lung.astype(int))[0]
    # Where in the body each place of the made scan lies; beyond the lungs in true distances.
    z = np.arange(count) - above
    inside = np.clip(z, 0, len(lobes) - 1)
    height = old_box[0].stop - old_box[0].start
    levels = old_box[0].start + inside * (height - 1) / (len(lobes) - 1)
    levels = levels + (z - inside) * LAYER_MM / layer_mm
    rows = _stretched(old_box[1], row, lobes.shape[1])
    columns = _stretched(old_box[2], column, lobes.shape[2])
    keep = (levels > -0.5) & (levels < len(pictures) - 0.5)
    levels, new = np.rint(levels[keep]).astype(int), new[keep]
    grid = np.meshgrid(rows, columns, indexing="ij")
    out, old = np.empty(new.shape, np.float32), np.empty(new.shape, np.uint8)
    for k, level in enumerate(levels):
        out[k] = ndimage.map_coordinates(pictures[level].astype(np.float32), grid, order=1)
        old[k] = ndimage.map_coordinates(labels[level], grid, order=0)
    old_lung, new_lung = (old >= 1) & (old <= 5), new > 0
    smooth = ndimage.gaussian_filter(random.normal(size=new.shape), (1, 2, 2))
    specks = ndimage.gaussian_filter(random.normal(size=new.shape), (1.2, 1.0, 1.0))
    lung_hu = LUNG_HU + 40 * smooth / smooth.std() + 12 * random.normal(size=new.shape)
    lung_hu = np.where(specks > 2.6 * specks.std(), -250, lung_hu)
    fat_hu = FAT_HU + 12 * random.normal(size=new.shape)
    soft = ndimage.gaussian_filter(new_lung.astype(np.float32), (0, 0.6, 0.6))
    tissue = np.where(
        ndimage.binary_dilation(old_lung, iterations=1) & ~new_lung, _grey(fat_hu), out
    )
    air = np.where(old_lung & (out < _grey(-300)), out, _grey(lung_hu))
    out = soft * air + (1 - soft) * np.where(new_lung, _grey(20.0), tissue)
    joined = np.where(old_lung, TISSUE, old)
    joined = np.where(new_lung, new, joined).astype(np.uint8)
    return np.clip(np.rint(out), 0, 255).astype(np.uint8), joined


def _stretched(old: slice, start: int, size: int) -> np.ndarray:
    """For each pixel, the body's pixel that a box from ``start`` of ``size`` takes from ``old``."""
    scale = (old.stop - old.start - 1) / (size - 1)
    return old.start + (np.arange(SIZE) - start) * scale


def _grey(hounsfield: np.ndarray | float) -> np.ndarray:
    low, high = WINDOW_HU
    return np.clip((np.asarray(hounsfield, np.float32) - low) * (254 / (high - low)) + 1, 1, 255)
