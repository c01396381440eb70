import importlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lungscore.anatomy import find_lobes
from lungscore.labels import LEFT_LUNG, LOBES, RIGHT_LUNG
from lungscore.scan.phantom import make_phantom
from tests.anatomy.chest import dice, ellipsoid, phantom
from tests.sampling import sampled


def two_lungs(right=(14, 16, 9), left=(14, 15, 8)):
    shape = (36, 40, 56)
    labels = np.zeros(shape, np.uint8)
    labels[ellipsoid(shape, (18, 20, 14), right)] = RIGHT_LUNG
    labels[ellipsoid(shape, (18, 20, 42), left)] = LEFT_LUNG
    return labels


def test_lobes_of_a_phantom_lie_where_its_lobes_are():
    case = phantom("healthy")
    lobes = find_lobes(case.lungs, case.scan.spacing_mm)
    for value in LOBES.values():
        assert dice(lobes == value, case.lobes == value) > 0.8


@pytest.mark.parametrize("every", [1, 2, 4])
def test_lobes_of_lungs_of_unknown_size_are_those_of_lungs_of_usual_size(every):
    case = phantom("healthy")
    lungs, lobes = case.lungs[::every], case.lobes[::every]
    z, y, x = case.scan.spacing_mm
    known, unknown = find_lobes(lungs, (z * every, y, x)), find_lobes(lungs, None)
    for value in LOBES.values():
        least = dice(known == value, lobes == value) - 0.03
        assert dice(unknown == value, lobes == value) > least


@settings(max_examples=25, deadline=None)
@given(radii=st.tuples(st.floats(5, 17), st.floats(5, 18), st.floats(4, 11)))
def test_lobes_partition_each_lung(radii):
    lungs = two_lungs(right=radii, left=radii)
    lobes = find_lobes(lungs, (1.0, 1.0, 1.0))
    assert lobes.dtype == np.uint8
    right = [LOBES[name] for name in ("RUL", "RML", "RLL")]
    left = [LOBES[name] for name in ("LUL", "LLL")]
    np.testing.assert_array_equal(np.isin(lobes, right), lungs == RIGHT_LUNG)
    np.testing.assert_array_equal(np.isin(lobes, left), lungs == LEFT_LUNG)
    assert set(np.unique(lobes)) == {0, 1, 2, 3, 4, 5}


def test_upper_lobes_lie_above_and_before_lower_lobes():
    lobes = find_lobes(two_lungs(), (1.0, 1.0, 1.0))
    middle = {name: np.argwhere(lobes == value).mean(axis=0) for name, value in LOBES.items()}
    assert middle["RUL"][0] < middle["RML"][0]
    assert middle["RUL"][0] < middle["RLL"][0]
    assert middle["LUL"][0] < middle["LLL"][0]
    assert middle["RML"][1] < middle["RLL"][1]
    assert middle["LUL"][1] < middle["LLL"][1]


@pytest.mark.parametrize("side", [RIGHT_LUNG, LEFT_LUNG])
def test_one_lung_has_only_its_own_lobes(side):
    lungs = two_lungs()
    both = find_lobes(lungs, (1.0, 1.0, 1.0))
    alone = find_lobes(np.where(lungs == side, lungs, 0).astype(np.uint8), (1.0, 1.0, 1.0))
    np.testing.assert_array_equal(alone, np.where(lungs == side, both, 0))


def test_no_lungs_have_no_lobes():
    assert not find_lobes(np.zeros((4, 5, 6), np.uint8), (1.0, 1.0, 1.0)).any()


def test_lungs_whose_boxes_overlap_keep_their_own_lobes():
    lungs = np.zeros((12, 12, 12), np.uint8)
    lungs[:, :6, :7] = RIGHT_LUNG
    lungs[:, 6:, 5:] = LEFT_LUNG
    np.testing.assert_array_equal(find_lobes(lungs, (1.0, 1.0, 1.0)) > 0, lungs > 0)


def test_a_stray_voxel_hardly_moves_the_lobes():
    lungs = two_lungs()
    strayed = lungs.copy()
    strayed[0, 0, 0] = RIGHT_LUNG
    same = find_lobes(lungs, (1.0, 1.0, 1.0)) == find_lobes(strayed, (1.0, 1.0, 1.0))
    assert same[lungs > 0].mean() > 0.995


def test_labels_and_spacing_may_be_any_arrays():
    lungs = two_lungs()
    plain = find_lobes(lungs, (1.0, 1.0, 1.0))
    same = find_lobes(lungs.astype(np.int64), np.array([1.0, 1.0, 1.0]))
    np.testing.assert_array_equal(plain, same)


@pytest.mark.slow
def test_lobes_hardly_depend_on_the_voxel_size():
    case = make_phantom("healthy", seed=1)
    spacing = case.scan.spacing_mm
    whole = find_lobes(case.lungs, spacing)[:, ::2, ::2]
    coarse = find_lobes(case.lungs[:, ::2, ::2], (spacing[0], 2 * spacing[1], 2 * spacing[2]))
    for value in LOBES.values():
        assert dice(whole == value, coarse == value) > 0.98


@pytest.mark.data
@pytest.mark.parametrize("index", sampled([1, 12, 20], every=3))
@pytest.mark.slow
def test_lobes_of_real_lungs_are_near_those_that_were_drawn(real_data, monkeypatch, index):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "experiments"))
    masks = importlib.import_module("fit_lobe_atlas")
    path = sorted((real_data / "luna16-lobes").glob("*.nrrd"))[index]
    truth, spacing_mm = masks.read_lobes(path)
    found = find_lobes(masks.lungs_of(truth), spacing_mm)
    # The atlas knows these masks: this holds files, axes and atlas together, no more.
    assert np.mean([dice(found == value, truth == value) for value in LOBES.values()]) > 0.88
