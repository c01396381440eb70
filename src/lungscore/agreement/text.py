"""Figures of agreement as a person reads them, and all of them as plain text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lungscore.statistics.bootstrap import RESAMPLES, SEED
from lungscore.statistics.estimate import NOTHING, number_text
from lungscore.version import RESEARCH_USE, __version__

if TYPE_CHECKING:
    from lungscore.agreement.raters import Agreement, MeasureAgreement
    from lungscore.errors import Notice
    from lungscore.result.numbers import Number
    from lungscore.statistics.estimate import Estimate


def value_text(value: float | None, measure: "Number", *, unit: bool = False) -> str:
    """A value or difference in the measure's unit: two decimals, millilitres whole."""
    if value is None:
        return NOTHING
    text = number_text(value, 0 if measure.unit == "ml" else 2)
    return f"{text} {measure.symbol}" if unit and measure.symbol else text


def range_text(estimate: "Estimate", measure: "Number") -> str:
    """ "1.20 [0.80, 1.60]" in the measure's unit."""
    return estimate.text(0 if measure.unit == "ml" else 2)


def coefficient_text(estimate: "Estimate") -> str:
    """ "0.912 [0.840, 0.953]"; an imperfect agreement is never rounded to 1."""
    return estimate.text(3, below_one=True)


def share_text(estimate: "Estimate") -> str:
    """ "78 % [62, 88]", a share of cases."""
    return estimate.text(0, unit=" %", scale=100)


def coefficients(agreed: "MeasureAgreement") -> list[tuple[str, str]]:
    """Name and text of the coefficients that the measure's kind has."""
    pairs = []
    if agreed.measure.kind != "class":
        pairs += [
            ("ICC(2,1)", coefficient_text(agreed.icc_2_1)),
            ("ICC(3,1)", coefficient_text(agreed.icc_3_1)),
        ]
    if agreed.measure.ordinal:
        pairs += [
            ("κ quadratic", coefficient_text(agreed.kappa_quadratic)),
            ("κ linear", coefficient_text(agreed.kappa_linear)),
            ("the same", share_text(agreed.exact)),
        ]
    return [*pairs, ("Spearman", coefficient_text(agreed.spearman))]


def methods_text(agreement: "Agreement") -> str:
    """A paragraph for the methods section of an article: what was computed, and how."""
    kinds = {agreed.measure.kind for agreed in agreement.measures if agreed.n}
    sentences = [
        f"Agreement between {agreement.name_a} and {agreement.name_b} was assessed in "
        f"{len(agreement.cases)} cases with lungscore {__version__}."
    ]
    if kinds & {"number", "total"}:
        sentences.append(
            "For continuous measures and total scores we report the mean difference and the 95 % "
            "limits of agreement (Bland and Altman 1986) with exact confidence intervals (Carkeet "
            "2015), and intraclass correlation coefficients, two-way random for absolute "
            "agreement, ICC(2,1), and two-way mixed for consistency, ICC(3,1), of a single rater "
            "(Shrout and Fleiss 1979; McGraw and Wong 1996)."
        )
    if kinds & {"total", "class"}:
        sentences.append(
            "For scores and ordered classes we report weighted kappa with linear and quadratic "
            f"weights (Cohen 1968), with percentile bootstrap intervals ({RESAMPLES} resamples of "
            f"cases, seed {SEED}), and the share of identical ratings with Wilson intervals."
        )
    sentences.append(
        "Rank correlation is Spearman's ρ (interval: Bonett and Wright 2000). Intervals are 95 %. "
        "Cases without a value from both raters were left out of that measure."
    )
    return " ".join(sentences)


def text_table(agreement: "Agreement") -> str:
    """The agreement in plain text, for a terminal."""
    a, b = agreement.name_a, agreement.name_b
    head = ("measure", "n", "bias", "95 % limits", "ICC(2,1)", "κ quadratic", "Spearman")
    rows = [head, *(_row(agreed) for agreed in agreement.measures)]
    return table_lines(
        f"{a} and {b}, {len(agreement.cases)} cases: {RESEARCH_USE}",
        f"bias is {a} − {b}; intervals are 95 %",
        rows,
        agreement.notices,
    )


def table_lines(
    title: str, legend: str, rows: Sequence[tuple[str, ...]], notices: Sequence["Notice"]
) -> str:
    """Two lines, a table whose first row is its head, and the notices."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [title, legend, ""]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        lines.append("  " + "  ".join(cells))
    lines += ["", *(f"  ! {n.code}: {n.message}" for n in notices)]
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"


def _row(agreed: "MeasureAgreement") -> tuple[str, ...]:
    limits = agreed.bland_altman
    lower, upper = (value_text(end.value, agreed.measure) for end in (limits.lower, limits.upper))
    return (
        agreed.measure.name,
        str(agreed.n),
        value_text(limits.bias.value, agreed.measure, unit=True),
        NOTHING if limits.lower.value is None else f"{lower} to {upper}",
        coefficient_text(agreed.icc_2_1),
        coefficient_text(agreed.kappa_quadratic),
        coefficient_text(agreed.spearman),
    )
