"""Pictures of slices: grey values as a radiologist windows them, contours on a layer of their own.

Pure functions from arrays to PIL images; nothing is written here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lungscore.labels import CONSOLIDATION, GGO
from lungscore.result import Analysis

#: The usual lung window: level and width in Hounsfield units.
LUNG_WINDOW = (-600, 1500)
SLICES_SHOWN = 12
#: Pixels: longest side of a slice among others and of one alone, an overview at most.
TILE_SIZE, SINGLE_SIZE, OVERVIEW_HEIGHT, OVERVIEW_WIDTH = 440, 700, 520, 700

#: Colours of the contours (Okabe and Ito's palette, distinct for colour-blind readers too).
COLOURS = {"lungs": "#d583b5", "lobes": "#f0e442", "ggo": "#56b4e9", "consolidation": "#e69f00"}
_ALPHA = {"lungs": 255, "lobes": 200, "ggo": 255, "consolidation": 255}
_MARGIN_MM = 8.0


@dataclass(frozen=True)
class Picture:
    """One plane.

    image: grey ("L"). contours: palette image of the same size, transparent where nothing is.
    caption: one line. name: for file names. alt: what is seen; the caption where empty.
    """

    image: Image.Image
    contours: Image.Image
    caption: str
    name: str
    alt: str = ""

    def merged(self) -> Image.Image:
        """Image and contours as one RGB image."""
        picture = self.image.convert("RGBA")
        picture.alpha_composite(self.contours.convert("RGBA"))
        return picture.convert("RGB")


@dataclass(frozen=True)
class Plane:
    """What is drawn of one plane, all (rows, columns); pixel_mm of rows and columns."""

    grey: np.ndarray
    lungs: np.ndarray
    lesions: np.ndarray
    lobes: np.ndarray | None
    pixel_mm: tuple[float, float]


def slice_pictures(
    analysis: Analysis, chosen: Sequence[int] | None = None, size: int | None = None
) -> list[Picture]:
    """Up to 12 axial slices over the lungs' height, the one with most infection among them.

    chosen: other slices. size: longest side in pixels.
    """
    lungs = analysis.lungs.labels
    pixel_mm = analysis.scan.spacing_mm[1:] if analysis.scan.spacing_mm else (1.0, 1.0)
    if not lungs.any():
        return []
    _, height, width = lungs.shape
    _, rows, columns = bounds(lungs)
    rows, columns = widened(rows, height, pixel_mm[0]), widened(columns, width, pixel_mm[1])
    letters = ("R", "L") if sides_known(analysis) else ("", "")
    tall_mm, wide_mm = length_mm(rows, pixel_mm[0]), length_mm(columns, pixel_mm[1])
    size = size or (TILE_SIZE if lungs.shape[0] > 1 else SINGLE_SIZE)
    scale = size / max(tall_mm, wide_mm)
    pictures = []
    for z in chosen_slices(analysis) if chosen is None else chosen:
        plane = _plane(analysis, (z, rows, columns), pixel_mm=pixel_mm, with_lobes=False)
        percent = analysis.severity.slices[z].infection_percent
        share = "no lung" if percent is None else f"opacity {percent:.1f} %"
        caption = f"slice {z + 1} of {lungs.shape[0]} · {share}"
        picture = draw(plane, scale, letters, caption=caption, name=f"slice_{z + 1}")
        alt = f"Axial {caption} of its lung, with contours of opacity and lungs"
        pictures.append(replace(picture, alt=alt))
    return pictures


def headline_pictures(analysis: Analysis, overview: Sequence[Picture]) -> list[Picture]:
    """The axial slice with most infection, and the coronal plane of ``overview``.

    None where that is empty: of one slice.
    """
    if not overview:
        return []
    worst, _ = peak_slice(analysis)
    level = "greatest opacity" if analysis.lesions.labels.any() else "largest lung area"
    (axial,) = slice_pictures(analysis, [worst], SINGLE_SIZE)
    return [replace(axial, caption=f"{level}: {axial.caption}"), overview[0]]


def peak_slice(analysis: Analysis) -> tuple[int, float]:
    """The slice with the largest infected percent, and that; without infection most lung, and 0."""
    percents = [plane.infection_percent or 0.0 for plane in analysis.severity.slices]
    if max(percents, default=0.0) > 0:
        return int(np.argmax(percents)), max(percents)
    return int(np.argmax([np.count_nonzero(plane) for plane in analysis.lungs.labels])), 0.0


def chosen_slices(analysis: Analysis) -> list[int]:
    """Evenly spaced slices of the lungs; the nearest makes way for the most infected one."""
    occupied = np.flatnonzero(analysis.lungs.labels.any(axis=(1, 2)))
    # Half a step in from both ends: the very tips of the lungs show nothing.
    steps = (np.arange(SLICES_SHOWN) + 0.5) / SLICES_SHOWN
    chosen = np.unique(occupied[(steps * occupied.size).astype(int)])
    infected = np.array([np.count_nonzero(plane) for plane in analysis.lesions.labels])
    if infected.any():
        chosen[np.abs(chosen - infected.argmax()).argmin()] = infected.argmax()
    return [int(z) for z in np.unique(chosen)]


def overview_pictures(analysis: Analysis) -> list[Picture]:
    """The coronal and the sagittal plane with most infection (else most lung), with lobe borders.

    Empty for one slice. Without a voxel size the height is drawn as the width and said so.
    """
    lungs = analysis.lungs.labels
    if lungs.shape[0] < 2 or not lungs.any():
        return []
    spacing = analysis.scan.spacing_mm
    z_extent, rows, columns = bounds(lungs)
    scaled = spacing is not None
    if spacing is None:
        spacing = ((columns.stop - columns.start) / (z_extent.stop - z_extent.start), 1.0, 1.0)
    lesions = analysis.lesions.labels[:, rows, columns]
    inside, shown = (
        (lesions, "opacity") if lesions.any() else (lungs[:, rows, columns], "lung area")
    )
    y = rows.start + int(np.count_nonzero(inside, axis=(0, 2)).argmax())
    x = columns.start + int(np.count_nonzero(inside, axis=(0, 1)).argmax())
    level = f"level of greatest {shown}" + ("" if scaled else ", height not to scale")
    letters, side = ("", ""), ""
    if sides_known(analysis):
        right, left = np.bincount(lungs[:, :, x].ravel(), minlength=3)[1:]
        letters, side = ("R", "L"), "right lung, " if right >= left else "left lung, "
    z, rows, columns = (
        widened(extent, length, mm)
        for extent, length, mm in zip((z_extent, rows, columns), lungs.shape, spacing, strict=True)
    )
    high, wide = length_mm(z, spacing[0]), length_mm(columns, spacing[2])
    scale = min(OVERVIEW_HEIGHT / high, OVERVIEW_WIDTH / wide)
    cuts = (
        ("coronal", (z, y, columns), (spacing[0], spacing[2]), letters, ""),
        ("sagittal", (z, rows, x), (spacing[0], spacing[1]), ("A", "P"), side),
    )
    pictures = []
    for name, where, pixel_mm, ends, lung in cuts:
        plane = _plane(analysis, where, pixel_mm=pixel_mm, with_lobes=True)
        caption = f"{name}, {lung}{level}"
        alt = f"{name.capitalize()} plane, {lung}{level}, with contours of opacity, lungs and lobes"
        pictures.append(replace(draw(plane, scale, ends, caption=caption, name=name), alt=alt))
    return pictures


def montage(pictures: list[Picture], *, columns: int = 4) -> Image.Image:
    """All pictures, equal in size, with contours and captions in one RGB image."""
    width, height = pictures[0].image.size
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (min(columns, len(pictures)) * width, rows * height))
    for index, picture in enumerate(pictures):
        tile = picture.merged()
        _text(tile, (8, height - 24), picture.caption)
        sheet.paste(tile, (index % columns * width, index // columns * height))
    return sheet


def _plane(
    analysis: Analysis,
    where: tuple[int | slice, int | slice, int | slice],
    *,
    pixel_mm: tuple[float, float],
    with_lobes: bool,
) -> Plane:
    lungs = analysis.lungs.labels[where]
    if analysis.has_ct:
        grey = windowed(analysis.scan.values[where], analysis.scan.units)
    else:
        grey = np.where(lungs > 0, np.uint8(70), np.uint8(0))
    lobes = analysis.lobes[where] if with_lobes and analysis.lobes is not None else None
    return Plane(grey, lungs, analysis.lesions.labels[where], lobes, pixel_mm)


def windowed(values: np.ndarray, units: str) -> np.ndarray:
    """8-bit grey values: Hounsfield units in the lung window, grey levels as they are."""
    if units == "grey":
        return values
    level, width = LUNG_WINDOW
    scaled = (values.astype(np.float32) - (level - width / 2)) * (255 / width)
    return np.clip(scaled, 0, 255).astype(np.uint8)


def draw(
    plane: Plane, pixels_per_mm: float, letters: tuple[str, str], *, caption: str, name: str
) -> Picture:
    """``plane`` at a scale, ``letters`` at its left and right edge."""
    height, width = (
        max(1, round(pixels_per_mm * length * mm))
        for length, mm in zip(plane.grey.shape, plane.pixel_mm, strict=True)
    )
    size = (width, height)
    image = Image.fromarray(plane.grey).resize(size, Image.Resampling.BICUBIC)
    _text(image, (8, height // 2 - 10), letters[0])
    _text(image, (width - 20, height // 2 - 10), letters[1])
    layer = np.zeros((height, width), dtype=np.uint8)
    # Told apart without colour, too: lungs dashed, lobes dotted, consolidation hatched.
    diagonal = np.add.outer(np.arange(height), np.arange(width))
    layer[_edge(_enlarged(plane.lungs > 0, size), 1) & (diagonal % 14 < 9)] = 1
    if plane.lobes is not None:
        layer[_borders(plane.lobes, size) & (diagonal % 7 < 3)] = 2
    for value, label in ((3, GGO), (4, CONSOLIDATION)):
        area = _enlarged(plane.lesions == label, size)
        layer[_edge(area, 2)] = value
        if label == CONSOLIDATION:
            layer[area & (diagonal % 8 == 0)] = value
    contours = Image.fromarray(layer).convert("P")
    contours.putpalette([0, 0, 0, *(v for c in COLOURS.values() for v in bytes.fromhex(c[1:]))])
    contours.info["transparency"] = bytes([0, *_ALPHA.values()])
    return Picture(image, contours, caption, name)


def _enlarged(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask at ``size`` (width, height) with smooth borders; what was there stays visible."""
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR)) >= 128


