"""Number and size of lesions, from the voxels of each."""

import numpy as np
import pytest

from lungscore.severity.lesions import lesion_sizes

# Columns: no lobe, LUL, LLL, RUL, RML, RLL; voxels of 0.01 ml.
TABLE = np.array(
    [
        [0, 0, 0, 40, 0, 0],
        [0, 0, 0, 0, 30, 10],
        [5, 20, 15, 0, 0, 0],
        [12, 0, 0, 0, 0, 0],
        [0, 0, 10, 0, 0, 0],
        [0, 0, 9, 0, 0, 0],
        [3, 0, 0, 0, 0, 0],
    ]
)


def test_specks_are_counted_apart_and_each_lesion_in_the_lobe_that_holds_most_of_it():
    sizes = lesion_sizes(TABLE, 0.01, has_lobes=True)
    assert (sizes.count, sizes.specks) == (5, 2)
    assert sizes.largest_ml == pytest.approx(0.4)
    assert sizes.median_ml == pytest.approx(0.4)
    assert sizes.specks_ml == pytest.approx(0.12)
    # The fourth lies in no lobe, the third more in the upper lobe than in the lower one.
    assert sizes.by_lobe == {"RUL": 1, "RML": 1, "RLL": 0, "LUL": 1, "LLL": 1}


def test_the_edge_of_a_speck_is_a_tenth_of_a_millilitre():
    assert lesion_sizes(np.array([[100, 0, 0, 0, 0, 0]]), 0.001, has_lobes=False).count == 1
    assert lesion_sizes(np.array([[99, 0, 0, 0, 0, 0]]), 0.001, has_lobes=False).count == 0


def test_an_even_number_has_the_mean_of_the_middle_two_as_median():
    table = np.zeros((4, 6), np.int64)
    table[:, 3] = [1, 2, 4, 100]
    sizes = lesion_sizes(table, 1.0, has_lobes=False)
    assert (sizes.median_ml, sizes.largest_ml, sizes.by_lobe) == (3, 100, {})


def test_nothing_has_no_size():
    sizes = lesion_sizes(np.zeros((0, 6), np.int64), 1.0, has_lobes=True)
    assert (sizes.count, sizes.specks, sizes.specks_ml) == (0, 0, 0)
    assert sizes.largest_ml is sizes.median_ml is None
    assert set(sizes.by_lobe.values()) == {0}
