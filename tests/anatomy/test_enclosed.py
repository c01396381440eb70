from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from lungscore.anatomy import find_lungs, include_infection
from lungscore.anatomy.enclosed import enclosed_bays
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG
from lungscore.scan.phantom import PhantomLesion, make_phantom
from tests.anatomy.chest import as_scan, dice, ellipsoid, found, phantom
from tests.sampling import sampled

SHAPE, SPACING_MM = (48, 40, 40), (4.0, 4.0, 4.0)
LUNG = ellipsoid(SHAPE, (24, 20, 20), (20, 16, 14))


def without(centre, radii):
    return LUNG & ~ellipsoid(SHAPE, centre, radii)


def test_a_bay_that_lung_encloses_at_the_ribs_is_lung():
    rest = without((24, 22, 6), (8, 8, 8))
    bay = enclosed_bays(rest, RIGHT_LUNG, SPACING_MM)
    assert not (bay & rest).any()
    assert dice(rest | bay, LUNG) > 0.98
    mirrored = enclosed_bays(rest[:, :, ::-1], LEFT_LUNG, SPACING_MM)
    np.testing.assert_array_equal(mirrored[:, :, ::-1], bay)


@pytest.mark.parametrize(
    "rest",
    [
        LUNG,
        without((24, 20, 34), (8, 8, 8)),  # towards the other lung: the heart
        without((44, 20, 20), (9, 12, 10)),  # below: liver
        without((24, 22, 6), (2, 2, 2)),  # a dent
    ],
    ids=["whole", "heart", "liver", "dent"],
)
def test_other_hollows_are_no_lung(rest):
    assert not enclosed_bays(rest, RIGHT_LUNG, SPACING_MM).any()


def test_where_the_scan_ends_nothing_is_enclosed():
    hollow = without((24, 20, 34), (30, 8, 9))
    dense = without((24, 22, 6), (8, 8, 8))
    for part in (hollow[20:], hollow[:28], dense[22:], dense[:26], dense[20:28], dense[24:25]):
        assert not enclosed_bays(part, RIGHT_LUNG, SPACING_MM).any()


@pytest.mark.parametrize("slices", [2, 3, 5, 8])
def test_a_few_slices_are_served(slices):
    case = phantom("dense")
    few = case.scan.values[36 : 36 + slices]
    lungs = find_lungs(as_scan(few, (2.0, *case.scan.spacing_mm[1:])))
    assert lungs.aerated is None


@pytest.mark.parametrize("lobe", sampled(["RUL", "RLL", "LUL", "LLL"], every=3))
def test_lungs_survive_a_third_of_a_lobe_consolidated(lobe):
    side = RIGHT_LUNG if lobe.startswith("R") else LEFT_LUNG
    centre = (0.55, 1.0, 0.3 if side == RIGHT_LUNG else 0.7)
    lesion = PhantomLesion("consolidation", lobe, centre, (60, 40, 50), lobe_fraction=1 / 3)
    case = make_phantom("healthy", shape=(64, 112, 112), lesions=(lesion,))
    lungs = find_lungs(case.scan)
    assert "lungs-from-shape" in [notice.code for notice in lungs.notices]
    assert lungs.aerated is not None
    assert dice(lungs.aerated == side, case.lungs == side) < 0.95
    assert dice(lungs.labels == side, case.lungs == side) > 0.97
    joined = include_infection(lungs, case.lesions > 0, case.scan)
    assert dice(joined.labels == side, case.lungs == side) > 0.975


@pytest.mark.parametrize("preset", sampled(["healthy", "mild", "one-lung"], every=3))
def test_nothing_is_added_where_nothing_is_dense(preset):
    assert found(preset).aerated is None


@pytest.mark.parametrize("side", [RIGHT_LUNG, LEFT_LUNG])
def test_pleural_fluid_is_no_lung(side):
    case = phantom("healthy")
    room = case.lungs == side
    z, y, _ = np.nonzero(room)
    depth = ndimage.distance_transform_edt(room)[room]
    low = y / np.ptp(y) + 0.6 * z / np.ptp(z) - 0.05 * np.minimum(depth, 10)
    fluid = np.zeros_like(room)
    fluid[room] = low > np.quantile(low, 0.8)
    values = case.scan.values.copy()
    values[fluid] = 15
    values[ndimage.binary_dilation(fluid, iterations=2) & ~room & (values < -50)] = 15
    lungs = find_lungs(replace(case.scan, values=values))
    assert (lungs.labels[fluid] > 0).mean() < 0.02
    assert dice(lungs.labels > 0, (case.lungs > 0) & ~fluid) > 0.98


def test_one_slice_and_crops_of_unknown_sides_are_left_alone():
    case = phantom("dense")
    lone = as_scan(case.scan.values[40:41], case.scan.spacing_mm)
    assert find_lungs(lone).aerated is None
    unnamed = replace(case.scan, sides_known=False)
    assert find_lungs(unnamed).aerated is None
