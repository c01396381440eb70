"""The part of docs/measurements.md on gaps between slices, from flicker.json alone."""

from typing import Any


def section(content: dict[str, Any]) -> str:
    """Titled, without a line break at its end."""
    real, phantoms = content["real"], content["phantoms"]
    return "\n".join(
        [
            "## From slice to slice",
            "",
            f"Command: `{content['command']}`, {content['model']['name']} "
            f"{content['model']['version']}. Percent of the infected voxels that vanish in one "
            "slice and are back in the next, and that are in one slice alone, each slice read by "
            "itself and after gaps were filled "
            f"(longest: {content['most_slices']} slice, {content['most_mm']:g} mm; "
            "[method.md](method.md#gaps-between-slices)). Where gaps are filled, nothing vanishes "
            "for one slice by definition: the phantoms below say how right the filling is. Volumes "
            "whose slices have no positions are never filled and not counted.",
            "",
            "| volumes | vanish and return, % | filled | in one slice alone, % | filled |",
            "|---|---|---|---|---|",
            *(
                _together(f"{title} ({part['together']['volumes']})", part["together"])
                for title, part in (("real volumes", real), ("phantoms", phantoms))
            ),
            "",
            f"Aim: below a quarter. {_verdict('Real volumes', real['together'])}; "
            f"{_verdict('phantoms', phantoms['together'])}.",
            "",
            "| volume | slices apart, mm | longest gap filled, slices | opacity, % of the lungs | "
            "filled | vanish and return, % | filled |",
            "|---|---|---|---|---|---|---|",
            *(_volume(name, row) for part in (real, phantoms) for name, row in _rows(part)),
            "",
            "Phantoms, by the longest gap that is filled: Dice of all voxels together, the change "
            "of the phantom that loses or gains most, how much of what is added is true, and how "
            "much the volume falsely called infected grows. Bold: as shipped. The reach was chosen "
            "by this table.",
            "",
            "| slices apart, mm | gap, slices | Dice | changes of single phantoms | "
            "true of what is added | false, % more |",
            "|---|---|---|---|---|---|",
            *(_reach(row, content) for row in phantoms["by_distance"]),
        ]
    )


def _rows(part: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return list(part["volumes"].items())


def _together(title: str, summary: dict[str, Any]) -> str:
    single, filled = summary["single"], summary["filled"]
    shares = [
        f"{100 * figures[name]:.2f}"
        for name in ("vanished_share", "flashed_share")
        for figures in (single, filled)
    ]
    return f"| {title} | {' | '.join(shares)} |"


def _verdict(title: str, summary: dict[str, Any]) -> str:
    filled, single = (summary[reading]["vanished_share"] for reading in ("filled", "single"))
    met = "met" if filled < single / 4 else "missed"
    return f"{title} {100 * filled:.2f} %, aim below {100 * single / 4:.2f} %: {met}"


def _volume(name: str, row: dict[str, Any]) -> str:
    apart = "not known" if row["slice_mm"] is None else f"{row['slice_mm']:.2f}"
    readings = [row["single"], row["filled"]]
    percents = [f"{figures['infected_percent']:.2f}" for figures in readings]
    shares = [
        f"{100 * figures['vanished'] / figures['infected']:.2f}" if figures["infected"] else "–"
        for figures in readings
    ]
    cells = [name, apart, str(row["longest_gap"]), *percents, *shares]
    return f"| {' | '.join(cells)} |"


def _reach(row: dict[str, Any], content: dict[str, Any]) -> str:
    shipped = min(content["most_slices"], int(content["most_mm"] / row["slice_mm"] + 0.01))
    gap = f"**{row['gap']}**" if row["gap"] == shipped else str(row["gap"])
    if row["gap"]:
        changes = f"{row['least_change']:+.3f} to {row['most_change']:+.3f}".replace("-", "−")
        added = f"{row['added_true']:.2f} | {row['false_percent_more']:.1f}"
    else:
        changes, added = "–", "– | –"
    return f"| {row['slice_mm']:.2f} | {gap} | {row['dice']:.3f} | {changes} | {added} |"
