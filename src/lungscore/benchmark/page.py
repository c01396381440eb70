"""docs/benchmarks.md and the README's verdicts, from the committed result files alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lungscore.benchmark import patients
from lungscore.benchmark.comparisons import (
    Comparison,
    Results,
    difference_text,
    on_test,
    p_text,
    primary,
    primary_verdict,
    second_verdict,
    secondary,
)
from lungscore.benchmark.peers import peers
from lungscore.benchmark.plan_page import Hours, plan_lines, read_hours
from lungscore.benchmark.results import read_results, slices_text
from lungscore.benchmark.rows import Benchmark, Question, Row, load_rows
from lungscore.benchmark.table_1 import table_1_blocks
from lungscore.benchmark.tables import (
    figures_head,
    figures_row,
    label,
    minutes,
    number,
    seeds_text,
    table,
    unfinished,
)
from lungscore.benchmark.training_page import (
    convergence_blocks,
    pretraining_table,
    unmeasured_starts,
)
from lungscore.files import atomic_write
from lungscore.statistics.estimate import text_of

PARTS = {"infection": "Infection", "ggo": "Ground-glass opacity", "consolidation": "Consolidation"}
BEGIN, END = "<!-- verdicts:begin -->", "<!-- verdicts:end -->"

Comparisons = dict[tuple[str, str, str], Comparison]
Peers = dict[str, dict[str, dict[str, Any]]]


def write_pages(folder: Path, results: Path, page: Path, readme: Path) -> None:
    """Write the page anew, and the lines between the README's marks where it has them."""
    benchmark = load_rows(folder)
    stored = read_results(results, benchmark.rows)
    there = folder.parent.name + "/" + folder.name
    text = page_text(benchmark, stored, peers(results.parent), there, read_hours(results))
    atomic_write(page, text + "\n\n".join(["", *patients.sections(results.parent)])[1:] + "\n")
    if readme.is_file() and BEGIN in (text := readme.read_text(encoding="utf-8")):
        head, rest = text.split(BEGIN)
        lines = f"{BEGIN}\n{readme_lines(benchmark, stored)}\n{END}"
        atomic_write(readme, head + lines + rest.split(END)[1])


def readme_lines(benchmark: Benchmark, results: Results) -> str:
    """The two verdicts as a list."""
    return "\n".join(f"- {verdict}" for verdict in _verdicts(benchmark, results))


def page_text(
    benchmark: Benchmark,
    results: Results,
    released: Peers,
    folder: str,
    hours: Hours | None = None,
) -> str:
    """The whole page. released: released maps of peers, by finding; folder: for commands."""
    comparisons = secondary(benchmark, results)
    blocks = [
        "# Benchmarks",
        f"Written by `lungscore benchmark table {folder}` from the files in "
        "`experiments/results/`. The decisions taken before the first run are in "
        "[experiments/benchmark/README.md](../experiments/benchmark/README.md). Intervals are 95 % "
        "percentile bootstrap: of a row over slices, of a difference over slices and seeds where "
        "there are several. The threshold is fixed at 0.5. A row without figures was not run; "
        "the last section has its command. *eq3* is the coach of the paper's equation (3), *ours* "
        "our own ([method.md](method.md)); rows called *long* have the schedule of the two "
        "questions.",
        "## The two verdicts",
        *_verdicts(benchmark, results),
        *_earlier(benchmark, results, comparisons),
        "## Out of fold, on the annotated slices",
        _about_folds(results),
        *_fewer_folds(benchmark),
        *_held_out(benchmark, results),
        "## Differences out of fold",
        f"Dice at 0.5 of a row minus that of another on the same slices, each the mean over the "
        "seeds that both have, its interval over slices, and over slices and seeds where there are "
        f"several; p of Wilcoxon's signed-rank test over slices, the {len(comparisons)} tests of "
        "this section corrected together (Holm). The primary comparison, above, is not among them. "
        "Detectable: the true difference that a comparison of this size and variance shows in four "
        "of five repeats; of one seed, the chance of training left out.",
        _differences(benchmark, comparisons),
        "## Fewer labels",
        "Fine-tuning with some of the annotated slices of the training folds; pre-training saw the "
        "images of all of them. Dice at 0.5 out of fold.",
        *_label_efficiency(benchmark, results, comparisons),
        "## Did pre-training learn anything?",
        "Squared error of normalised grey levels where the image was erased, after the last epoch, "
        "the mean of the row's pre-trainings. The floor is plain Laplace filling of the same "
        "slices under the same masks, which has learned nothing. Both masks erase the same share.",
        pretraining_table(benchmark, results),
        *convergence_blocks(benchmark, results),
        "## The public test slices",
        "Each network of a finished row predicted the test slices once; a slice's value is the "
        "mean over the row's networks. Nothing was chosen on them. Released maps of others are "
        "scored by the same code (`lungscore evaluate maps`); the column without slice 91 leaves "
        "out the slice that is nearly a copy of a training slice.",
        *_test(benchmark, results, released),
        *_exploratory(benchmark, results),
        *table_1_blocks(benchmark, results),
        *plan_lines(benchmark, results, hours),
        "## Limits",
        *_LIMITS,
        unmeasured_starts(results),
        "## Not run",
        _not_run(benchmark, results, folder),
    ]
    return "\n\n".join(blocks) + "\n"