def _edge(mask: np.ndarray, thickness: int) -> np.ndarray:
    """The inner border of a mask, ``thickness`` pixels wide."""
    inner = mask
    for _ in range(thickness):
        padded = np.pad(inner, 1)
        inner = inner & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def _borders(lobes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Where two different lobes meet."""
    labels = np.asarray(Image.fromarray(lobes).resize(size, Image.Resampling.NEAREST))
    border = np.zeros(labels.shape, dtype=bool)
    down, across = (labels[:-1], labels[1:]), (labels[:, :-1], labels[:, 1:])
    border[:-1] |= (down[0] != down[1]) & (down[0] > 0) & (down[1] > 0)
    border[:, :-1] |= (across[0] != across[1]) & (across[0] > 0) & (across[1] > 0)
    return border


def _text(image: Image.Image, position: tuple[int, int], text: str) -> None:
    """White text on a black rim, readable on any grey."""
    if not text:
        return
    white, black = (255, 0) if image.mode == "L" else ("#ffffff", "#000000")
    font = ImageFont.load_default(size=18)
    ImageDraw.Draw(image).text(
        position, text, fill=white, font=font, stroke_width=2, stroke_fill=black
    )


def sides_known(analysis: Analysis) -> bool:
    return analysis.scan.sides_known and analysis.lungs.sides_known


def length_mm(extent: slice, voxel_mm: float) -> float:
    """How long ``extent`` is."""
    return (extent.stop - extent.start) * voxel_mm


def widened(extent: slice, length: int, voxel_mm: float) -> slice:
    """``extent`` with a margin on both sides, within an axis of ``length`` voxels."""
    margin = round(_MARGIN_MM / voxel_mm)
    return slice(max(0, extent.start - margin), min(length, extent.stop + margin))


def bounds(mask: np.ndarray) -> tuple[slice, slice, slice]:
    """The smallest box around a (D, H, W) mask that is not empty."""
    plane = np.asarray(mask.any(axis=0))
    along = (mask.any(axis=(1, 2)), plane.any(axis=1), plane.any(axis=0))
    z, y, x = (np.flatnonzero(line) for line in along)
    return slice(z[0], z[-1] + 1), slice(y[0], y[-1] + 1), slice(x[0], x[-1] + 1)
