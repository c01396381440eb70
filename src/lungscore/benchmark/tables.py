"""The cells of the tables."""

from collections.abc import Sequence
from typing import Any

from lungscore.benchmark.rows import Row
from lungscore.statistics.estimate import text_of

#: Heading -> figure of a part, after Dice, which has its interval.
FIGURES = {
    "toolbox Dice": "toolbox_dice",
    "IoU": "iou",
    "sens.": "sensitivity",
    "spec.": "specificity",
    "prec.": "precision",
    "toolbox MAE": "toolbox_mae",
    "wrong": "mae",
    "S-measure": "toolbox_s_measure",
    "E-measure": "toolbox_e_measure",
    "surface Dice": "surface_dice",
    "HD95": "hd95",
    "test loss": "test_loss",
}


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def label(row: Row) -> str:
    """A row's label with its name."""
    return f"{row.label} (`{row.name}`)" if row.label != row.name else f"`{row.name}`"


def figures_head() -> list[str]:
    """Headings of figures_row."""
    return ["Dice at 0.5", "n", *FIGURES, "area r"]


def figures_row(section: dict[str, Any] | None) -> list[str]:
    """A section's figures; "not run" where there is none."""
    if section is None:
        return ["not run", *["–"] * (len(FIGURES) + 2)]
    figures = section["figures"]
    cells = [text_of(figures["dice"]), str(figures["dice"]["n"])]
    for name in FIGURES.values():
        digits = 1 if name == "hd95" else 3
        cells.append(number(figures[name]["mean"], digits) if name in figures else "–")
    return [*cells, number(section["area"]["correlation"]["r"]) if "area" in section else "–"]


def number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash for none (null or NaN)."""
    return "–" if value is None or value != value else f"{value:.{digits}f}"


def seeds_text(row: Row, result: dict[str, Any] | None) -> str:
    """How many seeds there are, and how many were planned."""
    if result is None:
        return "–"
    done, planned = len(result["seeds"]), len(row.seeds)
    return str(done) if done == planned else f"{done} of {planned}"


def minutes(result: dict[str, Any] | None) -> str:
    """Mean minutes of training a network, + those of what it builds on."""
    if result is None:
        return "–"
    own, earlier = ([run[key] for run in result["runs"]] for key in ("seconds", "seconds_before"))
    if None in own or None in earlier:
        return "–"
    cells = [sum(times) / len(times) / 60 for times in (own, earlier)]
    return f"{cells[0]:.1f}" if cells[1] == 0 else f"{cells[0]:.1f} + {cells[1]:.1f}"


def unfinished(row: Row, result: dict[str, Any] | None) -> str | None:
    """Why a row, or a part of it, has no figures; None where it has all."""
    if result is None:
        return row.not_run or "not run"
    if of_other_folds(row, result):
        return "its folds are not those of the plan"
    if missing := sorted(set(row.seeds) - set(result["seeds"])):
        return f"seeds {', '.join(map(str, missing))} were not run"
    return None if result["test"] else "the test slices were not measured"


def of_other_folds(row: Row, result: dict[str, Any]) -> bool:
    """Whether a result holds out more or fewer folds than its row does now."""
    planned = 1 if row.folds == "all" else row.folds
    if planned == "each":
        planned = result["config"]["data"]["folds"]
    return len(result["runs"]) != planned * len(result["seeds"])
