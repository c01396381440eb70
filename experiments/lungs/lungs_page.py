"""Write the tables of lungs into docs/anatomy.md, from the result files.

python experiments/lungs/lungs_page.py docs/anatomy.md
"""

import argparse
import json
from pathlib import Path
from typing import Any

from acceptance import PHANTOM_DICE
from acceptance import table as acceptance_table
from summary import table as scans_table

from lungscore.files import atomic_write
from lungscore.labels import LOBE_ORDER

RESULTS = Path(__file__).parents[1] / "results"
LOOKS = Path(__file__).with_name("verdicts") / "looks.json"


def phantoms_table(results: dict[str, Any]) -> str:
    """Lowest Dice by lobe and place of a consolidation, and what was taken of fluid."""
    lowest = results["lowest_dice"]
    lines = [f"| consolidated | asked | {' | '.join(LOBE_ORDER)} |", "|---" * 7 + "|"]
    for extent, asked in PHANTOM_DICE.items():
        cells = [_both(lowest[f"{lobe}, {extent}"]) for lobe in LOBE_ORDER]
        lines.append(f"| {extent} | {asked} | {' | '.join(cells)} |")
    lines += ["", "| fluid | ml | of it in the lungs, ml | Dice of the lung |", "|---" * 4 + "|"]
    for name, methods in results["rows"].items():
        if not name.startswith("effusion"):
            continue
        fluid = max(row["fluid_ml"] for row in methods["network"])
        taken = " ".join(
            f"{title} {max(row['fluid_in_lungs_ml'] for row in rows)}"
            for title, rows in methods.items()
        )
        title = name.removeprefix("effusion, ")
        lines.append(f"| {title} | up to {fluid} | {taken} | {_both(lowest[name])} |")
    return "\n".join(lines) + "\n"


def _both(figures: dict[str, float]) -> str:
    """Of the network, and of the rules alone in brackets."""
    rules = figures.get("rules")
    return f"{figures['network']:.3f}" + ("" if rules is None else f" ({rules:.3f})")


def scans_of_today(results: dict[str, Any]) -> str:
    """The table of all scans: the shipped network as it is now, those held out as they were."""
    now = _read("lungs-scans-shipped.json")["scans"]
    return scans_table({name: row | now[name] for name, row in results["scans"].items()})


def looks_table(blind: dict[str, Any]) -> str:
    """What was seen of the masks of the present code, of those that are not right."""
    lines = ["| scan | what is wrong | notice |", "|---|---|---|"]
    for name, look in json.loads(LOOKS.read_text(encoding="utf-8"))["scans"].items():
        if look["verdict"] != "right":
            noticed = f"`{look['noticed']}`" if look["noticed"] else "none"
            lines.append(f"| {name} | **{look['verdict']}**: {look['where']} | {noticed} |")
    return "\n".join(lines) + "\n"


def acceptance(blind: dict[str, Any]) -> str:
    """What was asked of the lungs, and what was measured."""
    results = {name: _read(f"lungs-{file}.json") for name, file in ACCEPTANCE.items()}
    looks = json.loads(LOOKS.read_text(encoding="utf-8"))
    return acceptance_table({"verdicts": blind, "looks": looks, **results})


def _read(file: str) -> dict[str, Any]:
    return json.loads((RESULTS / file).read_text(encoding="utf-8"))


def painted_table(results: dict[str, Any]) -> str:
    """Lowest figures over the scans into which a disease was painted."""
    lines = [
        "| painted | n | lungs by | lowest air held | lowest Dice | most foreign air, ml | "
        "not noticed |",
        "|---" * 7 + "|",
    ]
    for disease, scans in results["rows"].items():
        for method in ("network", "rules"):
            rows = [row[method] for row in scans.values()]
            figures = [row for row in rows if "rejected" not in row]
            refused = len(rows) - len(figures)
            cells = [disease.replace("_", " "), str(len(rows)), method]
            cells.append(_lowest(figures, "air_held"))
            cells.append(_lowest(figures, "dice"))
            cells.append(f"{max(row['wrong_air_ml'] for row in figures):.0f}" if figures else "–")
            cells.append(str(sum(not _is_right(row) and not row["notices"] for row in figures)))
            if refused:
                cells[2] += f" ({refused} refused)"
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _lowest(rows: list[dict[str, Any]], figure: str) -> str:
    values = [row[f"{side}_{figure}"] for row in rows for side in ("right", "left")]
    return f"{min(values):.3f}" if values else "–"


