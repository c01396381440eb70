"""The part of docs/measurements.md on altered scans, from altered-scans.json alone."""

from collections.abc import Iterable
from typing import Any

TITLE = "Scans as other programs leave them"
THIRDS = ("upper", "middle", "lower")


def section(content: dict[str, Any]) -> str:
    """Titled, without a line break at its end."""
    rows = content["rows"]
    turned = [outcome for row in rows for outcome in row["rotated"].values()]
    cut = [row for row in rows if row["cut"]]
    dices = [row["round_field_dice"] for row in cut if row["round_field_dice"] is not None]
    sound = [row for row in cut if (row["round_field_dice"] or 0) > 0.95]
    said = sum("lungs-cut-sideways" in row["round_field_codes"] for row in cut)
    return "\n".join(
        [
            f"## {TITLE}",
            "",
            f"Command: `{content['command']}`. {len(rows)} real chest CTs. Step: how much the body "
            "changes from slice to slice at most, as a multiple of the steps around it (from 2.5 "
            "on `slices-abrupt`, in volumes of more than 20 slices). Thinned: every second and "
            "every fourth slice. The limits were chosen with these scans in view.",
            "",
            "| scan | slices | mm apart | step | thinned | 20 mm missing | masked with air "
            "| round field: Dice of the lungs | what is said of it |",
            "|---|---|---|---|---|---|---|---|---|",
            *(_row(row) for row in rows),
            "",
            f"As they are, {_count(r['whole'] == 'read' for r in rows)} are read without a word on "
            f"their slices. Where 20 mm are missing, "
            f"{_count('slices-abrupt' in r['missing'] for r in rows)} say so; where a block of "
            f"slices occurs twice, {_count(r['twice'] == 'mixed-acquisitions' for r in rows)} are "
            f"refused. Rotated by 8° and 20° either way and resampled, "
            f"{_count(o.startswith('read') for o in turned)} are read, "
            f"{_count('slices-padded' in o for o in turned)} with `slices-padded`.",
            "",
            f"A round field of view that is 0.6 of the picture wide cuts the lungs of {len(cut)} "
            f"scans. Their lungs are compared with what it shows of the whole scan's: Dice above "
            f"0.95 in {len(sound)}, at least {min(dices):.2f}; `lungs-cut-sideways` in {said}.",
            "",
            "How dense lung is (median HU of a third of a lung; right, left), with all opacity "
            "that there is:",
            "",
            "| scan | upper | middle | lower | sides differ by at most |",
            "|---|---|---|---|---|",
            *(_density(row) for row in rows if row["median_hu"]),
        ]
    )


def _row(row: dict[str, Any]) -> str:
    thinned = ", ".join(_times(ratio) for ratio in row["ratio_thinned"].values())
    found = row["round_field_dice"]
    dice = "–" if found is None else f"{found:.3f}"
    codes = ", ".join(f"`{code}`" for code in row["round_field_codes"]) or "–"
    return (
        f"| {row['scan']} | {row['slices']} | {row['slice_mm']:.1f} | {_times(row['ratio'])} | "
        f"{thinned} | {_times(row['ratio_missing'])} | {row['masked']} | {dice} | {codes} |"
    )


def _density(row: dict[str, Any]) -> str:
    medians = row["median_hu"]
    pairs = [(medians.get(f"right {name}"), medians.get(f"left {name}")) for name in THIRDS]
    cells = ["; ".join("–" if hu is None else _hu(hu) for hu in pair) for pair in pairs]
    apart = [abs(right - left) for right, left in pairs if None not in (right, left)]
    return f"| {row['scan']} | {' | '.join(cells)} | {f'{max(apart):.0f}' if apart else '–'} |"


def _count(flags: Iterable[bool]) -> str:
    """ "3 of 5"."""
    known = list(flags)
    return f"{sum(known)} of {len(known)}"


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.1f}"


def _hu(value: float) -> str:
    return f"{value:.0f}".replace("-", "−")
