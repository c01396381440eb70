"""report.html of three raters or more: all together, the pairs in a matrix, a link to each pair."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lungscore.agreement.figures import short
from lungscore.agreement.page import frame, source_text, template
from lungscore.agreement.several import LETTERS
from lungscore.agreement.several_text import listed, methods_of_several
from lungscore.agreement.text import (
    NOTHING,
    coefficient_text,
    range_text,
    share_text,
    value_text,
)
from lungscore.labels import LOBE_ORDER
from lungscore.result.numbers import MEASURES

if TYPE_CHECKING:
    from lungscore.agreement.raters import MeasureAgreement
    from lungscore.agreement.several import AgreementOfSeveral, MeasureOfSeveral, Pair


@dataclass(frozen=True)
class Row:
    """One line of the table of all measures, as text. anchor: of its matrix, if it has one."""

    name: str
    anchor: str | None
    n: int
    means: list[str]
    icc: str
    kappa: str
    alpha: str
    same: str


@dataclass(frozen=True)
class Cell:
    """One pair of raters in a matrix: a figure, what stands below it, and where the pair is."""

    figure: str
    below: str
    link: str


@dataclass(frozen=True)
class Matrix:
    """The pairs in one measure. above, below: what stands on either side of the diagonal.

    cells: (raters, raters), None on the diagonal.
    """

    name: str
    title: str
    above: str
    below: str
    cells: list[list[Cell | None]]
    reasons: list[str]


def render_page_of_several(agreement: "AgreementOfSeveral") -> str:
    """The report as self-contained HTML; all text is escaped by the template engine."""
    rows = [_row(agreed) for agreed in agreement.measures if agreed.n]
    whole = [row for row in rows if row.anchor]
    return template("several.html.j2").render(
        **frame(),
        names=agreement.names,
        listed=listed(agreement.names),
        short_names=[short(name) for name in agreement.names],
        letters=LETTERS.upper()[: len(agreement.names)],
        n=len(agreement.cases),
        notices=agreement.notices,
        rows=whole,
        empty=[agreed.measure.heading for agreed in agreement.measures if not agreed.n],
        matrices=[
            _matrix(agreed, len(agreement.raters))
            for agreed in agreement.measures
            if agreed.n and agreed.measure.lobe is None
        ],
        lobes=_lobes(agreement),
        pairs=[
            (
                f"{agreement.names[first]} and {agreement.names[second]}",
                f"{folder_of_pair((first, second))}/report.html",
                len(pair.cases),
            )
            for (first, second), pair in agreement.pairs.items()
        ],
        methods=methods_of_several(agreement),
        sources=[
            (letter, rater.name, source_text(rater))
            for letter, rater in zip(LETTERS.upper(), agreement.raters, strict=False)
        ],
    )


def folder_of_pair(pair: "Pair") -> str:
    """Where the files of a pair of raters lie, from the page of all."""
    first, second = pair
    return f"pairs/{LETTERS[first]}-{LETTERS[second]}"


def _row(agreed: "MeasureOfSeveral") -> Row:
    measure = agreed.measure
    unit = f" ({measure.symbol})" if measure.symbol else ""
    means = [
        NOTHING if measure.kind == "class" else value_text(mean, measure)
        for mean in agreed.values.mean(axis=0)
    ]
    return Row(
        f"{measure.heading}{unit}{measure.scale}",
        measure.name if measure.lobe is None else None,
        agreed.n,
        means,
        coefficient_text(agreed.icc_2_1),
        coefficient_text(agreed.kappa_quadratic),
        coefficient_text(agreed.alpha),
        share_text(agreed.exact),
    )


def _lobes(agreement: "AgreementOfSeveral") -> list[tuple[str, list[Row]]]:
    """Title and rows of each measure that lobes have."""
    families = [number for number in MEASURES.values() if number.lobe == LOBE_ORDER[0]]
    lobes = []
    for number in families:
        rows = [
            _row(agreed)
            for agreed in agreement.measures
            if agreed.n and agreed.measure.lobe and agreed.measure.family == number.family
        ]
        title = number.title.removeprefix(f"{number.lobe} ")
        if rows:
            lobes.append((title[:1].upper() + title[1:], rows))
    return lobes


def _matrix(agreed: "MeasureOfSeveral", raters: int) -> Matrix:
    """Differences above the diagonal and a coefficient below it; of classes, two coefficients."""
    measure = agreed.measure
    unit = f" ({measure.symbol})" if measure.symbol else ""
    cells: list[list[Cell | None]] = [[None] * raters for _ in range(raters)]
    for (first, second), pair in agreed.pairs.items():
        link = f"{folder_of_pair((first, second))}/report.html#{measure.name}"
        upper, lower = _cells(pair, link)
        cells[first][second], cells[second][first] = upper, lower
    above = "κ, quadratic" if measure.kind == "class" else f"bias and limits of agreement{unit}"
    below = {"class": "share of identical ratings", "total": "κ, quadratic"}.get(
        measure.kind, "ICC(2,1)"
    )
    coefficients = (
        ("ICC(2,1)", agreed.icc_2_1),
        ("κ", agreed.kappa_quadratic),
        ("α", agreed.alpha),
    )
    return Matrix(
        measure.name,
        f"{measure.heading}{measure.scale}",
        above,
        below,
        cells,
        [
            f"No {name} over all raters: {estimate.reason}"
            for name, estimate in coefficients
            if estimate.value is None and _has(measure.kind, name)
        ],
    )


def _has(kind: str, coefficient: str) -> bool:
    """Whether measures of ``kind`` have the coefficient at all."""
    return kind == "total" or (kind == "class") != (coefficient == "ICC(2,1)")


def _cells(pair: "MeasureAgreement", link: str) -> tuple[Cell, Cell]:
    """What stands above and below the diagonal."""
    measure, differences = pair.measure, pair.bland_altman
    n = f"n = {pair.n}"
    kappa = Cell(coefficient_text(pair.kappa_quadratic), n, link)
    if measure.kind == "class":
        return kappa, Cell(share_text(pair.exact), n, link)
    ends = [value_text(end.value, measure) for end in (differences.lower, differences.upper)]
    limits = NOTHING if differences.lower.value is None else f"{ends[0]} to {ends[1]}"
    bias = Cell(range_text(differences.bias, measure), limits, link)
    return bias, kappa if measure.kind == "total" else Cell(coefficient_text(pair.icc_2_1), n, link)
