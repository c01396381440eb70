import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lungscore.anatomy import lung_box, slice_boxes
from lungscore.anatomy.boxes import box_of_label, columns_of, copy_within


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


@given(arrays.arrays(np.uint8, (3, 4, 5), elements=st.sampled_from([0, 0, 0, 1, 2])))
def test_the_box_of_a_label_is_that_of_its_mask(labels):
    for value in (1, 2):
        box = box_of_label(labels, value)
        if (labels == value).any():
            assert box == lung_box(labels == value)
            np.testing.assert_array_equal(copy_within(labels, lung_box(labels)), labels)
        else:
            assert box is None


@given(arrays.arrays(np.uint8, (3, 4, 5), elements=st.sampled_from([0, 0, 0, 0, 1])))
def test_all_slices_stay_within_the_columns_of_the_lungs(labels):
    slices, rows, columns = columns_of(labels)
    assert slices == slice(0, 3)
    if labels.any():
        assert (rows, columns) == lung_box(labels)[1:]
    else:
        assert (rows, columns) == (slice(0, 4), slice(0, 5))


def test_a_copy_changes_alone():
    labels = np.ones((2, 3, 4), np.uint8)
    copied = copy_within(labels, lung_box(labels))
    copied[:] = 2
    assert labels.max() == 1
