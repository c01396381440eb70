"""report.html of an agreement: one file, no script, nothing loaded from elsewhere."""

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from lungscore.agreement.text import (
    NOTHING,
    coefficient_text,
    coefficients,
    methods_text,
    range_text,
    value_text,
)
from lungscore.labels import LOBE_ORDER
from lungscore.report.embedding import data_uri
from lungscore.result.numbers import MEASURES
from lungscore.version import RESEARCH_USE, __version__

if TYPE_CHECKING:
    from lungscore.agreement.raters import Agreement, MeasureAgreement
    from lungscore.agreement.ratings import Ratings
    from lungscore.statistics.estimate import Estimate


@dataclass(frozen=True)
class Row:
    """One line of the table of all measures, as text."""

    name: str
    n: int
    means: tuple[str, str]
    bias: str
    limits: str
    icc: str
    kappa: str
    spearman: str


@dataclass(frozen=True)
class Outlier:
    """A case beyond the limits of agreement. links: name of the rater and address of the report."""

    case: str
    difference: str
    links: list[tuple[str, str]]


@dataclass(frozen=True)
class Section:
    """One measure: its picture and the figures beside it. name: the measure's, its anchor."""

    name: str
    title: str
    figure: str
    narrow: bool
    figures: list[tuple[str, str]]
    reasons: list[str]
    outliers: list[Outlier]


def render_page(
    agreement: "Agreement", figures: dict[str, bytes], *, folder: Path | None = None
) -> str:
    """The report as self-contained HTML; all text is escaped by the template engine.

    figures: PNGs of ``agreement_figures``. folder: where the page will lie, for links from it.
    """
    measures = agreement.measures
    return template("agreement.html.j2").render(
        **frame(),
        a=agreement.name_a,
        b=agreement.name_b,
        n=len(agreement.cases),
        notices=agreement.notices,
        rows=[_row(agreed) for agreed in measures if agreed.n and agreed.measure.lobe is None],
        empty=[agreed.measure.heading for agreed in measures if not agreed.n],
        sections=[
            _section(agreed, figures, _outliers(agreement, agreed, folder))
            for agreed in measures
            if agreed.measure.name in figures
        ],
        methods=methods_text(agreement),
        lobes=_lobes(agreement, figures),
        sources=[
            ("A", agreement.name_a, source_text(agreement.a)),
            ("B", agreement.name_b, source_text(agreement.b)),
        ],
    )


def template(name: str) -> Template:
    """A template of this package; what is put into it is escaped."""
    text = files("lungscore.agreement").joinpath(name).read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(text)


def frame() -> dict[str, str]:
    """What every page of an agreement has: its style, and what is said at head and foot."""
    style = files("lungscore.agreement").joinpath("agreement.css").read_text("utf-8")
    return {
        "style": Markup(style),  # noqa: S704 - our own file
        "research_use": RESEARCH_USE,
        "version": __version__,
    }


def _lobes(
    agreement: "Agreement", figures: dict[str, bytes]
) -> list[tuple[str, str, list[Row], str | None]]:
    """Name, title, rows and picture of each measure that lobes have."""
    lobes = []
    for number in (number for number in MEASURES.values() if number.lobe == LOBE_ORDER[0]):
        family = number.family
        rows = [
            _row(agreed)
            for agreed in agreement.measures
            if agreed.n and agreed.measure.lobe is not None and agreed.measure.family == family
        ]
        figure = figures.get(f"lobes_{family}")
        if rows:
            title = number.title.removeprefix(f"{number.lobe} ")
            lobes.append(
                (
                    family,
                    title[:1].upper() + title[1:],
                    rows,
                    None if figure is None else data_uri(figure, "png"),
                )
            )
    return lobes


def _row(agreed: "MeasureAgreement") -> Row:
    measure, limits = agreed.measure, agreed.bland_altman
    unit = f" ({measure.symbol})" if measure.symbol else ""
    means = NOTHING, NOTHING
    if measure.kind != "class":
        means = value_text(agreed.a.mean(), measure), value_text(agreed.b.mean(), measure)
    ends = [value_text(limit.value, measure) for limit in (limits.lower, limits.upper)]
    return Row(
        f"{measure.heading}{unit}{measure.scale}",
        agreed.n,
        means,
        range_text(limits.bias, measure),
        NOTHING if limits.lower.value is None else f"{ends[0]} to {ends[1]}",
        coefficient_text(agreed.icc_2_1),
        coefficient_text(agreed.kappa_quadratic),
        coefficient_text(agreed.spearman),
    )


#: Cases beyond the limits that are listed for each measure.
OUTLIERS = 5


def _outliers(
    agreement: "Agreement", agreed: "MeasureAgreement", folder: Path | None
) -> list[Outlier]:
    raters = ((agreement.name_a, agreement.a), (agreement.name_b, agreement.b))
    return [
        Outlier(
            case,
            value_text(difference, agreed.measure),
            [
                (name, _link(ratings.reports[case], folder))
                for name, ratings in raters
                if folder is not None and case in ratings.reports
            ],
        )
        for case, difference in agreed.outliers[:OUTLIERS]
    ]


def _link(report: Path, folder: Path) -> str:
    """The address of ``report`` from a page in ``folder``."""
    try:
        return quote(Path(os.path.relpath(report, folder)).as_posix())
    except ValueError:  # another drive
        return report.as_uri()


def _section(
    agreed: "MeasureAgreement", figures: dict[str, bytes], outliers: list[Outlier]
) -> Section:
    measure, limits = agreed.measure, agreed.bland_altman
    shown = [("pairs", str(agreed.n))]
    if measure.kind != "class":
        shown += [
            (f"bias{_unit(agreed)}", range_text(limits.bias, measure)),
            (f"lower limit{_unit(agreed)}", range_text(limits.lower, measure)),
            (f"upper limit{_unit(agreed)}", range_text(limits.upper, measure)),
            ("slope", coefficient_text(limits.slope)),
        ]
    return Section(
        measure.name,
        f"{measure.heading}{measure.scale}",
        data_uri(figures[measure.name], "png"),
        measure.kind == "class",
        [*shown, *coefficients(agreed)],
        _reasons(agreed),
        outliers,
    )


def _unit(agreed: "MeasureAgreement") -> str:
    return f", {agreed.measure.symbol}" if agreed.measure.symbol else ""


def _reasons(agreed: "MeasureAgreement") -> list[str]:
    """Why a figure that the measure's kind has is not given."""
    ordinal: list[tuple[str, Estimate]] = [("κ", agreed.kappa_quadratic)]
    metric = [
        ("bias", agreed.bland_altman.bias),
        ("ICC", agreed.icc_2_1),
        ("slope", agreed.bland_altman.slope),
    ]
    expected = [
        *(ordinal if agreed.measure.ordinal else []),
        *(metric if agreed.measure.kind != "class" else []),
        ("ρ", agreed.spearman),
    ]
    return [_reason(name, estimate) for name, estimate in expected if estimate.reason]


def _reason(name: str, estimate: "Estimate") -> str:
    """ "No interval of ρ: …" where there is a value, "No ρ: …" where there is none."""
    if estimate.value is None:
        return f"No {name}: {estimate.reason}"
    return f"No interval of {name}: {(estimate.reason or '').removeprefix('no interval: ')}"


def source_text(ratings: "Ratings") -> str:
    """ "a table, 12 cases"."""
    what = "results of lungscore" if ratings.kind == "results" else "a table"
    cases = len(ratings.values)
    return f"{what}, {cases} {'case' if cases == 1 else 'cases'}"
