"""Flicker of infection between slices, against a loop over voxels and cases known by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from lungscore.evaluation.flicker import flicker


def of_columns(*columns: str) -> np.ndarray:
    """A volume one row high: each column from the top slice down, # where infected."""
    levels = [[mark == "#" for mark in column] for column in columns]
    return np.array(levels).T[:, None, :]


@pytest.mark.parametrize(
    ("column", "vanished", "flashed"),
    [
        ("#####", 0, 0),
        ("##.##", 1, 0),
        ("##..##", 0, 0),  # back after three slices, not within two
        ("#.#.#", 2, 1),
        ("..#..", 0, 1),
        ("#....", 0, 0),  # the first slice has nothing above it
        (".....", 0, 0),
        ("#.", 0, 0),
    ],
)
def test_a_column_of_voxels(column, vanished, flashed):
    found = flicker(of_columns(column))
    assert found == (column.count("#"), vanished, flashed)


def test_columns_do_not_touch_each_other():
    found = flicker(of_columns("#.#", ".#.", "###", "..."))
    assert found == (2 + 1 + 3, 1, 1)
    assert found.vanished_share == pytest.approx(1 / 6)
    assert found.flashed_share == pytest.approx(1 / 6)


def test_nothing_has_no_share():
    found = flicker(np.zeros((4, 2, 2), bool))
    assert np.isnan(found.vanished_share)
    assert np.isnan(found.flashed_share)


VOLUMES = arrays(bool, array_shapes(min_dims=3, max_dims=3, max_side=6))


@given(VOLUMES)
def test_vanished_is_what_closing_along_the_axis_adds_and_flashed_what_opening_removes(infected):
    """The oracle: closing by two neighbouring slices fills every gap of one slice and no other."""
    padded = np.pad(infected, ((1, 1), (0, 0), (0, 0)))
    hits = ndimage.binary_hit_or_miss
    gap = np.array([1, 0, 1], bool).reshape(3, 1, 1)
    vanished = hits(padded, gap, ~gap).sum()
    inner = np.pad(infected, ((1, 1), (0, 0), (0, 0)), mode="edge")  # the ends cannot flash
    flashed = hits(inner, ~gap, gap)[1:-1].sum()
    assert flicker(infected) == (infected.sum(), vanished, flashed)


@given(VOLUMES, st.data())
def test_the_order_of_the_slices_may_be_turned_over(infected, data):
    assert flicker(infected[::-1]) == flicker(infected)
    rows = data.draw(st.permutations(range(infected.shape[1])))
    assert flicker(infected[:, rows]) == flicker(infected)
