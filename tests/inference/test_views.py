"""How slices are shown to a network and how its maps come back."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lungscore.anatomy import Lungs
from lungscore.inference.bundle import InputSpec
from lungscore.inference.views import View, views
from lungscore.scan.window import crop, network_boxes, paste, resize, window
from tests.inference.small_scans import scan_of

SPEC = InputSpec(height=32, width=48, window_hu=(-1350, 150), orientation="any", grey_split=0.5)


def boxes_from(start: int, *, shortest: int) -> st.SearchStrategy:
    """Boxes that begin at ``start`` to 14 and hold ``shortest`` to 20 rows and columns below 34."""
    edge = st.tuples(st.integers(start, 14), st.integers(shortest, 20))
    edge = edge.map(lambda e: (e[0], max(e[0], 0) + e[1]))
    return st.tuples(edge, edge).map(lambda edges: (*edges[0], *edges[1]))


sides = st.integers(15, 20)


def pixels(shape: tuple[int, int]) -> np.ndarray:
    """A picture in which every pixel differs, none of them 0."""
    return np.arange(1, 1 + shape[0] * shape[1], dtype=np.int16).reshape(shape)


@given(boxes_from(-8, shortest=1), sides, sides)
def test_cropped_pixels_are_the_image_inside_and_air_outside(box, height, width):
    image = pixels((height, width))
    row0, row1, column0, column1 = box
    cropped = crop(image, box)
    for row, column in np.ndindex(row1 - row0, column1 - column0):
        y, x = row0 + row, column0 + column
        inside = 0 <= y < height and 0 <= x < width
        assert cropped[row, column] == (image[y, x] if inside else image.min())


@given(boxes_from(-8, shortest=1), sides, sides)
def test_pasting_puts_a_crop_back_where_it_was(box, height, width):
    image = pixels((height, width))
    row0, row1, column0, column1 = box
    back = paste(crop(image, box), box, image.shape)
    inside = np.zeros(image.shape, bool)
    inside[max(row0, 0) : row1, max(column0, 0) : column1] = True
    np.testing.assert_array_equal(back, np.where(inside, image, 0))


@given(st.integers(-2000, 2000), st.integers(1, 3000))
def test_a_window_is_linear_between_black_and_white(lower, width):
    values = np.array([lower - 1, lower, lower + width / 2, lower + width, lower + width + 1])
    np.testing.assert_allclose(window(values, lower, lower + width), [0, 0, 0.5, 1, 1], atol=1e-6)
    assert window(values.astype(np.int16), lower, lower + width).dtype == np.float32


@given(st.integers(2, 40), st.integers(2, 40), st.integers(2, 40), st.integers(2, 40))
def test_resizing_keeps_range_and_size(height, width, new_height, new_width):
    image = pixels((height, width)).astype(np.float32)
    resized = resize(image, new_height, new_width)
    assert resized.shape == (new_height, new_width)
    assert image.min() <= resized.min() <= resized.max() <= image.max()
    np.testing.assert_array_equal(resize(image, height, width), image)


@given(
    st.lists(st.one_of(st.none(), boxes_from(0, shortest=1)), min_size=1, max_size=6),
    st.sampled_from([0.02, 0.1]),
)
@pytest.mark.slow
def test_network_boxes_hold_the_lung_boxes_and_are_not_much_smaller_than_the_largest(boxes, margin):
    lung_boxes = np.array([box or (-1, -1, -1, -1) for box in boxes])
    result = network_boxes(lung_boxes, margin=margin, smallest=0.6)
    filled = [index for index, box in enumerate(boxes) if box is not None]
    for index in set(range(len(boxes))) - set(filled):
        assert (result[index] == -1).all()
    for low, high in ((0, 1), (2, 3)):
        if filled:
            whole = lung_boxes[filled, high].max() - lung_boxes[filled, low].min()
        for index in filled:
            assert result[index, low] <= lung_boxes[index, low]
            assert result[index, high] >= lung_boxes[index, high]
            size = lung_boxes[index, high] - lung_boxes[index, low]
            wanted = max(size * (1 + 2 * margin), 0.6 * whole)
            assert wanted - 1e-9 <= result[index, high] - result[index, low] <= wanted + 2


def test_a_volume_is_seen_in_the_lung_box_of_every_slice_with_lung():
    scan = scan_of(np.zeros((5, 60, 80), np.int16))
    labels = np.zeros(scan.shape, np.uint8)
    labels[1:4, 10:50, 10:30], labels[1:4, 10:50, 40:70] = 1, 2
    labels[3, :20] = 0
    seen = list(views(scan, Lungs(labels, sides_known=True)))
    assert [view.index for view in seen] == [1, 2, 3]
    assert not any(view.turned for view in seen)
    assert seen[0].box == (6, 54, 4, 76)  # a margin of 10 % of 40 x 60
    assert seen[2].box == (17, 53, 4, 76)


def test_lungs_at_the_border_are_seen_although_their_box_reaches_over_it():
    scan = scan_of(np.zeros((2, 30, 40), np.int16))
    labels = np.zeros(scan.shape, np.uint8)
    labels[:, :, 0:20] = 1
    seen = list(views(scan, Lungs(labels, sides_known=True)))
    assert [view.index for view in seen] == [0, 1]
    assert seen[0].box[0] < 0
    assert seen[0].of(scan, SPEC).shape == (32, 48)


def test_without_any_lung_nothing_is_seen():
    scan = scan_of(np.zeros((3, 30, 40), np.int16))
    assert list(views(scan, Lungs(np.zeros(scan.shape, np.uint8), sides_known=True))) == []


def nearer_and_farther(view: View) -> list[View]:
    """A lone slice is seen in its box and in two wider ones, each as it is and mirrored."""
    row0, row1, column0, column1 = view.box
    seen = []
    for times in (1, 1.14, 1.33):
        down, right = (round(s * (times - 1) / 2) for s in (row1 - row0, column1 - column0))
        wider = replace(view, box=(row0 - down, row1 + down, column0 - right, column1 + right))
        seen += [wider, replace(wider, mirrored=True)]
    return seen


def test_a_lone_slice_without_lungs_is_seen_whole():
    scan = scan_of(np.zeros((1, 50, 40), np.uint8))
    assert list(views(scan, None)) == nearer_and_farther(View(0, (0, 50, 0, 40)))


@pytest.mark.parametrize("sides_known", [True, False])
def test_a_lone_slice_that_shows_more_than_lung_is_seen_in_the_box_of_its_lungs(sides_known):
    labels = np.zeros((1, 60, 90), np.uint8)
    labels[0, 20:40, 20:70] = 1
    scan = scan_of(np.zeros(labels.shape, np.uint8), sides_known=sides_known)
    seen = list(views(scan, Lungs(labels, sides_known=sides_known)))
    assert seen == nearer_and_farther(View(0, (19, 41, 19, 71)))


@pytest.mark.parametrize(("shape", "turned"), [((40, 60), False), ((60, 40), True)])
def test_a_lone_crop_is_seen_whole_and_turned_where_it_is_taller_than_wide(shape, turned):
    scan = scan_of(np.zeros((1, *shape), np.uint8), sides_known=False)
    for lungs in (None, Lungs(np.ones(scan.shape, np.uint8), sides_known=False)):
        whole = View(0, (0, shape[0], 0, shape[1]), turned=turned)
        assert list(views(scan, lungs)) == nearer_and_farther(whole)


def test_hounsfield_units_are_seen_in_the_stated_window_and_grey_levels_as_they_are():
    values = np.full((1, 32, 48), -600, np.int16)
    np.testing.assert_allclose(View(0, (0, 32, 0, 48)).of(scan_of(values), SPEC), 0.5)
    grey = np.full((1, 32, 48), 51, np.uint8)
    np.testing.assert_allclose(View(0, (0, 32, 0, 48)).of(scan_of(grey), SPEC), 0.2)


@settings(max_examples=30)
@given(boxes_from(-8, shortest=9), st.booleans(), st.booleans())
def test_what_a_view_shows_comes_back_to_where_it_lies(box, turned, mirrored):
    """A soft blob is found again at its place, at whatever size the network saw it."""
    height, width = 22, 26
    row0, row1, column0, column1 = box
    rows, columns = np.mgrid[:height, :width]
    middle = (max(row0, 0) + min(row1, height)) / 2, (max(column0, 0) + min(column1, width)) / 2
    blob = np.exp(-(((rows - middle[0]) / 8) ** 2) - ((columns - middle[1]) / 8) ** 2)
    scan = scan_of((255 * blob).astype(np.uint8)[None])
    view = View(0, box, turned, mirrored)
    seen = view.of(scan, SPEC)
    assert seen.shape == (SPEC.height, SPEC.width)
    assert seen.dtype == np.float32
    back = view.back(seen, (height, width))
    inside = np.zeros((height, width), bool)
    inside[max(row0, 0) : row1, max(column0, 0) : column1] = True
    assert back.shape == (height, width)
    assert not back[~inside].any()
    assert np.abs(back - scan.values[0] / 255)[inside].mean() < 0.06


def test_a_view_at_the_size_of_the_network_comes_back_exactly():
    values = np.random.default_rng(0).integers(0, 255, (1, 48, 32)).astype(np.uint8)
    view = View(0, (0, 48, 0, 32), turned=True)
    seen = view.of(scan_of(values), SPEC)
    np.testing.assert_allclose(seen, values[0].T / 255, atol=1e-6)
    np.testing.assert_array_equal(view.back(seen, (48, 32)), seen.T)
