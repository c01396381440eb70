from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from lungscore.anatomy import find_lungs, include_infection, lung_field
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG
from lungscore.scan.phantom import PhantomLesion, make_phantom
from tests.anatomy.chest import as_scan, dice, found, phantom
from tests.sampling import sampled


@pytest.mark.parametrize("preset", sampled(["dense", "moderate", "severe"], every=3))
def test_field_covers_most_of_the_lung_that_disease_hides(preset):
    case = phantom(preset)
    lungs = found(preset)
    field = lung_field(lungs, case.scan.spacing_mm)
    aerated = lungs.labels if lungs.aerated is None else lungs.aerated
    hidden = (case.lesions > 0) & (aerated == 0)
    assert field[lungs.labels > 0].all()
    assert field[hidden].mean() > 0.75
    # Most of what is missed is a rim at the ribs, one of these coarse voxels wide.
    assert ndimage.binary_dilation(field)[hidden].mean() > 0.9


@pytest.mark.parametrize(
    ("lobe", "part"), sampled(product(["RLL", "LLL"], [1 / 3, 2 / 3]), every=3)
)
@pytest.mark.slow
def test_field_reaches_down_where_a_base_is_dense_at_the_diaphragm(lobe, part):
    lesion = PhantomLesion("consolidation", lobe, (1.0, 0.9, 0.5), (60, 40, 50), lobe_fraction=part)
    case = make_phantom("healthy", shape=(64, 112, 112), lesions=(lesion,))
    lungs = find_lungs(case.scan)
    aerated = lungs.labels if lungs.aerated is None else lungs.aerated
    hidden = (case.lesions > 0) & (aerated == 0)
    assert lung_field(lungs, case.scan.spacing_mm)[hidden].mean() > 0.7
    joined = include_infection(lungs, case.lesions > 0, case.scan)
    side = RIGHT_LUNG if lobe == "RLL" else LEFT_LUNG
    assert dice(joined.labels == side, case.lungs == side) > 0.95


def test_field_of_healthy_lungs_stays_near_them():
    case = phantom("healthy")
    lungs = found("healthy")
    field = lung_field(lungs, case.scan.spacing_mm)
    beyond = field & (lungs.labels == 0)
    assert beyond.sum() < 0.07 * (lungs.labels > 0).sum()


@pytest.mark.parametrize("preset", ["dense", pytest.param("severe", marks=pytest.mark.slow)])
def test_dense_infection_at_the_pleura_joins_its_lung(preset):
    case = phantom(preset)
    before = found(preset)
    lungs = include_infection(before, case.lesions > 0, case.scan)
    for side in (RIGHT_LUNG, LEFT_LUNG):
        assert dice(lungs.labels == side, case.lungs == side) > 0.965
    assert "lungs-from-lesions" in [notice.code for notice in lungs.notices]
    assert (lungs.labels[before.labels > 0] == before.labels[before.labels > 0]).all()


def test_infection_called_everywhere_leaves_heart_and_liver_out():
    case = phantom("healthy")
    lungs = include_infection(found("healthy"), np.ones(case.scan.shape, bool), case.scan)
    assert (lungs.labels > 0).sum() < 1.15 * (case.lungs > 0).sum()


def test_no_infection_changes_nothing():
    case = phantom("healthy")
    lungs = found("healthy")
    assert include_infection(lungs, np.zeros(case.scan.shape, bool), case.scan) is lungs


def test_infection_away_from_the_lungs_is_ignored():
    case = phantom("healthy")
    lungs = found("healthy")
    infection = np.zeros(case.scan.shape, bool)
    infection[-8:-3, 60:70, 30:50] = True
    np.testing.assert_array_equal(
        include_infection(lungs, infection, case.scan).labels, lungs.labels
    )


def test_bone_is_never_hidden_lung():
    case = phantom("dense")
    lungs = include_infection(found("dense"), case.scan.values > -2000, case.scan)
    before = found("dense").labels > 0
    bone = (case.scan.values > 300) & ~before
    assert (lungs.labels[bone] > 0).mean() < 0.02


def test_unnamed_lungs_of_one_slice_have_a_field():
    case = phantom("severe")
    index = int(np.argmax((case.lesions > 0).sum((1, 2))))
    scan = as_scan(case.scan.values[index : index + 1], case.scan.spacing_mm, sides_known=False)
    lungs = find_lungs(scan)
    field = lung_field(lungs, scan.spacing_mm)
    hidden = (case.lungs[index] > 0) & (lungs.labels[0] == 0)
    assert field[0][hidden].mean() > 0.4
    joined = include_infection(lungs, case.lesions[index : index + 1] > 0, scan)
    assert set(np.unique(joined.labels)) == {0, 1}


def test_field_needs_no_spacing():
    case = phantom("healthy")
    lungs = found("healthy")
    assert lung_field(lungs, None).shape == case.scan.shape
    empty = replace(lungs, labels=np.zeros_like(lungs.labels))
    assert not lung_field(empty, None).any()
