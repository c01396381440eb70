"""Result files of the comparison: one JSON a row, small enough to be committed.

    row, target, command, lungscore, commit, machine, bootstrap
    config       the experiment; its fold and seed are those of ``runs``
    seeds        whose folds are all finished; planned_seeds: those of rows.yaml
    runs         fold, seed, weights_sha256, built_on (run -> checksum of the weights that it was
                 trained from), commit of the code that trained it, seconds of training and slices
                 seen, seconds_before and slices_before of the runs that it builds on
    steps        those runs: pre-training (with ``inpainting``, its errors and their floors by
                 epoch), stages, priors
    held_out     part -> figures out of fold, the networks of one seed together as "seed0"; null
                 without folds
    test         part -> figures of the test slices by network, "fold0-seed0"; null before the row
                 is finished

A part is "infection", or "ggo", "consolidation" (slices that hold the class) and "classes" (its
test loss alone). Its per_slice values are lists in the order of ``slices``.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.benchmark.rows import Row
from lungscore.errors import InputError
from lungscore.evaluation.results import plain
from lungscore.files import atomic_write
from lungscore.machine import available_threads, cpu_model
from lungscore.statistics.bootstrap import RESAMPLES, SEED
from lungscore.statistics.intervals import mean_over_seeds
from lungscore.version import __version__, commit

Result = dict[str, Any]


def results_folder(folder: Path) -> Path:
    """experiments/results/benchmark for experiments/benchmark."""
    return folder.parent / "results" / folder.name


def result_file(results: Path, row: str) -> Path:
    """The result file of a row."""
    return results / f"{row}.json"


def write_result(path: Path, result: Result) -> None:
    """Write a row's result file, figures (not the config) rounded to 4 digits, with its origin."""
    origin = {
        "lungscore": __version__,
        "commit": commit(),
        "machine": {"cpu": cpu_model(), "threads": available_threads()},
        "bootstrap": {"resamples": RESAMPLES, "seed": SEED, "interval": "95 % percentile"},
    }
    content = plain(origin | result, digits=4) | {"config": result["config"]}
    atomic_write(path, _lines(content) + "\n")


def write_plan(path: Path, content: dict[str, Any]) -> None:
    """Write plan.json (see plan_page), with its origin."""
    origin = {"lungscore": __version__, "commit": commit()}
    atomic_write(path, _lines(plain(origin | content, digits=3)) + "\n")


def read_result(results: Path, row: str) -> Result | None:
    """A row's result, or None where it has none. Raises input-unreadable."""
    path = result_file(results, row)
    try:
        result: Result = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(
            "input-unreadable", f"{path.name} is not a result file", hint="Delete it and run again"
        ) from error
    return result


def read_results(results: Path, rows: Iterable[Row]) -> dict[str, Result]:
    """The results of those rows that have one, under this name or the former."""
    stored = {}
    for row in rows:
        result = read_result(results, row.name)
        if result is None and row.formerly is not None:
            result = read_result(results, row.formerly)
        if result is not None:
            stored[row.name] = result
    return stored


def own_slices(result: Result) -> int:
    """How many slices one training of the row sees, from its experiment.

    What a training sees beside its own loop (a coach's steps) is in ``runs``, of newer results.
    """
    training = result["config"]["training"]
    size = training.get("batch_size", 1)
    return int(training["epochs"] * max(1, training["slices_per_epoch"] // size) * size)


def per_slice(
    section: dict[str, Any], figure: str, networks: Iterable[str] | None = None
) -> dict[str, float]:
    """slice name -> mean of a figure over networks (all by default), NaN where none has it."""
    columns = section["per_slice"][figure]
    chosen = [columns[key] for key in (columns if networks is None else networks)]
    values = mean_over_seeds(np.array(chosen, np.float64))
    return dict(zip(section["slices"], values.tolist(), strict=True))


def common(
    first: dict[str, Any], second: dict[str, Any], figure: str, networks: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """A figure of two sections on the slices of both: (networks, slices) of either."""
    pairs = [[per_slice(section, figure, [n]) for n in networks] for section in (first, second)]
    names = sorted(set(pairs[0][0]) & set(pairs[1][0]))
    ours, theirs = (np.array([[v[name] for name in names] for v in of_row]) for of_row in pairs)
    return ours, theirs


def inpainting_errors(result: Result) -> dict[str, float]:
    """Errors of the row's pre-trainings after their last epoch, and their floors; their means.

    Empty where nothing was pre-trained, or by a version that measured no floors.
    """
    curves = [step["inpainting"] for step in result["steps"] if step.get("inpainting")]
    if not curves or any("random_mask_floor" not in curve for curve in curves):
        return {}
    return {name: float(np.mean([curve[name][-1] for curve in curves])) for name in curves[0]}


def slices_text(result: Result) -> str:
    """Slices seen by one network, + those of all runs that it builds on."""
    run = result["runs"][0]
    own = run.get("slices", own_slices(result))
    earlier = run.get("slices_before", None if result["steps"] else 0)
    if earlier is None:
        return f"{own} + not recorded"
    return f"{own} + {earlier}" if earlier else str(own)


def measured_weights(stored: Mapping[str, Result], name: str) -> str | None:
    """The checksum of the weights of NAME/fold2-seed0 in the result of the row NAME, if any."""
    experiment, _, folder = name.partition("/")
    for run in stored.get(experiment, {"runs": []})["runs"]:
        fold = "all" if run["fold"] is None else f"fold{run['fold']}"
        if folder == f"{fold}-seed{run['seed']}":
            return str(run["weights_sha256"])
    return None


def _lines(value: Any, depth: int = 0) -> str:
    """JSON with what is innermost on one line, so that files are short and differences readable."""
    inside, outside = "\n" + " " * (depth + 1), "\n" + " " * depth
    if isinstance(value, dict) and any(isinstance(v, dict | list) for v in value.values()):
        items = (f"{json.dumps(key)}: {_lines(inner, depth + 1)}" for key, inner in value.items())
        return "{" + inside + f",{inside}".join(items) + outside + "}"
    if isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        items = (json.dumps(inner, ensure_ascii=False) for inner in value)
        return "[" + inside + f",{inside}".join(items) + outside + "]"
    return json.dumps(value, ensure_ascii=False)
