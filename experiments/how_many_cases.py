"""How many cases of one's own are worth it: a curve on phantoms and on the 50 annotated slices.

    python experiments/how_many_cases.py annotated     # the 50 slices alone, in a second
    LUNGSCORE_DATA=FOLDER python experiments/how_many_cases.py run FOLDER   # or go on after a stop
    python experiments/how_many_cases.py docs          # the page, from the result file

On phantoms the shipped network is fine-tuned on 5, 10, 20 and 40 slices of as many patients and
measured on 20 others, two seeds each. On the 50 slices of COVID-SemiSeg, on which the shipped
network was trained, the figures are those of networks from random weights, out of fold: the
committed results of `lungscore benchmark run`. The result is results/how-many-cases.json.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from generated_blocks import write_block
from lungscore.datasets.prepare_my_data import prepare_my_data
from lungscore.evaluation.own_labels import compare_on_labels
from lungscore.evaluation.results import plain
from lungscore.files import atomic_write
from lungscore.inference.bundle import load_bundle
from lungscore.learning.out_of_fold import maps_of_network, read_run
from lungscore.learning.run import run_experiment
from lungscore.statistics.estimate import Estimate, text_of
from lungscore.statistics.intervals import mean_with_interval
from phantom_labels import write_phantoms

HERE = Path(__file__).parent
RESULT = HERE / "results" / "how-many-cases.json"
BENCHMARK = HERE / "results" / "benchmark"
PAGE = HERE.parent / "docs" / "training.md"

COUNTS, SEEDS = (5, 10, 20, 40), (0, 1)

#: Patients of the phantoms: those that train, and those that test.
TRAIN, TEST = 40, 20

#: Rows of the benchmark by the slices that each of their folds had.
ROWS = {5: "supervised-5", 10: "supervised-10", 25: "supervised-25", 40: "supervised"}

SMALL = {"height": 128, "width": 160}


def run(folder: Path) -> None:
    """Train and measure what is not there yet."""
    manifest = folder / "manifests" / "phantoms.csv"
    if not manifest.is_file():
        write_phantoms(folder / "phantoms", patients=TRAIN + TEST)
        _let_some_test(folder / "phantoms" / "cases.csv")
        prepare_my_data(folder / "phantoms", manifest)
    rows = []
    for count in COUNTS:
        for seed in SEEDS:
            rows.append(_measured(folder, manifest, count, seed))
            _write(rows)
            print(count, seed, flush=True)


def _let_some_test(table: Path) -> None:
    lines = table.read_text(encoding="utf-8").splitlines()
    lines[-TEST:] = [line.replace(",train,", ",test,") for line in lines[-TEST:]]
    atomic_write(table, "\n".join(lines) + "\n")


def _measured(folder: Path, manifest: Path, count: int, seed: int) -> dict[str, Any]:
    file = folder / f"cases-{count}.yaml"
    experiment = {
        "name": file.stem,
        "network": {
            "name": "slim-inf-net",
            "encoder": "resnet10",
            "start": {"bundle": "infection"},
        },
        "input": SMALL,
        "data": {"infected": ["phantoms"], "slices": count},
        "training": {
            "epochs": 4,
            "slices_per_epoch": 40,
            "batch_size": 8,
            "learning_rate": 2e-4,
            "seed": seed,
        },
    }
    file.write_text(json.dumps(experiment))  # JSON is YAML
    out = folder / "runs" / f"{count}-{seed}"
    run_folder = run_experiment(file, out, seed=seed, resume=True, report=print)
    shipped = load_bundle("infection")
    trained = read_run(run_folder)
    maps = maps_of_network(trained.network(), trained.config.input, shipped, manifest, "test")
    figures = compare_on_labels(maps)
    return {
        "slices": count,
        "seed": seed,
        "dice": figures["infected"]["dice"],
        "per_slice": [row["measured"]["dice"] for row in figures["slices"]],
        "shipped_per_slice": [row["reference"]["dice"] for row in figures["slices"]],
    }


def _write(rows: list[dict[str, Any]]) -> None:
    curve = []
    for count in sorted({row["slices"] for row in rows}):
        chosen = [row for row in rows if row["slices"] == count]
        measured = np.mean([row["per_slice"] for row in chosen], axis=0)
        shipped = np.array(chosen[0]["shipped_per_slice"])
        curve.append(
            {
                "slices": count,
                "seeds": [row["seed"] for row in chosen],
                "dice": mean_with_interval(measured),
                "difference": mean_with_interval(measured - shipped),
            }
        )
    result = {
        "command": "python experiments/how_many_cases.py run FOLDER",
        "input": SMALL,
        "test_slices": TEST,
        "shipped": mean_with_interval(np.array(rows[0]["shipped_per_slice"] if rows else [])),
        "phantoms": curve,
        "annotated": _annotated(),
        "runs": rows,
    }
    atomic_write(RESULT, json.dumps(plain(result), indent=1) + "\n")


def _annotated() -> list[dict[str, Any]]:
    """The curve on the 50 slices, from the results of the benchmark."""
    curve = []
    for count, row in ROWS.items():
        result = json.loads((BENCHMARK / f"{row}.json").read_text(encoding="utf-8"))
        figure = result["held_out"]["infection"]["figures"]["dice"]
        curve.append({"slices": count, "row": row, "seeds": result["seeds"], "dice": figure})
    return curve


def table_of(result: dict[str, Any]) -> str:
    """The table of the page."""
    lines = [
        "| slices | phantoms: Dice on 20 others | compared with the shipped network "
        "| the 50 slices: Dice out of fold |",
        "|---|---|---|---|",
    ]
    if result["phantoms"]:
        lines.append(f"| 0, as shipped | {text_of(result['shipped'])} | – | – |")
    phantoms = {row["slices"]: row for row in result["phantoms"]}
    annotated = {row["slices"]: row for row in result["annotated"]}
    for count in sorted(phantoms.keys() | annotated.keys()):
        cells = ["–"] * 3
        if count in phantoms:
            cells[0] = text_of(phantoms[count]["dice"])
            cells[1] = text_of(phantoms[count]["difference"], signed=True)
        if count in annotated:
            cells[2] = Estimate.read(annotated[count]["dice"], "mean").text()
        lines.append(f"| {count} | {' | '.join(cells)} |")
    return "\n".join(lines)


def docs() -> None:
    """Write the table into the page."""
    write_block(PAGE, "how-many-cases", table_of(json.loads(RESULT.read_text(encoding="utf-8"))))


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run").add_argument("folder", type=Path)
    commands.add_parser("annotated")
    commands.add_parser("docs")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(arguments.folder.resolve())
    elif arguments.command == "annotated":
        _write([])
    else:
        docs()


if __name__ == "__main__":
    main()
