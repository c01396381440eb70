"""Drawings of the report as SVG: the lobes coloured by percent, and opacity slice by slice."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from markupsafe import Markup

from lungscore.labels import LOBE_NAMES
from lungscore.report.pictures import COLOURS
from lungscore.report.text import percent_text
from lungscore.severity import Severity

#: Fill and text from pale to dark, ever less light, so that they hold in grey; from 1, 5, 25, 50
#: and 75 % (the edges of CTSI).
SHADES = (
    (0.0, "< 1 %", "#f7f9fb", "#1b1f24"),
    (1.0, "1–5 %", "#dbe7f0", "#1b1f24"),
    (5.0, "5–25 %", "#a9c6dc", "#1b1f24"),
    (25.0, "25–50 %", "#6f9ec2", "#101418"),
    (50.0, "50–75 %", "#2f6690", "#ffffff"),
    (75.0, "> 75 %", "#102f4a", "#ffffff"),
)
UNKNOWN = ("#ffffff", "#1b1f24")

#: Outline and place of the text of each lobe, seen from the front: the right lung is on the left.
_LOBES = {
    "RUL": ("M72,6 C90,6 99,32 103,62 L106,97 L15,104 C18,62 38,8 72,6 Z", (66, 68)),
    "RML": ("M106,101 L108,158 C102,166 95,169 88,169 L14,113 L14.6,108 Z", (80, 128)),
    "RLL": (
        "M13.4,117 L86,172.5 C94,173 102,170 108,165 L108,194 C78,180 42,182 8,200 "
        "C5,172 8,144 13.4,117 Z",
        (42, 162),
    ),
    "LUL": (
        "M168,6 C202,8 222,62 226,112 L151,158 C149,150 148,146 143,141 C130,130 130,114 135,98 "
        "L137,62 C141,32 150,6 168,6 Z",
        (178, 82),
    ),
    "LLL": (
        "M226.6,117 C232,144 235,172 232,200 C198,182 162,180 132,194 L132,170 L151,163 Z",
        (194, 160),
    ),
}


def shade(percent: float | None) -> tuple[str, str]:
    """Colour of the area and of text on it."""
    if percent is None:
        return UNKNOWN
    reached = [(fill, ink) for edge, _, fill, ink in SHADES if percent >= edge]
    return reached[-1]


def lobe_map(percents: Mapping[str, float | None], slices: Mapping[str, int | None]) -> Markup:
    """The five lobes, coloured by infected percent; a click leads to the slice of ``slices``."""
    shapes = []
    for lobe, (outline, (x, y)) in _LOBES.items():
        percent = percents[lobe]
        fill, ink = shade(percent)
        said = "–" if percent is None else escape(percent_text(percent))
        z = slices.get(lobe)
        link = "" if z is None else f' data-slice="{z}"'
        shapes.append(
            f'<a href="#all-slices"{link}><title>{LOBE_NAMES[lobe]}: {said}</title>'
            f'<path d="{outline}" fill="{fill}" stroke="#1b1f24" stroke-width="1.2"/>'
            + _text(x, y, lobe, fill=ink, weight=700)
            + _text(x, y + 15, said, fill=ink)
            + "</a>"
        )
    whole = escape(
        ", ".join(f"{LOBE_NAMES[lobe]} {percent_text(value)}" for lobe, value in percents.items())
    )
    return Markup(  # noqa: S704 - of numbers and own names alone
        '<svg class="lobes" viewBox="0 0 240 208" role="group" font-size="12" '
        'font-family="system-ui, DejaVu Sans, sans-serif" '
        f'aria-label="Opacity by lobe: {whole}">'
        + "".join(shapes)
        + _text(8, 14, "R", fill="#4d5763")
        + _text(232, 14, "L", fill="#4d5763")
        + "</svg>"
    )


def _text(
    x: float, y: float, said: str, *, anchor: str = "middle", fill: str = "#3c4650", weight: int = 0
) -> str:
    bold = f' font-weight="{weight}"' if weight else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}"{bold}>{said}</text>'


def _line(x1: float, x2: float, y1: float, y2: float, more: str) -> str:
    return f'<line x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}" {more}/>'


#: Size of the curve, and where its plot begins and ends.
_WIDE, _HIGH, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 170, 40, 632, 8, 138


def opacity_curve(severity: Severity) -> Markup | None:
    """Ground-glass opacity and consolidation, stacked, in percent of each slice's lung.

    None where fewer than two slices hold lung. Consolidation is hatched.
    """
    slices = severity.slices
    occupied = [z for z, plane in enumerate(slices) if plane.infection_percent is not None]
    if len(occupied) < 2:
        return None
    first, last = occupied[0], occupied[-1]
    lower = [slices[z].consolidation_percent or 0.0 for z in range(first, last + 1)]
    upper = [slices[z].infection_percent or 0.0 for z in range(first, last + 1)]
    # At least 10 %: a trace of infection must not look like a flood.
    most = min(100.0, max(10.0, 1.1 * max(upper)))
    marks = "".join(
        _line(_LEFT, _RIGHT, _y(tick, most), _y(tick, most), 'stroke="#dde2e7"')
        + _text(_LEFT - 6, _y(tick, most) + 4, f"{tick:g}", anchor="end")
        for tick in _ticks(most)
    )
    numbers = "".join(
        _text(_x(z, first, last), _BOTTOM + 15, str(z + 1))
        for z in np.unique(np.linspace(first, last, 6).round().astype(int))
    )
    peak = int(np.argmax(upper)) + first
    said = escape(
        "Opacity in percent of the lung in each slice, from superior to inferior; greatest "
        f"{percent_text(max(upper))}, in slice {peak + 1}"
    )
    return Markup(  # noqa: S704 - of numbers and own words alone
        f'<svg id="curve" class="curve" viewBox="0 0 {_WIDE} {_HIGH}" role="img" '
        'font-size="11" font-family="system-ui, DejaVu Sans, sans-serif" '
        f'aria-label="{said}" data-first="{first}" data-last="{last}" data-left="{_LEFT}" '
        f'data-right="{_RIGHT}"><defs><pattern id="hatch" width="6" height="6" '
        'patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" '
        f'fill="{COLOURS["consolidation"]}"/><rect width="2" height="6" fill="#6b3f00"/></pattern>'
        f'</defs>{marks}<path d="{_area(upper, lower, most)}" fill="{COLOURS["ggo"]}"/>'
        f'<path d="{_area(lower, None, most)}" fill="url(#hatch)"/>'
        + _line(0, 0, _TOP, _BOTTOM, 'id="curve-mark" stroke="#8a1c1c" visibility="hidden"')
        + _line(_LEFT, _RIGHT, _BOTTOM, _BOTTOM, 'stroke="#4d5763"')
        + numbers
        + _text((_LEFT + _RIGHT) / 2, _BOTTOM + 30, "slice, superior → inferior")
        + "</svg>"
    )


def _ticks(most: float) -> Sequence[float]:
    step = next(step for step in (2, 5, 10, 20, 25) if most / step <= 5)
    return [float(tick) for tick in range(0, 101, step) if tick <= most]


def _y(percent: float, most: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * percent / most


def _x(z: float, first: int, last: int) -> float:
    return _LEFT + (_RIGHT - _LEFT) * (z - first + 0.5) / (last - first + 1)


def _area(tops: Sequence[float], floors: Sequence[float] | None, most: float) -> str:
    """Steps of one slice each, from ``floors`` (0 where None) up to ``tops``."""
    step = (_RIGHT - _LEFT) / len(tops)
    there, back = [], []
    for index, top in enumerate(tops):
        left, right = _LEFT + index * step, _LEFT + (index + 1) * step
        floor = floors[index] if floors is not None else 0.0
        there.append(f"{left:.1f},{_y(top, most):.1f} {right:.1f},{_y(top, most):.1f}")
        back.append(f"{right:.1f},{_y(floor, most):.1f} {left:.1f},{_y(floor, most):.1f}")
    return f"M{' L'.join(there)} L{' L'.join(reversed(back))} Z"
