"""Proof of method on GENERATED patients: what was planted is found again. No evidence about people.

Makes two cohorts with a fixed seed, runs the commands of lungscore on them, and writes
experiments/results/generated-detection.json and generated-clinical.json. Takes about two minutes.

    python experiments/patients.py
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.cli.main import call
from lungscore.files import atomic_write
from lungscore.patients.clinical import clinical_cohort
from lungscore.patients.cohort import measured
from lungscore.patients.features import FEATURES
from lungscore.patients.figures import area
from lungscore.patients.ordinal import fit_ordinal
from made_up_patients import CLINICAL, DETECTION, Generated, generate, write_generated

RESULTS = Path(__file__).parent / "results"
PATIENTS, SEED = 1500, 1
COHORTS, COHORT_PATIENTS = 200, 400
WHAT = (
    "GENERATED patients: made up by experiments/made_up_patients.py. A proof that the method finds "
    "what was planted, and no evidence about any patient, disease or hospital."
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        write("generated-detection", detection(Path(folder) / "detection"))
        write("generated-clinical", clinical(Path(folder) / "clinical"))


def detection(folder: Path) -> dict[str, Any]:
    made = generate(DETECTION, PATIENTS, seed=SEED, second_scans=0.1)
    write_generated(made, folder)
    labels = ["--infected", "NCP", "--clean", "Normal"]
    model = run("detection", folder, *labels)
    positive = np.array([case.label == "NCP" for case in made.cases])
    chances = np.array([made.chances[case.case][0] for case in made.cases])
    best = area(chances, positive, [case.patient for case in made.cases])
    return {
        **described(made),
        "auc_of_the_planted_probabilities": best,
        "coefficients_note": "infection_percent and peak_slice_percent say nearly the same: how "
        "their weight is shared out is open, only their sum is determined",
        "coefficients": coefficients(model, DETECTION.coefficients),
        "figures": figures(folder),
    }


def clinical(folder: Path) -> dict[str, Any]:
    shares = {"second_scans": 0.1, "suspected": 0.05, "missing": 0.05}
    made = generate(CLINICAL, PATIENTS, seed=SEED, **shares)
    write_generated(made, folder)
    table = ["--table", str(folder / "patients.csv"), "--covariates", "age,sex,crp"]
    model = run("clinical", folder, *table)
    return {
        **described(made),
        **shares,
        "coefficients": coefficients(model, CLINICAL.coefficients),
        "coverage": coverage(),
        "figures": figures(folder),
    }


def coverage() -> dict[str, Any]:
    """How often the 95 % interval of each coefficient holds the planted one."""
    names = tuple(CLINICAL.coefficients)
    chosen = tuple(name for name in names if name in FEATURES)
    covariates = tuple(name for name in names if name not in FEATURES)
    planted = np.array(list(CLINICAL.coefficients.values()))
    held = np.zeros(len(names), int)
    for seed in range(COHORTS):
        made = generate(CLINICAL, COHORT_PATIENTS, seed=10_000 + seed)
        cohort = clinical_cohort(
            made.cases,
            {case: measured(content, case) for case, content in made.results.items()},
            names=chosen,
            table=made.covariates,
            covariates=covariates,
        )
        model = fit_ordinal(names, cohort.columns(names), cohort.classes)
        off = np.abs(model.coefficients / model.standard.scale - planted)
        held += off <= 1.959964 * model.errors / model.standard.scale
    return {
        "cohorts": COHORTS,
        "patients_of_each": COHORT_PATIENTS,
        "held": {name: int(count) for name, count in zip(names, held, strict=True)},
        "share_of_all": round(float(held.sum()) / (COHORTS * len(names)), 4),
    }


def run(command: str, folder: Path, *options: str) -> dict[str, Any]:
    """Train and evaluate; the model."""
    given = [str(folder / "cases.csv"), "--results", str(folder / "results"), *options]
    for step, name in (("train", "model.json"), ("evaluate", "figures.json")):
        if call([command, step, *given, "-o", str(folder / name)]):
            raise SystemExit(f"lungscore {command} {step} failed")
    return json.loads((folder / "model.json").read_text(encoding="utf-8"))


def figures(folder: Path) -> dict[str, Any]:
    """What evaluate wrote, without the names of made-up cases."""
    content = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    for reason in content["left_out"].values():
        del reason["cases"]
    return content


def coefficients(model: dict[str, Any], planted: dict[str, float]) -> dict[str, Any]:
    """Planted and found, for one unit of the transformed number, with the interval if any."""
    result = {}
    for feature in model["features"]:
        name, scale = feature["name"], feature["scale"]
        numbers = {"found": feature["coefficient"], "low": feature["low"], "high": feature["high"]}
        per_unit = {key: round(v / scale, 4) for key, v in numbers.items() if v is not None}
        result[name] = {"planted": planted[name], **per_unit}
    return result


def described(made: Generated) -> dict[str, Any]:
    patients = len({case.patient for case in made.cases})
    return {"what": WHAT, "seed": SEED, "patients": patients, "scans": len(made.cases)}


def write(name: str, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    atomic_write(RESULTS / f"{name}.json", text)


if __name__ == "__main__":
    main()
