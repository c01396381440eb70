"""Figures of agreement as a person reads them, and all of them as plain text."""

from typing import TYPE_CHECKING

from lungscore.statistics.estimate import NOTHING, number_text
from lungscore.version import RESEARCH_USE

if TYPE_CHECKING:
    from lungscore.agreement.raters import Agreement, MeasureAgreement
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


def coefficients(each: "MeasureAgreement") -> list[tuple[str, str]]:
    """Name and text of the coefficients that the measure's kind has."""
    found = []
    if each.measure.kind != "class":
        found += [
            ("ICC(2,1)", coefficient_text(each.icc_2_1)),
            ("ICC(3,1)", coefficient_text(each.icc_3_1)),
        ]
    if each.measure.ordinal:
        found += [
            ("κ quadratic", coefficient_text(each.kappa_quadratic)),
            ("κ linear", coefficient_text(each.kappa_linear)),
            ("the same", share_text(each.exact)),
        ]
    return [*found, ("Spearman", coefficient_text(each.spearman))]


def text_table(agreement: "Agreement") -> str:
    """The agreement in plain text, for a terminal."""
    a, b = agreement.name_a, agreement.name_b
    head = ("measure", "n", "bias", "95 % limits", "ICC(2,1)", "κ quadratic", "Spearman")
    rows = [head, *(_row(each) for each in agreement.measures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{a} and {b}, {len(agreement.cases)} cases: {RESEARCH_USE}",
             f"bias is {a} − {b}; intervals are 95 %", ""]  # fmt: skip
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        lines.append("  " + "  ".join(cells))
    lines += ["", *(f"  ! {n.code}: {n.message}" for n in agreement.notices)]
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"


def _row(each: "MeasureAgreement") -> tuple[str, ...]:
    limits = each.bland_altman
    lower, upper = (value_text(end.value, each.measure) for end in (limits.lower, limits.upper))
    return (
        each.measure.name,
        str(each.n),
        value_text(limits.bias.value, each.measure, unit=True),
        NOTHING if limits.lower.value is None else f"{lower} to {upper}",
        coefficient_text(each.icc_2_1),
        coefficient_text(each.kappa_quadratic),
        coefficient_text(each.spearman),
    )
