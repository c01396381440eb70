"""Every edge of the table of scores: exactly at it, just below it, just above it."""

import math

import numpy as np
import pytest

from lungscore.labels import LOBE_ORDER, LOBES, REGIONS
from lungscore.severity import Segmentation, measure, score_part

BY_QUARTERS = ("tss", "lss", "lhos", "mosmed", "zones")

# score -> (percent, score at it), written out again from the table of the documentation.
TABLE = {
    "ct_ss": [(0, 0), (1, 1), (50, 2), (100, 2)],
    **{score: [(0, 0), (1, 1), (25, 1), (50, 2), (75, 3), (100, 4)] for score in BY_QUARTERS},
    "ctsi": [(0, 0), (1, 1), (5, 2), (25, 2), (50, 4), (75, 4), (100, 5)],
}
BELOW = {
    "ct_ss": [(1, 0), (50, 1), (100, 2)],
    "ctsi": [(1, 0), (5, 1), (25, 2), (50, 3), (75, 4), (100, 5)],
    **{score: [(1, 0), (25, 1), (50, 2), (75, 3), (100, 4)] for score in BY_QUARTERS},
}
ABOVE = {
    "ct_ss": [(0, 0), (1, 1), (50, 2)],
    "ctsi": [(0, 0), (1, 1), (5, 2), (25, 3), (50, 4), (75, 5)],
    **{score: [(0, 0), (1, 1), (25, 2), (50, 3), (75, 4)] for score in BY_QUARTERS},
}


def flat(table):
    return [(score, percent, expected) for score in table for percent, expected in table[score]]


@pytest.mark.parametrize(("score", "percent", "expected"), flat(TABLE))
def test_score_exactly_at_the_edge(score, percent, expected):
    assert score_part(percent, score) == expected


@pytest.mark.parametrize(("score", "percent", "expected"), flat(BELOW))
def test_score_just_below_the_edge(score, percent, expected):
    assert score_part(math.nextafter(percent, 0), score) == expected


@pytest.mark.parametrize(("score", "percent", "expected"), flat(ABOVE))
def test_score_just_above_the_edge(score, percent, expected):
    assert score_part(math.nextafter(percent, 100), score) == expected


@pytest.mark.parametrize("percent", [-0.1, 100.1, math.nan, math.inf])
def test_a_percent_outside_its_range_is_rejected(percent):
    with pytest.raises(ValueError, match="0–100"):
        score_part(percent, "tss")


def chest(infected: int, voxels: int = 1000):
    """20 regions of ``voxels`` voxels, the first ``infected`` of each infected; z = region."""
    shape = (20, 1, voxels)
    regions = np.broadcast_to(np.arange(1, 21, dtype=np.uint8)[:, None, None], shape)
    lobe_of = np.array([LOBES[lobe] for _, lobe in REGIONS], dtype=np.uint8)
    lobes = np.broadcast_to(lobe_of[:, None, None], shape)
    lungs = np.where(lobes >= LOBES["RUL"], 1, 2).astype(np.uint8)
    lesions = np.zeros(shape, dtype=np.uint8)
    lesions[..., :infected] = 1
    return lungs, lesions, lobes, regions


@pytest.mark.parametrize(
    ("per_mille", "ct_ss", "tss", "ctsi", "mosmed"),
    [
        (0, 0, 0, 0, "CT-0"),
        (9, 0, 0, 0, "CT-0"),
        (10, 20, 5, 5, "CT-1"),
        (49, 20, 5, 5, "CT-1"),
        (50, 20, 5, 10, "CT-1"),
        (250, 20, 5, 10, "CT-1"),
        (251, 20, 10, 15, "CT-2"),
        (499, 20, 10, 15, "CT-2"),
        (500, 40, 10, 20, "CT-2"),
        (501, 40, 15, 20, "CT-3"),
        (750, 40, 15, 20, "CT-3"),
        (751, 40, 20, 25, "CT-4"),
        (1000, 40, 20, 25, "CT-4"),
    ],
)
def test_label_maps_on_the_edges_give_the_scores_of_the_table(per_mille, ct_ss, tss, ctsi, mosmed):
    lungs, lesions, lobes, regions = chest(per_mille)
    severity = measure(
        Segmentation(lungs, lesions, lobes=lobes, regions=regions, dense=lesions > 0)
    )
    totals = (severity.ct_ss.total, severity.tss.total, severity.ctsi.total, severity.mosmed)
    assert totals == (ct_ss, tss, ctsi, mosmed)
    assert severity.lss.total == severity.lhos.total == tss
    assert severity.zones.total == tss / 5 * 6
    assert severity.po == severity.pho == per_mille / 10


def test_the_edge_is_exact_whatever_the_number_of_voxels():
    for voxels in (100, 300, 700, 1100, 12_700):
        lungs, lesions, lobes, regions = chest(voxels // 100, voxels)
        assert measure(Segmentation(lungs, lesions, lobes=lobes, regions=regions)).ct_ss.total == 20
        lungs, lesions, lobes, regions = chest(voxels // 2, voxels)
        assert measure(Segmentation(lungs, lesions, lobes=lobes, regions=regions)).ct_ss.total == 40


def test_scores_reach_their_maximum_and_no_more():
    lungs, lesions, lobes, regions = chest(1000)
    severity = measure(
        Segmentation(lungs, lesions, lobes=lobes, regions=regions, dense=lesions > 0)
    )
    for score in (severity.ct_ss, severity.tss, severity.ctsi, severity.lss, severity.lhos):
        assert score.total == score.maximum
    assert set(severity.lobes) == set(LOBE_ORDER)
