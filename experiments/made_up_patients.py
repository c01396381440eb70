"""Made-up patients whose truth is known: a proof of the method, no evidence about anybody.

Burden, its spread over regions and slices, consolidation, age and laboratory values are drawn
together; then each patient's class is drawn from a planted model of the numbers that a result
states. A fit can thus be held against what it should find.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.anatomy import Lungs
from lungscore.datasets.manifest import Row, write_rows
from lungscore.errors import Notice
from lungscore.files import atomic_path, atomic_write, csv_text
from lungscore.inference import Lesions
from lungscore.labels import LOBE_ORDER, REGIONS
from lungscore.patients.cases import Case
from lungscore.patients.features import FEATURES, features
from lungscore.patients.logistic import sigmoid
from lungscore.result import Analysis
from lungscore.scan.scan import Geometry, Scan
from lungscore.severity import Burden, Distribution, LesionSizes, Severity, scores
from lungscore.severity.aeration import no_aeration
from lungscore.severity.category import categorise
from lungscore.severity.edges import FLOOR_PERCENT

#: Slices with lung of every made-up scan.
SLICES = 24

_LOBE = np.array([LOBE_ORDER.index(lobe) for _, lobe in REGIONS])
_LOWER_WEIGHT = np.array([1.5 if lobe in ("RLL", "LLL") else 0.8 for _, lobe in REGIONS])


@dataclass(frozen=True)
class Planted:
    """What the classes are drawn from: logit P(class ≥ k) = Σ coefficient · number − thresholds.

    coefficients: of the transformed numbers (features.FEATURES) and of covariates as they are.
    classes: the label of each class, in order.
    """

    coefficients: Mapping[str, float]
    thresholds: tuple[float, ...]
    classes: tuple[str, ...]

    def draw(self, numbers: Mapping[str, float], generator: np.random.Generator) -> str:
        """The label of one patient."""
        return self.classes[int((generator.random() < self.at_least(numbers)).sum())]

    def at_least(self, numbers: Mapping[str, float]) -> np.ndarray:
        """(K − 1,) probabilities of each class but the first or a graver one."""
        latent = sum(
            weight * (np.log1p(numbers[name]) if FEATURES.get(name) == "log1p" else numbers[name])
            for name, weight in self.coefficients.items()
        )
        return sigmoid(latent - np.array(self.thresholds))


CLINICAL = Planted(
    {
        "infection_percent": 0.9,
        "consolidation_percent": 0.5,
        "ct_ss": 0.04,
        "age": 0.03,
        "sex": 0.3,
        "crp": 0.01,
    },
    (2.2, 3.6, 5.6, 7.4),
    ("Control", "Mild", "Regular", "Severe", "Critically ill"),
)

DETECTION = Planted(
    {
        "infection_percent": 0.7,
        "peak_slice_percent": 0.6,
        "lobes_infected": 0.3,
        "bilateral": 0.4,
    },
    (3.0,),
    ("Normal", "NCP"),
)


@dataclass(frozen=True)
class Generated:
    """Made-up patients. results: case -> content of its result.json. covariates: patient -> values,
    None where missing. chances: case -> planted probabilities of each class but the first or a
    graver one."""

    cases: tuple[Case, ...]
    results: Mapping[str, dict[str, Any]]
    covariates: Mapping[str, Mapping[str, float | None]]
    chances: Mapping[str, np.ndarray]


def generate(
    planted: Planted,
    patients: int,
    *,
    seed: int,
    second_scans: float = 0.0,
    suspected: float = 0.0,
    missing: float = 0.0,
) -> Generated:
    """second_scans, suspected, missing: the shares of patients with an earlier, milder scan too,
    with the label "Suspected" instead of a class, and without a laboratory value."""
    generator = np.random.default_rng(seed)
    cases: list[Case] = []
    results: dict[str, dict[str, Any]] = {}
    table: dict[str, dict[str, float | None]] = {}
    chances: dict[str, np.ndarray] = {}
    for number in range(patients):
        patient = f"P{number:05d}"
        severity = generator.normal()
        regions, consolidation = _draw_lungs(severity, generator)
        own = _draw_covariates(severity, generator)
        case = f"{patient}-1"
        results[case] = result_content(case, regions, consolidation, generator)
        numbers = {name: value or 0.0 for name, value in features(results[case]).items()} | own
        chances[case] = planted.at_least(numbers)
        label = planted.draw(numbers, generator)
        if generator.random() < suspected:
            label = "Suspected"
        cases.append(Case(case, patient, label, "train", "generated"))
        if generator.random() < second_scans:
            earlier = f"{patient}-0"
            cases.append(Case(earlier, patient, label, "train", "generated"))
            milder = regions * generator.uniform(0.6, 0.95)
            results[earlier] = result_content(earlier, milder, consolidation, generator)
            chances[earlier] = chances[case]
        absent = generator.random() < missing
        table[patient] = {**own, "crp": None if absent else own["crp"]}
    return Generated(tuple(cases), results, table, chances)


def _draw_lungs(severity: float, generator: np.random.Generator) -> tuple[np.ndarray, float]:
    """(20,) infected percents of the regions, and the share of infection that is consolidation."""
    burden = np.exp(1.6 + 1.3 * severity)
    spread = generator.lognormal(-0.25, 0.7, len(REGIONS)) * _LOWER_WEIGHT
    share = generator.beta(1.5, 5.0 / (1 + 0.4 * max(severity, 0)))
    return 100 * -np.expm1(-burden * spread / 100), float(share)


def _draw_covariates(severity: float, generator: np.random.Generator) -> dict[str, float]:
    age = float(np.clip(np.round(52 + 6 * severity + 14 * generator.normal()), 18, 95))
    crp = float(np.round(np.exp(2.2 + 0.7 * severity + 0.8 * generator.normal()), 1))
    return {"age": age, "sex": float(generator.random() < 0.5), "crp": min(crp, 300.0)}


def result_content(
    case: str, regions: np.ndarray, consolidation: float, generator: np.random.Generator
) -> dict[str, Any]:
    """The content of a whole result.json of lungs whose 20 regions are equally large.

    regions: (20,) infected percents. consolidation: the share of the infection that it is. What
    such a result does not know, as millilitres, is null.
    """
    analysis = Analysis(
        scan=replace(_SCAN, name=case),
        lungs=_LUNGS,
        lesions=_LESIONS,
        lobes=None,
        regions=None,
        severity=_severity(regions, consolidation, generator),
        notices=_LUNGS.notices,
        times={},
    )
    return analysis.to_dict()


def _severity(
    regions: np.ndarray, consolidation: float, generator: np.random.Generator
) -> Severity:
    whole = float(regions.mean())
    right, left = float(regions[:10].mean()), float(regions[10:].mean())
    of_lobe = np.bincount(_LOBE, regions) / np.bincount(_LOBE)
    percents = dict(zip(LOBE_ORDER, of_lobe.tolist(), strict=True))
    by_region = {name: float(p) for (name, _), p in zip(REGIONS, regions, strict=True)}
    profile = 1 + 0.6 * np.sin(np.linspace(-np.pi / 2, np.pi / 2, SLICES))
    slices = np.minimum(whole * profile * generator.lognormal(-0.02, 0.2, SLICES), 100)
    ct_ss = scores.ct_ss(by_region)
    category, basis = categorise(whole, ct_ss)

    def burden(infection: float) -> Burden:
        dense = infection * consolidation
        return Burden(None, None, infection, infection - dense, dense, None)

    return Severity(
        lungs=burden(whole),
        right=burden(right),
        left=burden(left),
        lobes={name: burden(percent) for name, percent in percents.items()},
        slices=tuple(burden(float(percent)) for percent in slices),
        ct_ss=ct_ss,
        tss=scores.tss(percents),
        ctsi=scores.ctsi(percents),
        lss=scores.lss(percents),
        lhos=replace(scores.lhos({}), reason=_MADE_UP),
        zones=replace(scores.zone_score({}), reason=_MADE_UP),
        po=whole,
        pho=None,
        mosmed=scores.mosmed_class(whole),
        category=category,
        basis=basis,
        withheld=(),
        infected=whole >= FLOOR_PERCENT,
        outside_voxels=0,
        notices=(),
        aeration=no_aeration(_MADE_UP),
        lesions=LesionSizes(reason=_MADE_UP),
        distribution=Distribution(
            bilateral=min(right, left) >= FLOOR_PERCENT,
            lobes_affected=int((of_lobe >= FLOOR_PERCENT).sum()),
        ),
        ranges=None,
    )


_MADE_UP = "the result is made up"
#: No scan was made up: only the number of slices is known of it.
_SCAN = Scan(
    values=np.zeros((SLICES, 1, 1), np.int16),
    units="hu",
    geometry=Geometry((SLICES, 1, 1), np.eye(4)),
    spacing_mm=None,
    sides_known=True,
    kind="array",
    name="",
)
_LUNGS = Lungs(
    np.ones((SLICES, 1, 1), np.uint8),
    sides_known=True,
    notices=(Notice("no-ct", "The result is made up: there is no scan"),),
)
_LESIONS = Lesions(np.zeros((SLICES, 1, 1), np.uint8), models=(), engine=None)


def write_generated(made: Generated, folder: Path) -> None:
    """``folder``/results/<case>/result.json, cases.csv (a manifest) and patients.csv."""
    for case, content in made.results.items():
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        atomic_write(folder / "results" / case / "result.json", text)
    with atomic_path(folder / "cases.csv") as temporary:
        write_rows(map(_row, made.cases), temporary)
    atomic_write(folder / "patients.csv", _table(made.covariates))


def _row(case: Case) -> Row:
    path = f"{case.case}.nii.gz"
    where = {"path": path, "mask": None, "sha256": "0" * 64, "mask_sha256": None}
    return Row(case.case, case.patient, "train", case.label, None, case.source, "volume", **where)  # type: ignore[arg-type]


def _table(covariates: Mapping[str, Mapping[str, float | None]]) -> str:
    names = list(next(iter(covariates.values()), {}))
    rows = ([patient, *(values[n] for n in names)] for patient, values in covariates.items())
    return csv_text(["patient", *names], rows)
