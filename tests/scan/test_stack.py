"""Order, spacing and gaps of slices, at the edges of every rule."""

import numpy as np
import pytest

from lungscore.errors import InputError
from lungscore.scan.dicom.stack import (
    Stack,
    _usual_step,
    arrange,
    common_directions,
    gap_text,
    volume_affine,
)

AXIAL = np.array([[1.0, 0, 0], [0, 1.0, 0]])


def rejection(function, *arguments, **options):
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    return caught.value


# Directions


def orientations(*rows):
    return np.array(rows, np.float64)


PLAIN = (1, 0, 0, 0, 1, 0)


def test_the_common_direction_is_the_mean_as_unit_vectors():
    given = orientations((1.005, 0, 0, 0, 0.995, 0), (1.005, 0, 0, 0, 0.995, 0))
    directions = common_directions(given, "s")
    np.testing.assert_allclose(directions, AXIAL, atol=1e-15)
    mean = common_directions(orientations(PLAIN, (1, 8e-4, 0, 0, 1, 0)), "s")
    np.testing.assert_allclose(mean[0], np.array([1, 4e-4, 0]) / np.hypot(1, 4e-4), atol=1e-15)


@pytest.mark.parametrize("vector", [0, 3])
@pytest.mark.parametrize(("length", "accepted"), [(0.9895, 0), (0.991, 1), (1.009, 1), (1.0105, 0)])
def test_a_direction_must_be_a_unit_vector(vector, length, accepted):
    given = orientations(PLAIN)
    given[:, vector : vector + 3] *= length
    if accepted:
        np.testing.assert_allclose(common_directions(given, "s"), AXIAL)
    else:
        error = rejection(common_directions, given, "s")
        assert error.code == "geometry-invalid"
        assert "unit vectors" in error.found


@pytest.mark.parametrize(
    ("product", "accepted"), [(0.01, 1), (-0.01, 1), (0.0105, 0), (-0.0105, 0)]
)
def test_rows_and_columns_must_be_perpendicular(product, accepted):
    given = orientations((1, 0, 0, product, np.sqrt(1 - product**2), 0))
    if accepted:
        common_directions(given, "s")
    else:
        assert rejection(common_directions, given, "s").code == "geometry-invalid"


def test_slices_may_differ_in_direction_by_a_thousandth_and_those_beyond_are_counted():
    edge, beyond = (1, 0, 1e-3, 0, 1, 0), (1, 0, 0, 0, 1, 1.05e-3)
    common_directions(orientations(PLAIN, PLAIN, PLAIN, edge), "s")
    error = rejection(
        common_directions, orientations(PLAIN, beyond, PLAIN, edge, beyond, PLAIN, PLAIN), "s"
    )
    assert error.code == "mixed-geometry"
    assert "2 of 7 slices" in error.found


# Order and step


def stack_of(heights, *, directions=AXIAL, pixel_mm=1.0, aside=None):
    """Slices at these heights (mm, downwards of z = 100), in the order given."""
    positions = np.zeros((len(heights), 3))
    positions[:, 2] = 100 - np.asarray(heights, np.float64)
    positions[:, :2] = (-20.0, -30.0)
    if aside is not None:
        positions[:, :2] += aside
    return arrange(positions, directions, source="s", pixel_mm=pixel_mm)


@pytest.mark.parametrize("columns", [1.0, -1.0])
def test_the_superior_slice_comes_first_whichever_way_the_normal_points(columns):
    directions = AXIAL * [[columns], [1.0]]
    stack = stack_of([4, 0, 8, 2, 6], directions=directions)
    assert stack.order.tolist() == [1, 3, 0, 4, 2]
    assert stack.slots.tolist() == [0, 1, 2, 3, 4]
    assert (stack.depth, stack.missing, stack.rounded) == (5, [], False)
    np.testing.assert_allclose(stack.step, [0, 0, -2])


def test_slices_that_are_not_axial_follow_their_normal():
    sagittal = np.array([[0, 1.0, 0], [0, 0, -1.0]])
    positions = np.array([[0.0, 5, 5], [3, 5, 5], [6, 5, 5]])
    stack = arrange(positions, sagittal, source="s", pixel_mm=1.0)
    assert stack.order.tolist() == [2, 1, 0]
    np.testing.assert_allclose(stack.step, [-3, 0, 0])


