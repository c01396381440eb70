"""Contact sheets for judging lung masks blind: the levels of levels.json, methods under letters.

    python experiments/lungs/sheets.py DATA --masks MASKS --methods before folds shipped \\
        -o SHEETS --key KEY.json

Writes SHEETS/NAME-LETTER.png, for each scan with the methods shuffled under letters, and KEY.json:
which letter is which method. Right lung orange, left lung blue.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from cohort import SCANS
from PIL import Image, ImageDraw
from scipy import ndimage

from lungscore.anatomy.grid import assumed_spacing_mm
from lungscore.anatomy.lung_view import to_hounsfield
from lungscore.files import atomic_write
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG
from lungscore.scan import Scan, read_scan

LEVELS = Path(__file__).with_name("levels.json")
WINDOW_HU = (-1100.0, 250.0)
COLOURS = {RIGHT_LUNG: (255, 140, 0), LEFT_LUNG: (60, 150, 255)}
TILE, COLUMNS, GAP = 380, 4, 4
LETTERS = "ABCDEFG"


def tile(plane: np.ndarray, labels: np.ndarray, size: tuple[int, int], text: str) -> Image.Image:
    """One slice in HU with the contours of its labels, (width, height) ``size``."""
    low, high = WINDOW_HU
    grey = np.clip((plane - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
    image = Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR).convert("RGB")
    drawn = np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))
    pixels = np.array(image)
    for side, colour in COLOURS.items():
        mask = drawn == side
        pixels[mask & ~ndimage.binary_erosion(mask, border_value=1)] = colour
    image = Image.fromarray(pixels)
    ImageDraw.Draw(image).text((4, 2), text, fill=(255, 255, 0))
    return image


def sheet(
    scan: Scan,
    labels: np.ndarray,
    axial: list[int],
    coronal: list[float],
    *,
    width: int = TILE,
    above_mm: float = 60.0,
) -> Image.Image:
    """All levels of one scan, axial ones first, each ``width`` pixels wide.

    Coronal planes are shown around the axial levels, with six centimetres below and ``above_mm``.
    """
    dz, dy, dx = scan.spacing_mm or assumed_spacing_mm(scan.shape)
    depth, rows, columns = scan.shape
    tiles = []
    for z in axial:
        hounsfield = to_hounsfield(scan.values[z], scan)
        tiles.append(
            tile(
                hounsfield,
                labels[z],
                (width, round(width * rows * dy / (columns * dx))),
                f"slice {z}",
            )
        )
    if depth > 2:
        first = max(0, axial[0] - round(above_mm / dz))
        last = min(depth, axial[-1] + round(60 / dz) + 1)
        for part in coronal:
            row = round(part * (rows - 1))
            hounsfield = to_hounsfield(scan.values[first:last, row], scan)
            height = round(width * (last - first) * dz / (columns * dx))
            tiles.append(tile(hounsfield, labels[first:last, row], (width, height), f"row {row}"))
    lines = [tiles[start : start + COLUMNS] for start in range(0, len(tiles), COLUMNS)]
    heights = [max(image.height for image in line) + GAP for line in lines]
    out = Image.new("RGB", (COLUMNS * (width + GAP), sum(heights)))
    top = 0
    for line, height in zip(lines, heights, strict=True):
        for column, image in enumerate(line):
            out.paste(image, (column * (width + GAP), top))
        top += height
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", required=True)
    parser.add_argument("--scans", nargs="*", default=list(SCANS))
    parser.add_argument(
        "--seed", type=int, default=None, help="of the shuffle (default: by chance)"
    )
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    levels = json.loads(LEVELS.read_text())
    random = np.random.default_rng(arguments.seed)
    key: dict[str, dict[str, str]] = {}
    for name in arguments.scans:
        scan = read_scan(arguments.data / SCANS[name][1])
        order = random.permutation(len(arguments.methods))
        for letter, index in zip(LETTERS, order, strict=False):
            method = arguments.methods[index]
            path = arguments.masks / f"{name}.{method}.npz"
            labels = np.zeros(scan.shape, np.uint8)
            if path.exists():
                with np.load(path) as file:
                    labels = file["labels"]
            key.setdefault(name, {})[letter] = method
            picture = sheet(scan, labels, levels["axial_slices"][name], levels["coronal_planes"])
            picture.save(arguments.out / f"{name}-{letter}.png")
        print(name, flush=True)
    atomic_write(arguments.key, json.dumps(key, indent=1) + "\n")


if __name__ == "__main__":
    main()
