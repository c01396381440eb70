"""The part of docs/measurements.md on disease made in training slices."""

from typing import Any


def section(trial: dict[str, Any]) -> str:
    """Titled, without a line break at its end. trial: made-disease-folds.json."""
    less = trial["figures"]["less_shipped"]
    names = (
        ("Dice at 0.5", "dice"),
        ("toolbox mean Dice", "toolbox_dice"),
        ("sensitivity", "sensitivity"),
        ("precision", "precision"),
    )
    return "\n".join(
        [
            "## Disease made in training slices",
            "",
            f"Command: `{trial['command']}`, n = {trial['figures']['n']} annotated slices out of "
            "fold, one training per fold (`experiments/infection-made-disease.yaml`: the shipped "
            "recipe with as many passes, disease made in three of ten slices). Less the shipped "
            "recipe, paired:",
            "",
            "| figure | difference [95 % CI] |",
            "|---|---|",
            *(
                f"| {title} | {less[key]['mean']:+.3f} [{less[key]['low']:+.3f}, "
                f"{less[key]['high']:+.3f}] |"
                for title, key in names
            ),
            "",
            "By the rule written down beforehand ([looks.md](looks.md)) it does not ship: the "
            "loss of Dice is larger than was allowed. It marks more, and more of it falsely. "
            "Whether more passes make up for it was not tried. What ships instead counts "
            "[solid lung](method.md#solid-lung).",
        ]
    )
