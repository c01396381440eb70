"""cohort.html: one file with one script of its own, nothing loaded from elsewhere."""

import heapq
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from PIL import Image

from lungscore.batch.drawings import case_link, case_text, category_bars, histogram, scatter
from lungscore.errors import NOTICES, REJECTIONS
from lungscore.report.embedding import data_uri, script_hash
from lungscore.report.review_file import verdicts_of
from lungscore.report.text import percent_text
from lungscore.result.numbers import NUMBERS, Number
from lungscore.severity import GRADE_MEANS, GRADES
from lungscore.severity.category import CATEGORIES
from lungscore.version import RESEARCH_USE, __version__

#: By this the page is known as ours.
MARK = '<meta name="generator" content="lungscore cohort">'

#: Cases that the page lists; the table has all.
LISTED = 200
#: Cases named for each code of failure.
NAMED = 10
#: Longest side of a coronal of the mosaic, in pixels.
THUMBNAIL = 150
#: Grades whose cases stand first.
FLAGGED = ("C", "D")


@dataclass
class Cohort:
    """What the page says of all cases, gathered row by row; it does not grow with their number."""

    analysed: int = 0
    categories: Counter[str] = field(default_factory=Counter)
    grades: Counter[str] = field(default_factory=Counter)
    percents: Counter[int] = field(default_factory=Counter)
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
        self.grades[row["reliability"] or "unknown"] += 1
        self.warnings.update(code for code in row["warnings"].split(";") if code)
        percent = row["infection_percent"]
        if percent is not None:
            self.percents[min(int(percent), 99)] += 1
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


def render_page(cohort: Cohort, out: Path) -> str:
    """The page as self-contained HTML; all text is escaped by the template engine.

    out: the folder of the cases, whose coronal pictures are shown.
    """
    own = files("lungscore.batch")
    template, script = (
        own.joinpath(name).read_text("utf-8") for name in ("cohort.html.j2", "cohort.js")
    )
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    categories = [(name, cohort.categories[name]) for name in (*CATEGORIES, "withheld")]
    return environment.from_string(template).render(
        cohort=cohort,
        mark=MARK,
        script=Markup(script),  # noqa: S704 - our own file
        script_hash=script_hash(script) if cohort.analysed else "'none'",
        failed=sum(cohort.failures.values()),
        categories=categories,
        grades=[(grade, GRADE_MEANS[grade], cohort.grades[grade]) for grade in GRADES],
        drawings=[
            (said, drawing)
            for said, drawing in (
                ("Severity", category_bars(categories)),
                ("Extent", histogram(cohort.percents)),
                (f"Extent and {NUMBERS['ct_ss'].title}", scatter(cohort.worst, out)),
            )
            if drawing is not None
        ]
        if cohort.analysed
        else [],
        mosaic=_mosaic(cohort, out),
        failures=[(code, REJECTIONS[code], n) for code, n in _frequent(cohort.failures)],
        warnings=[(code, NOTICES.get(code, ""), n) for code, n in _frequent(cohort.warnings)],
        percent=percent_text,
        within=_within,
        title=lambda name: NUMBERS[name].title,
        shown=[NUMBERS[name] for name in SHOWN],
        reviews={row["case"]: said for row in cohort.worst if (said := _reviewed(out, row))},
        more=MORE,
        link=lambda case: case_link(case, out),
        named=case_text,
        research_use=RESEARCH_USE,
        version=__version__,
    )


#: What the table of the page shows of a case, beside category and grade.
SHOWN = ("infection_percent", "ggo_percent", "consolidation_percent", "ct_ss", "ctsi", "mosmed")

#: Of these, what a narrow screen has no room for.
MORE = ("ggo_percent", "consolidation_percent", "ctsi", "mosmed")


def _within(row: Mapping[str, Any], number: Number) -> str:
    """ " (4.3–7.1)" of a row's range, empty without one or where its ends are alike."""
    low, high = (row.get(f"{number.name}_{end}") for end in ("low", "high"))
    if low is None or high is None or low == high:
        return ""
    if number.unit == "class":
        return f" ({low} to {high})"
    if number.unit == "percent":
        low, high = f"{low:.1f}", f"{high:.1f}"
    return "" if low == high else f" ({low}–{high})"


def _reviewed(out: Path, row: Mapping[str, Any]) -> str:
    """What readers made of a case: each verdict with who gave it; empty without reviews."""
    verdicts = verdicts_of(out / row["case"])
    return ", ".join(f"{verdict} ({reader})" for reader, verdict in verdicts.items())


def _mosaic(cohort: Cohort, out: Path) -> list[tuple[Mapping[str, Any], str]]:
    """Row and coronal picture of the cases listed: those flagged first, then by extent."""
    rows = sorted(cohort.worst, key=lambda row: row["reliability"] not in FLAGGED)
    pictures = ((row, _thumbnail(out / row["case"] / "figures" / "coronal.png")) for row in rows)
    return [(row, picture) for row, picture in pictures if picture is not None]


def _thumbnail(path: Path) -> str | None:
    """A small JPEG of a picture as data; None where it is missing or cannot be read."""
    buffer = io.BytesIO()
    try:
        with Image.open(path) as image:
            image.thumbnail((THUMBNAIL, THUMBNAIL))
            image.convert("RGB").save(buffer, "JPEG", quality=75)
    except (OSError, ValueError):
        return None
    return data_uri(buffer.getvalue(), "jpeg")


def _frequent(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
