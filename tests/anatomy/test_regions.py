import importlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lungscore.anatomy import divide_regions, find_lobes
from lungscore.anatomy.regions import SEGMENTS, balance
from lungscore.labels import LEFT_LUNG, LOBES, REGIONS, RIGHT_LUNG
from tests.anatomy.chest import dice, phantom
from tests.anatomy.test_lobes import two_lungs
from tests.sampling import sampled

UNIT = (1.0, 1.0, 1.0)
NUMBERS = {name: number for number, (name, _) in enumerate(REGIONS, start=1)}
SHARES = {
    f"{lobe} {name}": segment.share
    for lobe, segments in SEGMENTS.items()
    for name, segment in segments.items()
}
PRESETS = ("healthy", "severe")


@pytest.fixture
def experiment(monkeypatch):
    """A script or module of experiments/ by its name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "experiments"))
    return importlib.import_module


def assert_regions_partition(regions, lobes):
    for number, (_, lobe) in enumerate(REGIONS, start=1):
        inside = lobes[regions == number]
        assert len(inside) > 0
        assert (inside == LOBES[lobe]).all()
    np.testing.assert_array_equal(regions > 0, lobes > 0)


def assert_regions_as_anatomy_asks(regions, lobes, measured):
    """Sizes, pieces and every property of experiments/region_properties.py."""
    assert_regions_partition(regions, lobes)
    for name, percent in measured.percents(regions).items():
        lobe = 100 * (lobes == LOBES[name[:3]]).sum() / (lobes > 0).sum()
        # A lobe of more than 30 % of the lungs cannot be three regions of at most 10 %.
        most = max(10, 1.01 * lobe / 3) if name.startswith("RUL") else 10
        assert 2 <= percent <= most, f"{name}: {percent:.2f} %"
    for name, part in measured.largest_parts(regions).items():
        assert part >= 0.95, f"{name} is in pieces"
    held = measured.properties(regions, lobes)
    assert len(held) > 80
    assert not [name for name, holds in held.items() if not holds]


# What must hold for any lobes


@settings(max_examples=25, deadline=None)
@given(radii=st.tuples(st.floats(8, 17), st.floats(8, 18), st.floats(6, 11)))
def test_regions_partition_the_lobes(radii):
    lobes = find_lobes(two_lungs(right=radii, left=radii), UNIT)
    assert_regions_partition(divide_regions(lobes, UNIT), lobes)


@settings(max_examples=50, deadline=None)
@given(st.data())
@pytest.mark.slow
def test_every_voxel_of_small_flat_and_scattered_lobes_gets_a_region(data):
    shape = data.draw(st.tuples(*(st.integers(1, 9),) * 3))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    filled = rng.random(shape) < data.draw(st.sampled_from((0.02, 0.3, 1.0)))
    lobes = (rng.integers(1, 6, shape) * filled).astype(np.uint8)
    spacing_mm = data.draw(st.sampled_from((UNIT, (5.0, 0.7, 0.7), None)))
    regions = divide_regions(lobes, spacing_mm)
    of_lobe = np.array([0, *(LOBES[lobe] for _, lobe in REGIONS)])
    np.testing.assert_array_equal(of_lobe[regions], lobes)


def test_missing_lobes_have_no_regions():
    lobes = np.zeros((12, 12, 12), np.uint8)
    lobes[1:11, 1:11, 1:11] = LOBES["RML"]
    regions = divide_regions(lobes, UNIT)
    assert set(np.unique(regions)) == {0, NUMBERS["RML lateral"], NUMBERS["RML medial"]}
    assert not divide_regions(np.zeros_like(lobes), None).any()


# Sizes


def test_shares_are_of_a_whole_and_every_region_has_one():
    assert set(SHARES) == set(NUMBERS)
    for segments in SEGMENTS.values():
        assert sum(segment.share for segment in segments.values()) == pytest.approx(1)


@pytest.mark.parametrize("preset", PRESETS)
def test_each_region_is_its_share_of_its_lobe(preset):
    case = phantom(preset)
    regions = divide_regions(case.lobes, case.scan.spacing_mm)
    for name, number in NUMBERS.items():
        share = (regions == number).sum() / (case.lobes == LOBES[name[:3]]).sum()
        assert share == pytest.approx(SHARES[name], abs=0.02)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(2, 5), seed=st.integers(0, 2**16))
def test_balanced_columns_win_their_shares(count, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(2000, 3))
    directions = rng.normal(size=(count, 3))
    shares = rng.dirichlet(np.full(count, 5.0))
    distances = points @ directions.T
    winners = (distances + balance(distances, shares)).argmax(axis=1)
    found = np.bincount(winners, minlength=count) / len(points)
    np.testing.assert_allclose(found, shares, atol=0.01)


def test_balanced_columns_divide_as_the_cheapest_assignment_does():
    """The same division as linear assignment, where every point takes one of the shares' seats."""
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(0)
    distances = rng.normal(size=(200, 3)) @ rng.normal(size=(4, 3)).T
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    seats = np.repeat(np.arange(4), (200 * shares).astype(int))
    _, seat = linear_sum_assignment(distances[:, seats], maximize=True)
    winners = (distances + balance(distances, shares)).argmax(axis=1)
    assert (winners == seats[seat]).mean() > 0.98


# Places


@pytest.mark.parametrize("preset", PRESETS)
def test_regions_of_phantoms_are_as_anatomy_asks(preset, experiment):
    case = phantom(preset)
    regions = divide_regions(case.lobes, case.scan.spacing_mm)
    assert_regions_as_anatomy_asks(regions, case.lobes, experiment("region_properties"))


