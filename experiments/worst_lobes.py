"""Draw the worst lobes of the leave-one-out test beside the manual ones.

    python experiments/worst_lobes.py FOLDER -o docs/figures/worst-lobes.png

FOLDER: as for fit_lobe_atlas.py. The cases are those with the lowest lobes in results/lobes.json
(evaluate_lobes.py), their lobes found as there: from the lungs alone, by an atlas that does not
know them. Planes are those on which most of the lung lies in another lobe than by hand.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from evaluate_lobes import by_lobe
from fit_lobe_atlas import fit_atlas, lungs_of, read_cases
from lungscore.anatomy import find_lobes
from lungscore.anatomy.atlas import LUNG_LOBES
from lungscore.anatomy.boxes import lung_box
from lungscore.files import atomic_path
from lungscore.labels import LOBE_ORDER, LOBES

RESULTS = Path(__file__).parent / "results/lobes.json"
#: How many cases; pixels of a millimetre; of a margin, and of a line of text.
WORST, SCALE, MARGIN, LINE = 3, 1.0, 8, 18
#: Told apart by colour-blind readers too (Okabe and Ito).
COLOURS = {
    "RUL": (230, 159, 0),
    "RML": (0, 158, 115),
    "RLL": (86, 180, 233),
    "LUL": (213, 94, 0),
    "LLL": (0, 114, 178),
}


def worst_cases() -> list[int]:
    """The numbers of the cases with the lowest Dice of any lobe, the lowest first."""
    cases = np.array(json.loads(RESULTS.read_text(encoding="utf-8"))["cases"])
    return [int(index) for index in np.argsort(cases.min(axis=1))[:WORST]]


def draw_case(truth: np.ndarray, ours: np.ndarray, spacing_mm: tuple[float, ...]) -> Image.Image:
    """A sagittal and a coronal plane, ours and by hand."""
    box = lung_box(truth > 0)
    truth, ours = truth[box], ours[box]
    wrong = truth != ours
    tiles = []
    for axis in (2, 1):
        plane = int(wrong.sum(axis=tuple(n for n in range(3) if n != axis)).argmax())
        sizes = spacing_mm[0], spacing_mm[1 if axis == 2 else 2]
        for name, labels in (("ours", ours), ("by hand", truth)):
            view = "sagittal" if axis == 2 else "coronal"
            tiles.append(tile(labels.take(plane, axis=axis), sizes, f"{view}, {name}"))
    width = sum(picture.width + MARGIN for picture in tiles)
    row = Image.new("RGB", (width, max(picture.height for picture in tiles)), "white")
    left = 0
    for picture in tiles:
        row.paste(picture, (left, 0))
        left += picture.width + MARGIN
    return row


def tile(labels: np.ndarray, sizes: tuple[float, float], title: str) -> Image.Image:
    """One plane in the colours of its lobes."""
    rgb = np.full((*labels.shape, 3), 255, np.uint8)
    for name, colour in COLOURS.items():
        rgb[labels == LOBES[name]] = colour
    edge = labels != ndimage.grey_erosion(labels, 3)
    rgb[edge & (labels > 0)] //= 2
    height, width = (round(n * size * SCALE) for n, size in zip(labels.shape, sizes, strict=True))
    picture = Image.new("RGB", (max(width, 110), height + LINE), "white")
    picture.paste(Image.fromarray(rgb).resize((width, height), Image.Resampling.NEAREST), (0, LINE))
    ImageDraw.Draw(picture).text((0, 1), title, fill="black", font=ImageFont.load_default(13))
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    masks, cases = read_cases(arguments.folder)
    rows = []
    for index in worst_cases():
        truth, spacing_mm = masks[index]
        others = [case for number, case in enumerate(cases) if number != index]
        atlas = {side: fit_atlas([case[side] for case in others]) for side in LUNG_LOBES}
        ours = find_lobes(lungs_of(truth), spacing_mm, atlas=atlas)
        scores = zip(LOBE_ORDER, by_lobe(ours, truth), strict=True)
        title = f"case {index}: Dice " + ", ".join(f"{name} {dice:.2f}" for name, dice in scores)
        rows.append((title, draw_case(truth, ours, spacing_mm)))
        print(title, flush=True)
    width = max(row.width for _, row in rows)
    page = Image.new("RGB", (width, sum(row.height + LINE + MARGIN for _, row in rows)), "white")
    pen, top = ImageDraw.Draw(page), 0
    for title, row in rows:
        pen.text((0, top), title, fill="black", font=ImageFont.load_default(14))
        page.paste(row, (0, top + LINE))
        top += row.height + LINE + MARGIN
    with atomic_path(arguments.out) as temporary:
        page.quantize(32, dither=Image.Dither.NONE).save(temporary, "PNG", optimize=True)


if __name__ == "__main__":
    main()
