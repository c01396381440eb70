"""Drawings of a cohort as SVG: categories, a histogram of the extent, extent against CT-SS."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from lungscore.report.pictures import COLOURS
from lungscore.result.numbers import NUMBERS
from lungscore.severity import CT_SS_CUTOFF

_WIDE, _HIGH, _LEFT, _RIGHT, _TOP, _BOTTOM = 420, 250, 44, 410, 26, 208
#: Cases named in the plot: those farthest from what most have at their extent.
NAMED = 5
#: Widths of a bar of the histogram, in percent; the first with which all bars fit.
BAR_WIDTHS, MOST_BARS = (1, 2, 5), 20
#: Percent between two numbers below the plot; the first with which there are few enough.
TICK_STEPS, MOST_TICKS = (1, 2, 5, 10, 20), 6


def case_text(case: str) -> str:
    """A case's name as people read it: its folders parted by slashes."""
    return case.replace("__", " / ")


def case_link(case: str, out: Path) -> str:
    """The address of a case's report, or of its result where there is none, from the folder out."""
    report = (out / case / "report.html").is_file()
    return quote(f"{case}/{'report.html' if report else 'result.json'}")


def category_bars(counts: Sequence[tuple[str, int]]) -> Markup:
    """How many cases have each category."""
    most = max((count for _, count in counts), default=0) or 1
    step = (_RIGHT - _LEFT) / len(counts)
    bars = ""
    for index, (name, count) in enumerate(counts):
        height, left = (_BOTTOM - _TOP) * count / most, _LEFT + index * step
        bars += _bar(left + 0.15 * step, 0.7 * step, height, "#2f6690", f"{name}: {count}")
        bars += _text(left + step / 2, _BOTTOM - height - 5, str(count))
        bars += _text(left + step / 2, _BOTTOM + 16, escape(name))
    said = ", ".join(f"{name} {count}" for name, count in counts)
    return _svg(f"Cases by severity category: {said}", bars)


def histogram(percents: Mapping[int, int]) -> Markup:
    """How many cases have how much opacity; percents: whole percent -> cases."""
    highest = max(percents, default=0) + 1
    width = next((w for w in BAR_WIDTHS if highest / w <= MOST_BARS), BAR_WIDTHS[-1])
    bins = [0] * max(4, -(-highest // width))
    for percent, count in percents.items():
        bins[percent // width] += count
    most, step = max(bins) or 1, (_RIGHT - _LEFT) / len(bins)
    bars = ""
    for index, count in enumerate(bins):
        said = f"{index * width}–{(index + 1) * width} %: {count}"
        height = (_BOTTOM - _TOP) * count / most
        bars += _bar(_LEFT + index * step + 0.5, step - 1, height, COLOURS["consolidation"], said)
    every = max(1, len(bins) // 5)
    for index in range(0, len(bins) + 1, every):
        bars += _text(_LEFT + index * step, _BOTTOM + 16, str(index * width))
    bars += _text((_LEFT + _RIGHT) / 2, _BOTTOM + 34, "opacity, % of the lungs")
    bars += _text(_LEFT - 6, _TOP + 4, str(most), anchor="end") + _text(
        _LEFT - 6, _BOTTOM, "0", anchor="end"
    )
    return _svg("Histogram of the opacity in percent of the lungs", bars)


def scatter(rows: Sequence[Mapping[str, Any]], out: Path) -> Markup | None:
    """Extent against CT-SS, each point a link to its case in ``out``; the outliers are named."""
    points = [
        (row["infection_percent"], row["ct_ss"], row["case"])
        for row in rows
        if row["infection_percent"] is not None and row["ct_ss"] is not None
    ]
    if len(points) < 2:
        return None
    number = NUMBERS["ct_ss"]
    widest = max(5.0, 1.05 * max(percent for percent, _, _ in points))

    def position(percent: float, score: float) -> tuple[float, float]:
        x = _LEFT + (_RIGHT - _LEFT) * percent / widest
        return x, _BOTTOM - (_BOTTOM - _TOP) * score / number.highest

    _, cutoff = position(0, CT_SS_CUTOFF)
    drawn = (
        f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{cutoff:.1f}" y2="{cutoff:.1f}" stroke="#8a1c1c" '
        'stroke-dasharray="5 4"/>'
    )
    named = {case for _, _, case in _outliers(points)}
    for percent, score, case in points:
        x, y = position(percent, score)
        said = escape(f"{case_text(case)}: {percent:.1f} %, {number.title} {score}")
        drawn += (
            f'<a href="{case_link(case, out)}"><title>{said}</title>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{5 if case in named else 3.5}" '
            f'fill="{"#d55e00" if case in named else "#2f6690"}"'
            ' fill-opacity="0.75" stroke="#1b1f24" stroke-width="0.6"/></a>'
        )
        if case in named:
            drawn += _label(x, y, case_text(case))
    for score in range(0, 41, 10):
        drawn += _text(_LEFT - 6, position(0, score)[1] + 4, str(score), anchor="end")
    step = next(s for s in TICK_STEPS if widest / s <= MOST_TICKS)
    for percent in range(0, int(widest) + 1, step):
        drawn += _text(position(percent, 0)[0], _BOTTOM + 16, str(percent))
    drawn += _text((_LEFT + _RIGHT) / 2, _BOTTOM + 34, "opacity, % of the lungs")
    drawn += _text(4, 12, number.title, anchor="start")
    return _svg(f"Opacity in percent against {number.title}", drawn, role="group")


def _outliers(
    points: Sequence[tuple[float, float, str]],
) -> list[tuple[float, float, str]]:
    """The points farthest from the median score of their neighbours in extent."""
    ordered = sorted(points)
    distances = []
    for index, point in enumerate(ordered):
        near = ordered[max(0, index - 5) : index + 6]
        scores = sorted(score for _, score, _ in near)
        distances.append((abs(point[1] - scores[len(scores) // 2]), point))
    distances.sort(key=lambda pair: (-pair[0], pair[1][2]))
    return [point for distance, point in distances[:NAMED] if distance >= 4]


def _label(x: float, y: float, name: str) -> str:
    """``name`` beside the point (x, y), on the side with more room and above the axis.

    Of one that is too long for its side the end is shown, in which names of a cohort differ most.
    """
    left = x > (_LEFT + _RIGHT) / 2
    room = x - 8 if left else _WIDE - x - 8
    shown = name
    while _width(shown) > room:
        shown = f"…{shown.lstrip('…')[1:]}"
    anchor = "end" if left else "start"
    return _text(x + (-8 if left else 8), min(y + 4, _BOTTOM - 3), escape(shown), anchor=anchor)


def _width(text: str) -> float:
    """How wide ``text`` is at most in the widest of the usual fonts, at a size of 12 pixels."""
    return sum(
        12 if letter in "mwMW@%" or ord(letter) > 0x2000 else 9.5 if letter.isupper() else 7.7
        for letter in text
    )


def _bar(x: float, width: float, height: float, colour: str, said: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{_BOTTOM - height:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" fill="{colour}"><title>{escape(said)}</title></rect>'
    )


def _text(x: float, y: float, said: str, *, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#3c4650">{said}</text>'


def _svg(label: str, drawn: str, *, role: str = "img") -> Markup:
    axis = f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{_BOTTOM}" y2="{_BOTTOM}" stroke="#4d5763"/>'
    return Markup(  # noqa: S704 - names are escaped above
        f'<svg viewBox="0 0 {_WIDE} {_HIGH}" role="{role}" aria-label="{escape(label)}" '
        f'font-size="12" font-family="system-ui, DejaVu Sans, sans-serif">{drawn}{axis}</svg>'
    )
