"""Two small charts of a follow-up: infection by lung height, and by lobe."""

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from lungscore.followup import Case, Comparison, FollowUp
from lungscore.followup.text import lobe_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colours of the two times; apart in grey too.
EARLIER, LATER, SOFT = "#8c8c8c", "#0b4f8a", "#dddddd"
_SIZE, _DPI = (4.6, 2.05), 200


def height_chart(follow_up: FollowUp) -> bytes | None:
    """A PNG of the infected percent of each slice's lung, from apex to base of either scan.

    None where one of them has fewer than two slices with lung.
    """
    curves = [height_curve(case) for case in (follow_up.earlier, follow_up.later)]
    if any(levels.size < 2 for levels, _ in curves):
        return None
    figure, axes = _figure()
    styles: tuple[dict[str, Any], ...] = (
        {"color": EARLIER, "linestyle": (0, (4, 2)), "label": "earlier"},
        {"color": LATER, "label": "later"},
    )
    for (levels, percents), style in zip(curves, styles, strict=True):
        axes.plot(100 * levels, percents, linewidth=1.6, **style)
    highest = max(float(np.nanmax(percents)) for _, percents in curves)
    # At least 10 %: a trace of infection must not look like a flood.
    axes.set_ylim(0, min(100.0, max(10.0, 1.1 * highest)))
    axes.set_xlim(0, 100)
    axes.set_xlabel("lung height, % from apex to base")
    axes.set_ylabel("% of the slice's lung")
    axes.grid(axis="y", color=SOFT, linewidth=0.6)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.97), ncols=2)
    return _png(figure)


def height_curve(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """(level, infected percent) of each slice from the first to the last with lung.

    level: of the slice's middle, 0 apex to 1 base. percent: NaN for a slice between without lung.
    """
    percents = [entry["infection_percent"] for entry in case.result["slices"]]
    occupied = [index for index, percent in enumerate(percents) if percent is not None]
    if not occupied:
        return np.empty(0), np.empty(0)
    within = percents[occupied[0] : occupied[-1] + 1]
    return (np.arange(len(within)) + 0.5) / len(within), np.array(within, dtype=float)


def lobe_chart(comparison: Comparison) -> bytes | None:
    """A PNG with a line a lobe, from its earlier to its later percent; None without lobes.

    Where ranges are known they lie as pale bars behind the points.
    """
    rows = lobe_rows(comparison)
    if not rows:
        return None
    figure, axes = _figure()
    highest = 10.0
    for y, (_, change) in enumerate(rows):
        times = (
            (change.earlier, change.earlier_range, EARLIER, "white", -0.16),
            (change.later, change.later_range, LATER, LATER, 0.16),
        )
        if change.change is not None:
            ends = [float(change.earlier or 0), float(change.later or 0)]
            axes.plot(ends, [y, y], color=LATER, linewidth=1.4, zorder=2)
        for value, extent, colour, fill, aside in times:
            if extent is not None:
                axes.plot(extent, [y + aside] * 2, color=colour, alpha=0.35, linewidth=4, zorder=1)
                highest = max(highest, float(extent[1]))
            if value is not None:
                axes.plot(value, y, "o", color=colour, markerfacecolor=fill, markersize=6, zorder=3)
                highest = max(highest, float(value))
    axes.plot([], [], "o", color=EARLIER, markerfacecolor="white", label="earlier")
    axes.plot([], [], "o", color=LATER, label="later")
    axes.set_yticks(range(len(rows)), [lobe for lobe, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(-0.02 * highest, min(102.0, 1.05 * highest))
    axes.set_xlabel("% of the lobe")
    axes.grid(axis="x", color=SOFT, linewidth=0.6)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.97), ncols=2)
    return _png(figure)


def _figure() -> "tuple[Figure, Axes]":
    # matplotlib costs half a second to import: only reports pay it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, dpi=_DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.11, 0.225, 0.85, 0.65))
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    # No software or date field: equal results give equal files.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