def _is_right(row: dict[str, Any]) -> bool:
    """Whether a mask is so near to the truth that nothing need be said of it."""
    dice = min(row["right_dice"], row["left_dice"])
    return dice >= 0.95 and row["wrong_air_ml"] <= 5 and row["wrong_dense_ml"] <= 20


def analyses_table(results: dict[str, Any]) -> str:
    """What analyses say with either method."""
    lines = [
        "| scan | lungs by | lungs, ml | infection, % | range | category | lungs stage, s |",
        "|---" * 7 + "|",
    ]
    for name, methods in results["scans"].items():
        for method, row in methods.items():
            span = row["range"]
            low_high = "–" if span is None else f"{span[0]:.1f}–{span[1]:.1f}"
            category = row["category"] or f"withheld ({', '.join(row['withheld'])})"
            lines.append(
                f"| {name} | {method} | {row['lungs_ml']} | {row['infection_percent']:.2f} | "
                f"{low_high} | {category} | {row['seconds']:.2f} |"
            )
    return "\n".join(lines) + "\n"


def thresholds_table(painted: dict[str, Any]) -> str:
    """What each threshold for dense lung costs and gains."""
    phantoms = _read("lungs-thresholds-phantoms.json")["rows"]
    lines = [
        "| from | untouched scans: Dice | wrong dense, most, ml | severe pneumonia: Dice | "
        "wrong dense, most, ml | white base: Dice | phantoms, a whole lobe: mean Dice | "
        "fluid in the lungs, most, ml |",
        "|---" * 8 + "|",
    ]
    for threshold, rows in painted["rows"].items():
        cells = [f"{int(threshold) / 255:.2f}"]
        for disease in ("as it is", "pneumonia", "white_base"):
            kind = [row for name, row in rows.items() if name.startswith(disease)]
            cells.append(f"{_mean([min(r['right_dice'], r['left_dice']) for r in kind]):.3f}")
            if disease != "white_base":
                cells.append(f"{max(row['wrong_dense_ml'] for row in kind):.0f}")
        phantom = phantoms[threshold]
        whole = [row["dice"] for name, row in phantom.items() if "whole" in name]
        cells.append(f"{_mean(whole):.3f}")
        cells.append(f"{max(row.get('fluid_in_lungs_ml', 0) for row in phantom.values()):.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def verdicts_table(results: dict[str, Any]) -> str:
    """Verdicts of the reader who did not know the method."""
    methods = results["methods"]
    lines = [f"| scan | {' | '.join(methods)} |", "|---" * (len(methods) + 1) + "|"]
    for name, verdicts in results["verdicts"].items():
        lines.append(f"| {name} | {' | '.join(_said(verdicts[m]) for m in methods)} |")
    counts = (results["counts"][method] for method in methods)
    totals = [", ".join(f"{count} {name}" for name, count in row.items()) for row in counts]
    lines.append(f"| **all** | {' | '.join(totals)} |")
    return "\n".join(lines) + "\n"


def _said(row: dict[str, Any]) -> str:
    """A verdict, where the fault is, and which notice names it."""
    if row["verdict"] == "right":
        return "right"
    noticed = f"`{row['noticed']}`" if row["noticed"] else "silent"
    return f"**{row['verdict']}**: {row['where']} ({noticed})"


#: What the table of aims is made of -> its result file.
ACCEPTANCE = {
    "scans": "scans-shipped",
    "phantoms": "phantoms",
    "painted": "stressed-shipped",
    "analyses": "infection",
    "kernels": "kernels",
    "seconds": "seconds",
}
#: Mark in the page -> its result file, and the table made of that.
TABLES = {
    "ACCEPTANCE": ("lungs-verdicts.json", acceptance),
    "LOOKS": ("lungs-verdicts.json", looks_table),
    "SCANS": ("lungs-scans.json", scans_of_today),
    "VERDICTS": ("lungs-verdicts.json", verdicts_table),
    "PAINTED": ("lungs-stressed.json", painted_table),
    "PAINTED-SHIPPED": ("lungs-stressed-shipped.json", painted_table),
    "PHANTOMS": ("lungs-phantoms.json", phantoms_table),
    "THRESHOLDS": ("lungs-thresholds-painted.json", thresholds_table),
    "ANALYSES": ("lungs-infection.json", analyses_table),
}


def with_tables(page: str) -> str:
    """``page`` with each table between its marks."""
    for mark, (file, table) in TABLES.items():
        head, rest = page.split(f"<!-- {mark} -->\n")
        _, tail = rest.split(f"<!-- /{mark} -->")
        text = table(_read(file))
        page = f"{head}<!-- {mark} -->\n{text}<!-- /{mark} -->{tail}"
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    page = parser.parse_args().page
    atomic_write(page, with_tables(page.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
