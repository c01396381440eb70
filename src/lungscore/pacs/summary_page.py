"""The numbers of a result on one page of paper, for viewers that show pictures and PDF only."""

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from lungscore.labels import LOBE_NAMES, LOBE_ORDER
from lungscore.pacs.structured_report import grade_of
from lungscore.report.pictures import COLOURS
from lungscore.report.text import NOT_COMPUTED, number_text
from lungscore.result.numbers import NUMBERS, Number, lobe_number, value_at
from lungscore.version import RESEARCH_USE, __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: A4 upright, inches; pixels per inch of the picture.
PAPER, RESOLUTION = (8.27, 11.69), 130

_LEFT, _RIGHT = 0.08, 0.92
_HEADLINE = ("category", "infection_percent", "ct_ss", "volume_ml")
_NUMBERS = (
    *("ggo_percent", "consolidation_percent", "infection_ml", "right_percent", "left_percent"),
    *("po", "pho", "ctsi", "tss", "lss", "lhos", "zones", "mosmed"),
)
_OF_LOBE = ("volume_ml", "infection_percent", "ggo_percent", "consolidation_percent", "tss", "ctsi")
_MOST_WARNINGS, _LINE = 8, 112


def page_as_pdf(result: Mapping[str, Any], pictures: Sequence[Image.Image]) -> bytes:
    """The page as a PDF of one sheet; equal results give equal bytes."""
    buffer = BytesIO()
    metadata = {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": "lungscore"}
    _page(result, pictures).savefig(buffer, format="pdf", metadata=metadata)
    return buffer.getvalue()


def page_as_picture(result: Mapping[str, Any], pictures: Sequence[Image.Image]) -> np.ndarray:
    """The page as (rows, columns, 3) uint8."""
    buffer = BytesIO()
    _page(result, pictures).savefig(buffer, format="png", dpi=RESOLUTION)
    return np.asarray(Image.open(buffer).convert("RGB"))


def _page(result: Mapping[str, Any], pictures: Sequence[Image.Image]) -> "Figure":
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"font.family": "DejaVu Sans", "pdf.fonttype": 42}):
        figure = Figure(figsize=PAPER, facecolor="white")
        _heading(figure, result)
        y = _columns(figure, _rows(result), 0.765)
        y = _lobes(figure, result, y - 0.025)
        y = _pictures(figure, pictures, y - 0.02)
        _warnings(figure, result, y - 0.02)
        figure.text(
            0.5,
            0.025,
            f"{RESEARCH_USE} lungscore {__version__}",
            ha="center",
            fontsize=8,
            color="#444444",
        )
        return figure


def _heading(figure: "Figure", result: Mapping[str, Any]) -> None:
    figure.text(_LEFT, 0.95, "Chest CT: lung opacity", fontsize=18, weight="bold")
    grade = grade_of(result)
    said = f"case {result['case']}" + (f" · reliability grade {grade}" if grade else "")
    figure.text(_LEFT, 0.93, said, fontsize=10, color="#444444")
    figure.text(_RIGHT, 0.952, RESEARCH_USE, fontsize=9, ha="right", color="#a02020")
    for index, name in enumerate(_HEADLINE):
        x = _LEFT + index * (_RIGHT - _LEFT) / len(_HEADLINE)
        number = NUMBERS[name]
        value = number.value(result)
        shown = "withheld" if value is None and name == "category" else number_text(number, value)
        size = 17 if len(shown) < 14 else 12
        figure.text(x, 0.868, shown, fontsize=size, weight="bold")
        figure.text(x, 0.85, number.heading, fontsize=9, color="#444444")
        figure.text(x, 0.835, _between(result, number), fontsize=8, color="#444444")
    category = NUMBERS["category"]
    basis = str(value_at(result, category.because or "") or "")
    basis = basis[:1].upper() + basis[1:]
    figure.text(_LEFT, 0.9, "\n".join(wrap(basis, 105)[:2]), fontsize=9, va="center")
    if result.get("ranges") is not None:
        text = "In brackets: the range under other reasonable thresholds and views of the network"
        figure.text(_LEFT, 0.81, f"{text}, not a confidence interval.", fontsize=8, color="#444444")


