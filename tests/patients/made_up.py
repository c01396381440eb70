"""Small made-up cohorts for the tests of patients."""

from functools import cache
from pathlib import Path
from typing import Any

from lungscore.patients.clinical import clinical_cohort
from lungscore.patients.cohort import Cohort, measured
from lungscore.patients.detection import detection_cohort
from made_up_patients import CLINICAL, DETECTION, Generated, Planted, generate

COVARIATES = ("age", "sex", "crp")
LABELS = {"NCP": "infected", "Normal": "clean"}


@cache
def made(planted: str, patients: int = 200, seed: int = 5, **shares: float) -> Generated:
    model: Planted = {"clinical": CLINICAL, "detection": DETECTION}[planted]
    return generate(model, patients, seed=seed, **shares)


def clinical(patients: int = 200, seed: int = 5, **shares: float) -> Cohort:
    """A cohort of clinical severity, with covariates."""
    given = made("clinical", patients, seed, **shares)
    results = {case: measured(content, case) for case, content in given.results.items()}
    return clinical_cohort(given.cases, results, table=given.covariates, covariates=COVARIATES)


def detection(patients: int = 200, seed: int = 5, **shares: float) -> Cohort:
    """A cohort of scans with and without an infection pattern."""
    given = made("detection", patients, seed, **shares)
    results = {case: measured(content, case) for case, content in given.results.items()}
    return detection_cohort(given.cases, results, labels=LABELS)


def manifest(path: Path, rows: list[dict[str, Any]]) -> Path:
    """A manifest in CSV; what a row does not say is filled in."""
    columns = (
        "case patient group label slice_label source kind path mask sha256 mask_sha256".split()
    )
    usual = {"group": "train", "source": "here", "kind": "volume", "path": "a", "sha256": "0"}
    lines = [",".join(str((usual | row).get(c, "")) for c in columns) for row in rows]
    path.write_text("\n".join([",".join(columns), *lines]) + "\n", encoding="utf-8")
    return path
