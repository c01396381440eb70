"""The limits of a stated geometry, exactly at their edges."""

import math
import re

import numpy as np
import pytest

from lungscore.errors import InputError
from lungscore.scan.affine import check_affine, check_shape
from lungscore.scan.limits import MAX_VOXELS

#: Columns of the affine for a volume of axial, coronal and sagittal order of axes.
ORDERS = [(0, 1, 2), (2, 0, 1), (1, 2, 0)]


def affine(sizes, order=(0, 1, 2), sign=1.0):
    """Axes of x, y and z with these sizes in mm, stored in ``order``; z is the body's."""
    whole = np.eye(4)
    whole[:3, :3] = np.diag(np.asarray(sizes) * [1, 1, sign])[:, list(order)]
    return whole


def turned(degrees, axis, towards):
    """Axes of 1, 2 and 3 mm of which ``axis`` leans ``towards`` another."""
    whole = affine((1.0, 2.0, 3.0))
    angle = np.deg2rad(degrees)
    column = np.zeros(3)
    column[axis], column[towards] = math.cos(angle), math.sin(angle)
    whole[:3, axis] = column * (axis + 1)
    return whole


def rejection(given):
    with pytest.raises(InputError) as caught:
        check_affine(given, "scan.nii")
    return caught.value


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("in_slice", [0.1, 5.0])
@pytest.mark.parametrize("between", [0.1, 20.0])
def test_sizes_on_the_edge_are_accepted(order, sign, in_slice, between):
    check_affine(affine((in_slice, in_slice, between), order, sign), "scan.nii")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("axis", "size", "expected"),
    [
        (0, math.nextafter(0.1, 0), "0.1 to 5 mm in slices"),
        (0, math.nextafter(5.0, 9), "0.1 to 5 mm in slices"),
        (1, math.nextafter(0.1, 0), "0.1 to 5 mm in slices"),
        (1, math.nextafter(5.0, 9), "0.1 to 5 mm in slices"),
        (2, math.nextafter(0.1, 0), "0.1 to 20 mm between slices"),
        (2, math.nextafter(20.0, 99), "0.1 to 20 mm between slices"),
    ],
)
def test_sizes_beyond_the_edge_are_rejected(order, axis, size, expected):
    sizes = [1.0, 1.0, 6.0]
    sizes[axis] = size
    error = rejection(affine(sizes, order))
    assert (error.code, error.expected) == ("spacing-out-of-range", expected)
    assert f"{size:.4g} mm" in error.found
    assert error.hint


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_is_rejected(value):
    given = affine((1, 1, 1))
    given[1, 3] = value
    assert rejection(given).code == "geometry-invalid"


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_axis_without_length_is_rejected(axis):
    sizes = [1.0, 1.0, 1.0]
    sizes[axis] = 0
    error = rejection(affine(sizes))
    assert error.code == "geometry-invalid"
    assert "no length" in error.found


@pytest.mark.parametrize(("cosine", "word"), [(0.95e-3, "singular"), (1.05e-3, "sheared")])
def test_axes_that_nearly_coincide_are_singular(cosine, word):
    given = affine((1, 1, 1))
    given[:3, 1] = [math.sqrt(1 - cosine**2), cosine, 0]
    error = rejection(given)
    assert error.code == "geometry-invalid"
    assert word in error.found


@pytest.mark.parametrize(("axis", "towards"), [(0, 1), (1, 0), (2, 0), (2, 1), (0, 2), (1, 2)])
def test_half_a_degree_of_shear_is_accepted_and_more_is_not(axis, towards):
    check_affine(turned(0.49, axis, towards), "scan.nii")
    error = rejection(turned(0.53, axis, towards))
    assert error.code == ("gantry-tilt" if 2 in (axis, towards) else "geometry-invalid")
    assert "sheared by 0.5 degrees" in error.found
    assert error.expected
    assert re.search(r"by 3\.0 degrees", rejection(turned(3, axis, towards)).found)


@pytest.mark.parametrize("order", ORDERS)
def test_shear_of_the_slices_is_tilt_whatever_the_order_of_the_axes(order):
    given = turned(3, 2, 1)
    given[:3, :3] = given[:3, list(order)]
    assert rejection(given).code == "gantry-tilt"
    given = turned(3, 1, 0)
    given[:3, :3] = given[:3, list(order)]
    assert rejection(given).code == "geometry-invalid"


def test_shear_in_both_directions_is_that_of_the_slice():
    given = turned(3, 1, 0)
    given[:3, 2] = turned(9, 2, 1)[:3, 2]
    error = rejection(given)
    assert error.code == "geometry-invalid"
    assert "by 9.0 degrees" in error.found


def test_as_many_voxels_as_the_limit_are_accepted_and_one_more_is_not():
    check_shape((MAX_VOXELS, 1, 1), "scan.nii")
    check_shape((1024, 1024, 1024), "scan.nii")
    with pytest.raises(InputError) as caught:
        check_shape((1, MAX_VOXELS + 1, 1), "scan.nii")
    assert caught.value.code == "volume-too-large"
    assert f"1 × {MAX_VOXELS + 1} × 1 voxels" in caught.value.found
    assert str(MAX_VOXELS) in caught.value.expected


@pytest.mark.parametrize("shape", [(0, 5, 5), (5, -1, 5), (5, 5, 0)])
def test_an_axis_without_voxels_is_rejected(shape):
    with pytest.raises(InputError) as caught:
        check_shape(shape, "scan.nii")
    assert caught.value.code == "geometry-invalid"
    assert f"{min(shape)} voxels" in caught.value.found
