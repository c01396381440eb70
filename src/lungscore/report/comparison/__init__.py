"""What a person reads and keeps of a follow-up."""

from lungscore.report.comparison.outputs import OUTPUTS, write_comparison
from lungscore.report.comparison.text import text_comparison

__all__ = ["OUTPUTS", "text_comparison", "write_comparison"]
