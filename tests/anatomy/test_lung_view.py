"""The lung network's pictures: where each voxel lies in them, whatever the scan's grid."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lungscore.anatomy.grid import Grid
from lungscore.anatomy.lung_maps import LungMaps
from lungscore.anatomy.lung_view import OFFSETS_MM, PIXEL_MM, LungView
from tests.anatomy.chest import as_scan, body, ellipsoid


def test_the_body_lies_in_the_middle_of_the_picture() -> None:
    values = np.roll(body(), (6, -9), axis=(1, 2))
    picture = LungView.of(as_scan(values)).pictures(as_scan(values))[10]
    rows, columns = np.nonzero(picture > 180)
    size = len(picture)
    assert abs(rows.mean() - (size - 1) / 2) < 2
    assert abs(columns.mean() - (size - 1) / 2) < 2


def test_a_pixel_is_two_millimetres_and_black_is_nothing() -> None:
    scan = as_scan(body(), (5.0, 4.0, 4.0))
    picture = LungView.of(scan).pictures(scan)[0]
    assert np.ptp(np.nonzero(picture > 180)[1]) == pytest.approx(2 * 42 * 4 / PIXEL_MM, abs=6)
    assert picture.min() == 0  # beyond the scan
    assert picture[picture > 0].min() >= 1


@pytest.mark.parametrize("slice_mm", [1.0, 2.5, 5.0, 10.0])
def test_neighbours_lie_where_they_should(slice_mm: float) -> None:
    view = LungView((60, 8, 8), (slice_mm, 1.0, 1.0), (4.0, 4.0), max(1, round(2.5 / slice_mm)))
    neighbours = view.neighbours()
    middle = view.layers // 2
    assert (neighbours[:, 3] == np.arange(view.layers)).all()
    for index, offset in zip(neighbours[middle], OFFSETS_MM, strict=True):
        if index >= 0:
            off = abs((index - middle) * view.layer_mm - offset)
            assert off <= max(view.layer_mm / 2, 10.0 - 5.0) + 1e-9
    assert neighbours[0, 0] == -1
    assert neighbours[-1, -1] == -1
    assert len(set(neighbours[middle])) > 3  # other slices, however far apart


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 9), st.integers(20, 70), st.integers(20, 70)),
    st.tuples(st.floats(0.6, 8.0), st.floats(0.6, 4.0), st.floats(0.6, 4.0)),
    st.integers(0, 10_000),
)
def test_maps_come_back_where_the_labels_were(shape, spacing, seed) -> None:
    """A ball drawn as labels, seen in pictures and brought back lies where it was."""
    place = np.random.default_rng(seed).uniform(0.3, 0.7, 3) * shape
    radius_mm = 14.0
    axes = np.ogrid[tuple(slice(size) for size in shape)]
    distance = sum(
        ((axis - centre) * size) ** 2
        for axis, centre, size in zip(axes, place, spacing, strict=True)
    )
    ball = (distance < radius_mm**2).astype(np.uint8)
    scan = as_scan(np.full(shape, 40, np.int16), spacing)
    view = replace(LungView.of(scan), middle=(shape[1] / 2, shape[2] / 2))
    drawn = view.labels(ball)
    maps = LungMaps(np.stack([drawn == 1, drawn == 2, drawn == 3], 1).astype(np.uint8) * 255, view)
    grid = Grid(shape, (1, 1, 1), spacing)
    back = maps.on(grid)[0] > 127
    reach = np.abs(np.array(shape[1:]) * spacing[1:] / 2).max() < view.size * PIXEL_MM / 2
    # Beyond the border there is nothing to see: the outermost pixels of what reaches it are lost.
    whole = not (ball[:, [0, -1]].any() or ball[:, :, [0, -1]].any())
    if reach and whole and ball.any() and view.layer == 1:
        assert np.count_nonzero(back ^ (ball > 0)) <= 0.3 * np.count_nonzero(ball) + 12


def test_grey_levels_are_seen_as_a_usual_lung_window() -> None:
    values = body()
    values[ellipsoid(values.shape, (24, 40, 28), (18, 20, 12))] = -850
    grey = np.clip((values.astype(np.float32) + 1250) / 1500 * 255, 0, 255).astype(np.uint8)
    as_hu = LungView.of(as_scan(values)).pictures(as_scan(values))
    as_grey = LungView.of(as_scan(grey)).pictures(as_scan(grey))
    inside = (as_hu > 1) & (as_grey > 1)
    difference = as_hu[inside].astype(int) - as_grey[inside].astype(int)
    assert np.abs(difference).mean() < 4
