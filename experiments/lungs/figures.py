"""Pictures for docs/anatomy.md: lungs before and after, of scans whose terms allow it.

    python experiments/lungs/figures.py DATA --masks MASKS --before before --after shipped \\
        -o docs/figures

Each row is one scan: an axial slice and a coronal plane where the two masks differ most, before and
after. Nothing above the shoulders is shown.
"""

import argparse
from pathlib import Path

import numpy as np
from cohort import SCANS
from PIL import Image
from sheets import tile

from lungscore.anatomy.grid import assumed_spacing_mm
from lungscore.anatomy.lung_view import to_hounsfield
from lungscore.files import atomic_path
from lungscore.scan import Scan, read_scan

#: Scan -> its collection; all CC BY 3.0 or 4.0.
SHOWN = {
    "lidc767": "LIDC-IDRI",
    "fnndsc": "LIDC-IDRI",
    "dxa1b": "Lung-PET-CT-Dx",
    "dxa1l": "Lung-PET-CT-Dx",
    "lungfcp": "Lung-Fused-CT-Pathology",
    "gomez": "ACRIN-FLT-Breast",
    "stecolon": "CMB-CRC",
    "stesarc": "CPTAC",
    "aitest": "ACRIN-FLT-Breast",
    "aitest2": "ACRIN-FLT-Breast",
    "lung-pet-ct-dx": "Lung-PET-CT-Dx",
    "ictcf-volume-jpg": "iCTCF",
}
WIDTH, GAP, TALLEST, ABOVE_MM, COLOURS = 230, 3, 230, 15.0, 96


def row(scan: Scan, before: np.ndarray, after: np.ndarray, name: str) -> Image.Image:
    """One scan: axial before and after, coronal before and after."""
    dz, dy, dx = scan.spacing_mm or assumed_spacing_mm(scan.shape)
    levels = np.flatnonzero(after.any(axis=(1, 2)))
    first = max(0, levels[0] - round(ABOVE_MM / dz))
    values, before, after = scan.values[first:], before[first:], after[first:]
    last = min(len(values), levels[-1] - first + round(4 * ABOVE_MM / dz))
    values, before, after = values[:last], before[:last], after[:last]
    differing = before != after
    z = int(differing.sum(axis=(1, 2)).argmax())
    y = int(differing.sum(axis=(0, 2)).argmax())
    depth, rows, columns = values.shape
    heights = WIDTH * rows * dy / (columns * dx), WIDTH * depth * dz / (columns * dx)
    flat, tall = (min(TALLEST, round(height)) for height in heights)
    tiles = [
        tile(to_hounsfield(values[z], scan), mask[z], (WIDTH, flat), f"{name} {title}")
        for title, mask in (("before", before), ("after", after))
    ]
    tiles += [
        tile(to_hounsfield(values[:, y], scan), mask[:, y], (WIDTH, tall), title)
        for title, mask in (("before", before), ("after", after))
    ]
    out = Image.new("RGB", (4 * (WIDTH + GAP), max(flat, tall) + GAP))
    for column, image in enumerate(tiles):
        out.paste(image, (column * (WIDTH + GAP), 0))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--before", default="before")
    parser.add_argument("--after", default="shipped")
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    images = []
    for name in SHOWN:
        scan = read_scan(arguments.data / SCANS[name][1])
        masks = []
        for method in (arguments.before, arguments.after):
            path = arguments.masks / f"{name}.{method}.npz"
            masks.append(
                np.load(path)["labels"] if path.exists() else np.zeros(scan.shape, np.uint8)
            )
        images.append(row(scan, masks[0], masks[1], name))
        print(name, flush=True)
    half = len(images) // 2
    for number, chosen in enumerate((images[:half], images[half:]), start=1):
        out = Image.new("RGB", (chosen[0].width, sum(image.height for image in chosen)))
        top = 0
        for image in chosen:
            out.paste(image, (0, top))
            top += image.height
        with atomic_path(arguments.out / f"lungs-before-after-{number}.png") as temporary:
            out.quantize(COLOURS).save(temporary, "PNG", optimize=True)


if __name__ == "__main__":
    main()
