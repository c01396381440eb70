"""The parts of docs/measurements.md on calibration and on ranges of a single reading, from
calibration.json and one-pass-ranges.json alone.
"""

from typing import Any

from lungscore.statistics.estimate import text_of

KINDS = {"full_slice": "full slice", "crop": "crop"}
PROBABILITIES = {
    "as_trained": "as trained",
    "tempered": "at a temperature, fitted on the other folds",
}
VIEWS = {"one_reading": "one reading", "with_mirrored_view": "mirrored view too"}
RULES = {
    "enough": "contains it in four of five full slices",
    "as_narrow": "most often, no wider than three readings",
    "unchanged": "thresholds unchanged",
    "as_wide": "even about 0.5 and as wide as three readings",
}


def calibration_section(content: dict[str, Any]) -> str:
    """Titled, without a line break at its end."""
    rows = [
        f"| {title} | {label} | {text_of(content[kind][name]['error_by_slice'])} | "
        f"{content[kind][name]['error_together']:.3f} |"
        for kind, title in KINDS.items()
        for name, label in PROBABILITIES.items()
    ]
    verdicts = []
    for kind, title in KINDS.items():
        error = content[kind]["as_trained"]["error_by_slice"]["mean"]
        verdict = "met" if error <= content["aim"] else "missed"
        temperatures = content[kind]["temperatures_of_the_other_folds"]
        verdicts.append(
            f"{title} {error:.3f}, {verdict} (temperatures {min(temperatures):.2f} to "
            f"{max(temperatures):.2f})"
        )
    n = content["full_slice"]["as_trained"]["error_by_slice"]["n"]
    return "\n".join(
        [
            "## Whether probabilities mean what they say",
            "",
            f"Command: `{content['command']}`. The {n} annotated slices, each by the network that "
            "had its fold held out: "
            "as a full slice, seen as in a volume, its pixels those of the lungs; and as a lone "
            "crop, all pixels. Expected calibration error of the probability of infection "
            "in 15 bins, and the same with the logits divided by one number.",
            "",
            "| slice | probabilities | error by slice | all slices together |",
            "|---|---|---|---|",
            *rows,
            "",
            f"Aim, as trained: at most {content['aim']:g} by slice. {'; '.join(verdicts)}.",
            "",
            "![Predicted probability, and the share that radiologists drew as "
            "infected](figures/reliability.png)",
        ]
    )


def ranges_section(content: dict[str, Any]) -> str:
    """Titled, without a line break at its end."""
    low, high = content["shipped"]
    rows = [_row(f"three readings, {low:g} and {high:g}", content["three_readings"])]
    lines = []
    for rule, title in RULES.items():
        for views, label in VIEWS.items():
            measured = content["rules"][rule][views]
            lower, upper = measured["pair_of_all"]
            rows.append(_row(f"{label}, {title}: {lower:g} and {upper:g}", measured))
            lines.append(f"- {label.capitalize()}, {title}: {_against(measured)}")
    aim, n = content["aim"], content["three_readings"]["crop"]["contains"]["n"]
    return "\n".join(
        [
            "## Ranges of a single reading",
            "",
            f"Command: `{content['command']}`. The same {n} slices. How often the range of the "
            "infected percent contains what radiologists drew, and its mean width: over three "
            "readings as shipped ([uncertainty.md](uncertainty.md)), and over one or two readings "
            "between two thresholds that a rule chose on four folds, measured on the fifth. The "
            "thresholds in the table are those that all slices choose.",
            "",
            "| ranges | full slice: contains it | width, points | below, above | "
            "crop: contains it | width, points |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            "“Below, above”: slices whose drawn percent lies below and above the range. Less three "
            "readings, paired:",
            "",
            *lines,
            "",
            f"Aim: {aim['contains']:.0%} of full slices at a mean width of at most "
            f"{aim['width_points']:g} points: "
            f"{_verdict(content['rules']['enough']['one_reading']['full_slice'], aim)}.".replace(
                "%", " %"
            ),
        ]
    )


def _row(title: str, measured: dict[str, Any]) -> str:
    full, crop = measured["full_slice"], measured["crop"]
    return (
        f"| {title} | {text_of(full['contains'], 'share', 2)} | "
        f"{full['width_points']['mean']:.1f} | {full['drawn_below']}, {full['drawn_above']} | "
        f"{text_of(crop['contains'], 'share', 2)} | {crop['width_points']['mean']:.1f} |"
    )


def _against(measured: dict[str, Any]) -> str:
    parts = [
        f"{title} {text_of(measured[kind]['contains_less_three'], decimals=2, signed=True)} and "
        f"{text_of(measured[kind]['width_less_three'], decimals=1, signed=True)} points"
        for kind, title in KINDS.items()
    ]
    good = all(measured[kind]["as_good"] for kind in KINDS)
    return f"{', '.join(parts)}: {'as good' if good else 'not as good'}."


def _verdict(full: dict[str, Any], aim: dict[str, float]) -> str:
    contains, width = full["contains"]["share"], full["width_points"]["mean"]
    met = contains >= aim["contains"] and width <= aim["width_points"]
    return f"{contains:.2f} at {width:.1f} points, {'met' if met else 'missed'}"
