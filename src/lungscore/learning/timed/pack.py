"""All slices of a training in one small file, and in memory as bytes.

A pack is a zip of pictures and one table, index.json. It is made once, from the datasets, by
``experiments/pack_slices.py``; a training reads it whole.
"""

import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from lungscore.scan.window import resize

INDEX = "index.json"

#: The size in which slices are kept: an eighth larger than the networks' input, so that zooming in
#: loses little.
HEIGHT, WIDTH = 288, 360

#: The Hounsfield units that levels 0 and 255 of a slice in HU stand for: wider than the networks'
#: window, so that augmentation may move it.
LOWEST_HU, HIGHEST_HU = -1500.0, 450.0

Pool = Literal["annotated", "other-window", "unlabelled", "elsewhere", "healthy"]


@dataclass(frozen=True)
class Row:
    """One slice of a pack.

    name: of the slice; the same in the pools ``annotated`` and ``other-window``. image: file name
    in the zip; turned: whether it is stored transposed. classes, lungs: file names of the label
    (0 background, 1 GGO, 2 consolidation) and of the lung mask, None where there is none. hu:
    whether grey levels stand for LOWEST_HU…HIGHEST_HU. part: of healthy slices, "cranial" or
    "caudal". volume: whose slice it is, where that is known.
    """

    name: str
    pool: Pool
    image: str
    classes: str | None = None
    lungs: str | None = None
    turned: bool = False
    hu: bool = False
    part: str | None = None
    volume: str | None = None


@dataclass(frozen=True)
class Slices:
    """A pack in memory.

    rows: one a slice. grey: (N, HEIGHT, WIDTH) uint8. infection, consolidation, lungs: the same,
    0 or 255; consolidation is given infection. gain, offset: (N,) float32, so that
    gain · level / 255 + offset is 0…1 in the networks' window. exact: name → (H, W) uint8 of the
    annotated slices as they are published, in standard view; truth: their classes.
    """

    rows: list[Row]
    grey: np.ndarray
    infection: np.ndarray
    consolidation: np.ndarray
    lungs: np.ndarray
    gain: np.ndarray
    offset: np.ndarray
    exact: dict[str, np.ndarray]
    truth: dict[str, np.ndarray]


def picture(image: np.ndarray, kind: str, **settings: object) -> bytes:
    """An (H, W) uint8 image, or a bool mask, as the bytes of a picture file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **settings)
    return buffer.getvalue()


def write_pack(path: Path, rows: Iterable[Row], files: dict[str, bytes]) -> None:
    """Write ``rows`` and the picture files that they name."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(INDEX, json.dumps([asdict(row) for row in rows], indent=0))
        for name, content in files.items():
            archive.writestr(name, content)


def read_pack(
    path: Path,
    *,
    window_hu: tuple[float, float] = (-1350.0, 150.0),
    unlabelled: int | None = None,
) -> Slices:
    """Read a pack whole. window_hu: the networks' window. unlabelled: at most so
    many of these, and of slices from elsewhere."""
    with zipfile.ZipFile(path) as archive:
        rows = [Row(**row) for row in json.loads(archive.read(INDEX))]
        if unlabelled is not None:
            surplus: set[str] = set()
            for pool in ("unlabelled", "elsewhere"):
                surplus |= {row.image for row in [r for r in rows if r.pool == pool][unlabelled:]}
            rows = [row for row in rows if row.image not in surplus]
        grey, infection, consolidation, lungs = (
            np.zeros((len(rows), HEIGHT, WIDTH), np.uint8) for _ in range(4)
        )
        exact, truth = {}, {}
        for index, row in enumerate(rows):
            image = _read(archive, row.image, row.turned)
            grey[index] = _resized(image)
            if row.classes is not None:
                classes = _read(archive, row.classes, row.turned)
                infection[index] = 255 * (_resized(255 * (classes > 0)) > 127)
                consolidation[index] = 255 * (_resized(255 * (classes == 2)) > 127)
                if row.pool == "annotated":
                    exact[row.name], truth[row.name] = image, classes
            if row.lungs is not None:
                lungs[index] = 255 * (_resized(_read(archive, row.lungs, row.turned)) > 127)
    lower, upper = window_hu
    hu = np.array([row.hu for row in rows])
    gain = np.where(hu, (HIGHEST_HU - LOWEST_HU) / (upper - lower), 1.0)
    offset = np.where(hu, (LOWEST_HU - lower) / (upper - lower), 0.0)
    return Slices(
        rows,
        grey,
        infection,
        consolidation,
        lungs,
        gain.astype(np.float32),
        offset.astype(np.float32),
        exact,
        truth,
    )


def _read(archive: zipfile.ZipFile, name: str, turned: bool) -> np.ndarray:
    with Image.open(io.BytesIO(archive.read(name))) as stored:
        image = np.asarray(stored.convert("L") if stored.mode not in ("L", "P") else stored)
    return np.ascontiguousarray(image.T) if turned else image


def _resized(image: np.ndarray) -> np.ndarray:
    """(HEIGHT, WIDTH) uint8."""
    values = resize(image.astype(np.float32), HEIGHT, WIDTH)
    return np.floor(values.clip(0, 255) + 0.5).astype(np.uint8)
