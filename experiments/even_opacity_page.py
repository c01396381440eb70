"""The part of docs/measurements.md on opacity without an edge, from even-opacity.json alone."""

from typing import Any


def section(content: dict[str, Any]) -> str:
    """Titled, without a line break at its end."""
    ill = [row for row in content["rows"] if row["part"]]
    sound = [row for row in content["rows"] if not row["part"]]
    missed = [row for row in ill if row["found_percent"] < row["true_percent"] / 2]
    silent = [row for row in missed if row["category"] == "none" and not row["told"]]
    told = [row for row in ill if row["told"]]
    return "\n".join(
        [
            "## Opacity that fills a lobe or a lung evenly",
            "",
            f"Command: `{content['command']}`, {content['model']['name']} "
            f"{content['model']['version']}. Scans without pneumonia, in which every voxel of a "
            f"place was mixed with so much soft tissue ({content['tissue_hu']} HU): the lung's own "
            "texture stays, and no edge shows where the opacity begins. It is made up, and the "
            "hardest case: disease of patients has edges and texture of its own.",
            "",
            "| scan | place | tissue, % | median, HU | true, % of the lungs | found, % "
            "| category | grade | `lung-density` |",
            "|---|---|---|---|---|---|---|---|---|",
            *(_row(row) for row in content["rows"]),
            "",
            f"**The network misses it:** less than half of it is found in {len(missed)} of "
            f"{len(ill)}. In {len(told)} the notice `lung-density` says so, and "
            f'"none" is withheld; {len(silent)} are called "none" without it. '
            f"Untouched, {sum(row['told'] for row in sound)} of {len(sound)} have the notice.",
        ]
    )


def _row(row: dict[str, Any]) -> str:
    median = "–" if row["median_hu"] is None else f"{row['median_hu']:.0f}".replace("-", "−")
    return (
        f"| {row['scan']} | {row['place']} | {100 * row['part']:g} | {median} | "
        f"{row['true_percent']:.1f} | {row['found_percent']:.1f} | {row['category'] or 'withheld'} "
        f"| {row['reliability']} | {'yes' if row['told'] else 'no'} |"
    )
