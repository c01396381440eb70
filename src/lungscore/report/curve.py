"""The infection of each slice as a curve from apex to base."""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lungscore.report.pictures import COLOURS
from lungscore.severity import Severity


def infection_curve(severity: Severity) -> bytes | None:
    """A PNG of GGO and consolidation, stacked, in percent of each slice's lung.

    None where fewer than two slices hold lung.
    """
    slices = severity.slices
    occupied = [i for i, entry in enumerate(slices) if entry.infection_percent is not None]
    if len(occupied) < 2:
        return None
    numbers = np.arange(occupied[0], occupied[-1] + 1)
    ggo = np.array([slices[i].ggo_percent or 0.0 for i in numbers])
    consolidation = np.array([slices[i].consolidation_percent or 0.0 for i in numbers])
    figure = Figure(figsize=(9, 2.6), dpi=120)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.065, 0.19, 0.925, 0.68))
    axes.stackplot(
        numbers + 1,
        consolidation,
        ggo,
        labels=["consolidation", "GGO"],
        colors=[COLOURS["consolidation"], COLOURS["ggo"]],
        step="mid",
        linewidth=0,
    )
    # At least 10 %: a trace of infection must not look like a flood.
    axes.set_ylim(0, min(100.0, max(10.0, 1.1 * float((ggo + consolidation).max()))))
    axes.set_xlim(numbers[0] + 0.5, numbers[-1] + 1.5)
    axes.set_xlabel("slice, superior → inferior")
    axes.set_ylabel("% of the slice's lung")
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles[::-1],
        labels[::-1],
        frameon=False,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=2,
    )
    buffer = io.BytesIO()
    # No software or date field: equal results give equal files.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
