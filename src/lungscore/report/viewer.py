"""Every slice of a scan as compressed pictures, for the viewer in the report.

The pictures are for viewing, not for measuring: 8 bits over 1400 HU, reduced and lossy.
"""

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from lungscore.labels import RIGHT_LUNG
from lungscore.report.pictures import (
    COLOURS,
    LUNG_WINDOW,
    bounds,
    peak_slice,
    sides_known,
    widened,
)
from lungscore.result import Analysis

#: The one grey scale that all windows are taken from, in HU: air to dense soft tissue.
GREY_HU = (-1100, 300)
#: Level and width in HU that the viewer offers by name.
WINDOWS = {"lung": LUNG_WINDOW, "soft tissue": (40, 400)}

#: Longest side of a slice in pixels, and what it may shrink to where slices compress badly.
SIZES = (384, 320, 256, 192)
QUALITIES = (80, 70, 60, 50, 40)
#: Bytes of a page of 300 slices and less; of more in proportion.
PAGE_BYTES, PAGE_SLICES = 8_000_000, 300
#: Of these, what text, style and script take.
TEXT_BYTES = 150_000
#: Slices by which the size of all is estimated.
SAMPLES = 12

#: In a picture of labels a pixel is STEP · (lesion + 3 · part); part 0 is not lung, 1–5 are the
#: lobes (labels.LOBES), 6 and 7 the right and the left lung where there is no lobe. The step leaves
#: room for browsers that disturb what a page reads of a picture.
STEP, RIGHT_PART, LEFT_PART = 10, 6, 7


def slice_stack(analysis: Analysis, *, taken: int = 0) -> dict[str, Any] | None:
    """What the viewer's script reads; None where there is but one slice, or no lung.

    taken: bytes that other pictures take of the page.

    images, labels: base64 of a JPEG and a PNG of each slice, superior first, all of one size.
    mm: size of a pixel (z, y, x). first: the slice that is shown first.
    """
    lungs = analysis.lungs.labels
    depth = lungs.shape[0]
    if depth < 2 or not lungs.any():
        return None
    spacing = analysis.scan.spacing_mm
    _, rows, columns = bounds(lungs)
    z_mm, y_mm, x_mm = spacing or (1.0, 1.0, 1.0)
    rows, columns = widened(rows, lungs.shape[1], y_mm), widened(columns, lungs.shape[2], x_mm)
    box = (rows, columns)
    size, quality = _fitting(analysis, box, taken)
    images = [_jpeg(_grey(analysis, z, box), size, quality) for z in range(depth)]
    labels = [_png(_labels(analysis, z, box), size) for z in range(depth)]
    height, width = rows.stop - rows.start, columns.stop - columns.start
    if spacing is None:  # drawn as high as wide
        z_mm = width / depth
    level, wide = LUNG_WINDOW
    hounsfield = analysis.has_ct and analysis.scan.units == "hu"
    return {
        "images": [base64.b64encode(image).decode() for image in images],
        "labels": [base64.b64encode(image).decode() for image in labels],
        "size": size,
        "mm": [z_mm, y_mm * height / size[1], x_mm * width / size[0]],
        "step": STEP,
        "grey": list(GREY_HU) if hounsfield else [0, 255],
        "window": [level, wide] if hounsfield else [127.5, 255],
        "sides": sides_known(analysis),
        "percents": [
            None if plane.infection_percent is None else round(plane.infection_percent, 1)
            for plane in analysis.severity.slices
        ],
        "positions": None
        if spacing is None or analysis.scan.positions_mm is None
        else [round(float(position), 1) for position in analysis.scan.positions_mm],
        "first": peak_slice(analysis)[0],
        "colours": COLOURS,
    }


def slices_of_parts(analysis: Analysis, labels: np.ndarray | None, count: int) -> list[int | None]:
    """For each label 1…count of (D, H, W) the slice in which most of it is infected.

    Without infection the slice with most of it; None for a label that is nowhere.
    """
    if labels is None:
        return [None] * count
    infected, whole = (np.zeros((labels.shape[0], count + 1), np.int64) for _ in range(2))
    for z, plane in enumerate(labels):
        labelled = plane > 0  # few of all pixels
        values = plane[labelled]
        lesions = analysis.lesions.labels[z][labelled]
        whole[z] = np.bincount(values, minlength=count + 1)[: count + 1]
        infected[z] = np.bincount(values[lesions > 0], minlength=count + 1)[: count + 1]
    chosen = np.where(infected.any(axis=0), infected.argmax(axis=0), whole.argmax(axis=0))
    present = whole.sum(axis=0) > 0
    return [int(chosen[label]) if present[label] else None for label in range(1, count + 1)]


def _fitting(
    analysis: Analysis, box: tuple[slice, slice], taken: int
) -> tuple[tuple[int, int], int]:
    """The largest size and the best quality with which all slices fit the budget."""
    depth = analysis.scan.shape[0]
    samples = np.unique(np.linspace(0, depth - 1, SAMPLES).round().astype(int))
    page = PAGE_BYTES * max(1.0, depth / PAGE_SLICES)
    allowed = (page - taken - TEXT_BYTES) * 3 / 4 / depth  # base64 needs four bytes for three
    for size, quality in _choices(box):
        bytes_taken = [
            len(_jpeg(_grey(analysis, z, box), size, quality))
            + len(_png(_labels(analysis, z, box), size))
            for z in samples
        ]
        # The middle of the lungs is busier than their ends: a tenth of reserve.
        if 1.1 * sum(bytes_taken) / len(bytes_taken) <= allowed:
            break
    return size, quality


def _choices(box: tuple[slice, slice]) -> Iterator[tuple[tuple[int, int], int]]:
    height, width = (extent.stop - extent.start for extent in box)
    for longest in SIZES:
        scale = min(1.0, longest / max(height, width))
        size = max(1, round(scale * width)), max(1, round(scale * height))
        for quality in QUALITIES:
            yield size, quality


def _grey(analysis: Analysis, z: int, box: tuple[slice, slice]) -> np.ndarray:
    """(rows, columns) uint8 over GREY_HU; grey levels as they are; lungs where there is no CT."""
    plane = analysis.scan.values[z][box]
    if not analysis.has_ct:
        return np.where(analysis.lungs.labels[z][box] > 0, np.uint8(70), np.uint8(0))
    if analysis.scan.units == "grey":
        return plane
    low, high = GREY_HU
    scaled = (plane.clip(low, high) - np.float32(low)) * np.float32(255 / (high - low))
    return scaled.round().astype(np.uint8)


def _labels(analysis: Analysis, z: int, box: tuple[slice, slice]) -> np.ndarray:
    lungs, lesions = analysis.lungs.labels[z][box], analysis.lesions.labels[z][box]
    parts = np.where(lungs == RIGHT_LUNG, np.uint8(RIGHT_PART), np.uint8(LEFT_PART))
    if analysis.lobes is not None:
        lobes = analysis.lobes[z][box]
        parts = np.where(lobes > 0, lobes, parts)
    return np.where(lungs > 0, np.uint8(STEP) * (lesions + np.uint8(3) * parts), np.uint8(0))


def _jpeg(plane: np.ndarray, size: tuple[int, int], quality: int) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR)
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _png(plane: np.ndarray, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(plane).resize(size, Image.Resampling.NEAREST)
    image.save(buffer, "PNG", compress_level=3)  # a fifth larger than 6, in 0.6 of the time
    return buffer.getvalue()