def test_a_gap_leaves_slots_without_an_image():
    stack = stack_of([0, 2, 4, 10, 12, 14, 16, 18, 20, 22, 24, 26])
    assert stack.missing == [3, 4]
    assert stack.depth == 14
    assert stack.slots.tolist() == [0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    np.testing.assert_allclose(stack.step, [0, 0, -2])


def test_the_text_of_a_gap_counts_the_lost_slices_of_each_place():
    heights = np.array([0.0, 2, 6, 8, 16])
    stack = Stack(np.arange(5), np.array([0, 1, 3, 4, 8]), 9, np.array([0, 0, -2.0]), False)
    assert gap_text(stack, heights) == "1 between 2.0 and 6.0 mm, 3 between 8.0 and 16.0 mm"


@pytest.mark.parametrize(("gaps", "more"), [(5, False), (6, True)])
def test_no_more_than_five_places_are_named(gaps, more):
    slots = np.arange(gaps + 1) * 2
    stack = Stack(np.arange(gaps + 1), slots, int(slots[-1]) + 1, np.array([0, 0, -1.0]), False)
    text = gap_text(stack, slots * 1.0)
    assert text.count("between") == 5
    assert text.endswith(", …") == more


@pytest.mark.parametrize(
    ("slices", "lost", "accepted"), [(10, 2, True), (10, 3, False), (14, 3, False), (15, 3, True)]
)
def test_a_fifth_of_the_slices_may_be_missing_and_no_more(slices, lost, accepted):
    heights = [2 * n for n in range(slices) if not 3 <= n < 3 + lost]
    if accepted:
        assert len(stack_of(heights).missing) == lost
    else:
        error = rejection(stack_of, heights)
        assert error.code == "irregular-spacing"
        assert "slices 3 and 4 in order" in error.found
        assert f"{2 * lost + 2:.3f} mm apart, others 2.000 mm" in error.found


@pytest.mark.parametrize(
    ("step", "off", "accepted"),
    [(2.0, 0.0208, 1), (2.0, 0.02105, 0), (1.0, 0.0108, 1), (1.0, 0.0112, 0), (5.0, -0.0508, 1)],
)
def test_a_step_may_differ_by_a_hundredth_and_a_micron(step, off, accepted):
    heights = step * np.arange(12) + 0.00037
    heights[6:] += off
    if accepted:
        assert stack_of(heights).missing == []
    else:
        error = rejection(stack_of, heights)
        assert error.code == "irregular-spacing"
        assert "slices 6 and 7 in order" in error.found


def test_steps_of_less_than_half_the_usual_one_are_uneven():
    error = rejection(stack_of, [0, 2, 4, 4.8, 6.8, 8.8, 10.8])
    assert error.code == "irregular-spacing"
    assert "slices 3 and 4 in order are 0.800 mm apart" in error.found


# Positions rounded to a tenth of a millimetre


def test_positions_with_one_decimal_are_rounded_ones():
    stack = stack_of(np.round(0.625 * np.arange(40), 1))
    assert stack.rounded
    assert stack.missing == []
    assert not stack_of(0.5 * np.arange(40)).rounded


@pytest.mark.parametrize(("off", "accepted"), [(0.5e-4, True), (1.05e-4, False)])
def test_rounded_positions_lie_on_tenths(off, accepted):
    heights = np.round(0.625 * np.arange(40), 1)
    heights[7] += off
    if accepted:
        assert stack_of(heights).rounded
    else:
        assert rejection(stack_of, heights).code == "irregular-spacing"


def test_rounding_moves_a_position_by_no_more_than_half_a_tenth_and_a_bit():
    # Of the line through them these lie up to 0.057 and 0.062 mm off.
    assert stack_of([0.1, 1.0, 2.0, 3.1, 4.1, 5.0]).rounded
    heights = np.arange(6) + 0.1 * np.array([-1, -1, -1, 0, 0, -1])
    assert rejection(stack_of, heights).code == "irregular-spacing"


# Straightness


@pytest.mark.parametrize(("degrees", "accepted"), [(0.48, True), (0.53, False), (-0.53, False)])
def test_half_a_degree_of_tilt_is_accepted(degrees, accepted):
    heights = 2.0 * np.arange(60)
    aside = np.outer(heights * np.tan(np.deg2rad(degrees)), [0, 1])
    if accepted:
        stack_of(heights, aside=aside)
    else:
        error = rejection(stack_of, heights, aside=aside)
        assert error.code == "gantry-tilt"
        assert "by 0.5 degrees" in error.found
        assert error.hint


@pytest.mark.parametrize(("moved", "accepted"), [(0.48, True), (0.53, False)])
@pytest.mark.parametrize("pixel_mm", [1.0, 2.0])
def test_a_slice_may_lie_half_a_pixel_beside_the_others(moved, accepted, pixel_mm):
    aside = np.zeros((12, 2))
    aside[5] = moved * pixel_mm * np.array([0.6, 0.8])
    options = {"aside": aside, "pixel_mm": pixel_mm}
    if accepted:
        stack_of(2.0 * np.arange(12), **options)
    else:
        error = rejection(stack_of, 2.0 * np.arange(12), **options)
        assert error.code == "mixed-geometry"
        assert f"up to {moved * pixel_mm:.2f} mm beside" in error.found


def test_a_slice_that_is_a_little_high_does_not_lie_beside_the_others():
    heights = 2.0 * np.arange(12)
    heights[5] += 0.015
    stack_of(heights, pixel_mm=0.01)


# The usual step


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([2, 2, 2, 4, 4], 2),
        ([4, 4, 2, 4], 4),
        ([1.004, 1.004, 1.006, 1.05], 1.004),
        ([1.0, 1.0, 1.01, 1.01, 1.01, 1.02], 1.01),
        ([1.0, 1.02, 1.02, 1.04], 1.02),
        ([1.0, 1.01, 1.01, 1.02, 1.02], 1.01),
        ([1.0, 1.0, 1.01, 1.01], 1.005),
        ([0.5, 0.5, 0.51, 0.51], 0.505),
        ([1.0, 1.0, 1.02, 1.02], 1.0),
    ],
)
def test_the_usual_step_is_the_most_frequent_one(steps, expected):
    assert _usual_step(np.array(steps, np.float64)) == pytest.approx(expected, abs=1e-12)


def test_the_affine_is_that_of_the_dicom_standard():
    """PS3.3 C.7.6.2.1.1 maps (column, row) of an image; here axes are (slice, row, column)."""
    origin, step = np.array([1.0, 2, 3]), np.array([0.1, 0.2, -2])
    directions = np.array([[0.8, 0.6, 0], [-0.6, 0.8, 0]])
    affine = volume_affine(origin, step, directions, pixel_spacing=(0.7, 0.5))
    slice_, row, column = 4, 7, 9
    lps = origin + step * slice_ + directions[0] * 0.5 * column + directions[1] * 0.7 * row
    np.testing.assert_allclose(affine @ [slice_, row, column, 1], [-lps[0], -lps[1], lps[2], 1])
