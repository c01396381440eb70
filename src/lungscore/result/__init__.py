"""The analysis of one case, and result.json: its schema, its numbers, and reading it back."""

from lungscore.result.analysis import Analysis, case_name
from lungscore.result.content import to_result
from lungscore.result.detection import Detected
from lungscore.result.schema import EnginePart, Result, TotalScore, Warning_, json_schema

__all__ = [
    "Analysis",
    "Detected",
    "EnginePart",
    "Result",
    "TotalScore",
    "Warning_",
    "case_name",
    "json_schema",
    "to_result",
]
