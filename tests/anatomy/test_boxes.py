import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lungscore.anatomy import lung_box, slice_boxes


@given(arrays.arrays(np.uint8, (4, 5, 6), elements=st.integers(0, 1)))
def test_slice_boxes_are_the_tightest(labels):
    for plane, (row0, row1, column0, column1) in zip(labels, slice_boxes(labels), strict=True):
        rows, columns = np.nonzero(plane)
        if len(rows):
            expected = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
        else:
            expected = (-1, -1, -1, -1)
        assert (row0, row1, column0, column1) == expected


def test_lung_box_grows_but_stays_inside():
    mask = np.zeros((8, 9, 10), bool)
    mask[1:3, 4:6, 8] = True
    assert lung_box(mask, margin=(2, 1, 3)) == (slice(0, 5), slice(3, 7), slice(5, 10))


def test_empty_mask_has_no_box():
    with pytest.raises(ValueError, match="empty"):
        lung_box(np.zeros((2, 2, 2), bool))
