"""What each step of experiments/timed_stages.py adds, out of fold, on the 50 annotated slices.

    python experiments/out_of_fold.py RESULTS/maps.npz RESULTS/more-maps.npz \\
        --runs RESULTS/runs.json -o experiments/results/timed-stages.json

Maps are brought to the published crops' own size. An arm that was trained with several seeds is
measured seed by seed; a slice's figure is the mean over them, intervals are over slices. GGO and
consolidation are separated by the network's second answer and, beside it, by density as inference
does where no network has learned it; the network must beat density in both for it to ship. Where a
recipe has no second answer, its steps compare with density.

``--runs`` adds how long the networks of each arm trained. Today's recipe is compared with
infection-0.2-folds.json, too, whose pseudo-labels came from a network that knew all 50 slices.
"""

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.datasets import covid_semiseg
from lungscore.datasets.sample import Sample
from lungscore.datasets.training_slices import data_root
from lungscore.evaluation.infection import score_maps
from lungscore.evaluation.lesions import CLASSES, score_lesions
from lungscore.inference.density import density_near
from lungscore.learning.timed import today
from lungscore.scan.window import resize
from lungscore.statistics.intervals import (
    area_agreement,
    mean_over_seeds,
    mean_with_interval,
    paired_difference,
    sd_between_seeds,
)

