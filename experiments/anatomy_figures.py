"""Draw the pictures of docs/anatomy.md: lungs on real scans and on a phantom.

    python experiments/anatomy_figures.py DATA -o docs/figures/lungs.png

DATA holds covid-ct-md/normal002, lung-pet-ct-dx and ictcf-volume-jpg.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from lungscore.anatomy import Lungs, find_lungs
from lungscore.anatomy.grid import assumed_spacing_mm
from lungscore.files import atomic_path
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG
from lungscore.scan import Scan, read_scan
from lungscore.scan.phantom import make_phantom

#: Right lung vermilion, left lung blue: told apart by colour-blind readers too.
COLOURS = {RIGHT_LUNG: (213, 94, 0), LEFT_LUNG: (0, 114, 178)}
#: Lung found by its place is drawn fuller.
SHADE, SHADE_BY_PLACE = 0.25, 0.5
#: Where the axial slices lie, from the top of the lungs to their base; the coronal plane, from the
#: lungs' front to their back.
HEIGHTS, DEPTH = (0.12, 0.32, 0.45, 0.58, 0.74, 0.9), 0.64
TILE, MARGIN_MM, LINE, LOWER_HU, UPPER_HU = 190, 12.0, 22, -1200, 300
#: Greys and colours of the file: few, so that it stays small.
PALETTE = 64


def draw_lungs(scans: dict[str, Scan], path: Path) -> None:
    """One row a scan: axial slices from above, then a coronal plane, in the lungs' own box."""
    width = TILE * (len(HEIGHTS) + 1)
    rows = [draw_row(scan, find_lungs(scan)) for scan in scans.values()]
    page = Image.new("RGB", (width, sum(row.height + LINE for row in rows)), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    top = 0
    for name, row in zip(scans, rows, strict=True):
        pen.text((3, top + 2), name, fill="black", font=font)
        page.paste(row, (0, top + LINE))
        top += row.height + LINE
    with atomic_path(path) as temporary:
        page.quantize(PALETTE, dither=Image.Dither.NONE).save(temporary, "PNG", optimize=True)


def draw_row(scan: Scan, lungs: Lungs) -> Image.Image:
    z_mm, y_mm, x_mm = scan.spacing_mm or assumed_spacing_mm(scan.shape)
    there = [np.flatnonzero(np.any(lungs.labels, axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    planes = [
        np.s_[int(np.quantile(there[0], height)), *around(there[1:], (y_mm, x_mm))]
        for height in HEIGHTS
    ]
    tiles = [draw(scan, lungs, plane, (y_mm, x_mm)) for plane in planes]
    z, x = around([there[0], there[2]], (z_mm, x_mm))
    tiles.append(draw(scan, lungs, np.s_[z, int(np.quantile(there[1], DEPTH)), x], (z_mm, x_mm)))
    row = Image.new("RGB", (TILE * len(tiles), max(tile.height for tile in tiles)), "white")
    for column, tile in enumerate(tiles):
        row.paste(tile, (column * TILE, 0))
    return row


def around(places: list[np.ndarray], spacing_mm: tuple[float, float]) -> list[slice]:
    """The part of each axis that the lungs take, with a margin."""
    margins = [round(MARGIN_MM / size) for size in spacing_mm]
    return [
        slice(max(int(p[0]) - m, 0), int(p[-1]) + m + 1)
        for p, m in zip(places, margins, strict=True)
    ]


def draw(scan: Scan, lungs: Lungs, plane: tuple, spacing_mm: tuple[float, float]) -> Image.Image:
    """One plane in grey with the lungs' colours and outlines, TILE pixels wide."""
    lower, upper = (LOWER_HU, UPPER_HU) if scan.units == "hu" else (0, 255)
    grey = np.clip((scan.values[plane].astype(np.float32) - lower) / (upper - lower), 0, 1)
    height = round(TILE * grey.shape[0] * spacing_mm[0] / (grey.shape[1] * spacing_mm[1]))
    size = (TILE - 2, height)
    grey = np.asarray(Image.fromarray(np.uint8(255 * grey)).resize(size, Image.Resampling.BILINEAR))
    labels = resized(lungs.labels[plane], size)
    aerated = labels if lungs.aerated is None else resized(lungs.aerated[plane], size)
    rgb = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    for side, colour in COLOURS.items():
        lung = labels == side
        for area, shade in ((lung, SHADE), (lung & (aerated == 0), SHADE_BY_PLACE)):
            rgb[area] = (1 - shade) * rgb[area] + shade * np.array(colour)
        rgb[lung & ~ndimage.binary_erosion(lung)] = colour
    return Image.fromarray(np.uint8(rgb))


def resized(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    load: dict[str, Callable[[], Scan]] = {
        "COVID-CT-MD, normal002: 2 mm": lambda: read_scan(arguments.data / "covid-ct-md/normal002"),
        "Lung-PET-CT-Dx: 8 mm": lambda: read_scan(arguments.data / "lung-pet-ct-dx"),
        "iCTCF: windowed JPEG slices": lambda: read_scan(arguments.data / "ictcf-volume-jpg"),
        "phantom, a third of the right lower lobe consolidated": lambda: make_phantom("dense").scan,
    }
    draw_lungs({name: read() for name, read in load.items()}, arguments.out)


if __name__ == "__main__":
    main()
