"""The table of aims for docs/anatomy.md: what was asked of the lungs, measured, and met or not."""

from collections.abc import Iterator
from typing import Any

from lungscore.labels import LOBE_ORDER

#: Aims that were set before the network was trained.
AIR_HELD, FOREIGN_AIR_ML, FLUID_ML = 0.98, 5.0, 20.0
PERCENT_APART, PERCENT_MOVED, SECONDS_MORE = 0.5, 0.2, 1.0
#: Extent of a consolidation -> the lowest Dice of its lung.
PHANTOM_DICE = {"a third at the ribs": 0.98, "a third at the diaphragm": 0.98, "whole": 0.95}
#: Title of that extent.
EXTENTS = {
    "a third at the ribs": "A third of any lobe consolidated at the ribs",
    "a third at the diaphragm": "A third of any lobe consolidated at the diaphragm",
    "whole": "A whole lobe white",
}
SIDES = ("right", "left")

#: Why aims are missed.
NO_BORDER = (
    "dense tissue is lung only where the network is surer (0.96) than it mostly is, so that fluid "
    "stays out; what aerated lung encloses at the ribs joins by its place, its rim not"
)
WHITE = "white lung without air looks like fluid to the network, which cannot tell the two"
PLEURAL = "air behind a line of pleura looks like lung to the network in part"
INFECTION = "the infection network calls more opacity in the sharper kernel; the lungs agree"
COST = "the network's own cost; measured on a busy computer, in turn with the rules"
#: Aim, what was measured, whether that meets it, and why not.
Row = tuple[str, str, bool | None, str]


def table(results: dict[str, dict[str, Any]]) -> str:
    """The table. results: content of the result files, by what they are about."""
    rows = [
        *of_verdicts(results["verdicts"], results["looks"]),
        *of_scans(results["scans"]["scans"]),
        *of_phantoms(results["phantoms"]),
        of_pneumothorax(results["painted"]["rows"]),
        *of_analyses(results["analyses"]["scans"], results["kernels"]),
        of_time(results["seconds"]),
        (
            "Scans kept back by others: at most one minor error, none silent",
            "not measured",
            None,
            "",
        ),
    ]
    lines = ["| aim | measured | met | why not |", "|---|---|---|---|"]
    said = {True: "yes", False: "**no**", None: "–"}
    for aim, measured, met, why in rows:
        lines.append(f"| {aim} | {measured} | {said[met]} | {'' if met else why} |")
    return "\n".join(lines) + "\n"


def of_verdicts(blind: dict[str, Any], looks: dict[str, Any]) -> Iterator[Row]:
    """By eye: none wrong, and a notice for each minor error."""
    told = [
        f"{title} {counts['wrong']} wrong, {counts['minor']} minor, {counts['right']} right"
        for title, counts in (
            ("blind, networks held out:", blind["counts"]["folds"]),
            ("blind, shipped network:", blind["counts"]["shipped"]),
        )
    ]
    now = [look["verdict"] for look in looks["scans"].values()]
    faults = [look for look in looks["scans"].values() if look["verdict"] != "right"]
    told.append(
        f"present code, not blind: {now.count('wrong')} wrong, {now.count('minor')} minor, "
        f"{now.count('right')} right"
    )
    yield f"No wrong mask in {len(now)} scans", "; ".join(told), None, "the blind look is older"
    silent = [
        name for name, look in looks["scans"].items() if look in faults and not look["noticed"]
    ]
    measured = f"{len(faults) - len(silent)} of {len(faults)} (present code, not blind)"
    if silent:
        measured += f"; silent: {', '.join(silent)}"
    yield "Minor errors are noticed", measured, not silent, "no check sees these; see below"


