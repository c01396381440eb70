"""OUT/: agreement.json, tables, figures and report, written whole or not at all."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lungscore.agreement.content import to_content
from lungscore.agreement.figures import agreement_figures
from lungscore.agreement.page import render_page
from lungscore.agreement.several import LETTERS, AgreementOfSeveral
from lungscore.agreement.several_page import folder_of_pair, render_page_of_several
from lungscore.files import atomic_write, csv_text
from lungscore.report.case_folder import appearing, refuse_folder
from lungscore.result.numbers import MEASURES

if TYPE_CHECKING:
    from lungscore.agreement.raters import Agreement, MeasureAgreement
    from lungscore.agreement.several import MeasureOfSeveral
    from lungscore.statistics.estimate import Estimate

#: All files that the folder of an agreement of two may hold, and of more.
OUTPUTS = frozenset(
    {
        *("agreement.json", "agreement.csv", "pairs.csv", "report.html"),
        *(f"figures/{name}.png" for name, measure in MEASURES.items() if measure.lobe is None),
        *(f"figures/lobes_{measure.family}.png" for measure in MEASURES.values() if measure.lobe),
    }
)
OUTPUTS_OF_SEVERAL = frozenset(
    {
        *("agreement.json", "agreement.csv", "ratings.csv", "report.html"),
        *(f"pairs/*/{name}" for name in OUTPUTS),
    }
)


def write_agreement(
    agreement: "Agreement | AgreementOfSeveral",
    content: dict[str, Any],
    out: Path,
    *,
    overwrite: bool = False,
) -> Path:
    """Write ``agreement`` and ``content``, that of agreement.json, into the folder ``out``.

    The folder appears when all of it is written. An empty one is filled. Raises UsageError
    ``output-exists``, ResourceError ``disk-full`` or ``output-not-writable``.
    """
    folder = refuse_existing_agreement(out, overwrite=overwrite)
    with appearing(folder, overwrite=overwrite) as staging:
        if isinstance(agreement, AgreementOfSeveral):
            _write_several(agreement, content, staging, folder)
        else:
            _write_two(agreement, content, staging, folder)
    return folder


def _write_two(
    agreement: "Agreement", content: dict[str, Any], staging: Path, folder: Path
) -> None:
    """Write into ``staging`` what will lie in ``folder``."""
    figures = agreement_figures(agreement)
    for name, figure in figures.items():
        atomic_write(staging / "figures" / f"{name}.png", figure)
    atomic_write(staging / "report.html", render_page(agreement, figures, folder=folder))
    atomic_write(staging / "agreement.csv", _csv(_summary(agreement)))
    atomic_write(staging / "pairs.csv", _csv(_pairs(agreement)))
    atomic_write(staging / "agreement.json", _json(content))


def _write_several(
    agreement: AgreementOfSeveral, content: dict[str, Any], staging: Path, folder: Path
) -> None:
    """Write into ``staging`` what will lie in ``folder``; each pair as ``agree`` writes two."""
    for pair, two in agreement.pairs.items():
        name = folder_of_pair(pair)
        _write_two(two, to_content(two), staging / name, folder / name)
    atomic_write(staging / "report.html", render_page_of_several(agreement))
    atomic_write(staging / "agreement.csv", _csv(_summary_of_several(agreement)))
    atomic_write(staging / "ratings.csv", _csv(_ratings(agreement)))
    atomic_write(staging / "agreement.json", _json(content))


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def refuse_existing_agreement(out: Path, *, overwrite: bool = False) -> Path:
    """The folder that will be written, if it may be; see ``refuse_existing`` of cases."""
    folder = out.absolute() if out.name not in ("", "..") else out.resolve()
    empty = folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir())
    refuse_folder(folder, known=OUTPUTS | OUTPUTS_OF_SEVERAL, overwrite=overwrite or empty)
    return folder


def _summary(agreement: "Agreement") -> Iterable[Sequence[Any]]:
    """One row a measure, with every figure and the ends of its interval."""
    names = (
        *("bias", "lower_limit", "upper_limit", "slope", "icc_2_1", "icc_3_1"),
        *("kappa_linear", "kappa_quadratic", "exact_agreement", "spearman"),
    )
    yield _head(("mean_a", "mean_b", "sd_of_differences"), names)
    for agreed in agreement.measures:
        limits = agreed.bland_altman
        estimates: list[Estimate] = [
            *(
                limits.bias,
                limits.lower,
                limits.upper,
                limits.slope,
                agreed.icc_2_1,
                agreed.icc_3_1,
            ),
            *(agreed.kappa_linear, agreed.kappa_quadratic, agreed.exact, agreed.spearman),
        ]
        means = [values.mean() if agreed.n else None for values in (agreed.a, agreed.b)]
        yield _row(agreed, (*means, limits.sd), estimates)


def _pairs(agreement: "Agreement") -> Iterable[Sequence[Any]]:
    """One row a measure and case: the values that went into the figures."""
    yield ["measure", "case", "a", "b", "difference"]
    for agreed in agreement.measures:
        for case, a, b in zip(agreed.cases, agreed.a, agreed.b, strict=True):
            difference = "" if agreed.measure.kind == "class" else _number(a - b)
            yield [agreed.measure.name, case, _value(agreed, a), _value(agreed, b), difference]


def _summary_of_several(agreement: AgreementOfSeveral) -> Iterable[Sequence[Any]]:
    """One row a measure, with every figure over all raters and the ends of its interval."""
    letters = LETTERS[: len(agreement.raters)]
    names = (
        *("icc_2_1", "icc_3_1", "kappa_linear", "kappa_quadratic"),
        *("krippendorff_alpha", "exact_agreement"),
    )
    yield _head([f"mean_{letter}" for letter in letters], names)
    for agreed in agreement.measures:
        estimates = (
            *(agreed.icc_2_1, agreed.icc_3_1, agreed.kappa_linear, agreed.kappa_quadratic),
            *(agreed.alpha, agreed.exact),
        )
        means = agreed.values.mean(axis=0) if agreed.n else [None] * len(letters)
        yield _row(agreed, means, estimates)


def _ratings(agreement: AgreementOfSeveral) -> Iterable[Sequence[Any]]:
    """One row a measure and case: the values that went into the figures over all raters."""
    yield ["measure", "case", *LETTERS[: len(agreement.raters)]]
    for agreed in agreement.measures:
        for case, values in zip(agreed.cases, agreed.values, strict=True):
            yield [agreed.measure.name, case, *(_value(agreed, value) for value in values)]


def _head(columns: Iterable[str], figures: Iterable[str]) -> list[str]:
    """The head of a summary: ``columns``, then each figure with the ends of its interval."""
    ends = (f"{name}{end}" for name in figures for end in ("", "_low", "_high"))
    return ["measure", "unit", "n", *columns, *ends]


def _row(
    agreed: "MeasureAgreement | MeasureOfSeveral",
    values: Iterable[float | None],
    estimates: Iterable["Estimate"],
) -> list[Any]:
    """The row of a measure below ``_head``."""
    ends = (end for figure in estimates for end in (figure.value, figure.low, figure.high))
    measure = agreed.measure
    return [measure.name, measure.symbol, agreed.n, *map(_number, (*values, *ends))]


def _value(agreed: "MeasureAgreement | MeasureOfSeveral", value: float) -> str:
    return agreed.measure.classes[int(value)] if agreed.measure.classes else _number(value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{round(float(value), 6) + 0.0:.10g}"


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    head, *lines = rows
    return csv_text(head, lines)
