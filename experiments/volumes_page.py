"""docs/volumes.md: flicker, dense disease, calibration, ranges of one reading and precision.

    python experiments/volumes_page.py

A section is there where its result file is.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lungscore.files import atomic_write
from lungscore.statistics.estimate import text_of

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "volumes.md"


def page(results: Path) -> str:
    """The whole page."""
    head = _lines(
        "# From slice to slice, and dense disease",
        "",
        "How steady the shipped network is along a volume, and what it finds of dense disease. "
        "Written by `python experiments/volumes_page.py` from the files in experiments/results/; "
        "[method.md](method.md#slices-of-a-volume) explains the averaging, "
        "[measurements.md](measurements.md) has the accuracy on annotated slices.",
    )
    return "\n\n".join((head, *sections(results))) + "\n"


def sections(results: Path) -> list[str]:
    """All that can be written."""
    writers: dict[str, Callable[[dict[str, Any]], str]] = {
        "flicker.json": _flicker,
        "dense-phantoms.json": _dense,
        "calibration.json": _calibration,
        "one-pass-ranges.json": _ranges,
        "precision.json": _precision,
    }
    return [
        writer(json.loads((results / name).read_text(encoding="utf-8")))
        for name, writer in writers.items()
        if (results / name).is_file()
    ]


def _named(content: dict[str, Any]) -> str:
    model = content["model"]
    return f"{model['name']} {model['version']}"


def _lines(*lines: str) -> str:
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f}"


def _flicker(content: dict[str, Any]) -> str:
    rows, verdicts = [], []
    for kind, title in (("real", "real volumes"), ("phantoms", "phantoms")):
        together = content[kind]["together"]
        alone, steadied = together["alone"], together["steadied"]
        for name, figures in (("slice by slice", alone), ("averaged, as analyzed", steadied)):
            rows.append(
                f"| {title} ({together['volumes']}) | {name} | "
                f"{_percent(figures['vanished_share'])} | {_percent(figures['flashed_share'])} |"
            )
        share, aim = steadied["vanished_share"], alone["vanished_share"] / 4
        verdict = "met" if share < aim else "missed"
        verdicts.append(f"{title} {_percent(share)} %, aim below {_percent(aim)} %: {verdict}")
    volumes = []
    for kind in ("real", "phantoms"):
        for name, row in content[kind]["volumes"].items():
            alone, steadied = row["alone"], row["steadied"]
            shares = [
                _percent(figures["vanished"] / figures["infected"] if figures["infected"] else None)
                for figures in (alone, steadied)
            ]
            distance = "not known" if row["slice_mm"] is None else f"{row['slice_mm']:.2f}"
            accuracy = (
                f"{alone['dice']:.3f} | {steadied['dice']:.3f}" if "dice" in alone else "– | –"
            )
            volumes.append(
                f"| {name} | {distance} | {alone['infected_percent']:.2f} | "
                f"{steadied['infected_percent']:.2f} | {shares[0]} | {shares[1]} | {accuracy} |"
            )
    name, worst = min(
        content["phantoms"]["volumes"].items(),
        key=lambda item: item[1]["steadied"]["dice"] - item[1]["alone"]["dice"],
    )
    return _lines(
        "## Flicker from slice to slice",
        "",
        f"Command: `{content['command']}`. Percent of the infected voxels that vanish and are back "
        "within two slices, and that are in one slice alone (docs/method.md). Volumes whose slices "
        "have no positions are not averaged and not counted here.",
        "",
        "| volumes | read by | vanish and return, % | in one slice alone, % |",
        "|---|---|---|---|",
        *rows,
        "",
        f"Aim: below a quarter of what {_named(content)} has slice by slice. "
        f"{'; '.join(verdicts).capitalize()}.",
        "",
        "| volume | slices apart, mm | infected, % | averaged | vanish, % | averaged | "
        "Dice with the truth | averaged |",
        "|---|---|---|---|---|---|---|---|",
        *volumes,
        "",
        "Averaging has a price: what the network sees in a minority of neighbouring slices only is "
        f"lost with the false alarms. It shows most in the phantom “{name}”: Dice "
        f"{worst['alone']['dice']:.3f} slice by slice, {worst['steadied']['dice']:.3f} averaged.",
    )


def _dense(content: dict[str, Any]) -> str:
    dense, false = content["dense"], content["false_percent"]["by_preset"]
    rows = [
        f"| {lobe} | {each['in_lungs']['mean']:.3f} | {text_of(each['called_infected'])} | "
        f"{text_of(each['called_consolidation'])} | {false['healthy'][lobe]['mean']:.2f} | "
        f"{false['few-patches'][lobe]['mean']:.2f} |"
        for lobe, each in dense["by_lobe"].items()
    ]
    lowest = min(each["called_infected"]["mean"] for each in dense["by_lobe"].values())
    return _lines(
        "## Dense disease on phantoms",
        "",
        f"Command: `{content['command']}`. Phantoms that nothing was trained on (seeds "
        f"{content['seeds'][0]} to {content['seeds'][-1]}), a part of one lobe consolidated "
        f"(15, 40 or 75 %), n = {dense['all']['n']}. Shares of the true consolidation: inside the "
        "lungs as found, called infected, called consolidation. False alarms: percent of sound "
        "lung that is called infected, in the same people with no and with little disease.",
        "",
        "| lobe | in the lungs | called infected | called consolidation | "
        "false, healthy, % | false, few patches, % |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        f"Aim: {content['aim']:.2f} in every lobe; lowest mean {lowest:.3f}, lowest phantom "
        f"{dense['least']:.3f}: {'met' if lowest >= content['aim'] else 'missed'}.",
    )


def _calibration(content: dict[str, Any]) -> str:
    rows = []
    for name in ("infection", "consolidation"):
        part = content[name]
        if part is None:
            continue
        for key, title in (("as_trained", "as trained"), ("tempered_out_of_fold", "tempered")):
            figures = part[key]
            rows.append(
                f"| {name} | {title} | {text_of(figures['error_by_slice'])} | "
                f"{figures['error_together']:.4f} |"
            )
    error = content["infection"]["tempered_out_of_fold"]["error_by_slice"]["mean"]
    temperatures = ", ".join(
        f"{name} {content[name]['temperature']:.3f}"
        for name in ("infection", "consolidation")
        if content[name] is not None
    )
    return _lines(
        "## Calibration",
        "",
        f"Command: `{content['command']}`. Expected calibration error (15 bins) of the probability "
        "of pixels, out of fold; temperatures are fitted on the other four folds. Consolidation: "
        "where radiologists drew infection.",
        "",
        "| question | probabilities | error by slice, n = 50 | all slices together |",
        "|---|---|---|---|",
        *rows,
        "",
        f"Temperature of all 50: {temperatures}. Aim for infection: at most {content['aim']} by "
        f"slice, {'met' if error <= content['aim'] else 'missed'}.",
        "",
        "![Predicted probability and observed share](figures/reliability.png)",
    )


#: What of a pair of thresholds was measured, by its name in ranges.json.
TITLES = {
    "full_slice": "full slice",
    "full_slice_with_mirrored_view": "full slice, a mirrored view too",
    "full_slice_in_three_views": "full slice, three views",
    "full_slice_lungs_given": "full slice, lungs given",
    "crop": "crop",
    "crop_in_three_views": "crop, three views",
}


def _ranges(content: dict[str, Any]) -> str:
    def row(title: str, figures: dict[str, Any]) -> str:
        holds = figures["holds"]
        return (
            f"| {title} | {holds['share']:.2f} [{holds['low']:.2f}, {holds['high']:.2f}] | "
            f"{text_of(figures['width_points'], decimals=1)} | {figures['drawn_below']} | "
            f"{figures['drawn_above']} |"
        )

    chosen = [
        row(f"{TITLES[key]}, chosen", figures) for key, figures in content["out_of_fold"].items()
    ]
    fixed = [
        row(f"{title}, {pair['pair'][0]} and {pair['pair'][1]}", pair[key])
        for pair in content["pairs"]
        for key, title in TITLES.items()
    ]
    less = content["one_less_three"]
    paired = "; ".join(
        f"{TITLES[key]} coverage {text_of(each['holds'], signed=True)}, "
        f"width {text_of(each['width_points'], decimals=1, signed=True)} points"
        for key, each in less.items()
    )
    full, rule = content["out_of_fold"]["full_slice"], content["rule"]
    met = (
        full["holds"]["share"] >= rule["holds_at_least"]
        and full["width_points"]["mean"] <= rule["mean_width_at_most"]
    )
    return _lines(
        "## Ranges of one reading",
        "",
        f"Command: `{content['command']}`. Usual: {content['usual'][0]} and "
        f"{content['usual'][-1]}. How often the range of a slice's infected percent holds what "
        "radiologists drew, its mean width in points, and how many figures lie below and above. "
        "“Chosen”: the pair is chosen on four folds and measured on the fifth. “Lungs given”: the "
        "lungs found and the infection drawn, since dense disease hides lung in a lone slice.",
        "",
        "| slices and thresholds | holds it | width, points | below | above |",
        "|---|---|---|---|---|",
        *chosen,
        *fixed,
        "",
        "Three views at three thresholds are how ranges are made of models without thresholds of "
        f"their own. One view less three at the usual thresholds, paired: {paired}.",
        "",
        f"Aim: {rule['holds_at_least']} of full slices at a mean width of at most "
        f"{rule['mean_width_at_most']:.0f} points: {'met' if met else 'missed'}.",
    )


def _precision(content: dict[str, Any]) -> str:
    rows = []
    for name, each in content["precisions"].items():
        dices = each["dice"]
        rows.append(
            f"| {name} | {dices['real']:.5f} | {dices['phantoms']:.5f} | "
            f"{dices['real consolidation']:.5f} | {each['most_points']:.3f} | "
            f"{each['relative_time']:.2f} | {'yes' if each['equal_to_f32'] else 'no'} |"
        )
    rule = content["rule"]
    return _lines(
        "## Precision",
        "",
        f"Command: `{content['command']}`. OpenVINO; masks against those of f32 on "
        f"{len(content['volumes'])} volumes; int8: {content['int8']}. A precision may be the "
        f"default with Dice at least {rule['least_dice']} and no burden more than "
        f"{rule['most_points']} points off.",
        "",
        "| precision | Dice, real volumes | Dice, phantoms | Dice of consolidation | "
        "largest difference, points | network's time | may be the default |",
        "|---|---|---|---|---|---|---|",
        *rows,
    )


if __name__ == "__main__":
    atomic_write(PAGE, page(HERE / "results"))
