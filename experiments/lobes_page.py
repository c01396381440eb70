"""Write the tables of lobes into docs/anatomy.md, from the result files.

python experiments/lobes_page.py docs/anatomy.md
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from generated_blocks import write_block
from lungscore.labels import LOBE_ORDER

RESULTS = Path(__file__).with_name("results")
ROWS = (*LOBE_ORDER, "mean of five")


def atlas_table(lobes: dict[str, Any]) -> str:
    """Lobes from the shape of the lungs alone, by an atlas that does not know the person."""
    lines = ["| lobe | plain atlas | ours | 95 % interval | lowest case | paired gain |"]
    for name in ROWS:
        plain, ours = lobes["plain_atlas"][name], lobes["dice"][name]
        lines.append(
            f"| {name} | {plain['mean']:.3f} | **{ours['mean']:.3f}** | {_interval(ours)} | "
            f"{ours['lowest']:.3f} | {_gain(lobes['gain'][name])} |"
        )
    return _table(lines)


def steps_text(lobes: dict[str, Any]) -> str:
    """What each step of the shape atlas adds."""
    steps = (
        f"{step} {_gain(by_lobe['mean of five'])}; {_gain(by_lobe['RML'])}"
        for step, by_lobe in lobes["steps"].items()
    )
    return f"What each step adds, paired (mean of five; middle lobe): {'; '.join(steps)}."


def models_text(models: dict[str, Any]) -> str:
    """What other models of the shape add to the one that ships."""
    rows = (
        f"{name} {_gain(by_lobe['mean of five'])}; {_gain(by_lobe['RML'])}"
        for name, by_lobe in models["gain"].items()
        if name != "shipped"
    )
    return f"Paired gains over the shipped model (mean of five; middle lobe): {'; '.join(rows)}."


def doubts_table(lobes: dict[str, Any]) -> str:
    """Whether the notice names the lobes that are off."""
    atlases = {
        "usual": f"the {lobes['n'] - 1} other lungs",
        "unlike": "the ten least like it",
    }
    lines = [
        "| atlas of | mean Dice | expected | below the low end | lobes below 0.6 | with notice | "
        "others with notice | scans with a notice |"
    ]
    for name, title in atlases.items():
        row = lobes["doubts"][name]
        lines.append(
            f"| {title} | {row['mean_dice']:.3f} | {row['expected_dice']:.3f} | "
            f"{100 * row['below_low']:.0f} % | {row['below_0.6']} of {row['lobes']} | "
            f"{row['of_these_with_notice']} | {row['others_with_notice']} | "
            f"{row['scans_with_notice']} of {lobes['n']} |"
        )
    return _table(lines)


def missing_table(missing: dict[str, Any]) -> str:
    """Which lobes are missed when they are taken out."""
    parts = {"0": "none", "0.5": "half", "0.75": "three quarters", "1": "all"}
    lines = [
        "| part of its room that the neighbours fill | the lobe is named | another one is | "
        f"by lobe, of {missing['n']} |"
    ]
    for part, row in missing["by_part_of_the_room_filled"].items():
        by_lobe = ", ".join(f"{name} {count}" for name, count in row["named_by_lobe"].items())
        lines.append(
            f"| {parts[part]} | {row['named']} of {row['of']} | {row['another_lobe_named']} | "
            f"{by_lobe} |"
        )
    return _table(lines)


def landmarks_table(fissures: dict[str, Any]) -> str:
    """Distance of our borders from marked points, in thin and in thick slices."""
    landmarks = fissures["landmarks"]
    thick = [f"{way}, thick slices" for way in ("shape alone", "with the CT")]
    lines = [
        "| fissure | points | shape alone | with the CT | about 5 mm: shape alone | with the CT |"
    ]
    for name, row in landmarks["with the CT"].items():
        cells = [_spread(landmarks[way][name]) for way in ("shape alone", "with the CT", *thick)]
        lines.append(
            f"| {name} | {row['n']} | {cells[0]} | **{cells[1]}** | {cells[2]} | **{cells[3]}** |"
        )
    return _table(lines)


def real_shapes_table(fissures: dict[str, Any]) -> str:
    """Lobes of real shape under a painted CT, in thin and in thick slices."""
    phantoms = fissures["phantoms"]
    lines = [
        "| lobe | 1.25 mm: shape alone | with the CT | paired gain | 5 mm: shape alone | "
        "with the CT | paired gain |"
    ]
    for name in ROWS:
        cells = [name]
        for slices in ("thin", "thick"):
            alone, ours, gain = (
                phantoms[slices][way][name] for way in ("shape alone", "with the CT", "gain")
            )
            cells += [f"{alone['mean']:.3f}", f"**{ours['mean']:.3f}** ({ours['lowest']:.3f})"]
            cells.append(_gain(gain))
        lines.append(f"| {' | '.join(cells)} |")
    return _table(lines)


def costs_text(fissures: dict[str, Any]) -> str:
    """What looking at the CT costs."""
    phantoms = fissures["phantoms"]
    thin, thick = (
        phantoms[slices]["processor seconds for the CT, mean"] for slices in ("thin", "thick")
    )
    return (
        f"Looking at the CT takes {thin:.2f} s of one core in slices of 1.25 mm, {thick:.2f} s in "
        f"slices of 5 mm (mean of the {phantoms['n']} phantoms)."
    )


def marked_lobes_text(fissures: dict[str, Any]) -> str:
    """Infection of P002 in the lobes that a radiologist marked, and in the others."""
    ways = fissures["infection in marked lobes"]["P002"]
    accuracies = {}
    for way, row in ways.items():
        slices = row["slices_of_marked_lobes"]
        interval = f"[{slices['low']:.3f}, {slices['high']:.3f}]"
        accuracies[way] = f"{slices['balanced_accuracy']:.3f} {interval}"
    ours = ways["with the CT"]
    return (
        'With the lobes of `analyze`, "infected or not" of these lobes and slices has a balanced '
        f"accuracy of {accuracies['with the CT']} with the CT and of "
        f"{accuracies['shape alone']} by shape alone; we had aimed at 0.85. "
        f"{ours['infection_percent']['RML']:.1f} % of the middle lobe and "
        f"{ours['infection_percent']['RLL']:.1f} % of the right lower lobe are called infected "
        f"(aim: below 1 %). {ours['marked_percent_of_infection']:.1f} % of the infection lies in "
        "the marked lobes."
    )


def made_up_table(lobes: dict[str, Any]) -> str:
    """Lobes on phantoms whose shape is made up too."""
    phantoms = lobes["phantoms"]
    lines = ["| lobe | shape alone | with fissures | 95 % interval | lowest case | paired gain |"]
    for name in ROWS:
        ours = phantoms["with_fissures"][name]
        lines.append(
            f"| {name} | {phantoms['shape_alone'][name]['mean']:.3f} | **{ours['mean']:.3f}** | "
            f"{_interval(ours)} | {ours['lowest']:.3f} | {_gain(phantoms['gain'][name])} |"
        )
    return _table(lines)


def percent_errors_text(lobes: dict[str, Any]) -> str:
    """How far the infected percent of lobes is from the truth of made-up phantoms."""
    phantoms = lobes["phantoms"]
    errors = phantoms["percent_errors"]
    values = [error for by_lobe in errors.values() for error in by_lobe.values()]
    worst = {name: max(row.items(), key=lambda pair: abs(pair[1])) for name, row in errors.items()}
    beyond = "; ".join(
        f"{name} ({lobe} {_signed(error)})"
        for name, (lobe, error) in worst.items()
        if abs(error) > 3
    )
    return (
        "With true infection and our own lungs and lobes, the infected percent of a lobe is within "
        f"3 points of the truth in {sum(abs(error) <= 3 for error in values)} of {len(values)} "
        f"lobes, and in all five of {phantoms['all_lobes_within_3_points']} of {phantoms['n']} "
        f"phantoms. We had aimed at all. Beyond that (worst lobe): {beyond}."
    )


def _table(lines: list[str]) -> str:
    """Rows under the first of them, which names the columns."""
    return "\n".join([lines[0], "|---" * (lines[0].count("|") - 1) + "|", *lines[1:]])


def _interval(row: dict[str, Any]) -> str:
    low, high = row["interval"]
    return f"{low:.3f}–{high:.3f}"


def _gain(row: dict[str, Any]) -> str:
    low, high = row["interval"]
    return f"{_signed(row['mean'], 3)} [{_signed(low, 3)}, {_signed(high, 3)}]"


def _signed(value: float, decimals: int = 1) -> str:
    return f"{value:+.{decimals}f}".replace("-", "−")


def _spread(row: dict[str, Any]) -> str:
    return f"{row['median']:.1f} ({row['p90']:.1f})"


#: Block in the page -> its result file, and the text made of that.
BLOCKS: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "lobes by shape": ("lobes.json", atlas_table),
    "steps of the shape": ("lobes.json", steps_text),
    "other models of the shape": ("multi-atlas.json", models_text),
    "doubts of lobes": ("lobes.json", doubts_table),
    "missing lobes": ("missing_lobes.json", missing_table),
    "points on fissures": ("fissures.json", landmarks_table),
    "lobes of real shape": ("fissures.json", real_shapes_table),
    "time for fissures": ("fissures.json", costs_text),
    "marked lobes": ("fissures.json", marked_lobes_text),
    "lobes of made-up shape": ("lobes.json", made_up_table),
    "percents of lobes": ("lobes.json", percent_errors_text),
}


def text_of(block: str) -> str:
    """What the page says in a block, by its result file."""
    file, text = BLOCKS[block]
    return text(json.loads((RESULTS / file).read_text(encoding="utf-8")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    page = parser.parse_args().page
    for block in BLOCKS:
        write_block(page, block, text_of(block))


if __name__ == "__main__":
    main()
