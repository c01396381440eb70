"""What ``analyze`` was asked for: one record, from the command to every executor."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lungscore.report.settings import DEFAULT, ReportSettings


class ModelSettings(NamedTuple):
    """What chooses the models and what runs them."""

    model: str | None
    lesions_model: str | None
    engine: str
    precision: str
    threads: int | None
    device: str


@dataclass(frozen=True)
class AnalyzeSettings:
    """What ``analyze`` was asked for, for every case alike."""

    out: Path
    engine: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    device: str = "auto"
    series: str | None = None
    allow_gaps: bool = False
    lungs: Path | None = None
    lobes: Path | None = None
    name: str | None = None
    overwrite: bool = False
    resume: bool = False
    model: str | None = None
    lesions_model: str | None = None
    ranges: bool = True
    detector: Path | None = None
    timeout: float | None = None
    dicom: bool = False
    fhir: bool = False
    regions: bool = False
    etiology: str | None = None
    report: ReportSettings = DEFAULT

    @property
    def models(self) -> ModelSettings:
        """Those that a process loads its models by, once."""
        return ModelSettings(*(getattr(self, name) for name in ModelSettings._fields))

    @property
    def of_scan(self) -> dict[str, Any]:
        """Those that analysis.analyze takes by the same names."""
        names = ("series", "allow_gaps", "lungs", "lobes", "ranges")
        return {name: getattr(self, name) for name in names}
