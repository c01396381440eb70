"""The page's sections on detection and clinical severity, from their result files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lungscore.benchmark.tables import table
from lungscore.statistics.estimate import text_of

#: What a detector is shown -> what it is called.
SHOWN = {
    "plain": "the slice",
    "without_lungs": "the slice without its lungs",
    "without_lesions": "the slice, lesions painted over",
}

HEAD = ["detector", "sees", "AUC", "n", "Brier", "slope", "intercept", "sensitivity", "specificity"]

#: How the healthy slices are parted -> what it is called.
PARTED = {
    "halves": "cranial and caudal half",
    "tens": "five blocks of neighbours",
    "random": "five parts at random",
}

#: The commands that write the result files.
SLICES = "python experiments/detection.py slices maps measure"
PATIENTS = "python experiments/patients.py"

_NOT_RUN = "Not run: `{}`."


def sections(results: Path) -> list[str]:
    """The paragraphs and tables. results: the folder experiments/results."""
    slices, patient, detection, clinical = (
        _read(results / f"{name}.json")
        for name in (
            "detection-slices",
            "detection-patient",
            "generated-detection",
            "generated-clinical",
        )
    )
    return [
        "## Is a slice infected?",
        *(_of_slices(slices, patient) if slices else [_NOT_RUN.format(SLICES)]),
        "## Is a patient infected, and how severely?",
        "**These patients are generated.** Their figures show that the method recovers what was "
        "planted and that its intervals have the stated coverage; they are no evidence about "
        "patients. No detector of patients and no clinical model is shipped: none was trained on "
        "real labels, and `detection.probability` stays null without a detector of the user's own "
        "([patients.md](patients.md)).",
        *(
            [_of_detection(detection), *_of_clinical(clinical)]
            if detection and clinical
            else [_NOT_RUN.format(PATIENTS)]
        ),
    ]


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _of_slices(content: Mapping[str, Any], patient: Mapping[str, Any] | None) -> list[str]:
    ill, well = content["infected"]["slices"], content["healthy"]["slices"]
    lower, upper = content["window_hu"]
    lines = []
    for shown, seen in SHOWN.items():
        lines.append(["rule: 1 % of its lungs", seen, "–", str(ill + well), "–", "–", "–",
                      *_called(content["rule"][shown])])  # fmt: skip
        lines.append(["infection map", seen, *_figures(content["map"][shown])])
        for c, figures in content["encoder"][shown].items():
            lines.append([f"encoder, C = {c}", seen, *_figures(figures)])
    parted = [
        [name, SHOWN[shown], *(_text(variant[how]) for how in PARTED)]
        for shown, of in content["parted"].items()
        for name, variant in of.items()
    ]
    blocks = [
        f"{ill} annotated training slices of COVID-SemiSeg against {well} of "
        f"{content['healthy']['of']} slices of one healthy person (COVID-CT-MD), matched in "
        f"the shape of their lungs. All are processed alike: window ({lower:.0f} to {upper:.0f} "
        "HU, chosen by what lies outside the lungs), 8 bits, JPEG, box of the lungs, JPEG "
        "again. A slice's map comes from networks that had its fold, or its half of the "
        "healthy person, held out. The rule classifies a slice as infected at 1 % of its "
        "lungs or more; it is not trained. A logistic regression on the map's burden, peak and "
        "affected lungs gives a probability; another one on the encoder's 512 features is "
        "the comparison. Both are cross-validated over the same folds and halves; "
        "sensitivity and specificity are at one half. Intervals are over slices, and too "
        "narrow: the healthy ones are of one person. A slice's lungs are the convex hull of "
        "either lung here, those that were found and the infection together in `predict`. "
        f"Seed {content['seed']}. `{content['command']}`",
        "![ROC and calibration](figures/detection.png)",
        table(HEAD, lines),
        "**The control.** Without the lungs the network finds nothing: it distinguishes the slices "
        "by their lungs, however the healthy slices are split. The classifier on the encoder "
        "differs. It, too, gains nothing from what lies outside the lungs as long as the tested "
        "half of the person was not used in training (below one half: what it learns from one half "
        "misleads it in the other). If neighbours of the tested slices are in the training set, it "
        "does gain: it can learn the person, and its figures above are no better evidence than "
        "that. It is not shipped. AUC by how the healthy slices are split into training and test:",
        table(["detector", "sees", *PARTED.values()], parted),
    ]
    if patient:
        told = patient["map"]
        rows = [["rule: 1 % of its lungs", SHOWN[shown], "–", str(patient["slices"]), "–", "–", "–",
                 *_called(told[shown]["rule"])] for shown in told]  # fmt: skip
        rows += [["infection map", SHOWN[shown], *_figures(told[shown])] for shown in told]
        blocks += [
            "A patient never trained on (COVID-CT-MD P002; radiologists marked "
            f"{patient['infected']} of the {patient['slices']} slices with lungs), by infection "
            "0.2, the network before the present one, and the "
            f"regression above; evaluated once ([looks.md](looks.md)). `{patient['command']}`",
            table(HEAD, rows),
            "In this patient, unmarked slices are classified as infected far more often than those "
            "of a healthy person: the detector is sensitive, and its probabilities are too high "
            "there.",
        ]
    return blocks


def _of_detection(content: Mapping[str, Any]) -> str:
    figures, alone = content["figures"], content["figures"]["burden_alone"]
    point = figures["at_operating_point"]
    lines = [
        ["regression", *_figures({**figures, "at_one_half": point})],
        ["burden alone", _text(alone["auc"]), str(alone["auc"]["n"]), "–", "–", "–",
         *_called(alone["at_1_percent"])],
        ["planted probabilities", _text(content["auc_of_the_planted_probabilities"]),
         str(content["auc_of_the_planted_probabilities"]["n"]), *["–"] * 5],
    ]  # fmt: skip
    head = ["detector of scans", *HEAD[2:]]
    text = (
        f"Detection, {figures['patients']} generated patients, {figures['scans']} scans, "
        f"cross-validated by patient, seed {figures['seed']}; sensitivity and specificity at an "
        "operating point chosen in the training folds (burden alone: at 1 %). "
        "`python experiments/patients.py`"
    )
    return text + "\n\n" + table(head, lines)


def _of_clinical(content: Mapping[str, Any]) -> list[str]:
    figures, coverage = content["figures"], content["coverage"]
    classes, severe = figures["classes"], figures["severe_or_critical"]
    alone, rule = severe["ct_ss_alone"], figures["slice_rule"]
    planted = [
        [
            name,
            f"{entry['planted']:g}",
            text_of(entry, "found"),
        ]
        for name, entry in content["coefficients"].items()
    ]
    overall = [
        ["severe or critical: AUC", _text(severe["auc"]), str(severe["auc"]["n"])],
        ["… of CT-SS alone", _text(alone["auc"]), str(alone["auc"]["n"])],
        ["… difference", _text(alone["auc_difference"]), str(alone["auc_difference"]["n"])],
        *(
            [f"CT-SS above 19.5: {name}", _text(entry), str(entry["n"])]
            for name, entry in alone["above_19.5"].items()
        ),
        *(
            [f"at the operating point: {name}", _text(severe["at_operating_point"][name]),
             str(severe["at_operating_point"][name]["n"])]
            for name in ("sensitivity", "specificity")
        ),
        ["quadratic kappa", _text(classes["quadratic_kappa"]),
         str(classes["quadratic_kappa"]["n"])],
        ["accuracy", _text(classes["accuracy"]), str(classes["accuracy"]["n"])],
        *(
            [f"rule by slices, {unit}: micro F1", _text(rule[key]["micro_f1"]),
             str(rule[key]["micro_f1"]["n"])]
            for key, unit in (("slices", "slices"), ("patients_by_worst_slice", "worst slice"))
        ),
        ["… always answering 0, slices", _text(rule["slices"]["always_0"]),
         str(rule["slices"]["always_0"]["n"])],
    ]  # fmt: skip
    by_class = [
        [
            name,
            str(entry["n"]),
            _text(entry["recall"]),
            _text(entry["precision"]),
        ]
        for name, entry in classes["by_class"].items()
    ]
    calibration = [
        [name, *(_text(entry[key]) for key in ("brier", "slope", "intercept"))]
        for name, entry in figures["calibration"].items()
    ]
    return [
        f"Clinical severity, {figures['patients']} of {content['patients']} generated patients "
        "(the others: Suspected, or a covariate missing), cross-validated by patient, seed "
        f"{figures['seed']}. In {coverage['cohorts']} further cohorts of "
        f"{coverage['patients_of_each']} patients, 95 % intervals held the planted coefficient in "
        f"{100 * coverage['share_of_all']:.1f} % of all cases. `python experiments/patients.py`",
        table(["coefficient", "planted", "found [95 %]"], planted),
        table(["out of fold", "figure", "n"], overall),
        table(["class", "n", "recall", "precision"], by_class),
        table(["calibration at", "Brier", "slope", "intercept"], calibration),
    ]


def _figures(content: Mapping[str, Any]) -> list[str]:
    calibration = content["calibration"]
    return [
        _text(content["auc"]),
        str(content["auc"]["n"]),
        *(_text(calibration[key]) for key in ("brier", "slope", "intercept")),
        *_called(content["at_one_half"]),
    ]


def _called(content: Mapping[str, Any]) -> list[str]:
    return [_text(content[key]) for key in ("sensitivity", "specificity")]


def _text(estimate: Mapping[str, Any]) -> str:
    return text_of(estimate, "value")
