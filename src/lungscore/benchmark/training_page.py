"""What the page says of the trainings themselves: pre-training, convergence, weights."""

from lungscore.benchmark.comparisons import Results, compare, difference_text
from lungscore.benchmark.results import inpainting_errors, measured_weights, slices_text
from lungscore.benchmark.rows import Benchmark
from lungscore.benchmark.tables import label, number, table
from lungscore.statistics.estimate import text_of

#: More passes gain less than this: converged.
CONVERGED = 0.003


def pretraining_table(benchmark: Benchmark, results: Results) -> str:
    """The error of every row's pre-training beside its floor."""
    lines = []
    for row in benchmark.rows:
        result = results.get(row.name)
        steps = result["steps"] if result else []
        # Other tasks than inpainting have no such errors; earlier results kept none of any.
        pretrained = [step for step in steps if "pretraining" in step["experiment"]]
        if not pretrained or any(step.get("inpainting") == {} for step in pretrained):
            continue
        errors = inpainting_errors(result) if result else {}
        cells = ["–"] * 4
        verdict = "floor not measured"
        if errors:
            names = (
                "random_mask_error",
                "random_mask_floor",
                "coach_mask_error",
                "coach_mask_floor",
            )
            cells = [number(errors.get(name)) for name in names]
            gain = errors["random_mask_error"] / errors["random_mask_floor"] - 1
            beaten = gain < 0
            verdict = f"{'beats' if beaten else 'does not beat'} the floor ({gain:+.0%})"
        lines.append([label(row), *cells, verdict.replace("-", "−")])
    if not lines:
        return "No pre-trained row was run."
    masks = ("random masks", "floor", "coach's masks", "floor")
    return table(["row", *masks, "under random masks"], lines)


def convergence_blocks(benchmark: Benchmark, results: Results) -> list[str]:
    """Dice by passes, and whether more of them still gain."""
    if not benchmark.convergence:
        return []
    lines: list[list[str]] = []
    before: str | None = None
    gained: dict[str, float | int] | None = None
    for name in benchmark.convergence:
        result = results.get(name)
        if result is None or not result["held_out"]:
            lines.append([f"`{name}`", "–", "not run", "–"])
            before = gained = None
            continue
        step = compare(results, name, before, "infection") if before else None
        gained = step.difference if step else None
        dice = text_of(result["held_out"]["infection"]["figures"]["dice"])
        lines.append(
            [f"`{name}`", slices_text(result), dice, difference_text(gained) if gained else "–"]
        )
        before = name
    answer = "Not answered yet: rows were not run."
    if gained is not None:
        word = "Yes" if gained["mean"] < CONVERGED else "No"
        answer = (
            f"{word}: the last step, of many more passes, changes Dice by "
            f"{difference_text(gained)}; the limit was {CONVERGED}."
        )
    return [
        "## Has the supervised row converged?",
        table(["row", "slices", "Dice at 0.5", "against the line above"], lines),
        answer,
    ]


def unmeasured_starts(results: Results) -> str:
    """Rows that were trained from other weights than those whose figures stand on the page."""
    by_experiment = {result["row"]: result for result in results.values()}
    faulty = []
    for name, result in results.items():
        for step in result["steps"]:
            fold = "all" if step["fold"] is None else f"fold{step['fold']}"
            run = f"{step['experiment']}/{fold}-seed{step['seed']}"
            measured = measured_weights(by_experiment, run)
            if measured not in (None, step["weights_sha256"]):
                faulty.append(f"`{name}` (from `{step['experiment']}`)")
                break
    if not faulty:
        return "Every row that builds on another was trained from the measured weights."
    return (
        "Trained from other weights than those that were measured, though of the same experiment: "
        f"{', '.join(faulty)}. They are to be run again; such a row is no longer measured."
    )
