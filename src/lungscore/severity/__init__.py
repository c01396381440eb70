"""Severity scores as pure functions on label arrays."""

from lungscore.severity.aeration import BANDS, Aeration
from lungscore.severity.category import RULE, WITHHOLDING, Category
from lungscore.severity.distribution import Distribution, Share
from lungscore.severity.edges import EDGES, FLOOR_PERCENT, score_part
from lungscore.severity.lesions import SPECK_ML, LesionSizes
from lungscore.severity.measure import Counted, Segmentation, count, measure, severity_of
from lungscore.severity.ranges import Alternatives
from lungscore.severity.reliability import GRADE_MEANS, GRADES, Grade, Reliability, reliability
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
from lungscore.severity.severity import Burden, Ranges, Severity

__all__ = [
    "BANDS",
    "CT_SS_CUTOFF",
    "EDGES",
    "FLOOR_PERCENT",
    "GRADES",
    "GRADE_MEANS",
    "RULE",
    "SPECK_ML",
    "WITHHOLDING",
    "Aeration",
    "Alternatives",
    "Burden",
    "Category",
    "Counted",
    "Distribution",
    "Grade",
    "LesionSizes",
    "PartScore",
    "Ranges",
    "Reliability",
    "Score",
    "Segmentation",
    "Severity",
    "Share",
    "count",
    "ct_ss",
    "ctsi",
    "lhos",
    "lss",
    "measure",
    "mosmed_class",
    "reliability",
    "score_part",
    "severity_of",
    "tss",
    "zone_score",
]
