"""docs/benchmarks.md and the README's verdicts, from the committed result files alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lungscore.benchmark import patients
from lungscore.benchmark.comparisons import (
    Comparison,
    Results,
    difference_text,
    p_text,
    primary,
    primary_verdict,
    second_verdict,
    secondary,
)
from lungscore.benchmark.peers import peers
from lungscore.benchmark.results import read_results
from lungscore.benchmark.rows import Benchmark, Row, load_rows
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
from lungscore.files import atomic_write
from lungscore.statistics.estimate import text_of

PARTS = {"infection": "Infection", "ggo": "Ground-glass opacity", "consolidation": "Consolidation"}
BEGIN, END = "<!-- verdicts:begin -->", "<!-- verdicts:end -->"

Comparisons = dict[tuple[str, str, str], Comparison]
Peers = dict[str, dict[str, dict[str, Any]]]


def write_pages(folder: Path, results: Path, page: Path, readme: Path) -> None:
    """Write the page anew, and the lines between the README's marks where it has them."""
    benchmark = load_rows(folder)
    stored = read_results(results, [row.name for row in benchmark.rows])
    there = folder.parent.name + "/" + folder.name
    text = page_text(benchmark, stored, peers(results.parent), there)
    atomic_write(page, text + "\n\n".join(["", *patients.sections(results.parent)])[1:] + "\n")
    if readme.is_file() and BEGIN in (text := readme.read_text(encoding="utf-8")):
        head, rest = text.split(BEGIN)
        lines = f"{BEGIN}\n{readme_lines(benchmark, stored)}\n{END}"
        atomic_write(readme, head + lines + rest.split(END)[1])


def readme_lines(benchmark: Benchmark, results: Results) -> str:
    """The two verdicts as a list."""
    return "\n".join(f"- {verdict}" for verdict in _verdicts(benchmark, results))


def page_text(benchmark: Benchmark, results: Results, released: Peers, folder: str) -> str:
    """The whole page. released: released maps of peers, by finding; folder: for commands."""
    comparisons = secondary(benchmark, results)
    blocks = [
        "# Benchmarks",
        f"Written by `lungscore benchmark table {folder}` from the files in "
        "`experiments/results/`. The decisions taken before the first run are in "
        "[experiments/benchmark/README.md](../experiments/benchmark/README.md). Intervals are 95 % "
        "percentile bootstrap over slices; the threshold is fixed at 0.5. A row without figures "
        "was not run; the last section has its command.",
        "## The two verdicts",
        *_verdicts(benchmark, results),
        "## Out of fold, on the annotated slices",
        _about_folds(results),
        *_held_out(benchmark, results),
        "## Differences out of fold",
        f"Dice at 0.5 of a row minus that of another on the same slices, each the mean over the "
        f"seeds that both have; p of Wilcoxon's signed-rank test, the {len(comparisons)} tests of "
        "this section corrected together (Holm). The primary comparison, above, is not among them.",
        _differences(benchmark, comparisons),
        "## Fewer labels",
        "Fine-tuning with some of the annotated slices of the training folds; pre-training saw the "
        "images of all of them. Dice at 0.5 out of fold.",
        _label_efficiency(benchmark, results, comparisons),
        "## The public test slices",
        "Each network of a finished row predicted the test slices once; a slice's value is the "
        "mean over the row's networks. Nothing was chosen on them. Released maps of others are "
        "scored by the same code (`lungscore evaluate maps`); the column without slice 91 leaves "
        "out the slice that is nearly a copy of a training slice.",
        *_test(benchmark, results, released),
        "## Table I of the paper",
        "The paper's measure, its *test loss*: for the single network the loss of the final map "
        "(weighted cross-entropy and IoU loss), for the multi network the cross-entropy over "
        "background, ground-glass opacity and consolidation. The published values are shown "
        "for reference; their scale, data and training differ and changed between drafts, so only "
        "rows of one column can be compared with each other. The paper left the last two rows "
        "empty.",
        _table_1(benchmark, results),
        "## Limits",
        *_LIMITS,
        "## Not run",
        _not_run(benchmark, results, folder),
    ]
    return "\n\n".join(blocks) + "\n"


