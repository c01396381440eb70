"""Slices without infection between two infected ones."""

import numpy as np
import pytest

from lungscore.severity import Segmentation, measure
from lungscore.severity.gaps import gaps_between_infected


@pytest.mark.parametrize(
    ("percents", "gaps"),
    [
        ([10, 0, 10], (1,)),
        ([10, 0.9, 5], (1,)),
        ([10, 1, 10], ()),  # the measurement floor is reached
        ([10, 0, 4.9], ()),  # a neighbour that is not clearly infected
        ([10, 0, 0, 10], ()),  # two slices: a lesion may end and another begin
        ([10, 0, 10, 0, 10], (1, 3)),
        ([10, None, 10], ()),  # no lung, nothing to find
        ([None, 0, 10], ()),
        ([0, 10, 0], ()),
        ([10, 0], ()),
        ([], ()),
    ],
)
def test_which_slices_are_gaps(percents, gaps):
    assert gaps_between_infected(percents) == gaps


def volume(*shares: int) -> Segmentation:
    """Slices of 100 pixels of lung, so many of which are infected."""
    lungs = np.ones((len(shares), 10, 10), np.uint8)
    lungs[:, :, 5:] = 2
    lesions = np.zeros(lungs.shape, np.uint8)
    for plane, share in zip(lesions, shares, strict=True):
        plane.flat[:share] = 1
    return Segmentation(lungs, lesions)


def test_the_notice_names_the_slice_as_people_count():
    severity = measure(volume(20, 20, 0, 20, 20))
    (notice,) = (notice for notice in severity.notices if notice.code == "infection-gap")
    assert notice.message.startswith("Slice 3 of 5 shows next to no opacity")


def test_several_slices_are_named_in_one_notice():
    severity = measure(volume(20, 0, 20, 0, 20))
    (notice,) = (notice for notice in severity.notices if notice.code == "infection-gap")
    assert notice.message.startswith("Slices 2, 4 of 5 show next to no opacity")


def test_an_even_lesion_is_not_noted():
    severity = measure(volume(20, 12, 20))
    assert "infection-gap" not in {notice.code for notice in severity.notices}
