"""The plots of an agreement: Bland–Altman, scatter with identity line, confusion matrix.

B lies along x and A along y, so a point above the line of identity and a difference above 0 both
say that A is higher.
"""

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lungscore.agreement.text import value_text

if TYPE_CHECKING:
    from lungscore.agreement.raters import Agreement, MeasureAgreement
    from lungscore.statistics.estimate import Estimate

INK, SOFT, POINT, LIMIT = "#1b1f24", "#5a6472", "#33617f", "#8a1c1c"
DPI = 170

#: Letters of a rater's name that a label has room for.
LONGEST_NAME = 28

#: Classes up to which every cell of a confusion matrix shows its count.
MOST_COUNTED = 6


def agreement_figures(agreement: "Agreement") -> dict[str, bytes]:
    """PNGs by name: one of each measure, and one of each that lobes have, its lobes in a row.

    A measure with fewer than three pairs has none.
    """
    names = tuple(short(name) for name in (agreement.name_a, agreement.name_b))
    figures: dict[str, bytes] = {}
    families: dict[str, list[MeasureAgreement]] = {}
    for agreed in agreement.measures:
        if agreed.n < 3:
            continue
        if agreed.measure.lobe is None:
            figures[agreed.measure.name] = _measure_figure(agreed, *names)
        else:
            families.setdefault(agreed.measure.family, []).append(agreed)
    for family, lobes in families.items():
        figures[f"lobes_{family}"] = _lobes_figure(lobes, *names)
    return figures


def short(name: str) -> str:
    """``name`` as a label has room for it: its beginning and its end."""
    if len(name) <= LONGEST_NAME:
        return name
    return name[: LONGEST_NAME - 9].rstrip() + "…" + name[-8:].lstrip()


def _measure_figure(agreed: "MeasureAgreement", a: str, b: str) -> bytes:
    if agreed.measure.kind == "class":
        figure, (matrix,) = _panels(1, (4.1, 3.5))
        _draw_confusion(matrix, agreed, a, b)
        return _png(figure)
    figure, (left, right) = _panels(2, (8.6, 3.6))
    if agreed.measure.kind == "total":
        _draw_confusion(left, agreed, a, b)
    else:
        _draw_scatter(left, agreed, a, b)
    _draw_bland_altman(right, agreed, a, b)
    _set_room([right], [agreed])
    return _png(figure)


def _lobes_figure(lobes: Sequence["MeasureAgreement"], a: str, b: str) -> bytes:
    number = lobes[0].measure.kind == "number"
    figure, panels = _panels(len(lobes), (2.85 * len(lobes) + 0.2, 2.9 if number else 2.6))
    for axes, agreed in zip(panels, lobes, strict=True):
        if number:
            _draw_bland_altman(axes, agreed, a, b, small=True)
        else:
            _draw_confusion(axes, agreed, a, b)
        axes.set_title(f"{agreed.measure.lobe}, n = {agreed.n}", fontsize=9, color=INK)
        if axes is not panels[0]:
            axes.set_ylabel("")
    if number:
        _set_room(panels, lobes)
    return _png(figure)