_LIMITS = (
    "The short schedule takes a few minutes on two cores for each network, where the paper trains "
    "hundreds of epochs: its rows show what the methods achieve at this budget. The unit is the "
    "slice, not the patient. The dataset does not say which slices are of one patient, so folds "
    "and test set may share patients, and every interval is too narrow for a claim about new "
    "patients. Test slices 91 and 93 are nearly copies of two training slices.",
    "On the short schedule one pre-training per fold serves all seeds of fine-tuning, so its "
    "intervals leave out the chance in pre-training; on the long one every seed has its own.",
    "Out of fold is optimistic where something was chosen on, or learned from, the slices that are "
    "held out. Two things were. Semi-Inf-Net's released pseudo-labels came from a network that was "
    "trained on all 50 annotated slices: this concerns the row `released-pseudo`, and the shipped "
    "network ([measurements.md](measurements.md)). And the views in which the shipped network sees "
    "a slice were picked among 13 on these same slices: this concerns its figures there, and no "
    "row here. Peers' networks were trained on all 50 slices, the networks of our folds on 40.",
)


def _verdicts(benchmark: Benchmark, results: Results) -> list[str]:
    question = benchmark.second
    second = secondary(benchmark, results).get((question.row, question.against, "infection"))
    return [
        primary_verdict(benchmark, benchmark.primary, primary(benchmark, results), results),
        second_verdict(benchmark, question, second, results),
    ]


def _earlier(benchmark: Benchmark, results: Results, comparisons: Comparisons) -> list[str]:
    """The verdicts of an earlier round, as they stand with the intervals of today."""
    if (earlier := benchmark.earlier) is None:
        return []
    first, second = (
        comparisons.get((question.row, question.against, "infection"))
        for question in (earlier.primary, earlier.second)
    )
    return [
        f"### {earlier.title}",
        primary_verdict(benchmark, earlier.primary, first, results),
        second_verdict(benchmark, earlier.second, second, results),
    ]


def _exploratory(benchmark: Benchmark, results: Results) -> list[str]:
    """Differences on the test slices, whichever way they point; no question asked beforehand."""
    questions: list[Question] = [benchmark.primary, benchmark.second]
    if benchmark.earlier is not None:
        questions += [benchmark.earlier.primary, benchmark.earlier.second]
    lines = []
    for question in questions:
        compared = on_test(results, question.row, question.against)
        cells = ["not measured", "–", "–", "–"]
        if compared is not None:
            difference, networks = compared
            wins = f"{difference['wins']} of {difference['n']}"
            cells = [difference_text(difference), str(difference["n"]), wins, str(networks)]
        lines.append([f"`{question.row}`", f"`{question.against}`", *cells])
    return [
        "### Exploratory: differences on the test slices",
        "Nobody asked beforehand, and nothing follows from them: Dice at 0.5 of infection, with "
        "intervals over the slices and the networks of folds and seeds.",
        table(["row", "minus", "difference", "n", "higher on", "networks"], lines),
    ]


def _about_folds(results: Results) -> str:
    machines = sorted(
        {f"{result['machine']['cpu']}, {result['machine']['threads']} threads"
         for result in results.values()}
    )  # fmt: skip
    where = f" Measured on: {'; '.join(machines)}." if machines else ""
    return (
        "Every slice is predicted by the networks that had its fold held out; its value is the "
        "mean over the seeds. Toolbox figures are those of Inf-Net's evaluation; wrong: share of "
        "wrong pixels; HD95 in pixels of the slice, surface Dice within 2 pixels; area r: "
        "correlation of infected fractions; SD: of the seeds' mean Dice. Minutes of training of "
        "one network, after + those of all runs that it builds on (pre-training, stages, and for "
        "lesions the networks of the priors), on one thread or more, alone or beside another "
        f"training: a rough guide.{where} Slices: compute that does not depend on the machine, the "
        "slices that passed the network in training, again + those of all runs that it builds on "
        "(a coach's steps and a teacher's training count). † measured by a version that did not "
        "record its commit, before batch norm was settled in pre-training (2026-11-30)."
    )


def _fewer_folds(benchmark: Benchmark) -> list[str]:
    """Which rows hold out fewer folds than there are, and what that means."""
    by_count: dict[int, list[str]] = {}
    for row in benchmark.rows:
        if isinstance(row.folds, int):
            by_count.setdefault(row.folds, []).append(f"`{row.name}`")
    if not by_count:
        return []
    said = [
        f"To save hours, these rows hold out {count} of the folds only: {', '.join(names)}."
        for count, names in sorted(by_count.items())
    ]
    return [
        f"{' '.join(said)} Their means are of fewer and other slices (n) than those of the rows "
        "around them; the differences below are on the slices that both rows have."
    ]


