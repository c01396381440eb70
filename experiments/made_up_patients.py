"""Made-up patients whose truth is known: a proof of the method, no evidence about anybody.

Burden, its spread over regions and slices, consolidation, age and laboratory values are drawn
together; then each patient's class is drawn from a planted model of the numbers that a result
states. A fit can thus be held against what it should find.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.datasets.manifest import Row, write_rows
from lungscore.files import atomic_path, atomic_write, csv_text
from lungscore.labels import LOBE_ORDER, REGIONS
from lungscore.patients.cases import Case
from lungscore.patients.features import FEATURES, features
from lungscore.patients.logistic import sigmoid
from lungscore.result.stored import SCHEMA
from lungscore.severity import scores
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
    of_lobe = np.bincount(_LOBE, regions) / np.bincount(_LOBE)
    percents = dict(zip(LOBE_ORDER, of_lobe.tolist(), strict=True))
    by_region = {name: float(p) for (name, _), p in zip(REGIONS, regions, strict=True)}
    whole = float(regions.mean())
    ct_ss = scores.ct_ss(by_region)
    category, basis = categorise(whole, ct_ss)
    both = [float(regions[:10].mean()), float(regions[10:].mean())]
    profile = 1 + 0.6 * np.sin(np.linspace(-np.pi / 2, np.pi / 2, SLICES))
    slices = np.minimum(whole * profile * generator.lognormal(-0.02, 0.2, SLICES), 100)
    return {
        "schema": SCHEMA,
        "case": case,
        "input": {
            "kind": "nifti",
            "slices": SLICES,
            "shape": [SLICES, 64, 64],
            "spacing_mm": None,
            "units": None,
            "series_uid": None,
            "sides_known": True,
        },
        "lungs": dict.fromkeys(("volume_ml", "left_ml", "right_ml")),
        "burden": {
            **_percents(whole, consolidation),
            "infection_ml": None,
            "left_percent": round(both[1], 4),
            "right_percent": round(both[0], 4),
        },
        "scores": {
            "ct_ss": {
                **_total(ct_ss),
                "cutoff": ct_ss.cutoff,
                "above_cutoff": ct_ss.above_cutoff,
                "regions": _parts(ct_ss),
            },
            "tss": _total(scores.tss(percents)),
            "ctsi": _total(scores.ctsi(percents)),
            "po": round(whole, 4),
            "pho": None,
            "lss": _total(scores.lss(percents)),
            "lhos": {"total": None, "max": 20, "reason": _MADE_UP},
            "mosmed": scores.mosmed_class(whole),
            "zones": {
                "total": None,
                "max": 24,
                "reason": _MADE_UP,
                "zones": {name: {"percent": None, "score": None} for name in scores.ZONES},
            },
        },
        "severity": {"category": category, "basis": basis, "withheld": []},
        **_UNKNOWN,
        "distribution": {
            **{name: dict(_NO_SHARE) for name in ("peripheral", "posterior", "lower")},
            "bilateral": min(both) >= FLOOR_PERCENT,
            "lobes_affected": int((of_lobe >= FLOOR_PERCENT).sum()),
            "reason": None,
        },
        "lobes": {
            name: {
                "volume_ml": None,
                **_percents(percents[name], consolidation),
                "well_aerated_percent": None,
                "scores": dict.fromkeys(("tss", "ctsi", "lss", "lhos")),
            }
            for name in LOBE_ORDER
        },
        "slices": [
            {"index": index, "position_mm": None, **_percents(float(percent), consolidation)}
            for index, percent in enumerate(slices)
        ],
        "detection": {
            "infected": whole >= FLOOR_PERCENT,
            "probability": None,
            "infected_slices": int((slices >= FLOOR_PERCENT).sum()),
            "peak_slice": int(slices.argmax()),
            "detector": None,
        },
        "warnings": [],
        "models": [],
        "engine": None,
        "ranges": None,
    }


_MADE_UP = "the result is made up"
_NO_SHARE = {"infection_percent": None, "lung_percent": None}
_BANDS = ("over_inflated", "well_aerated", "poorly_aerated", "not_aerated", "denser")
_UNKNOWN: dict[str, Any] = {
    "aeration": {
        "bands": {name: dict.fromkeys(("from_hu", "to_hu", "ml", "percent")) for name in _BANDS},
        "reason": _MADE_UP,
    },
    "lesions": {
        **dict.fromkeys(("count", "largest_ml", "median_ml", "specks", "specks_ml")),
        "by_lobe": dict.fromkeys(LOBE_ORDER),
        "speck_below_ml": 0.1,
        "reason": _MADE_UP,
    },
}


def _percents(infection: float, consolidation: float) -> dict[str, float]:
    dense = round(infection * consolidation, 4)
    infection = round(infection, 4)
    return {
        "infection_percent": infection,
        "ggo_percent": round(infection - dense, 4),
        "consolidation_percent": dense,
    }


def _total(score: scores.Score) -> dict[str, Any]:
    return {"total": score.total, "max": score.maximum, "reason": score.reason}


def _parts(score: scores.Score) -> dict[str, Any]:
    return {
        name: {"percent": None if part.percent is None else round(part.percent, 4)}
        | {"score": part.score}
        for name, part in score.parts.items()
    }


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
    rows = ([patient, *(each[n] for n in names)] for patient, each in covariates.items())
    return csv_text(["patient", *names], rows)
