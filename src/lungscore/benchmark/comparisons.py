"""Paired differences between rows, out of fold, and what they say."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from lungscore.benchmark.results import Result, per_slice
from lungscore.benchmark.rows import Benchmark, Question
from lungscore.statistics.estimate import text_of
from lungscore.statistics.intervals import holm, non_inferior, paired_difference, superior

Results = Mapping[str, Result]


@dataclass(frozen=True)
class Comparison:
    """Dice at 0.5 of two rows on the same slices, each a mean over the seeds that both have.

    finding: "infection", "ggo" or "consolidation". difference: that of ``paired_difference``.
    p: its p, corrected where it is one of several.
    """

    row: str
    against: str
    finding: str
    seeds: tuple[int, ...]
    means: tuple[float, float]
    difference: dict[str, float | int]
    p: float


def compare(results: Results, row: str, against: str, finding: str) -> Comparison | None:
    """None where either has no out-of-fold result, or no seed in common."""
    first, second = results.get(row), results.get(against)
    if first is None or second is None or not (first["held_out"] and second["held_out"]):
        return None
    seeds = tuple(sorted(set(first["seeds"]) & set(second["seeds"])))
    if not seeds:
        return None
    networks = [f"seed{seed}" for seed in seeds]
    ours, theirs = (per_slice(r["held_out"][finding], "dice", networks) for r in (first, second))
    names = sorted(set(ours) & set(theirs))
    a, b = (np.array([values[name] for name in names]) for values in (ours, theirs))
    difference = paired_difference(a, b)
    means = float(np.nanmean(a)), float(np.nanmean(b))
    return Comparison(row, against, finding, seeds, means, difference, float(difference["p"]))


def primary(benchmark: Benchmark, results: Results) -> Comparison | None:
    """The primary comparison, whose p stands alone."""
    return compare(results, benchmark.primary.row, benchmark.primary.against, "infection")


def secondary(benchmark: Benchmark, results: Results) -> dict[tuple[str, str, str], Comparison]:
    """(row, against, finding) -> every other comparison, their p corrected together (Holm)."""
    candidates = [
        compare(results, *comparison) for comparison in dict.fromkeys(_questions(benchmark))
    ]
    there = [comparison for comparison in candidates if comparison is not None]
    corrected = holm([comparison.p for comparison in there])
    return {
        (comparison.row, comparison.against, comparison.finding): replace(comparison, p=p)
        for comparison, p in zip(there, corrected, strict=True)
    }


def _questions(benchmark: Benchmark) -> Iterator[tuple[str, str, str]]:
    first = benchmark.primary.row, benchmark.primary.against
    fewer = {name for pair in benchmark.label_efficiency.values() for name in pair}
    fewer -= {*first}
    pairs: list[Question] = [benchmark.second, *benchmark.pairs]
    asked = [(question.row, question.against) for question in pairs]
    asked += [(with_it, without) for without, with_it in benchmark.label_efficiency.values()]
    for target in ("infection", "lesions"):
        against = getattr(benchmark.reference, target)
        full_rows = [row.name for row in benchmark.of(target) if row.name not in fewer]
        asked += [(name, against) for name in full_rows if name != against]
    for row, against in asked:
        if (row, against) == first:
            continue
        lesions = benchmark.row(row).target == "lesions"
        findings = ["ggo", "consolidation"] if lesions else ["infection"]
        yield from ((row, against, finding) for finding in findings)


def primary_verdict(benchmark: Benchmark, comparison: Comparison | None) -> str:
    """Whether pre-training helps, in sentences."""
    question = benchmark.primary
    title = f"Does pre-training help? {question.row} against {question.against}"
    if comparison is None:
        return f"**{title}: not answered yet.** A result is missing."
    if superior(comparison.difference):
        answer = "pre-training helps"
    elif superior(_turned(comparison.difference)):
        answer = "pre-training hurts"
    else:
        answer = "no difference was shown"
    return (
        f"**{title}: {answer}.** {_figures(comparison)} Wilcoxon signed-rank "
        f"p = {p_text(comparison.p)}. {_seeds(benchmark, comparison)}"
    )


def second_verdict(benchmark: Benchmark, comparison: Comparison | None) -> str:
    """Whether it comes close to semi-supervision, in sentences."""
    question = benchmark.second
    title = f"Is {question.row} close to or better than {question.against}?"
    if comparison is None:
        return f"**{title} Not answered yet.** A result is missing."
    close = non_inferior(comparison.difference, question.margin)
    worse = superior(_turned(comparison.difference))
    position = "lies above" if close else "does not lie above"
    answer = "Not shown"
    if close:
        answer = "Close, but not as good" if worse else "Close or better"
    if worse:
        side = f"The interval lies below 0: {question.against} is better."
    elif superior(comparison.difference):
        side = "The interval lies above 0: it is better."
    else:
        side = "Neither was shown to be better."
    return (
        f"**{title} {answer}.** {_figures(comparison)} Its lower bound {position} "
        f"−{question.margin}, the margin. {side} {_seeds(benchmark, comparison)}"
    )


def _turned(difference: Mapping[str, float | int]) -> dict[str, float | int]:
    """The bounds of the difference the other way round."""
    return {"low": -difference["high"], "high": -difference["low"]}


def p_text(p: float) -> str:
    """p to three digits."""
    return "–" if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def difference_text(difference: Mapping[str, float | int]) -> str:
    """+0.012 [−0.004, +0.029]"""
    return text_of(difference, signed=True)


def _figures(comparison: Comparison) -> str:
    difference, (ours, theirs) = comparison.difference, comparison.means
    return (
        f"Out of fold on n = {difference['n']} slices, Dice at 0.5 is {ours:.3f} for "
        f"{comparison.row} and {theirs:.3f} for {comparison.against}: a mean paired difference of "
        f"{difference_text(difference)} (95 % bootstrap interval over slices), higher on "
        f"{difference['wins']} of {difference['n']} slices."
    )


def _seeds(benchmark: Benchmark, comparison: Comparison) -> str:
    seeds, names = comparison.seeds, ", ".join(map(str, comparison.seeds))
    planned = set(benchmark.row(comparison.row).seeds) & set(
        benchmark.row(comparison.against).seeds
    )
    count = f"Mean of {len(seeds)} seeds ({names})" if len(seeds) > 1 else f"One seed ({names})"
    if len(seeds) < len(planned):
        count += f"; {len(planned)} were planned"
    return count + "."
