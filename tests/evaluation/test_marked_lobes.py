import numpy as np
import pytest

from lungscore.evaluation.marked_lobes import against_marked_lobes
from lungscore.labels import LOBE_ORDER, LOBES


@pytest.fixture
def chest():
    """Four slices: the upper left lobe in the first three, the lower in the last two."""
    lobes = np.zeros((4, 20, 20), np.uint8)
    lobes[:3, :10] = LOBES["LUL"]
    lobes[2:, 10:] = LOBES["LLL"]
    marks = {name: np.zeros(4, bool) for name in LOBE_ORDER}
    return lobes, marks


def test_slices_of_lobes_are_pooled(chest):
    lobes, marks = chest
    marks["LUL"][1], marks["LLL"][3] = True, True
    infected = np.zeros(lobes.shape, bool)
    infected[1, 0, :2] = True  # 2 of 200: just enough
    infected[3, 10, 0] = True  # 1 of 200: too little
    infected[2, 10, :20] = True  # 20 of 200 in a slice not marked
    figures = against_marked_lobes(infected, lobes, marks)
    pooled = figures["slices_of_marked_lobes"]
    assert (pooled["n"], pooled["marked"]) == (5, 2)
    assert pooled["sensitivity"] == pytest.approx(1 / 2)
    assert pooled["specificity"] == pytest.approx(2 / 3)
    assert pooled["balanced_accuracy"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert figures["marked_percent_of_infection"] == 100
    assert figures["infection_percent"]["LUL"] == pytest.approx(100 * 2 / 600)
    assert figures["infection_percent"]["RUL"] is None


def test_infection_in_lobes_nobody_marked_counts_against(chest):
    lobes, marks = chest
    marks["LUL"][1] = True
    infected = np.zeros(lobes.shape, bool)
    infected[1, 0, :15] = True
    infected[3, 10, :5] = True
    figures = against_marked_lobes(infected, lobes, marks)
    assert figures["marked_lobes"] == ["LUL"]
    assert figures["marked_percent_of_infection"] == pytest.approx(75)


def test_nothing_found_or_nothing_marked_gives_no_figure(chest):
    lobes, marks = chest
    figures = against_marked_lobes(np.zeros(lobes.shape, bool), lobes, marks)
    assert figures["marked_percent_of_infection"] is None
    assert figures["slices_of_marked_lobes"]["balanced_accuracy"] is None
