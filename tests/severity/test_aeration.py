"""Bands of density, exactly at their edges."""

from itertools import pairwise

import numpy as np
import pytest

from lungscore.severity import BANDS
from lungscore.severity.aeration import aeration

# Written out again from the table of the documentation: HU -> band.
AT_EDGES = {
    -1024: "over_inflated",
    -901: "over_inflated",
    -900: "well_aerated",
    -501: "well_aerated",
    -500: "poorly_aerated",
    -101: "poorly_aerated",
    -100: "not_aerated",
    0: "not_aerated",
    99: "not_aerated",
    100: "denser",
    3071: "denser",
}


@pytest.mark.parametrize("hu", AT_EDGES)
def test_each_density_lies_in_one_band(hu):
    lungs = np.ones((1, 1, 1), np.uint8)
    bands = aeration(lungs, np.full(lungs.shape, hu, np.int16), voxel_ml=2.0).bands
    assert {name for name, band in bands.items() if band.percent} == {AT_EDGES[hu]}
    assert bands[AT_EDGES[hu]].ml == 2


def test_values_between_whole_units_count_too():
    lungs = np.ones((1, 1, 2), np.uint8)
    bands = aeration(lungs, np.array([[[-900.5, -499.5]]], np.float32)).bands
    assert bands["over_inflated"].percent == bands["poorly_aerated"].percent == 50


def test_bands_follow_each_other_without_a_gap():
    bands = list(BANDS.values())
    assert bands[0].low is None
    assert bands[-1].high is None
    for lower, upper in pairwise(bands):
        assert lower.high == upper.low


def test_a_hand_made_lung():
    """Ten voxels of 3 ml: 1, 4, 2, 2, 1 in the bands; half of the upper lobe is well aerated."""
    hu = np.array([-950, -870, -870, -700, -501, -450, -101, -100, 40, 300], np.int16)
    lungs = np.ones((1, 1, 12), np.uint8)
    lungs[..., 10:] = 0
    lobes = np.array([3, 3, 3, 4, 4, 3, 5, 5, 5, 0, 3, 3], np.uint8).reshape(lungs.shape)
    values = np.append(hu, [-700, -700]).reshape(lungs.shape)
    result = aeration(lungs, values, lobes=lobes, voxel_ml=3.0)
    assert [band.ml for band in result.bands.values()] == [3, 12, 6, 6, 3]
    assert [band.percent for band in result.bands.values()] == [10, 40, 20, 20, 10]
    assert result.well_aerated_of_lobes == {
        "RUL": 50,
        "RML": 100,
        "RLL": 0,
        "LUL": None,
        "LLL": None,
    }
    assert result.reason is None


def test_without_lobes_nothing_is_said_of_lobes():
    lungs = np.ones((1, 1, 2), np.uint8)
    result = aeration(lungs, np.full(lungs.shape, -700, np.int16))
    assert result.well_aerated_of_lobes == {}
    assert result.bands["well_aerated"].ml is None
