"""Separate lesions against scipy's own labels and by hand."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from lungscore.anatomy import separate_lesions

SHAPE = (4, 5, 6)


def lungs() -> np.ndarray:
    labels = np.ones(SHAPE, np.uint8)
    labels[..., 3:] = 2
    return labels


def test_corners_connect_and_gaps_do_not() -> None:
    infection = np.zeros(SHAPE, np.uint8)
    infection[0, 0, 0], infection[1, 1, 1] = 1, 2  # touch by a corner
    infection[3, 3, 0] = 1
    assert sorted(separate_lesions(lungs(), infection).sum(axis=1)) == [1, 2]


def test_no_lesion_crosses_from_one_lung_to_the_other() -> None:
    infection = np.zeros(SHAPE, np.uint8)
    infection[2, 2, 1:5] = 1
    assert separate_lesions(lungs(), infection).sum(axis=1).tolist() == [2, 2]


def test_a_lesion_may_cross_a_fissure_and_lies_in_both_lobes() -> None:
    infection = np.zeros(SHAPE, np.uint8)
    infection[:, 2, 0] = 1
    lobes = np.zeros(SHAPE, np.uint8)
    lobes[1], lobes[2:] = 3, 5
    assert separate_lesions(lungs(), infection, lobes).tolist() == [[1, 0, 0, 1, 0, 2]]
    assert separate_lesions(lungs(), infection).tolist() == [[4, 0, 0, 0, 0, 0]]


def test_without_lungs_or_infection_there_is_none() -> None:
    infection = np.ones(SHAPE, np.uint8)
    assert separate_lesions(np.zeros(SHAPE, np.uint8), infection).shape == (0, 6)
    assert separate_lesions(lungs(), infection * 3).shape == (0, 6)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.uint8, SHAPE, elements=st.integers(0, 2)),
    hnp.arrays(np.uint8, SHAPE, elements=st.integers(0, 3)),
)
def test_sizes_are_those_of_scipys_labels(labels: np.ndarray, lesions: np.ndarray) -> None:
    infection = (lesions == 1) | (lesions == 2)
    expected: list[int] = []
    for side in (1, 2):
        found, _ = ndimage.label(infection & (labels == side), np.ones((3, 3, 3)))
        expected += np.bincount(found.ravel())[1:].tolist()
    table = separate_lesions(labels, lesions)
    assert sorted(table.sum(axis=1)) == sorted(expected)
    assert table.sum() == np.count_nonzero(infection & (labels > 0))