def _panels(count: int, size: tuple[float, float]) -> tuple[Any, Sequence[Any]]:
    # matplotlib costs half a second to import: only reports pay it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.08, wspace=0.04)
    figure = Figure(figsize=size, dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, count, squeeze=False)[0]
    for axes in panels:
        axes.tick_params(labelsize=8, colors=SOFT, labelcolor=INK, length=3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(SOFT)
    return figure, list(panels)


def _label(axes: Any, x: str, y: str) -> None:
    """Labels as they are: a rater's name is not a formula."""
    axes.set_xlabel(x, fontsize=9, color=INK, parse_math=False)
    axes.set_ylabel(y, fontsize=9, color=INK, parse_math=False)


def _unit(agreed: "MeasureAgreement") -> str:
    return f" ({agreed.measure.symbol})" if agreed.measure.symbol else ""


def _named(agreed: "MeasureAgreement") -> str:
    return f"{agreed.measure.heading}{_unit(agreed)}"


def _points(axes: Any, x: np.ndarray, y: np.ndarray) -> None:
    """Points, larger where several coincide; the more there are, the smaller and paler."""
    pairs, counts = np.unique(np.stack([x, y], axis=1), axis=0, return_counts=True)
    crowd = min(1.0, 150 / len(x)) ** 0.5
    sizes = 18.0 * crowd * np.minimum(counts, 25)
    alpha = 0.25 + 0.3 * crowd
    axes.scatter(*pairs.T, s=sizes, color=POINT, alpha=alpha, linewidths=0, zorder=3)


def _draw_scatter(axes: Any, agreed: "MeasureAgreement", a: str, b: str) -> None:
    top = 1.04 * max(float(agreed.a.max()), float(agreed.b.max())) or 1.0
    low = min(float(agreed.a.min()), float(agreed.b.min()))
    # Volumes of lungs lie far from 0; percents are seen from 0.
    bottom = max(0.0, low - 0.08 * (top - low)) if low > 0.3 * top else -0.02 * top
    axes.plot([bottom, top], [bottom, top], color=SOFT, linewidth=0.9, zorder=2)
    _points(axes, agreed.b, agreed.a)
    axes.set_xlim(bottom, top)
    axes.set_ylim(bottom, top)
    axes.set_aspect("equal")
    _grid(axes)
    _label(axes, _of(b, _named(agreed)), _of(a, _named(agreed)))
    axes.text(0.03, 0.97, f"n = {agreed.n}\nline: identity", transform=axes.transAxes, va="top",
              fontsize=8, color=SOFT)  # fmt: skip


def _draw_bland_altman(
    axes: Any, agreed: "MeasureAgreement", a: str, b: str, *, small: bool = False
) -> None:
    differences, unit = agreed.bland_altman, _unit(agreed)
    mean, difference = (agreed.a + agreed.b) / 2, agreed.a - agreed.b
    _points(axes, mean, difference)
    axes.axhline(0, color=SOFT, linewidth=0.7, zorder=1)
    lines = [
        (differences.upper, LIMIT, "--", "+1.96 SD", "bottom"),
        (differences.bias, INK, "-", "bias", "center"),
        (differences.lower, LIMIT, "--", "−1.96 SD", "top"),
    ]
    for line, colour, style, name, side in lines if differences.sd else lines[1:2]:
        text = "" if small else f"{name}\n{value_text(line.value, agreed.measure)}"
        _draw_line(axes, line, colour, style, text, side)
    if differences.slope_differs:
        ends = np.array([mean.min(), mean.max()])
        axes.plot(ends, differences.on_slope(ends), ":", color=POINT, linewidth=1.3)
    _grid(axes)
    if small:
        _label(axes, f"mean{unit}", f"{_difference(a, b)}{unit}")
    else:
        _label(axes, f"{agreed.measure.heading}, mean of both{unit}", f"{_difference(a, b)}{unit}")


def _of(rater: str, measure: str) -> str:
    """Whose values an axis shows, on two lines where one would be too long."""
    return f"{rater}: {measure}" if len(rater) + len(measure) <= 36 else f"{rater}\n{measure}"


def _difference(a: str, b: str) -> str:
    """ "reader 1 − reader 2", or letters where the names are long."""
    return f"{a} − {b}" if len(a) + len(b) <= LONGEST_NAME else "A − B"


def _draw_line(axes: Any, line: "Estimate", colour: str, style: str, text: str, side: str) -> None:
    """A horizontal line with its interval as a band, and ``text`` at the right end."""
    if line.value is None:
        return
    if line.low is not None and line.high is not None:
        axes.axhspan(line.low, line.high, color=colour, alpha=0.10, linewidth=0, zorder=0)
    axes.axhline(line.value, color=colour, linewidth=1.1, linestyle=style, zorder=4)
    if text:
        axes.annotate(
            text,
            (1.0, line.value),
            (5, 0),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            va=side,
            fontsize=8,
            color=colour,
            annotation_clip=False,
        )


def _set_room(panels: Sequence[Any], shown: Sequence["MeasureAgreement"]) -> None:
    """One y axis for all, with room for points and limits; few cases' wide bands may leave it."""
    ends = [
        end
        for agreed in shown
        for end in (
            *(agreed.a - agreed.b),
            agreed.bland_altman.lower.value,
            agreed.bland_altman.upper.value,
        )
        if end is not None
    ]
    least, most = float(min(ends)), float(max(ends))
    margin = 0.18 * (most - least) or 0.5 * max(1.0, abs(most))
    for axes in panels:
        axes.set_ylim(least - margin, most + margin)


def _draw_confusion(axes: Any, agreed: "MeasureAgreement", a: str, b: str) -> None:
    table = agreed.confusion
    highest, counted = len(table) - 1, len(table) <= MOST_COUNTED
    shown = np.where(table > 0, table, np.nan).astype(float)
    axes.plot([-0.5, highest + 0.5], [-0.5, highest + 0.5], color=SOFT, linewidth=0.7, zorder=2)
    image = axes.imshow(
        shown, origin="lower", cmap=_blues(), vmin=0, vmax=max(1, table.max()), zorder=1 + counted
    )
    if counted:
        ticks = range(highest + 1)
        names = agreed.measure.classes or tuple(str(tick) for tick in ticks)
        axes.set_xticks(ticks, names)
        axes.set_yticks(ticks, names)
        for edge in np.arange(highest) + 0.5:
            axes.axhline(edge, color="#e3e8ed", linewidth=0.6, zorder=0)
            axes.axvline(edge, color="#e3e8ed", linewidth=0.6, zorder=0)
        for (row, column), count in np.ndenumerate(table):
            if count:
                colour = "white" if count > 0.55 * table.max() else INK
                axes.text(column, row, str(count), ha="center", va="center", fontsize=9,
                          color=colour, zorder=3)  # fmt: skip
    else:
        _grid(axes)
        axes.xaxis.set_major_locator(_whole_numbers(9))
        axes.yaxis.set_major_locator(_whole_numbers(9))
        bar = axes.figure.colorbar(image, ax=axes, shrink=0.75, aspect=22, pad=0.03)
        bar.set_label("cases", fontsize=8, color=SOFT)
        bar.locator = _whole_numbers(5)
        bar.update_ticks()
        bar.ax.tick_params(labelsize=8, colors=SOFT)
        bar.outline.set_visible(False)
    axes.set_xlim(-0.5, highest + 0.5)
    axes.set_ylim(-0.5, highest + 0.5)
    if agreed.measure.lobe is None:
        _label(axes, _of(b, _named(agreed)), _of(a, _named(agreed)))
    else:
        _label(axes, b, a)


def _blues() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("cases", ["#e9f0f5", "#8fb3c9", "#33617f", "#16364a"])


def _whole_numbers(most: int) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=most, integer=True)


def _grid(axes: Any) -> None:
    axes.grid(color="#e3e8ed", linewidth=0.6)
    axes.set_axisbelow(True)


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name may have letters that the font lacks
        # No software or date field: equal results give equal files.
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
