"""The analysis of one case, and its machine-readable form: result.json (``lungscore.result/1``).

docs/result.md explains every field; docs/result.schema.json is exported from these models.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from lungscore.errors import Notice
from lungscore.labels import LOBE_ORDER
from lungscore.ranges import RangesPart, ranges_part
from lungscore.result.base import SPACING_DECIMALS, Model, millilitres, percent, rounded
from lungscore.result.detection import Detected, Detection, detection_part
from lungscore.result.patterns import AerationPart, DistributionPart, LesionsPart, patterns
from lungscore.result.stored import SCHEMA
from lungscore.scan.scan import Scan
from lungscore.severity import Burden, Score, Severity

if TYPE_CHECKING:
    from lungscore.anatomy.lungs import Lungs
    from lungscore.inference.lesions import Lesions


@dataclass(frozen=True)
class Analysis:
    """Everything known about one case.

    lobes, regions: (D, H, W) uint8 labels; None where sides are unknown or for one slice.
    notices: all of them, in order, none twice.
    times: seconds by stage; they go to run.json only.
    detected: what the user's detector said; None without one.
    """

    scan: Scan
    lungs: "Lungs"
    lesions: "Lesions"
    lobes: np.ndarray | None
    regions: np.ndarray | None
    severity: Severity
    notices: tuple[Notice, ...]
    times: dict[str, float]
    detected: Detected | None = None

    @property
    def has_ct(self) -> bool:
        """Whether ``scan.values`` are an image, and not a placeholder of masks given alone."""
        return all(notice.code != "no-ct" for notice in self.notices)


class InputPart(Model):
    """What was read."""

    kind: Literal["dicom", "nifti", "nrrd", "metaimage", "slices", "slice", "phantom"]
    slices: int
    shape: tuple[int, int, int] = Field(description="(slices, rows, columns), canonical axes")
    spacing_mm: tuple[float, float, float] | None = Field(description="(z, y, x)")
    units: Literal["hu", "grey"] | None = Field(description="null where no CT was given")
    series_uid: str | None
    sides_known: bool


class LungsPart(Model):
    """Lung volumes, lesions included."""

    volume_ml: float | None
    left_ml: float | None
    right_ml: float | None


class BurdenPart(Model):
    """Infection in percent of both lungs, and of each lung."""

    infection_percent: float | None
    ggo_percent: float | None
    consolidation_percent: float | None
    infection_ml: float | None
    left_percent: float | None
    right_percent: float | None


class RegionScore(Model):
    """One part of a score."""

    percent: float | None
    score: int | None


class TotalScore(Model):
    """A sum of parts; ``reason`` says why ``total`` is null."""

    total: int | None
    max: int
    reason: str | None


class CtSs(TotalScore):
    """CT-SS (Yang 2020)."""

    cutoff: float
    above_cutoff: bool | None
    regions: dict[str, RegionScore] = Field(description="the 20 regions by name, in fixed order")


class Zones(TotalScore):
    """Six-zone score."""

    zones: dict[str, RegionScore]


class ScoresPart(Model):
    """All scores."""

    ct_ss: CtSs
    tss: TotalScore
    ctsi: TotalScore
    po: float | None
    pho: float | None
    lss: TotalScore
    lhos: TotalScore
    mosmed: Literal["CT-0", "CT-1", "CT-2", "CT-3", "CT-4"] | None
    zones: Zones


class SeverityPart(Model):
    """The category and what it rests on."""

    category: Literal["none", "mild", "moderate", "severe"] | None
    basis: str
    withheld: list[str]


class LobeScores(Model):
    """What one lobe adds to each score."""

    tss: int | None
    ctsi: int | None
    lss: int | None
    lhos: int | None


class Lobe(Model):
    """One lobe."""

    volume_ml: float | None
    infection_percent: float | None
    ggo_percent: float | None
    consolidation_percent: float | None
    well_aerated_percent: float | None = Field(description="at −900 ≤ HU < −500")
    scores: LobeScores


class LobesPart(Model):
    """The five lobes; every number null where no lobe mask is available."""

    RUL: Lobe
    RML: Lobe
    RLL: Lobe
    LUL: Lobe
    LLL: Lobe


class Slice(Model):
    """One input slice; percents of that slice's lung, null where it has none."""

    index: int = Field(description="0 is the most superior")
    position_mm: float | None = Field(description="along the patient's inferior→superior axis")
    infection_percent: float | None
    ggo_percent: float | None
    consolidation_percent: float | None


class Warning_(Model):
    """A notice."""

    code: str
    message: str


class ModelPart(Model):
    """A network that was used."""

    name: str
    version: str
    sha256: str
    data_terms: str


class EnginePart(Model):
    """What ran the networks."""

    name: str
    precision: str