def _held_out(benchmark: Benchmark, results: Results) -> list[str]:
    blocks = []
    for finding, title in PARTS.items():
        rows = [row for row in benchmark.of(_target(finding)) if row.folds != "all"]
        lines = []
        for row in rows:
            result = results.get(row.name)
            figures = result["held_out"][finding] if result and result["held_out"] else None
            slices = slices_text(result) if result else "–"
            end = [seeds_text(row, result), _sd(figures), minutes(result), slices]
            lines.append([label(row) + _mark(result), *figures_row(figures), *end])
        head = ["row", *figures_head(), "seeds", "SD", "minutes", "slices"]
        blocks += [f"### {title}", table(head, lines)]
        if finding != "infection":
            blocks.append(_absent(rows, results, finding))
    return blocks


def _absent(rows: Sequence[Row], results: Results, finding: str) -> str:
    """What is found where the class is not."""
    said = []
    for row in rows:
        if result := results.get(row.name):
            absent = result["held_out"][finding]["absent"].values()
            if total := sum(figures["n"] for figures in absent):
                alarms = sum(figures["false_alarms"] for figures in absent)
                said.append(f"{row.label} {alarms} of {total}")
    if not said:
        return "False alarms: no slices without it, or not measured."
    return f"False alarms, in slices without it, summed over seeds: {'; '.join(said)}."


def _differences(benchmark: Benchmark, comparisons: Comparisons) -> str:
    lines = [
        [
            label(benchmark.row(comparison.row)),
            label(benchmark.row(comparison.against)),
            PARTS[comparison.finding].lower(),
            str(comparison.difference["n"]),
            difference_text(comparison.difference),
            f"{comparison.difference['wins']} of {comparison.difference['n']}",
            p_text(comparison.p),
            ", ".join(map(str, comparison.seeds)),
            number(comparison.crossed.detectable),
        ]
        for comparison in comparisons.values()
    ]
    head = ["row", "minus", "of", "n", "difference", "higher on", "p (Holm)", "seeds", "detectable"]
    return table(head, lines)


def _label_efficiency(
    benchmark: Benchmark, results: Results, comparisons: Comparisons
) -> list[str]:
    blocks = []
    for title, rows in benchmark.label_efficiency.items():
        lines = []
        for slices, (without, with_it) in rows.items():
            comparison = comparisons.get((with_it, without, "infection"))
            if (with_it, without) == (benchmark.primary.row, benchmark.primary.against):
                comparison = primary(benchmark, results)
            figures = [_dice(results, name) for name in (without, with_it)]
            difference = ["–", "–"]
            if comparison:
                seeds = ", ".join(map(str, comparison.seeds))
                difference = [difference_text(comparison.difference), seeds]
            lines.append([str(slices), *figures, *difference])
        head = ["annotated slices", "supervised", "pre-trained", "difference", "seeds compared"]
        blocks += [f"### {title[:1].upper()}{title[1:]}", table(head, lines)]
    return blocks


def _dice(results: Results, row: str) -> str:
    result = results.get(row)
    if result is None or not result["held_out"]:
        return "not run"
    return text_of(result["held_out"]["infection"]["figures"]["dice"])


def _test(benchmark: Benchmark, results: Results, released: Peers) -> list[str]:
    blocks = []
    for finding, title in PARTS.items():
        lines = []
        for row in benchmark.of(_target(finding)):
            result = results.get(row.name)
            figures = result["test"][finding] if result and result["test"] else None
            networks = str(len(result["runs"])) if result and figures else None
            lines.append(_test_row(label(row), figures, networks))
        lines += [
            _test_row(f"{name} (released maps)", figures, None)
            for name, figures in released.get(finding, {}).items()
        ]
        dice, *further = figures_head()
        head = ["row", dice, "Dice without 91", *further, "networks"]
        blocks += [f"### {title}", table(head, lines)]
    return blocks


def _test_row(name: str, figures: dict[str, Any] | None, networks: str | None) -> list[str]:
    dice, *further = figures_row(figures)
    left = figures["without_91"]["figures"]["dice"] if figures else None
    without = f"{text_of(left)}, n = {left['n']}" if left else "–"
    return [name, dice, without, *further, networks or "–"]


def _not_run(benchmark: Benchmark, results: Results, folder: str) -> str:
    lines = []
    for row in benchmark.rows:
        if reason := unfinished(row, results.get(row.name)):
            command = f"lungscore benchmark run {folder} --only {row.name}"
            lines.append(f"- {row.label} (`{row.name}`): {reason}. `{command}`")
    return "\n".join(lines) or "Every row was run."


def _mark(result: dict[str, Any] | None) -> str:
    """Behind a row whose result does not say which commit measured it."""
    return " †" if result and not result.get("commit") else ""


def _sd(section: dict[str, Any] | None) -> str:
    return number(section["figures"]["dice"]["sd_between_networks"]) if section else "–"


def _target(finding: str) -> str:
    return "infection" if finding == "infection" else "lesions"
