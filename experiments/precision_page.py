"""The part of docs/measurements.md on other precisions of the same weights."""

from typing import Any


def section(content: dict[str, Any]) -> str:
    """Titled, without a line break at its end. content: precision.json."""
    rule, model = content["rule"], content["model"]
    rows = [
        f"| {precision} | {row['dice']['real']:.4f} | {row['dice']['phantoms']:.4f} | "
        f"{row['most_points']:.3f} | {row['relative_time']:.2f} | "
        f"{'yes' if row['equal_to_f32'] else 'no'} |"
        for precision, row in content["precisions"].items()
    ]
    real = sum(not name.startswith("phantom") for name in content["volumes"])
    missing = [] if "int8" in content["precisions"] else [f"int8: {content['int8']}."]
    return "\n".join(
        [
            "## The same weights at other precisions",
            "",
            f"Command: `{content['command']}`, {model['name']} {model['version']}, by `analyze` on "
            f"OpenVINO, {real} real volumes and {len(content['volumes']) - real} phantoms, one "
            "reading each. Dice of all infected voxels with the masks of f32, the largest "
            "difference in the infected percent of a volume's lungs, and the network's time. int8 "
            "is quantised after training by NNCF. A precision may be the default if its Dice is at "
            f"least {rule['least_dice']} on both kinds and no volume differs by more than "
            f"{rule['most_points']} points.",
            "",
            "| precision | Dice, real volumes | Dice, phantoms | largest difference, points | "
            "time relative to f32 | may be the default |",
            "|---|---|---|---|---|---|",
            *rows,
            *(["", *missing] if missing else []),
        ]
    )
