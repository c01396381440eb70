"""Result files of the comparison: one JSON a row, small enough to be committed.

    row, target, command, lungscore, machine, bootstrap
    config       the experiment; its fold and seed are those of ``runs``
    seeds        whose folds are all finished; planned_seeds: those of rows.yaml
    runs         fold, seed, weights_sha256, seconds of training, and seconds_before of the runs
                 that it builds on
    steps        those runs: pre-training, stages, priors
    held_out     part -> figures out of fold, the networks of one seed together as "seed0"; null
                 without folds
    test         part -> figures of the test slices by network, "fold0-seed0"; null before the row
                 is finished

A part is "infection", or "ggo", "consolidation" (slices that hold the class) and "classes" (its
test loss alone). Its per_slice values are lists in the order of ``slices``.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.errors import InputError
from lungscore.evaluation.results import plain
from lungscore.files import atomic_write
from lungscore.machine import available_threads, cpu_model
from lungscore.statistics.bootstrap import RESAMPLES, SEED
from lungscore.statistics.intervals import mean_over_seeds
from lungscore.version import __version__

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
        "machine": {"cpu": cpu_model(), "threads": available_threads()},
        "bootstrap": {"resamples": RESAMPLES, "seed": SEED, "interval": "95 % percentile"},
    }
    content = plain(origin | result, digits=4) | {"config": result["config"]}
    atomic_write(path, _lines(content) + "\n")


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


def read_results(results: Path, rows: Iterable[str]) -> dict[str, Result]:
    """The results of those rows that have one."""
    results_of_rows = {row: read_result(results, row) for row in rows}
    return {row: result for row, result in results_of_rows.items() if result is not None}


def per_slice(
    section: dict[str, Any], figure: str, networks: Iterable[str] | None = None
) -> dict[str, float]:
    """slice name -> mean of a figure over networks (all by default), NaN where none has it."""
    columns = section["per_slice"][figure]
    chosen = [columns[key] for key in (columns if networks is None else networks)]
    values = mean_over_seeds(np.array(chosen, np.float64))
    return dict(zip(section["slices"], values.tolist(), strict=True))


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