#: (what is added, with it, without it), each an arm and the views in which it saw a slice.
STEPS = (
    ("labels without the leak", "today/views", "today, with the leak/views"),
    ("recipe and encoder", "teacher/single", "today/single"),
    ("a residual encoder instead", "teacher-resnet/single", "teacher/single"),
    ("dense disease", "teacher/single", "teacher-plain/single"),
    ("self-training", "student/single", "alone/single"),
    ("self-training once more", "iterated/single", "student/single"),
    ("six views", "iterated/views", "iterated/single"),
    ("all of it", "iterated/single", "today/single"),
    ("all of it, both in six views", "iterated/views", "today/views"),
)
FIGURES = ("dice", "toolbox_dice", "toolbox_mae", "test_loss")
#: Today's recipe without the leak, and the figures of infection-0.2-folds.json.
LEAKLESS, WITH_LEAK = "today/views", "today, with the leak/views"
#: Slices of which at least this share of the infection is consolidation.
DENSE_SHARE = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("maps", type=Path, nargs="+", help="maps.npz of the results")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--grey-split", type=float, default=140 / 255, help="of the density rule")
    parser.add_argument("--runs", type=Path, help="runs.json of the results")
    parser.add_argument(
        "--with-leak",
        type=Path,
        default=Path(__file__).parent / "results/infection-0.2-folds.json",
    )
    arguments = parser.parse_args()
    samples = {s.name: s for s in covid_semiseg.load(data_root() / "covid-semiseg", "train")}
    stored: dict[str, np.ndarray] = {}
    for path in arguments.maps:
        with np.load(path, allow_pickle=False) as file:
            stored |= {key: file[key] for key in file.files}
    leak = json.loads(arguments.with_leak.read_text(encoding="utf-8"))["figures"]["slices"]
    by_arm: dict[str, list[dict[str, Any]]] = {}
    for key in sorted(stored):
        arm, kind = key.rsplit("/", 1)
        if kind == "names":
            continue
        names = [str(name) for name in stored[f"{arm}/names"]]
        if set(names) != set(samples):
            print(f"{key}: {len(names)} of {len(samples)} slices, left out")
            continue
        maps = dict(zip(names, stored[key], strict=True))
        scored = score({name: maps[name] for name in samples}, samples, arguments.grey_split)
        by_arm.setdefault(f"{arm.partition('.')[0]}/{kind}", []).append(scored)
    if LEAKLESS in by_arm:
        rows = {row["name"]: row for row in leak}
        by_arm[WITH_LEAK] = [
            {key: np.array([rows[name][key] for name in samples]) for key in FIGURES}
            | {"fractions": _fractions(rows, samples)}
        ]
    result = {
        "command": "python experiments/out_of_fold.py",
        "n": len(samples),
        "arms": {arm: summary(seeds) for arm, seeds in by_arm.items()},
        "steps": steps(by_arm),
        "trained": trained(json.loads(arguments.runs.read_text())) if arguments.runs else {},
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    for arm, figures in result["arms"].items():
        print(
            f"{arm:28s} "
            + "  ".join(
                f"{key} {_told(figures[key])}"
                for key in figures
                if isinstance(figures[key], dict) and "mean" in figures[key]
            )
        )
        print(f"{'':28s} area r {figures['area_r']:.3f}, seeds {figures['seeds']}")
    for step in result["steps"]:
        print(
            f"{step['added']}: "
            + "  ".join(
                f"{key} {_told(step[key])}"
                for key in step
                if key not in ("added", "with", "without")
            )
        )


def score(
    maps: dict[str, np.ndarray], samples: dict[str, Sample], grey_split: float
) -> dict[str, Any]:
    """Every slice's figures: rows by name, Dice of the classes, and fractions of the slice."""
    own = {
        name: [
            resize((level.astype(np.float32) + 0.5) / 256, *samples[name].image.shape)
            for level in both
        ]
        for name, both in maps.items()
    }
    infection = score_maps((name, both[0], samples[name].infection) for name, both in own.items())
    rows = {row["name"]: row for row in infection["slices"]}
    by_network = score_lesions(
        (name, _classes(both[0], both[1] >= 0.5), samples[name].lesions)
        for name, both in own.items()
    )
    by_density = score_lesions(
        (
            name,
            _classes(both[0], _dense(samples[name].image, both[0] >= 0.5, grey_split)),
            samples[name].lesions,
        )
        for name, both in own.items()
    )
    scored: dict[str, Any] = {
        figure: np.array([rows[name][figure] for name in samples]) for figure in FIGURES
    }
    dense = np.array([_dense_share(sample) >= DENSE_SHARE for sample in samples.values()])
    scored["dice_where_dense"] = np.where(dense, scored["dice"], np.nan)
    for key in CLASSES:
        for kind, figures in (("network", by_network), ("density", by_density)):
            dice = {row["name"]: row["dice"] for row in figures[key]["slices"]}
            scored[f"{key}_by_{kind}"] = np.array([dice.get(name, np.nan) for name in samples])
    if not any(both[1].any() for both in maps.values()):  # no second answer
        scored = {key: value for key, value in scored.items() if not key.endswith("_by_network")}
    return scored | {"fractions": _fractions(rows, samples)}


def _fractions(rows: Mapping[str, Any], names: Iterable[str]) -> np.ndarray:
    """(slices, 2) infected fractions, found and true."""
    return np.array(
        [[rows[name]["infected_fraction"], rows[name]["true_fraction"]] for name in names]
    )


def summary(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """Means with intervals of an arm, and what tells whether its second answer may ship."""
    mean = {
        key: mean_over_seeds(np.stack([s[key] for s in seeds]))
        for key in seeds[0]
        if key != "fractions"
    }
    predicted, true = np.mean([s["fractions"] for s in seeds], axis=0).T
    figures: dict[str, Any] = {key: mean_with_interval(values) for key, values in mean.items()}
    figures["network_minus_density"] = {
        key: paired_difference(mean[f"{key}_by_network"], mean[f"{key}_by_density"])
        for key in CLASSES
        if f"{key}_by_network" in mean
    }
    figures["area_r"] = area_agreement(predicted, true)["correlation"]["r"]
    figures["area"] = area_agreement(predicted, true)
    figures["seeds"] = len(seeds)
    if len(seeds) > 1:
        figures["sd_between_seeds"] = sd_between_seeds(np.stack([s["dice"] for s in seeds]))
    return figures


def steps(by_arm: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Paired differences of the steps whose arms are there."""
    keys = (
        "dice",
        "toolbox_dice",
        "dice_where_dense",
        "ggo_by_network",
        "consolidation_by_network",
    )
    result = []
    for added, with_it, without in STEPS:
        if with_it in by_arm and without in by_arm:
            step: dict[str, Any] = {"added": added, "with": with_it, "without": without}
            for key in keys:
                with_step, without_step = (_of_arm(by_arm[arm], key) for arm in (with_it, without))
                if with_step is not None and without_step is not None:
                    step[key] = paired_difference(with_step, without_step)
            result.append(step)
    return result


def _of_arm(seeds: list[dict[str, Any]], key: str) -> np.ndarray | None:
    """An arm's figure of every slice; of the classes, by density where it has no second answer."""
    for name in (key, key.replace("network", "density")):
        if name in seeds[0]:
            return mean_over_seeds(np.stack([seed[name] for seed in seeds]))
    return None


def trained(runs: dict[str, Any]) -> dict[str, Any]:
    """What the networks of each arm had: steps, slices seen, and their loss on the way.

    loss: the mean over the networks, half-way and at the end, of the mean loss of some seconds.
    """
    arms: dict[str, list[dict[str, Any]]] = {}
    for facts in runs.values():
        arms.setdefault(facts["run"]["arm"], []).append(facts)
    told: dict[str, Any] = {}
    for arm, networks in arms.items():
        run = networks[0]["run"]
        told[arm] = {
            "encoder": run["encoder"],
            "teachers": run["teachers"],
            "networks": len(networks),
            "seeds": sorted({facts["run"]["seed"] for facts in networks}),
            "whole_seconds": _ends([facts["whole_seconds"] for facts in networks]),
        }
        if run["kind"] == "today":
            steps = today.ON_LABELS[0] + today.ON_ANNOTATED[0]
            told[arm] |= {
                "batch": today.BATCH,
                "steps": [steps, steps],
                "slices": [steps * today.BATCH] * 2,
                "steps_of_the_labeller": today.LABELLER[0],
            }
            continue
        curves = [facts["curve"] for facts in networks]
        told[arm] |= {
            "batch": networks[0]["slices"] // networks[0]["steps"],
            "steps": _ends([facts["steps"] for facts in networks]),
            "slices": _ends([facts["slices"] for facts in networks]),
            "loss": {
                "half_way": float(np.mean([curve[len(curve) // 2][2] for curve in curves])),
                "at_the_end": float(np.mean([curve[-1][2] for curve in curves])),
            },
        }
    return told


def _ends(values: list[float]) -> list[float]:
    return [min(values), max(values)]


def _classes(infection: np.ndarray, dense: np.ndarray) -> np.ndarray:
    infected = infection >= 0.5
    return infected.astype(np.uint8) + (infected & dense)


def _dense(image: np.ndarray, infected: np.ndarray, grey_split: float) -> np.ndarray:
    return density_near(image, infected) >= grey_split * 255


def _dense_share(sample: Sample) -> float:
    assert sample.lesions is not None
    return float((sample.lesions == 2).sum() / max((sample.lesions > 0).sum(), 1))


def _told(figures: dict[str, Any]) -> str:
    return f"{figures['mean']:.3f} [{figures['low']:.3f}, {figures['high']:.3f}]"


if __name__ == "__main__":
    main()
