"""report.html of an agreement: one file, no script, nothing loaded from elsewhere."""

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined

from lungscore.agreement.figures import short
from lungscore.agreement.text import (
    NOTHING,
    coefficient_text,
    coefficients,
    range_text,
    value_text,
)
from lungscore.labels import LOBE_ORDER
from lungscore.report.page import data_uri
from lungscore.result.numbers import MEASURES
from lungscore.version import RESEARCH_USE, __version__

if TYPE_CHECKING:
    from lungscore.agreement.raters import Agreement, MeasureAgreement
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
class Section:
    """One measure, or one of the five lobes: its picture and the figures beside it."""

    title: str
    figure: str
    narrow: bool
    figures: list[tuple[str, str]]
    reasons: list[str]


def render_page(agreement: "Agreement", figures: dict[str, bytes]) -> str:
    """The report as self-contained HTML; all text is escaped by the template engine.

    figures: PNGs of ``agreement_figures``.
    """
    folder = files("lungscore.agreement")
    template = folder.joinpath("agreement.html.j2").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    measures = agreement.measures
    return environment.from_string(template).render(
        research_use=RESEARCH_USE,
        version=__version__,
        a=agreement.name_a,
        b=agreement.name_b,
        short_a=short(agreement.name_a),
        short_b=short(agreement.name_b),
        n=len(agreement.cases),
        notices=agreement.notices,
        rows=[_row(each) for each in measures if each.n and each.measure.lobe is None],
        empty=[each.measure.heading for each in measures if not each.n],
        sections=[_section(each, figures) for each in measures if each.measure.name in figures],
        lobes=_lobes(agreement, figures),
        sources=[
            ("A", agreement.name_a, _source(agreement.a.kind, len(agreement.a.values))),
            ("B", agreement.name_b, _source(agreement.b.kind, len(agreement.b.values))),
        ],
    )


def _lobes(
    agreement: "Agreement", figures: dict[str, bytes]
) -> list[tuple[str, list[Row], str | None]]:
    """Title, rows and picture of each measure that lobes have."""
    found = []
    for number in (number for number in MEASURES.values() if number.lobe == LOBE_ORDER[0]):
        family = number.family
        rows = [
            _row(each)
            for each in agreement.measures
            if each.n and each.measure.lobe is not None and each.measure.family == family
        ]
        figure = figures.get(f"lobes_{family}")
        if rows:
            title = number.title.removeprefix(f"{number.lobe} ")
            found.append(
                (
                    title[:1].upper() + title[1:],
                    rows,
                    None if figure is None else data_uri(figure, "png"),
                )
            )
    return found


def _row(each: "MeasureAgreement") -> Row:
    measure, limits = each.measure, each.bland_altman
    unit = f" ({measure.symbol})" if measure.symbol else ""
    means = NOTHING, NOTHING
    if measure.kind != "class":
        means = value_text(each.a.mean(), measure), value_text(each.b.mean(), measure)
    ends = [value_text(limit.value, measure) for limit in (limits.lower, limits.upper)]
    return Row(
        f"{measure.heading}{unit}{measure.scale}",
        each.n,
        means,
        range_text(limits.bias, measure),
        NOTHING if limits.lower.value is None else f"{ends[0]} to {ends[1]}",
        coefficient_text(each.icc_2_1),
        coefficient_text(each.kappa_quadratic),
        coefficient_text(each.spearman),
    )


def _section(each: "MeasureAgreement", figures: dict[str, bytes]) -> Section:
    measure, limits = each.measure, each.bland_altman
    shown = [("pairs", str(each.n))]
    if measure.kind != "class":
        shown += [
            (f"bias{_unit(each)}", range_text(limits.bias, measure)),
            (f"lower limit{_unit(each)}", range_text(limits.lower, measure)),
            (f"upper limit{_unit(each)}", range_text(limits.upper, measure)),
            ("slope", coefficient_text(limits.slope)),
        ]
    return Section(
        f"{measure.heading}{measure.scale}",
        data_uri(figures[measure.name], "png"),
        measure.kind == "class",
        [*shown, *coefficients(each)],
        _reasons(each),
    )


def _unit(each: "MeasureAgreement") -> str:
    return f", {each.measure.symbol}" if each.measure.symbol else ""


def _reasons(each: "MeasureAgreement") -> list[str]:
    """Why a figure that the measure's kind has is not given."""
    ordinal: list[tuple[str, Estimate]] = [("No κ", each.kappa_quadratic)]
    metric = [("No ICC", each.icc_2_1), ("No slope", each.bland_altman.slope)]
    expected = [
        *(ordinal if each.measure.ordinal else []),
        *(metric if each.measure.kind != "class" else []),
        ("No interval of ρ" if each.spearman.value is not None else "No ρ", each.spearman),
    ]
    return [f"{name}: {estimate.reason}" for name, estimate in expected if estimate.reason]


def _source(kind: str, cases: int) -> str:
    what = "results of lungscore" if kind == "results" else "a table"
    return f"{what}, {cases} {'case' if cases == 1 else 'cases'}"