class Result(Model):
    """result.json. Every key is always there; a number that cannot be computed is null."""

    schema_: Literal["lungscore.result/1"] = Field(alias="schema")
    case: str
    input: InputPart
    lungs: LungsPart
    burden: BurdenPart
    scores: ScoresPart
    severity: SeverityPart
    aeration: AerationPart
    lesions: LesionsPart
    distribution: DistributionPart
    lobes: LobesPart
    slices: list[Slice]
    detection: Detection
    warnings: list[Warning_]
    models: list[ModelPart]
    engine: EnginePart | None
    ranges: RangesPart | None = Field(description="null for given masks and where turned off")

    def to_json(self) -> bytes:
        """The bytes of result.json: fixed key order and decimals, UTF-8, one final newline."""
        content = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def to_result(analysis: Analysis) -> Result:
    """The machine-readable result. The same analysis gives the same bytes."""
    severity = analysis.severity
    whole = severity.lungs
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "case": case_name(analysis),
        "input": _input(analysis),
        "lungs": {
            "volume_ml": millilitres(whole.volume_ml),
            "left_ml": millilitres(severity.left.volume_ml) if severity.left else None,
            "right_ml": millilitres(severity.right.volume_ml) if severity.right else None,
        },
        "burden": {
            **_percents(whole),
            "infection_ml": millilitres(whole.infection_ml),
            "left_percent": percent(severity.left.infection_percent) if severity.left else None,
            "right_percent": percent(severity.right.infection_percent) if severity.right else None,
        },
        "scores": _scores(severity),
        "severity": {
            "category": severity.category,
            "basis": severity.basis,
            "withheld": list(severity.withheld),
        },
        **patterns(severity),
        "lobes": {name: _lobe(severity, name) for name in LOBE_ORDER},
        "slices": _slices(analysis),
        "detection": detection_part(
            severity.infected,
            [percent(burden.infection_percent) for burden in severity.slices],
            analysis.detected,
        ),
        "warnings": [{"code": n.code, "message": n.message} for n in analysis.notices],
        "models": [
            {"name": m.name, "version": m.version, "sha256": m.sha256, "data_terms": m.data_terms}
            for m in analysis.lesions.models
        ],
        "engine": None,
        "ranges": ranges_part(severity.ranges, percent=percent, ml=millilitres),
    }
    if (engine := analysis.lesions.engine) is not None:
        content["engine"] = {"name": engine.name, "precision": engine.precision}
    return Result.model_validate(content)


def case_name(analysis: Analysis) -> str:
    """The case's name as text: bytes of a file name that are no UTF-8 become question marks."""
    return analysis.scan.name.encode("utf-8", "replace").decode()


def json_schema() -> str:
    """The JSON schema of result.json, as stored in docs/result.schema.json."""
    schema = Result.model_json_schema(by_alias=True)
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _input(analysis: Analysis) -> dict[str, Any]:
    scan = analysis.scan
    spacing = scan.spacing_mm
    return {
        "kind": scan.kind,
        "slices": scan.shape[0],
        "shape": scan.shape,
        "spacing_mm": tuple(rounded(v, SPACING_DECIMALS) for v in spacing) if spacing else None,
        "units": scan.units if analysis.has_ct else None,
        "series_uid": scan.series_uid,
        "sides_known": analysis.lungs.sides_known,
    }


def _scores(severity: Severity) -> dict[str, Any]:
    ct_ss, zones = severity.ct_ss, severity.zones
    return {
        "ct_ss": {
            **_total(ct_ss),
            "cutoff": ct_ss.cutoff,
            "above_cutoff": ct_ss.above_cutoff,
            "regions": _parts(ct_ss),
        },
        "tss": _total(severity.tss),
        "ctsi": _total(severity.ctsi),
        "po": percent(severity.po),
        "pho": percent(severity.pho),
        "lss": _total(severity.lss),
        "lhos": _total(severity.lhos),
        "mosmed": severity.mosmed,
        "zones": {**_total(zones), "zones": _parts(zones)},
    }


def _total(score: Score) -> dict[str, Any]:
    return {"total": score.total, "max": score.maximum, "reason": score.reason}


def _parts(score: Score) -> dict[str, Any]:
    return {
        name: {"percent": percent(part.percent), "score": part.score}
        for name, part in score.parts.items()
    }


def _lobe(severity: Severity, name: str) -> dict[str, Any]:
    lobe = severity.lobes.get(name)
    scores = {
        score: part.score if (part := getattr(severity, score).parts.get(name)) else None
        for score in LobeScores.model_fields
    }
    return {
        "volume_ml": millilitres(lobe.volume_ml) if lobe else None,
        **_percents(lobe),
        "well_aerated_percent": percent(severity.aeration.well_aerated_of_lobes.get(name)),
        "scores": scores,
    }


def _slices(analysis: Analysis) -> list[dict[str, Any]]:
    positions = analysis.scan.positions_mm
    return [
        {
            "index": index,
            "position_mm": None if positions is None else rounded(positions[index], 3),
            **_percents(burden),
        }
        for index, burden in enumerate(analysis.severity.slices)
    ]


def _percents(burden: Burden | None) -> dict[str, float | None]:
    names = ("infection_percent", "ggo_percent", "consolidation_percent")
    return {name: percent(getattr(burden, name)) if burden else None for name in names}
