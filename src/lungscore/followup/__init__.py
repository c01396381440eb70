"""Follow-up: one patient at two times, and what changed."""

from lungscore.followup.case import Case, read_case
from lungscore.followup.comparison import Change, Comparison, compare_results
from lungscore.followup.follow_up import FollowUp, compare, comparison_name

__all__ = [
    "Case",
    "Change",
    "Comparison",
    "FollowUp",
    "compare",
    "compare_results",
    "comparison_name",
    "read_case",
]
