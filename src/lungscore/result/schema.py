"""The schema of result.json (``lungscore.result/1``).

docs/result.md explains every field; docs/result.schema.json is exported from these models.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from lungscore.result.base import Model
from lungscore.result.detection import Detection
from lungscore.result.patterns import AerationPart, DistributionPart, LesionsPart
from lungscore.result.ranges import RangesPart
from lungscore.severity.reliability import Grade


class InputPart(Model):
    """What was read."""

    kind: Literal["dicom", "nifti", "nrrd", "metaimage", "slices", "slice", "array", "phantom"]
    slices: int
    shape: tuple[int, int, int] = Field(description="(slices, rows, columns), canonical axes")
    spacing_mm: tuple[float, float, float] | None = Field(description="(z, y, x)")
    units: Literal["hu", "grey"] | None = Field(description="null where no CT was given")
    series_uid: str | None
    sides_known: bool
    voxels_sha256: str | None = Field(
        default=None, description="of the voxels as they were read; tells whether a scan is the one"
    )


class LungsPart(Model):
    """Lung volumes, lesions included."""

    volume_ml: float | None
    left_ml: float | None
    right_ml: float | None
    percent_of: str | None = Field(
        default=None, description="what all percentages of the lungs are percentages of"
    )


class BurdenPart(Model):
    """Infection in percent of both lungs, and of each lung."""

    infection_percent: float | None
    ggo_percent: float | None
    consolidation_percent: float | None
    infection_ml: float | None
    left_percent: float | None
    right_percent: float | None
    filled_gaps: int | None = Field(
        default=None,
        description="infection was filled in across gaps of up to this many slices; 0: nowhere",
    )


class RegionScore(Model):
    """One part of a score."""

    percent: float | None
    score: int | None
    near_edge: bool = Field(
        default=False, description="0.5 ≤ percent < 2: near the floor, at which scores turn"
    )


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


class LobeConfidence(Model):
    """What overlap with a reader's lobe is to be expected (docs/anatomy.md)."""

    expected_dice: float = Field(description="median over the moved borders")
    low_dice: float = Field(description="what nine of ten moved borders exceed")


class Lobe(Model):
    """One lobe."""

    volume_ml: float | None
    infection_percent: float | None
    ggo_percent: float | None
    consolidation_percent: float | None
    well_aerated_percent: float | None = Field(description="at −900 ≤ HU < −500")
    near_edge: bool = Field(default=False, description="0.5 ≤ infection_percent < 2")
    confidence: LobeConfidence | None = Field(
        default=None, description="null where the lobes were given, and for a lobe without voxels"
    )
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
    kind: Literal["standing", "particular"] = Field(
        default="particular", description="true of every analysis, or of this scan"
    )


class ReliabilityPart(Model):
    """How far the numbers can be relied on (docs/severity.md)."""

    grade: Grade
    reasons: list[str] = Field(description="codes, worst first; empty for A")


class ModelPart(Model):
    """A network that was used."""

    name: str
    version: str
    sha256: str
    data_terms: str


class EnginePart(Model):
    """What ran the networks.

    device: "cpu" or "cuda", a graphics card; results of versions that do not say it are of "cpu".
    """

    name: str
    precision: str
    device: Literal["cpu", "cuda"] = "cpu"

    @property
    def text(self) -> str:
        """On one line."""
        return engine_text(self.model_dump())


def engine_text(engine: Mapping[str, Any]) -> str:
    """The engine of a result.json on one line; the processor goes without saying."""
    on_card = f" on {engine['device']}" if engine.get("device", "cpu") != "cpu" else ""
    return f"{engine['name']} {engine['precision']}{on_card}"


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
    reliability: ReliabilityPart
    warnings: list[Warning_]
    models: list[ModelPart]
    engine: EnginePart | None
    ranges: RangesPart | None = Field(description="null for given masks and where turned off")
    method: str | None = Field(
        default=None, description="reviewed by whom; absent where nobody reviewed the masks"
    )

    @model_serializer(mode="wrap")
    def _without_method(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        if content["method"] is None:
            del content["method"]
        return content

    def to_json(self) -> bytes:
        """The bytes of result.json: fixed key order and decimals, UTF-8, one final newline."""
        content = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def json_schema() -> str:
    """The JSON schema of result.json, as stored in docs/result.schema.json."""
    schema = Result.model_json_schema(by_alias=True)
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