_LIMITS = (
    "The schedule is short, a few minutes on two cores for each network, where the paper trains "
    "hundreds of epochs: the rows show what the methods achieve at this budget. The unit is the "
    "slice, not the patient. The dataset does not say which slices are of one patient, so folds "
    "and test set may share patients, and every interval is too narrow for a claim about new "
    "patients. Test slices 91 and 93 are nearly copies of two training slices.",
    "One pre-training per fold serves all seeds of fine-tuning, so no interval includes the chance "
    "in pre-training. Semi-Inf-Net's released pseudo-labels came from a network that was trained "
    "on all 50 annotated slices, including those that a fold holds out: the out-of-fold figures of "
    "the row that uses them are optimistic. Peers' networks were trained on all 50 slices, the "
    "networks of our folds on 40.",
)


def _verdicts(benchmark: Benchmark, results: Results) -> list[str]:
    second = benchmark.second.row, benchmark.second.against, "infection"
    return [
        primary_verdict(benchmark, primary(benchmark, results)),
        second_verdict(benchmark, secondary(benchmark, results).get(second)),
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
        f"training: a rough guide.{where}"
    )


def _held_out(benchmark: Benchmark, results: Results) -> list[str]:
    blocks = []
    for finding, title in PARTS.items():
        rows = [row for row in benchmark.of(_target(finding)) if row.folds == "each"]
        lines = []
        for row in rows:
            result = results.get(row.name)
            figures = result["held_out"][finding] if result and result["held_out"] else None
            end = [seeds_text(row, result), _sd(figures), minutes(result)]
            lines.append([label(row), *figures_row(figures), *end])
        head = ["row", *figures_head(), "seeds", "SD", "minutes"]
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
        ]
        for comparison in comparisons.values()
    ]
    head = ["row", "minus", "of", "n", "difference", "higher on", "p (Holm)", "seeds"]
    return table(head, lines)


def _label_efficiency(benchmark: Benchmark, results: Results, comparisons: Comparisons) -> str:
    lines = []
    for slices, (without, with_it) in benchmark.label_efficiency.items():
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
    return table(head, lines)


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


def _table_1(benchmark: Benchmark, results: Results) -> str:
    lines = []
    for line in benchmark.table_1:
        cells = [line.label]
        for index, (name, finding) in enumerate(
            ((line.single, "infection"), (line.multi, "classes"))
        ):
            for target in ("held_out", "test"):
                cells.append(_loss(results.get(name or ""), target, finding, planned=bool(name)))
            cells.append("–" if line.published is None else f"{line.published[index]:.2f}")
        lines.append(cells)
    kinds = ("out of fold", "test slices", "published")
    head = ["", *(f"{network}: {kind}" for network in ("single", "multi") for kind in kinds)]
    return table(head, lines)


def _loss(result: dict[str, Any] | None, target: str, finding: str, *, planned: bool) -> str:
    if not planned:
        return "–"
    if result is None or not result[target]:
        return "not run"
    return number(result[target][finding]["figures"]["test_loss"]["mean"])


def _not_run(benchmark: Benchmark, results: Results, folder: str) -> str:
    lines = []
    for row in benchmark.rows:
        if reason := unfinished(row, results.get(row.name)):
            command = f"lungscore benchmark run {folder} --only {row.name}"
            lines.append(f"- {row.label} (`{row.name}`): {reason}. `{command}`")
    return "\n".join(lines) or "Every row was run."


def _sd(section: dict[str, Any] | None) -> str:
    return number(section["figures"]["dice"]["sd_between_networks"]) if section else "–"


def _target(finding: str) -> str:
    return "infection" if finding == "infection" else "lesions"