def of_scans(scans: dict[str, Any]) -> Iterator[Row]:
    """By count, against the mended labels; the shipped network."""
    rows = {name: methods["shipped"] for name, methods in scans.items()}
    held = {
        f"{name}, {side}": row[f"{side}_air_held"]
        for name, row in rows.items()
        for side in SIDES
        if f"{side}_air_held" in row
    }
    lowest = min(held, key=lambda lung: held[lung])
    yield (
        f"Air held ≥ {AIR_HELD} in each lung",
        f"{held[lowest]:.3f} at the lowest ({lowest})",
        held[lowest] >= AIR_HELD,
        "",
    )
    swapped = max(row.get(f"{side}_swapped_ml", 0.0) for row in rows.values() for side in SIDES)
    named = swapped < FOREIGN_AIR_ML
    yield "No lung has the other's name", f"{swapped:.1f} ml at most", named, ""
    foreign = {name: row["wrong_air_ml"] for name, row in rows.items() if "wrong_air_ml" in row}
    most = max(foreign, key=lambda name: foreign[name])
    yield (
        f"Foreign air (throat, bowel, stomach) ≤ {FOREIGN_AIR_ML:.0f} ml",
        f"{foreign[most]:.1f} ml at most ({most})",
        foreign[most] <= FOREIGN_AIR_ML,
        "",
    )


def of_phantoms(results: dict[str, Any]) -> Iterator[Row]:
    """Dense lobes, and fluid that is not lung."""
    for extent, asked in PHANTOM_DICE.items():
        lowest = {
            lobe: results["lowest_dice"][f"{lobe}, {extent}"]["network"] for lobe in LOBE_ORDER
        }
        failing = [f"{lobe} {dice:.3f}" for lobe, dice in lowest.items() if dice < asked]
        good = len(lowest) - len(failing)
        measured = f"{good} of {len(lowest)} lobes"
        if failing:
            measured += f"; below: {', '.join(failing)}"
        why = WHITE if extent == "whole" else NO_BORDER
        yield f"{EXTENTS[extent]}: Dice of the lung ≥ {asked}", measured, not failing, why
    fluid = max(
        row["fluid_in_lungs_ml"]
        for name, methods in results["rows"].items()
        if name.startswith("effusion")
        for row in methods["network"]
    )
    yield (
        f"Effusion in the lungs ≤ {FLUID_ML:.0f} ml",
        f"{fluid:.1f} ml at most",
        fluid <= FLUID_ML,
        "",
    )


def of_pneumothorax(painted: dict[str, Any]) -> Row:
    """Air beside a lung that is not lung."""
    rows = [row["network"] for row in painted["pneumothorax"].values()]
    most = max(row["wrong_air_ml"] for row in rows)
    noticed = sum("air-outside-lungs" in row["notices"] for row in rows)
    return (
        "A pneumothorax is not lung",
        f"up to {most:.0f} ml of it counted as lung; noticed in {noticed} of {len(rows)}",
        most <= FOREIGN_AIR_ML,
        PLEURAL,
    )


def of_analyses(scans: dict[str, Any], kernels: dict[str, Any]) -> Iterator[Row]:
    """Whole analyses: one scan in two kernels, and what the lungs change."""
    soft, sharp = (scans[name]["network"] for name in ("dxa1b", "dxa1l"))
    apart = abs(soft["infection_percent"] - sharp["infection_percent"])
    alike = apart <= PERCENT_APART and soft["category"] == sharp["category"]
    categories = " and ".join(row["category"] or "withheld" for row in (soft, sharp))
    yield (
        f"One scan in two kernels: infection within {PERCENT_APART} points, same category",
        f"{apart:.2f} points, {categories}; with the same lungs {kernels['apart_same_lungs']:.2f}",
        alike,
        INFECTION,
    )
    moved = {
        name: abs(
            scans[name]["network"]["infection_percent"] - scans[name]["rules"]["infection_percent"]
        )
        for name in ("P002", "normal002")
    }
    measured = ", ".join(f"{name} {points:.3f}" for name, points in moved.items())
    yield (
        f"P002 and normal002 keep their infection percent within {PERCENT_MOVED} points",
        f"{measured} points",
        max(moved.values()) <= PERCENT_MOVED,
        "",
    )


def of_time(results: dict[str, Any]) -> Row:
    """What the network adds, processor seconds of one thread."""
    seconds = {name: row["processor_seconds"] for name, row in results["median"].items()}
    more = seconds["network"] - seconds["rules"]
    return (
        f"At most {SECONDS_MORE:.0f} s more for {results['slices']} slices",
        f"{more:.2f} s more (rules {seconds['rules']:.2f}, network {seconds['network']:.2f})",
        more <= SECONDS_MORE,
        COST,
    )
