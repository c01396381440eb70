"""cohort.html: one file, no script, nothing loaded from elsewhere."""

import heapq
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined

from lungscore.errors import NOTICES, REJECTIONS
from lungscore.report.page import data_uri
from lungscore.report.pictures import COLOURS
from lungscore.report.text import percent_text
from lungscore.result.numbers import NUMBERS
from lungscore.severity.category import CATEGORIES
from lungscore.version import RESEARCH_USE, __version__

#: By this the page is known as ours.
MARK = '<meta name="generator" content="lungscore cohort">'

#: Cases that the page lists; the table has all.
LISTED = 200
#: Cases named for each code of failure.
NAMED = 10
#: Percent of infection in one bar.
BIN = 5


@dataclass
class Cohort:
    """What the page says of all cases, gathered row by row; it does not grow with their number."""

    analysed: int = 0
    categories: Counter[str] = field(default_factory=Counter)
    bins: Counter[int] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    failed_cases: dict[str, list[str]] = field(default_factory=dict)
    _worst: list[tuple[float, int, Mapping[str, Any]]] = field(default_factory=list)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in one row of the table."""
        if row["status"] == "failed":
            self.failures[row["code"]] += 1
            cases = self.failed_cases.setdefault(row["code"], [])
            if len(cases) < NAMED:
                cases.append(row["case"])
            return
        self.analysed += 1
        self.categories[row["category"] or "withheld"] += 1
        self.warnings.update(code for code in row["warnings"].split(";") if code)
        percent = row["infection_percent"]
        if percent is not None:
            self.bins[min(int(percent // BIN), 100 // BIN - 1)] += 1
        # Of equals the first: later ones count as less.
        item = (-1.0 if percent is None else percent, -self.analysed, row)
        if len(self._worst) < LISTED:
            heapq.heappush(self._worst, item)
        else:
            heapq.heappushpop(self._worst, item)

    @property
    def worst(self) -> list[Mapping[str, Any]]:
        """The rows with most infection, that with most first."""
        return [row for *_, row in sorted(self._worst, key=lambda item: item[:2], reverse=True)]


def render_page(cohort: Cohort) -> str:
    """The page as self-contained HTML; all text is escaped by the template engine."""
    template = files("lungscore.batch").joinpath("cohort.html.j2").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(template).render(
        cohort=cohort,
        mark=MARK,
        failed=sum(cohort.failures.values()),
        categories=[(name, cohort.categories[name]) for name in (*CATEGORIES, "withheld")],
        figure=data_uri(_figure(cohort), "png") if cohort.analysed else None,
        failures=[(code, REJECTIONS[code], n) for code, n in _frequent(cohort.failures)],
        warnings=[(code, NOTICES.get(code, ""), n) for code, n in _frequent(cohort.warnings)],
        percent=percent_text,
        title=lambda name: NUMBERS[name].title,
        link=lambda case: quote(f"{case}/report.html"),
        research_use=RESEARCH_USE,
        version=__version__,
    )


def _frequent(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _figure(cohort: Cohort) -> bytes:
    """A PNG: how many cases have each category, and how much of the lungs is infected."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    names = (*CATEGORIES, "withheld")
    bars = left.bar(names, [cohort.categories[name] for name in names], color=COLOURS["ggo"])
    left.bar_label(bars)
    left.set_ylabel("cases")
    edges = range(0, 100, BIN)
    heights = [cohort.bins[edge // BIN] for edge in edges]
    colour = COLOURS["consolidation"]
    right.bar(edges, heights, width=BIN, align="edge", color=colour, edgecolor="white")
    right.set_xlim(0, 100)
    right.set_xlabel("% of the lungs infected")
    right.set_ylabel("cases")
    for axes in (left, right):
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.margins(y=0.15)
        axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    # No software or date field: equal results give equal files.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
