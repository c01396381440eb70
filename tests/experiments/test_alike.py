"""Slices of two sources made alike, and the copies that control a detector."""

import itertools

import numpy as np
import pytest

from alike import (
    FILL,
    SIZE,
    as_published,
    make_alike,
    match_by_shape,
    matching_window,
    without_lesions,
    without_lungs,
)
from lungscore.errors import InputError
from lungscore.scan.window import network_boxes


def chest(*, lesion: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) uint8 of two dark lungs in a bright body, and where a lesion lies in one of them."""
    rows, columns = np.mgrid[:200, :280]
    image = np.full((200, 280), 210, np.uint8)
    for centre in (75, 205):
        image[((rows - 100) / 85) ** 2 + ((columns - centre) / 55) ** 2 <= 1] = 50
    ill = np.zeros(image.shape, bool)
    if lesion:
        ill[130:160, 50:90] = True
        image[ill] = 130
    return image, ill


@pytest.fixture(scope="module")
def infected():
    return make_alike("ill", *chest(lesion=True))


@pytest.fixture(scope="module")
def healthy():
    image, nothing = chest()
    return make_alike("well", image, nothing)


def test_every_slice_has_one_size_and_the_lungs_reach_its_borders(infected, healthy):
    for sample in (infected, healthy):
        assert sample.image.shape == sample.lungs.shape == sample.infection.shape == SIZE
        assert sample.image.dtype == np.uint8
        for border in (sample.lungs[0], sample.lungs[-1], sample.lungs[:, 0], sample.lungs[:, -1]):
            assert border.any()
    assert infected.infected
    assert not healthy.infected


def test_the_lungs_hold_their_lesions(infected):
    assert infected.lungs[infected.infection].all()
    assert 0.02 < infected.infection.mean() < 0.06  # 30 × 40 of about 170 × 240 pixels


def test_without_lungs_an_infected_slice_is_its_healthy_twin(infected, healthy):
    first, second = without_lungs(infected), without_lungs(healthy)
    assert (first[infected.lungs] == FILL).all()
    common = infected.lungs == healthy.lungs
    assert common.mean() > 0.99
    assert np.abs(first.astype(int) - second)[common].max() <= 16  # what JPEG leaves
    assert np.abs(infected.image.astype(int) - healthy.image).max() > 60


def test_without_lesions_none_is_left_and_both_are_painted_alike(infected, healthy):
    first = without_lesions(infected, infected.infection)
    second = without_lesions(healthy, infected.infection)
    assert np.abs(first.astype(int) - second)[infected.infection].max() <= 8
    outside = ~infected.lungs
    np.testing.assert_array_equal(first[outside], infected.image[outside])


def test_a_picture_without_lungs_is_refused():
    with pytest.raises(InputError) as caught:
        make_alike("none", np.full((64, 64), 200, np.uint8), np.zeros((64, 64), bool))
    assert caught.value.code in ("no-lungs", "constant-image")


def test_a_scan_is_shown_in_the_window_and_box_that_are_asked_for():
    hounsfield = np.full((100, 120), 40, np.int16)
    hounsfield[30:70, 30:90] = -850
    box = tuple(map(int, network_boxes(np.array([[30, 70, 30, 90]]), margin=0.1)[0]))
    shown = as_published(hounsfield, box, (-1000.0, 250.0))
    assert shown.shape == (48, 72)
    assert abs(int(shown[24, 36]) - 255 * 150 / 1250) <= 3
    assert abs(int(shown[0, 0]) - 255 * 1040 / 1250) <= 3


def test_the_window_is_found_in_which_a_source_was_shown():
    rng = np.random.default_rng(0)
    hounsfield = rng.normal(40, 90, 4000)
    shown = 255 * np.clip((rng.normal(40, 90, 4000) + 1200) / 1500, 0, 1)
    lower, upper = matching_window(shown, hounsfield)
    assert abs((40 - lower) / (upper - lower) - 1240 / 1500) < 0.02
    assert abs(upper - lower - 1500) <= 150


def test_partners_overlap_most_of_all_ways_to_give_them():
    rng = np.random.default_rng(1)
    lungs, candidates = rng.random((3, 6, 7)) < 0.5, rng.random((5, 6, 7)) < 0.5

    def overlap(a: np.ndarray, b: np.ndarray) -> float:
        return float((a & b).sum() / (a | b).sum())

    best = max(
        itertools.permutations(range(5), 3),
        key=lambda ways: sum(
            overlap(a, candidates[way]) for a, way in zip(lungs, ways, strict=True)
        ),
    )
    assert tuple(match_by_shape(lungs, candidates)) == best
