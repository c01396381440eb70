"""The infection of each slice as a curve from apex to base.

Drawn with Pillow: loading matplotlib for one small figure took half a second of every analysis.
"""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lungscore.report.pictures import COLOURS
from lungscore.severity import Severity

#: Pixels of the figure, and where in it the axes lie: left, top, right, bottom.
SIZE, AXES = (1080, 312), (70, 42, 1069, 252)
TEXT, INK, GRID = 16, "#000000", "#dddddd"
#: Steps between ticks: the smallest of these times a power of ten with few ticks enough.
STEPS, MOST_TICKS = (1, 2, 5), 7


def infection_curve(severity: Severity) -> bytes | None:
    """A PNG of GGO and consolidation, stacked, in percent of each slice's lung.

    None where fewer than two slices hold lung.
    """
    slices = severity.slices
    occupied = [i for i, entry in enumerate(slices) if entry.infection_percent is not None]
    if len(occupied) < 2:
        return None
    first, last = occupied[0], occupied[-1]
    ggo = np.array([entry.ggo_percent or 0.0 for entry in slices[first : last + 1]])
    consolidation = np.array(
        [entry.consolidation_percent or 0.0 for entry in slices[first : last + 1]]
    )
    # At least 10 %: a trace of infection must not look like a flood.
    top = min(100.0, max(10.0, 1.1 * float((ggo + consolidation).max())))
    figure = Image.new("RGB", SIZE, "#ffffff")
    draw, font = ImageDraw.Draw(figure), ImageFont.load_default(size=TEXT)
    left, above, right, below = AXES

    def column(index: float) -> int:
        """The pixel at which the bar of the ``index``-th slice begins."""
        return left + round((right - left) * index / len(ggo))

    def row(percent: float) -> int:
        return below - round((below - above) * percent / top)

    for percent in _ticks(0, top):
        draw.line((left, row(percent), right, row(percent)), GRID)
        draw.line((left - 5, row(percent), left, row(percent)), INK)
        draw.text((left - 9, row(percent)), f"{percent:g}", INK, font, anchor="rm")
    for index, (low, high) in enumerate(zip(consolidation, ggo + consolidation, strict=True)):
        bar = column(index), max(column(index), column(index + 1) - 1)  # wide enough to be seen
        for start, stop, name in ((0.0, low, "consolidation"), (low, high, "ggo")):
            if row(stop) < row(start):
                draw.rectangle((bar[0], row(stop), bar[1], row(start) - 1), COLOURS[name])
    for number in _ticks(first + 1, last + 1):
        middle = (column(number - first - 1) + column(number - first)) // 2
        draw.line((middle, below, middle, below + 5), INK)
        draw.text((middle, below + 9), f"{number:g}", INK, font, anchor="mt")
    draw.line((left, above, left, below, right, below), INK)
    draw.text(((left + right) // 2, SIZE[1] - 8), "slice, superior to inferior", INK, font, "ms")
    _legend(draw, font)
    _upright(figure, font, "% of the slice's lung")
    buffer = io.BytesIO()
    figure.quantize(64).save(buffer, "PNG")
    return buffer.getvalue()


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from ``low`` to ``high``, at most MOST_TICKS."""
    power = 10.0 ** np.floor(np.log10(max(high - low, 1) / MOST_TICKS))
    step = next(
        step
        for step in (power * factor * tens for tens in (1, 10) for factor in STEPS)
        if (high - low) / step <= MOST_TICKS
    )
    step = max(step, 1.0)
    return [float(tick) for tick in np.arange(np.ceil(low / step), high / step + 1e-9) * step]


def _legend(draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> None:
    """Both colours with their names, in the upper right corner."""
    end = AXES[2] - 12
    for name, colour in (("consolidation", "consolidation"), ("GGO", "ggo")):
        draw.text((end, 16), name, INK, font, anchor="rm")
        start = end - round(draw.textlength(name, font)) - 46
        draw.rectangle((start, 10, start + 34, 21), COLOURS[colour])
        end = start - 30


def _upright(
    figure: Image.Image, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, text: str
) -> None:
    """``text`` beside the vertical axis, to be read from below."""
    label = Image.new("RGB", (AXES[3] - AXES[1], TEXT + 8), "#ffffff")
    middle = label.width // 2, label.height // 2
    ImageDraw.Draw(label).text(middle, text, INK, font, anchor="mm")
    figure.paste(label.rotate(90, expand=True), (2, AXES[1]))
