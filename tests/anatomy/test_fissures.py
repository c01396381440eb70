import numpy as np
import pytest

from lungscore.anatomy import find_lobes
from lungscore.anatomy.fissure_course import likeliest_course
from lungscore.anatomy.fissures import Surface, node_steps, trace_fissure
from lungscore.labels import LOBES
from lungscore.scan.phantom import make_phantom
from tests.anatomy.chest import dice, phantom

SPACING = (1.0, 2.0, 2.0)
SHAPE = (80, 40, 44)


def lung_with_sheet(place, *, bright=120, noise=15, seed=0):
    """Lung whose only sheet lies at ``place`` (A, B) along the first axis."""
    rng = np.random.default_rng(seed)
    away = np.arange(SHAPE[0])[:, None, None] - place
    values = -880 + noise * rng.standard_normal(SHAPE) + bright * (np.abs(away) < 1)
    return values.astype(np.int16), np.ones(SHAPE, bool)


def flat_surface(height):
    steps = node_steps(SPACING[1:])
    nodes = tuple(-(-n // step) for n, step in zip(SHAPE[1:], steps, strict=True))
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, n) for n in nodes), indexing="ij")
    modes = 8 * np.stack([np.ones(nodes), rows, columns])
    return Surface(np.full(nodes, float(height)), steps, modes)


@pytest.mark.parametrize("shift", [-12, 0, 9])
def test_a_sheet_is_found_where_it_lies(shift):
    values, inside = lung_with_sheet(np.full(SHAPE[1:], 40.0 + shift))
    offset = trace_fissure(values, inside, flat_surface(40), SPACING, SPACING[0])
    assert offset is not None
    assert np.abs(offset - shift).max() < 1.5


def test_a_slanting_sheet_is_followed():
    rows = np.arange(SHAPE[1])[:, None] + np.zeros(SHAPE[2])
    values, inside = lung_with_sheet(30 + 0.6 * rows)
    expected = flat_surface(40)
    offset = trace_fissure(values, inside, expected, SPACING, SPACING[0])
    true = (30 + 0.6 * rows - 40)[:: expected.steps[0], :: expected.steps[1]]
    assert offset is not None
    assert np.median(np.abs(offset - true)) < 1.5


def test_vessels_and_bronchi_are_no_sheet():
    values, inside = lung_with_sheet(np.full(SHAPE[1:], 46.0))
    values[30:34, ::6, ::6] = 30  # vessels, far brighter than the sheet
    values[36:38, 3::6, 3::6] = -1000
    offset = trace_fissure(values, inside, flat_surface(40), SPACING, SPACING[0])
    assert offset is not None
    assert np.abs(np.median(offset) - 6) < 1.5


def test_nothing_is_moved_without_lung_to_look_at():
    values, inside = lung_with_sheet(np.full(SHAPE[1:], 46.0))
    assert (
        trace_fissure(values, np.zeros_like(inside), flat_surface(40), SPACING, SPACING[0]) is None
    )
    flat = np.full(SHAPE, -880, np.int16)
    assert trace_fissure(flat, inside, flat_surface(40), SPACING, SPACING[0]) is None


def test_a_surface_outside_the_volume_is_passed_over():
    values, inside = lung_with_sheet(np.full(SHAPE[1:], 46.0))
    expected = flat_surface(40)
    expected.positions[:3] = np.nan
    offset = trace_fissure(values, inside, expected, SPACING, SPACING[0])
    assert offset is not None
    assert np.isfinite(offset).all()


def test_disease_says_nothing_of_a_fissure():
    """It hides vessels as it hides fissures; so it is not where none are."""
    bright = 40 * (np.arange(SHAPE[2]) < 12)  # only part of it shows
    values, inside = lung_with_sheet(np.full(SHAPE[1:], 46.0), bright=bright)
    rng = np.random.default_rng(1)
    for height, row, column in rng.integers((0, 0, 0), SHAPE, size=(700, 3)):
        values[height : height + 2, row : row + 2, column : column + 2] = 0
    values[45:48] = np.where(values[45:48] == 0, -880, values[45:48])
    values[12:32] = -550
    offset = trace_fissure(values, inside, flat_surface(36), SPACING, SPACING[0])
    assert offset is not None
    assert np.abs(np.median(offset) - 10) < 2


def test_a_fissure_that_does_not_show_is_found_where_no_vessels_are():
    values, inside = lung_with_sheet(np.full(SHAPE[1:], 50.0), bright=0)
    rng = np.random.default_rng(1)
    for height, row, column in rng.integers((0, 0, 0), SHAPE, size=(600, 3)):
        if abs(height - 50) > 5:
            values[height : height + 2, row : row + 2, column : column + 2] = 0
    course = likeliest_course(
        -60.0 * (values[4:77] > -500),
        inside[4:77],
        np.arange(-36.0, 37.0),  # about the surface at 40
        np.full((1, *SHAPE[1:]), 8.0),
    )
    assert np.abs(course - 10).max() < 3


@pytest.mark.slow
@pytest.mark.parametrize("slices", [112, 56])  # 2.5 and 5 mm apart
def test_fissures_in_the_ct_bring_the_lobes_nearer_to_the_truth(slices):
    case = make_phantom("healthy", seed=2, shape=(slices, 224, 224))
    spacing = case.scan.spacing_mm
    by_shape = find_lobes(case.lungs, spacing)
    by_fissures = find_lobes(case.lungs, spacing, hounsfield=case.scan.values)
    gains = [
        dice(by_fissures == value, case.lobes == value)
        - dice(by_shape == value, case.lobes == value)
        for value in LOBES.values()
    ]
    assert np.mean(gains) > 0.01
    np.testing.assert_array_equal(by_fissures > 0, by_shape > 0)


def test_thick_slices_and_unknown_voxel_sizes_are_not_searched_for_fissures():
    case = phantom("healthy")
    by_shape = find_lobes(case.lungs, (7.0, 1.4, 1.4))
    searched = find_lobes(case.lungs, (7.0, 1.4, 1.4), hounsfield=case.scan.values)
    np.testing.assert_array_equal(by_shape, searched)
    unknown = find_lobes(case.lungs, None, hounsfield=case.scan.values)
    np.testing.assert_array_equal(unknown, find_lobes(case.lungs, None))