def _between(result: Mapping[str, Any], number: Number) -> str:
    """ "(9.8–15.1)", empty without a range."""
    span = value_at(result.get("ranges"), ".".join(number.range_keys))
    if span is None or span[0] == span[1]:
        return ""
    if number.unit in ("percent", "ml"):
        low, high = (number_text(number, bound).rsplit(" ", 1)[0] for bound in span)
        return "" if low == high else f"({low}–{high})"
    between = " to " if number.unit == "class" else "–"
    return f"({span[0]}{between}{span[1]})"


def _rows(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in _NUMBERS:
        number = NUMBERS[name]
        shown = number_text(number, number.value(result))
        yield number.heading, f"{shown} {_between(result, number)}".strip()


def _columns(figure: "Figure", rows: Iterator[tuple[str, str]], top: float) -> float:
    """Two columns of names and values; gives where they end."""
    entries = list(rows)
    half = -(-len(entries) // 2)
    step, width = 0.0185, (_RIGHT - _LEFT) / 2
    for index, (name, value) in enumerate(entries):
        x, y = _LEFT + index // half * width, top - index % half * step
        figure.text(x, y, name, fontsize=9, color="#444444")
        figure.text(x + 0.19, y, value, fontsize=9)
    return top - half * step


def _lobes(figure: "Figure", result: Mapping[str, Any], top: float) -> float:
    numbers = {lobe: [lobe_number(lobe, name) for name in _OF_LOBE] for lobe in LOBE_ORDER}
    if all(number.value(result) is None for row in numbers.values() for number in row):
        figure.text(_LEFT, top, f"Lobes: {NOT_COMPUTED}", fontsize=9)
        return top - 0.0185
    columns = [_LEFT + 0.24 + index * 0.108 for index in range(len(_OF_LOBE))]
    for x, name in zip(columns, _OF_LOBE, strict=True):
        title = {"volume_ml": "volume", "consolidation_percent": "consol."}.get(name)
        title = title or {"ggo_percent": "GGO"}.get(name) or NUMBERS[name].title
        figure.text(x, top, title, fontsize=8, ha="right", color="#444444")
    for index, (lobe, row) in enumerate(numbers.items(), start=1):
        y = top - index * 0.0185
        figure.text(_LEFT, y, LOBE_NAMES[lobe].capitalize(), fontsize=9)
        for x, number in zip(columns, row, strict=True):
            value = number.value(result)
            shown = "–" if value is None else _cell(number, value)
            figure.text(x, y, shown, fontsize=9, ha="right")
    return top - (len(numbers) + 1) * 0.0185


def _cell(number: Number, value: Any) -> str:
    return str(value) if number.unit == "points" else number_text(number, value)


def _pictures(figure: "Figure", pictures: Sequence[Image.Image], top: float) -> float:
    """Up to four pictures in a row; gives where they end."""
    shown = pictures[:4]
    if not shown:
        return top
    width = (_RIGHT - _LEFT) / 4 - 0.008
    ratios = [picture.size[1] / picture.size[0] for picture in shown]
    height = max(ratios) * width * PAPER[0] / PAPER[1]
    for index, picture in enumerate(shown):
        x = _LEFT + index * (_RIGHT - _LEFT) / 4
        axes = figure.add_axes((x, top - height, width, height))
        axes.imshow(np.asarray(picture))
        axes.set_anchor("N")
        axes.set_axis_off()
    top -= height + 0.016
    for index, (key, text) in enumerate(_LEGEND.items()):
        x = _LEFT + index * 0.2
        figure.text(x, top, "■", fontsize=9, color=COLOURS[key])
        figure.text(x + 0.018, top, text, fontsize=8)
    return top


#: What the contours are.
_LEGEND = {
    "lungs": "lungs",
    "ggo": NUMBERS["ggo_percent"].title,
    "consolidation": NUMBERS["consolidation_percent"].title,
}


def _warnings(figure: "Figure", result: Mapping[str, Any], top: float) -> None:
    warnings = result["warnings"]
    lines = []
    for warning in warnings[:_MOST_WARNINGS]:
        lines += wrap(f"{warning['code']}: {warning['message']}", _LINE)
    room = int((top - 0.05) / 0.0135)
    if len(lines) > room or len(warnings) > _MOST_WARNINGS:
        lines = [*lines[: room - 1], "Further warnings are in the structured report."]
    for index, line in enumerate(lines):
        figure.text(_LEFT, top - index * 0.0135, line, fontsize=7.5)
