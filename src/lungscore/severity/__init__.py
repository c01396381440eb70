"""Severity scores as pure functions on label arrays."""

from lungscore.severity.category import RULE, WITHHOLDING, Category
from lungscore.severity.edges import EDGES, FLOOR_PERCENT, score_part
from lungscore.severity.measure import Burden, Severity, measure
from lungscore.severity.ranges import Alternatives, Ranges
from lungscore.severity.scores import (
    CT_SS_CUTOFF,
    PartScore,
    Score,
    ct_ss,
    ctsi,
    lhos,
    lss,
    mosmed_class,
    tss,
    zone_score,
)

__all__ = [
    "CT_SS_CUTOFF",
    "EDGES",
    "FLOOR_PERCENT",
    "RULE",
    "WITHHOLDING",
    "Alternatives",
    "Burden",
    "Category",
    "PartScore",
    "Ranges",
    "Score",
    "Severity",
    "ct_ss",
    "ctsi",
    "lhos",
    "lss",
    "measure",
    "mosmed_class",
    "score_part",
    "tss",
    "zone_score",
]
