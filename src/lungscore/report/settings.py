"""What is asked of the report of a case."""

from dataclasses import dataclass
from typing import Literal, get_args

from lungscore.errors import UsageError

ReportSize = Literal["full", "small", "none"]
SIZES: tuple[ReportSize, ...] = get_args(ReportSize)


@dataclass(frozen=True)
class ReportSettings:
    """size: with every slice, with twelve, or no report. pdf: write report.pdf, too.

    identifiers: write what joins a result with an archive, and show the series' description.

    Raises UsageError ``usage`` for a PDF of no report.
    """

    size: ReportSize = "full"
    pdf: bool = False
    identifiers: bool = False

    def __post_init__(self) -> None:
        if self.pdf and self.size == "none":
            raise UsageError("usage", "--pdf and --report-size none exclude each other")


DEFAULT = ReportSettings()