def test_regions_of_lobes_that_are_found_are_as_anatomy_asks(experiment):
    case = phantom("healthy")
    lobes = find_lobes(case.lungs, case.scan.spacing_mm)
    regions = divide_regions(lobes, case.scan.spacing_mm)
    assert_regions_as_anatomy_asks(regions, lobes, experiment("region_properties"))


@pytest.mark.slow
def test_regions_out_of_place_fail_their_properties(experiment):
    """The properties can tell: upside down, back to front or with sides swapped, many fail."""
    measured = experiment("region_properties")
    case = phantom("healthy")
    regions = divide_regions(case.lobes, case.scan.spacing_mm)
    for axis in range(3):
        wrong = np.flip(divide_regions(np.flip(case.lobes, axis), case.scan.spacing_mm), axis)
        assert_regions_partition(wrong, case.lobes)
        held = measured.properties(wrong, case.lobes)
        assert sum(held.values()) < 0.85 * len(held)
    assert all(measured.properties(regions, case.lobes).values())


def test_surfaces_are_what_is_seen_of_the_lung(experiment):
    surfaces_of = experiment("region_properties").surfaces_of
    lobes = np.zeros((8, 9, 12), np.uint8)
    lobes[1:4, 1:8, 1:6] = LOBES["LUL"]
    lobes[4:7, 1:8, 1:6] = LOBES["LLL"]
    surfaces = surfaces_of(lobes, "LLL")
    planes = {
        "bottom": np.s_[6, 1:8, 1:6],
        "front": np.s_[4:7, 1, 1:6],
        "back": np.s_[4:7, 7, 1:6],
        "medial": np.s_[4:7, 1:8, 1],  # the left lung's ribs come last
        "lateral": np.s_[4:7, 1:8, 5],
        "LUL": np.s_[4:6, 1:8, 1:6],
        "top": np.s_[4, 1:8, 1:6],
    }
    for name, plane in planes.items():
        expected = np.zeros(lobes.shape, bool)
        expected[plane] = True
        np.testing.assert_array_equal(surfaces[name], expected, err_msg=name)
    assert not surfaces_of(lobes, "LUL")["bottom"].any()


def test_a_piece_that_the_outline_cuts_off_joins_its_neighbour():
    # A lower lobe with a horn that reaches forwards round the heart and back inwards.
    lobes = np.zeros((20, 40, 30), np.uint8)
    lobes[:, 20:, 2:24] = LOBES["RLL"]
    lobes[10:, 2:20, 2:6] = LOBES["RLL"]
    lobes[10:, 2:6, 2:28] = LOBES["RLL"]
    regions = divide_regions(lobes, UNIT)
    from scipy import ndimage

    for name in SEGMENTS["RLL"]:
        _, pieces = ndimage.label(regions == NUMBERS[f"RLL {name}"])
        assert pieces == 1, name


# What must not matter


def test_mirrored_lower_lobes_swap_sides():
    case = phantom("healthy")
    lobes = np.where(case.lobes == LOBES["RLL"], case.lobes, 0).astype(np.uint8)
    mirrored = np.where(lobes[:, :, ::-1] > 0, LOBES["LLL"], 0).astype(np.uint8)
    right, left = divide_regions(lobes, UNIT), divide_regions(mirrored, UNIT)[:, :, ::-1]
    for part in SEGMENTS["RLL"]:
        mask = right == NUMBERS[f"RLL {part}"]
        assert mask.any()
        np.testing.assert_array_equal(mask, left == NUMBERS[f"LLL {part}"])


def test_neither_position_nor_other_lobes_matter():
    case = phantom("healthy")
    regions = divide_regions(case.lobes, case.scan.spacing_mm)
    lone = np.where(case.lobes == LOBES["LUL"], case.lobes, 0).astype(np.uint8)
    padded = np.pad(lone, ((3, 1), (0, 2), (5, 0)))
    found = divide_regions(padded, case.scan.spacing_mm)[3:-1, :-2, 5:]
    np.testing.assert_array_equal(found, np.where(lone > 0, regions, 0))


def test_resolution_hardly_matters():
    case = phantom("healthy")
    z, y, x = case.scan.spacing_mm
    fine = divide_regions(case.lobes.repeat(2, 0).repeat(2, 1).repeat(2, 2), (z / 2, y / 2, x / 2))
    coarse = divide_regions(case.lobes, case.scan.spacing_mm)
    for number in NUMBERS.values():
        assert dice(fine[::2, ::2, ::2] == number, coarse == number) > 0.95


# Real lobes


@pytest.mark.data
@pytest.mark.parametrize("index", sampled(range(26), every=26))
def test_regions_of_manual_lobes_are_as_anatomy_asks(index, real_data, experiment):
    measured = experiment("region_properties")
    path = sorted((real_data / "luna16-lobes").glob("*.nrrd"))[index]
    fine, fine_mm = experiment("evaluate_lobes").read_lobes(path)
    lobes, spacing_mm = fine[::2, ::2, ::2].copy(), tuple(2 * size for size in fine_mm)
    regions = divide_regions(lobes, spacing_mm)
    assert_regions_as_anatomy_asks(regions, lobes, measured)
    again = divide_regions(fine, fine_mm)[::2, ::2, ::2]
    for number in NUMBERS.values():
        assert dice(again == number, regions == number) > 0.95
    right = np.isin(lobes, [LOBES[name] for name in ("RUL", "RML", "RLL")])
    lungs = (np.where(right, RIGHT_LUNG, LEFT_LUNG) * (lobes > 0)).astype(np.uint8)
    own = find_lobes(lungs, spacing_mm)
    assert_regions_as_anatomy_asks(divide_regions(own, spacing_mm), own, measured)
