"""One's own images and masks for tests: small phantoms as pictures, volumes and DICOM."""

from pathlib import Path

import numpy as np
from PIL import Image

from lungscore.datasets.labelled_manifest import COLUMNS, checksum
from lungscore.files import csv_text
from lungscore.scan.phantom import Phantom
from lungscore.scan.window import window
from lungscore.scan.write import nifti_bytes, write_nifti

#: A slice of the small phantoms that shows disease.
INDEX = 9


def picture(phantom: Phantom, index: int = INDEX) -> np.ndarray:
    """A slice of a phantom as an 8-bit picture in a lung window."""
    grey = 255 * window(phantom.scan.values[index], -1250, 250)
    return grey.round().astype(np.uint8)


def save(path: Path, values: np.ndarray, **options) -> Path:
    """Write a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)
    return path


def save_slice(root: Path, name: str, phantom: Phantom, index: int = INDEX) -> None:
    """images/NAME.png and masks/NAME.png, 0 and 255."""
    save(root / "images" / f"{name}.png", picture(phantom, index))
    marked = phantom.lesions[index] > 0
    save(root / "masks" / f"{name}.png", (255 * marked).astype(np.uint8))


def save_volume(root: Path, name: str, phantom: Phantom) -> None:
    """images/NAME.nii.gz and masks/NAME.nii.gz, 1 GGO and 2 consolidation."""
    write_nifti(phantom.scan, root / "images" / f"{name}.nii.gz")
    save_mask(root / "masks" / f"{name}.nii.gz", phantom.lesions, phantom)


def save_mask(path: Path, labels: np.ndarray, phantom: Phantom) -> Path:
    """A mask in the geometry of a phantom."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(nifti_bytes(labels.astype(np.uint8), phantom.scan.geometry))
    return path


def manifest(path: Path, *rows: dict[str, str]) -> Path:
    """A manifest of ``rows``; what they leave open is that of a plain row of group train."""
    table = []
    for number, row in enumerate(rows):
        image = path.parent / row.get("image", f"images/{number}.png")
        digest = checksum(image) if image.is_file() else f"{number:064x}"
        plain = {
            "case": f"case-{number}",
            "patient": f"patient-{number}",
            "group": "train",
            "image": f"images/{number}.png",
            "mask": f"masks/{number}.png",
            "source": "ours",
            "sha256": digest,
        }
        full = {**plain, **row}
        table.append([full.get(column, "") for column in COLUMNS])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(csv_text(COLUMNS, table), encoding="utf-8")
    return path
