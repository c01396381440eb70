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
    """The same of small-folds.json: the recipe that ships since infection 0.3."""
    return _section(
        "A network of 4 GFLOP a slice",
        trial,
        "`experiments/infection-small.yaml`: Slim Inf-Net with a ResNet-10 encoder, 3.2 million "
        "parameters, from the same pseudo-labels and annotated slices, four and a half times as "
        "many of the former",
        _verdict(trial),
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
