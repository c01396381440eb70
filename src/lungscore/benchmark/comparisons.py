"""Paired differences between rows, out of fold, and what they say."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from lungscore.benchmark.results import Result, common, inpainting_errors, slices_text
from lungscore.benchmark.rows import Benchmark, Margin, Question
from lungscore.statistics.crossed import Crossed, crossed_mean
from lungscore.statistics.estimate import text_of
from lungscore.statistics.intervals import (
    holm,
    mean_over_seeds,
    non_inferior,
    paired_difference,
    superior,
)

Results = Mapping[str, Result]

#: Decimals with which an end of an interval near 0 is written at most.
MOST_DECIMALS = 6


@dataclass(frozen=True)
class Comparison:
    """Dice at 0.5 of two rows on the same slices, each a mean over the seeds that both have.

    finding: "infection", "ggo" or "consolidation". difference: that of ``paired_difference``, its
    interval over slices and seeds where there are several. crossed: the same differences, with
    their standard error. p: its p (over slices), corrected where it is one of several.
    """

    row: str
    against: str
    finding: str
    seeds: tuple[int, ...]
    means: tuple[float, float]
    difference: dict[str, float | int]
    crossed: Crossed
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
    a, b = common(first["held_out"][finding], second["held_out"][finding], "dice", networks)
    difference, crossed = crossed_difference(a, b)
    ours, theirs = (float(np.nanmean(mean_over_seeds(values))) for values in (a, b))
    return Comparison(
        row, against, finding, seeds, (ours, theirs), difference, crossed, float(difference["p"])
    )


def on_test(results: Results, row: str, against: str) -> tuple[dict[str, float | int], int] | None:
    """The difference on the public test slices, and over how many networks; see ``compare``.

    Its interval is over slices and the networks of folds and seeds that both rows have.
    """
    first, second = results.get(row), results.get(against)
    if first is None or second is None or not (first["test"] and second["test"]):
        return None
    sections = first["test"]["infection"], second["test"]["infection"]
    networks = [
        n for n in sections[0]["per_slice"]["dice"] if n in sections[1]["per_slice"]["dice"]
    ]
    if not networks:
        return None
    return crossed_difference(*common(*sections, "dice", networks))[0], len(networks)


def crossed_difference(a: np.ndarray, b: np.ndarray) -> tuple[dict[str, float | int], Crossed]:
    """paired_difference of (seeds, slices) each, with the interval over both of several seeds."""
    crossed = crossed_mean(a - b)
    difference = paired_difference(mean_over_seeds(a), mean_over_seeds(b))
    if crossed.over_seeds:
        difference |= {"low": crossed.low, "high": crossed.high}
    return difference, crossed


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
    schedules = benchmark.label_efficiency.values()
    fewer = {name for rows in schedules for pair in rows.values() for name in pair}
    fewer -= {benchmark.reference.of(benchmark.row(name)) for name in fewer} | {first[0]}
    earlier = benchmark.earlier
    pairs: list[Question] = [benchmark.second, *benchmark.pairs]
    if earlier is not None:
        pairs += [earlier.primary, earlier.second]
    asked = [(question.row, question.against) for question in pairs]
    for rows in schedules:
        asked += [(with_it, without) for without, with_it in rows.values()]
    for target in ("infection", "lesions"):
        full_rows = [row for row in benchmark.of(target) if row.name not in fewer]
        asked += [(row.name, benchmark.reference.of(row)) for row in full_rows]
    for row, against in asked:
        if (row, against) == first or row == against:
            continue
        lesions = benchmark.row(row).target == "lesions"
        findings = ["ggo", "consolidation"] if lesions else ["infection"]
        yield from ((row, against, finding) for finding in findings)


def primary_verdict(
    benchmark: Benchmark,
    question: Question,
    comparison: Comparison | None,
    results: Results,
) -> str:
    """Whether pre-training helps, in sentences."""
    title = f"Does pre-training help? {question.row} against {question.against}"
    if comparison is None:
        return f"**{title}: not answered yet.** A result is missing."
    answer, margin = "no difference was shown", ""
    if superior(comparison.difference):
        answer = "pre-training helps"
    elif superior(_turned(comparison.difference)):
        answer = "pre-training hurts"
    if isinstance(question, Margin):
        inside = all(
            non_inferior(d, question.margin)
            for d in (comparison.difference, _turned(comparison.difference))
        )
        margin = (
            f" The interval {'lies' if inside else 'does not lie'} within ±{question.margin}, the "
            f"margin: a difference that would matter is {'' if inside else 'not '}excluded."
        )
    return (
        f"**{title}: {answer}.** {_figures(comparison, results)}{margin} Wilcoxon signed-rank "
        f"p = {p_text(comparison.p)} (over slices). {_seeds(benchmark, comparison)} "
        f"{_power(comparison)} {_cost(comparison, results)}"
    ).strip()


def second_verdict(
    benchmark: Benchmark, question: Margin, comparison: Comparison | None, results: Results
) -> str:
    """Whether it comes close to semi-supervision, in sentences."""
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
        f"**{title} {answer}.** {_figures(comparison, results)} Its lower bound {position} "
        f"−{question.margin}, the margin. {side} {_seeds(benchmark, comparison)} "
        f"{_power(comparison)} {_cost(comparison, results)}"
    ).strip()


def _turned(difference: Mapping[str, float | int]) -> dict[str, float | int]:
    """The bounds of the difference the other way round."""
    return {"low": -difference["high"], "high": -difference["low"]}


def p_text(p: float) -> str:
    """p to three digits."""
    return "–" if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def difference_text(difference: Mapping[str, float | int]) -> str:
    """+0.012 [−0.004, +0.029], with more decimals where an end would be rounded to 0."""
    ends = [abs(difference[end]) for end in ("low", "high")]
    decimals = 3
    while decimals < MOST_DECIMALS and any(0 < end < 0.5 * 10.0**-decimals for end in ends):
        decimals += 1
    return text_of(difference, decimals=decimals, signed=True)


def _figures(comparison: Comparison, results: Results) -> str:
    difference, (ours, theirs) = comparison.difference, comparison.means
    return (
        f"Out of fold on n = {difference['n']} slices, Dice at 0.5 is {ours:.3f} for "
        f"{comparison.row} and {theirs:.3f} for {comparison.against}: a mean paired difference of "
        f"{difference_text(difference)} (95 % bootstrap interval over "
        f"{_drawn(comparison, results)}), higher on {difference['wins']} of {difference['n']} "
        "slices."
    )


def _drawn(comparison: Comparison, results: Results) -> str:
    """What the interval is over."""
    seeds = comparison.seeds
    if len(seeds) == 1:
        return "slices alone, not over trainings"
    text = f"slices × {len(seeds)} seeds"
    earlier = [
        {step["seed"] for step in results[name]["steps"]}
        for name in (comparison.row, comparison.against)
        if results[name]["steps"]
    ]
    if not earlier:
        return text
    own = all(set(seeds) <= of_steps for of_steps in earlier)
    return f"{text} × {len(seeds)} pre-trainings" if own else f"{text}, one pre-training for all"


def _power(comparison: Comparison) -> str:
    """The smallest effect that the experiment could have found."""
    chance = "" if comparison.crossed.over_seeds else ", the chance of training left out"
    if np.isnan(comparison.crossed.detectable):
        return ""
    return (
        f"At the observed variance, an experiment of this size shows a true difference of "
        f"{comparison.crossed.detectable:.3f} in four of five repeats{chance}."
    )


def _cost(comparison: Comparison, results: Results) -> str:
    """Slices seen by one network of either row, and whether pre-training beat its floor."""
    rows = comparison.row, comparison.against
    text = "Slices seen by one network: " + "; ".join(
        f"{row} {slices_text(results[row])}" for row in rows
    )
    errors = inpainting_errors(results[comparison.row])
    if not errors:
        return f"{text}."
    error, floor = errors["random_mask_error"], errors["random_mask_floor"]
    learned = "learned more than" if error < floor else "did not beat"
    return (
        f"{text}. Pre-training {learned} plain Laplace filling (error under random masks "
        f"{error:.3f}, Laplace {floor:.3f})."
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
