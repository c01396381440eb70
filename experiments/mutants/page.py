"""docs/mutants.md, from experiments/results/mutants.json and the reasons in equivalent.yaml.

python experiments/mutants/page.py
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PLAN, REASONS = HERE / "mutants.yaml", HERE / "equivalent.yaml"
RESULTS, PAGE = HERE.parent / "results/mutants.json", ROOT / "docs/mutants.md"

#: Part of the changes that may survive, each with its reason.
LARGEST_SHARE = 0.05

#: What is said of a survivor for which equivalent.yaml has no reason.
OPEN = "no test tells it yet"

INTRODUCTION = """# Do the tests notice?

`make mutants` makes one small change at a time in the code below and runs its tests: a comparison
that includes its edge or is reversed, `+` for `−`, `and` for `or`, a number larger by one or by a
tenth, a text or code removed, a branch always or never taken, a statement or a result left out. A
change that no test notices *survives*. This page is made from `experiments/results/mutants.json` by
`python experiments/mutants/page.py`; every run writes both. `experiments/mutants/mutants.yaml`
lists the tests of each file, `experiments/mutants/changes.py` the kinds of change. A *quick* run
leaves out tests that take more than 0.1 s; *again* repeats only what survived before. A row holds
for the code and tests of its commit, or for uncommitted changes to them.

Neither mutmut nor cosmic-ray suits this code: mutmut changes neither properties nor what is
computed on import, which here includes most tables of edges and limits; cosmic-ray starts Python
for every change.
"""


def load(path: Path) -> Any:
    """What a JSON or YAML file holds."""
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)


def reason_of(module: str, survivor: dict[str, Any], reasons: list[dict[str, Any]]) -> str | None:
    """Why no test can tell the survivor from the code; None where there is no reason yet."""
    for reason in reasons:
        same_change = (reason["before"], reason["after"]) == (survivor["before"], survivor["after"])
        if reason["module"] == module and same_change:
            return reason["why"]
    return None


def page(results: dict[str, Any], reasons: list[dict[str, Any]], modules: Iterable[str]) -> str:
    """The page as text; modules: all that are to be measured."""
    rows, survivors = [], []
    for module, result in results.items():
        left = len(result["survivors"])
        run = " ".join([result["commit"], *result["flags"]])
        rows.append((module, result["changes"], result["changes"] - left, run))
        for survivor in result["survivors"]:
            why = reason_of(module, survivor, reasons) or OPEN
            location = f"{module}, {survivor['function'] or 'module'}"
            change = f"{_code(survivor['before'])} → {_code(survivor['after'])}"
            survivors.append(f"| {location} | {change} | {why} |")
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows), ""))
    table = [
        f"| {module} | {changes} | {killed} | {100 * killed / changes:.1f} | {run} |"
        for module, changes, killed, run in rows
    ]
    return "\n".join(
        [
            INTRODUCTION,
            "| file in src/lungscore | changes | noticed | % | commit and kind of run |",
            "|---|---|---|---|---|",
            *table,
            *(
                f"| {module} | not run yet | – | – | – |"
                for module in modules
                if module not in results
            ),
            "",
            "## What survives, and why",
            "",
            "| where | change | why no test can tell |",
            "|---|---|---|",
            *survivors,
            "",
        ]
    )


def shortcomings() -> list[str]:
    """What keeps the results from being good enough: too many survivors, one without a reason."""
    results, reasons = load(RESULTS), load(REASONS)
    changes = sum(result["changes"] for result in results.values())
    left = sum(len(result["survivors"]) for result in results.values())
    faults = [f"{left} of {changes} survive"] if left > LARGEST_SHARE * changes else []
    faults += [
        f"{module}: not run yet" for module in load(PLAN)["modules"] if module not in results
    ]
    for module, result in results.items():
        for survivor in result["survivors"]:
            if reason_of(module, survivor, reasons) is None:
                faults.append(f"{module}: {survivor['before']} → {survivor['after']}: {OPEN}")
    return faults


def _code(text: str) -> str:
    """Source text in a cell of a table."""
    return "`" + text.replace("|", "\\|").replace("\n", " ").replace("`", "'") + "`"


def write_page() -> None:
    """Write the page."""
    PAGE.write_text(page(load(RESULTS), load(REASONS), load(PLAN)["modules"]), encoding="utf-8")


if __name__ == "__main__":
    write_page()
