"""Draw the 20 regions over a real scan in three planes: docs/figures/regions.png.

    python experiments/regions_figure.py DATA

DATA holds covid-ct-md/normal002, a healthy person of COVID-CT-MD (Afshar et al. 2021). Lungs and
lobes are our own.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from PIL import Image
from scipy import ndimage

from lungscore.anatomy import divide_regions, find_lobes, find_lungs
from lungscore.files import atomic_path
from lungscore.inference.lung_finder import LungFinder
from lungscore.labels import REGIONS
from lungscore.scan import Scan, read_scan

OUT = Path(__file__).parent.parent / "docs" / "figures" / "regions.png"
WINDOW = (-1350.0, 150.0)
OPACITY = 0.45
#: Planes shown, as a fraction of the lungs' extent from above, the front or the right; for the
#: sagittal ones, of the one lung's width.
AXIAL, CORONAL, RIGHT, LEFT = (0.35, 0.6), 0.5, 0.5, 0.5

#: Segment numbers as surgeons and radiologists use them, the same on both sides.
SEGMENT_NUMBERS = {
    "apical": 1,
    "posterior": 2,
    "anterior": 3,
    "lateral": 4,
    "medial": 5,
    "superior lingular": 4,
    "inferior lingular": 5,
    "superior": 6,
    "medial basal": 7,
    "anterior basal": 8,
    "lateral basal": 9,
    "posterior basal": 10,
}
COLOURS = (
    "#3f7fff", "#ff9d3b", "#ffe04a", "#3fc45f", "#ff5050",
    "#a866ff", "#ff8fd0", "#35d0d6", "#b5e04a", "#b07040",
)  # fmt: skip


def number_of(region: int) -> int:
    """The segment number, 1–10, of a region, 1–20."""
    return SEGMENT_NUMBERS[REGIONS[region - 1][0].partition(" ")[2]]


def draw(axes: Axes, plane: np.ndarray, regions: np.ndarray, aspect: float, title: str) -> None:
    """A plane in the lung window, its regions in colour with thin borders and their numbers."""
    low, high = WINDOW
    grey = np.clip((plane.astype(float) - low) / (high - low), 0, 1)
    picture = np.repeat(grey[..., None], 3, axis=2)
    for region in np.unique(regions[regions > 0]):
        mask = regions == region
        colour = np.array(to_rgb(COLOURS[number_of(region) - 1]))
        picture[mask] = (1 - OPACITY) * picture[mask] + OPACITY * colour
        picture[mask & ~ndimage.binary_erosion(mask)] = 0.6 * colour
    axes.imshow(picture, aspect=aspect, interpolation="antialiased")
    for region in np.unique(regions[regions > 0]):
        mask = np.pad(regions == region, 1)  # the picture's edge is a border too
        depth = ndimage.distance_transform_edt(mask, sampling=(aspect, 1))
        if depth.max() < 9:
            continue
        row, column = np.unravel_index(depth.argmax(), depth.shape)
        axes.text(
            column - 1,
            row - 1,
            f"{number_of(region)}",
            ha="center",
            va="center",
            size=11,
            color="white",
            path_effects=[withStroke(linewidth=2.5, foreground="black")],
        )
    axes.set_anchor("N")
    axes.set_title(title, size=11, loc="left")
    axes.axis("off")


def picture(scan: Scan, regions: np.ndarray) -> Figure:
    z_mm, y_mm, x_mm = scan.spacing_mm or (1.0, 1.0, 1.0)
    right = (regions > 0) & (regions <= 10)
    (up, down), (front, back), (first, last) = extents(regions > 0)
    inner = extents(right)[2][1], extents(regions > 10)[2][0]
    values = scan.values[up - 6 : down + 6, front - 15 : back + 15, first - 15 : last + 15]
    regions = regions[up - 6 : down + 6, front - 15 : back + 15, first - 15 : last + 15]
    figure = Figure(figsize=(11, 7.2), dpi=95, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 3).ravel()
    for axes, fraction, name in zip(panels, AXIAL, ("upper", "lower"), strict=False):
        index = 6 + round(fraction * (down - up))
        title = f"axial, {name} level"
        draw(axes, values[index], regions[index], y_mm / x_mm, title)
    index = 15 + round(CORONAL * (back - front))
    draw(panels[2], values[:, index], regions[:, index], z_mm / x_mm, "coronal")
    for axes, column, title in (
        (panels[3], first + RIGHT * (inner[0] - first), "sagittal, right lung"),
        (panels[4], inner[1] + LEFT * (last - inner[1]), "sagittal, left lung"),
    ):
        index = 15 + round(column) - first
        draw(axes, values[:, :, index], regions[:, :, index], z_mm / y_mm, title)
    legend(panels[5])
    return figure


def legend(axes: Axes) -> None:
    """Both lungs' regions by segment number."""
    names: dict[int, list[str]] = {}
    for index in range(1, 21):
        lobe, _, name = REGIONS[index - 1][0].partition(" ")
        names.setdefault(number_of(index), []).append(f"{lobe} {name}")
    patches = [
        Patch(color=COLOURS[number - 1], label=f"{number}  " + ", ".join(names[number]))
        for number in sorted(names)
    ]
    axes.axis("off")
    axes.legend(handles=patches, loc="center left", frameon=False, fontsize=10, handlelength=1.2,
                borderaxespad=0, labelspacing=0.7)  # fmt: skip


def extents(mask: np.ndarray) -> list[tuple[int, int]]:
    """First and one past the last plane of ``mask`` along each axis."""
    (box,) = ndimage.find_objects(mask.view(np.uint8))
    return [(extent.start, extent.stop) for extent in box]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    scan = read_scan(parser.parse_args().data / "covid-ct-md" / "normal002")
    finder = LungFinder()
    lungs = find_lungs(scan, lambda: finder.maps(scan)).labels
    lobes = find_lobes(lungs, scan.spacing_mm, hounsfield=scan.values)
    figure = picture(scan, divide_regions(lobes, scan.spacing_mm))
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    with atomic_path(OUT) as path, Image.open(drawn) as image:
        image.convert("RGB").save(path, format="png", optimize=True)


if __name__ == "__main__":
    main()
