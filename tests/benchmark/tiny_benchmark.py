"""What the tests of the benchmark share: a comparison of few rows, and results made up for it."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lungscore.benchmark.results import result_file, write_result
from lungscore.benchmark.sections import FIGURES, section_of

REPOSITORY = Path(__file__).parents[2] / "experiments" / "benchmark"

ROWS: dict[str, Any] = {
    "groups": {"a": "One network", "c": "Lesions"},
    "primary": {"row": "coach", "against": "supervised", "margin": 0.02},
    "second": {"row": "coach", "against": "semi", "margin": 0.03},
    "reference": {"infection": "supervised", "lesions": "lesions"},
    "rows": [
        {"name": "coach", "group": "a", "label": "coach", "seeds": [0, 1]},
        {"name": "supervised", "group": "a", "label": "supervised", "seeds": [0, 1]},
        {"name": "semi", "group": "a", "label": "semi-supervised"},
        {"name": "lesions", "group": "c", "label": "lesions", "target": "lesions"},
        {"name": "large", "group": "a", "label": "large", "not_run": "takes days", "folds": "all"},
    ],
    "label_efficiency": {"short": {50: ["supervised", "coach"]}},
    "table_1": {
        "As published": [
            {"label": "Inf-Net", "single": "supervised", "published": [7.95, 1.17]},
            {"label": "Self-super", "single": "coach", "single_control": "supervised"},
        ]
    },
}

EXPERIMENTS: dict[str, Any] = {
    "supervised": {"training": {"epochs": 2, "slices_per_epoch": 100}},
    "pretraining": {"training": {"epochs": 4}, "pretraining": {"masks": "random"}},
    "coach": {"network": {"start": {"experiment": "pretraining", "seed": 0}}},
    "labels": {
        "network": {"start": {"experiment": "supervised"}},
        "training": {"epochs": 8},
        "pseudo_labelling": {"groups": 8},
    },
    "semi": {"data": {"pseudo_labels": {"experiment": "labels"}}},
    "lesions": {
        "target": "lesions",
        "network": {"name": "lesion-inf-net", "start": {"experiment": "coach", "seed": 0}},
        "data": {"priors": {"experiment": "supervised", "seed": 0}},
    },
    "large": {"network": {"start": {"experiment": "pretraining", "folds": False}}},
}


def write_folder(folder: Path, **rows: Any) -> Path:
    """A comparison of two folds in ``folder``; ``rows`` replace parts of rows.yaml."""
    folder.mkdir(parents=True)
    (folder / "rows.yaml").write_text(yaml.safe_dump(ROWS | rows))
    for name, values in EXPERIMENTS.items():
        values = {"name": name, **values, "data": {"folds": 2, **values.get("data", {})}}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(values))
    return folder


def slices(dice: float, count: int = 10, *, seed: int = 0, spread: float = 0.05) -> list[dict]:
    """Rows of figures of ``count`` slices whose Dice is about ``dice``; slice 91 is the last."""
    values = dice + np.random.default_rng(seed).normal(0, spread, count)
    names = [*map(str, range(count - 1)), "91"]
    return [
        {"name": name, **dict.fromkeys(FIGURES, value), "infected_fraction": value / 4,
         "true_fraction": 0.1 + 0.01 * index}
        for index, (name, value) in enumerate(zip(names, values.tolist(), strict=True))
    ]  # fmt: skip


def result(
    row: str, dice: float, *, seeds: tuple[int, ...] = (0,), target: str = "infection", **more: Any
) -> dict[str, Any]:
    """A result as ``measure`` gives it, of two folds; ``other`` replaces parts of it."""
    out_of_fold = {f"seed{seed}": slices(dice, seed=seed) for seed in seeds}
    names = [f"fold{fold}-seed{seed}" for seed in seeds for fold in (0, 1)]
    on_test = {name: slices(dice, seed=index) for index, name in enumerate(names)}
    runs = [
        {"fold": fold, "seed": seed, "weights_sha256": f"{row}{fold}{seed}", "seconds": 90.0,
         "seconds_before": 30.0, "slices": 1200, "slices_before": 2400}
        for seed in seeds for fold in (0, 1)
    ]  # fmt: skip
    return {
        "row": row,
        "target": target,
        "command": "lungscore benchmark run experiments/tiny",
        "config": {
            "data": {"folds": 2},
            "training": {
                "weight_decay": 1e-6,
                "epochs": 6,
                "slices_per_epoch": 200,
                "batch_size": 8,
            },
        },
        "seeds": list(seeds),
        "planned_seeds": list(seeds),
        "runs": runs,
        "steps": [],
        "held_out": parts(out_of_fold, target),
        "test": parts(on_test, target, without="91"),
        **more,
    }


def parts(rows: dict[str, list[dict]], target: str, without: str | None = None) -> dict[str, Any]:
    """The parts of a result, for lesions with absent slices and a test loss."""
    if target == "infection":
        return {"infection": section_of(rows, without)}
    absent = {network: {"n": 2, "false_alarms": 1} for network in rows}
    losses = {
        network: [{"name": row["name"], "test_loss": 0.5} for row in of_network]
        for network, of_network in rows.items()
    }
    classes = {
        key: section_of(rows, without) | {"absent": absent} for key in ("ggo", "consolidation")
    }
    return {**classes, "classes": section_of(losses, without)}


def write(results: Path, *made: dict[str, Any]) -> None:
    """Result files as the benchmark writes them."""
    for content in made:
        write_result(result_file(results, content["row"]), content)
