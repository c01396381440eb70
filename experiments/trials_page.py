"""The parts of docs/measurements.md on networks that were tried in place of the shipped one."""

from typing import Any

#: By docs/looks.md: the mean difference of Dice may not be lower, nor the low end of its interval.
LEAST_MEAN, LEAST_LOW = -0.005, -0.02

FIGURES = (
    ("Dice at 0.5", "dice"),
    ("toolbox mean Dice", "toolbox_dice"),
    ("sensitivity", "sensitivity"),
    ("precision", "precision"),
)


def made_disease(trial: dict[str, Any]) -> str:
    """Titled, without a line break at its end. trial: made-disease-folds.json."""
    return _section(
        "Disease made in training slices",
        trial,
        "`experiments/infection-made-disease.yaml`: the recipe of infection 0.2, as many passes, "
        "disease made in three of ten slices",
        f"{_verdict(trial)} It marks more, and more of it falsely. Whether more passes make up "
        "for it was not tried. What ships instead counts [solid lung](method.md#solid-lung).",
    )


def small(trial: dict[str, Any]) -> str:
    """The same of small-folds.json: infection 0.3, which the next one replaced."""
    return _section(
        "A network of 4 GFLOP a slice",
        trial,
        "`experiments/infection-small.yaml`: Slim Inf-Net with a ResNet-10 encoder, 3.2 million "
        "parameters, from the same pseudo-labels and annotated slices, four and a half times as "
        "many of the former",
        f"{_verdict(trial)} But it called more infected in CTs without pneumonia: see the next.",
    )


def clean(trial: dict[str, Any]) -> str:
    """The same of clean-folds.json: infection 0.4."""
    return _section(
        "The same with negatives from other hospitals",
        trial,
        "`experiments/infection-clean.yaml`: from infection 0.3, with slices of five CTs without "
        "pneumonia as negatives",
        f"{_verdict(trial)} But it distinguished the slices of P002 less well than a release must "
        "([looks.md](looks.md)).",
    )


def averaged(trial: dict[str, Any], scans: dict[str, Any]) -> str:
    """The same of averaged-folds.json and foreign-scans.json: infection 0.5, which ships."""
    models = list(scans["models"])
    unseen = set(scans["infected_percent"]) - set(scans["models"][models[-1]]["trained"])
    lines = [
        f"| {name}{'' if name in unseen else ' (its slices were negatives of the last)'} | "
        + " | ".join(f"{row[model]:.2f}" for model in models)
        + " |"
        for name, row in scans["infected_percent"].items()
    ]
    return "\n".join(
        [
            _section(
                "The average of the two",
                trial,
                "`experiments/average_runs.py`: half of the weights of infection 0.3, half of 0.4",
                f"{_verdict(trial)} It ships as infection 0.5.",
            ),
            "",
            f"Command: `{scans['command']}`. Percent of the lungs called infected in CTs of other "
            "hospitals (tumours, collapse and emphysema among them, no pneumonia), by infection "
            f"{', '.join(models)}. fnndsc has a collapsed lobe, which counts as consolidation.",
            "",
            f"| scan | {' | '.join(models)} |",
            "|---" * (len(models) + 1) + "|",
            *lines,
        ]
    )


def passes(less: dict[str, float]) -> bool:
    """Whether a difference of Dice to the shipped network is small enough to ship by it."""
    return less["mean"] >= LEAST_MEAN and less["low"] > LEAST_LOW


def _verdict(trial: dict[str, Any]) -> str:
    rule = "By the rule written down beforehand ([looks.md](looks.md))"
    if passes(trial["figures"]["less_shipped"]["dice"]):
        return f"{rule} Dice does not stand in its way."
    return f"{rule} it does not ship: the loss of Dice is larger than was allowed."


def _section(title: str, trial: dict[str, Any], recipe: str, verdict: str) -> str:
    figures = trial["figures"]
    less = figures["less_shipped"]
    return "\n".join(
        [
            f"## {title}",
            "",
            f"Command: `{trial['command']}`, n = {figures['n']} annotated slices out of fold, one "
            f"training per fold ({recipe}). Less infection 0.2, paired:",
            "",
            "| figure | difference [95 % CI] |",
            "|---|---|",
            *(
                f"| {name} | {less[key]['mean']:+.3f} [{less[key]['low']:+.3f}, "
                f"{less[key]['high']:+.3f}] |"
                for name, key in FIGURES
            ),
            "",
            verdict,
        ]
    )
