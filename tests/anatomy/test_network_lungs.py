"""Lungs from the network's maps: tidied on blocks, their border drawn by the scan's voxels."""

from dataclasses import replace

import numpy as np
import pytest

from lungscore.anatomy import find_lungs
from lungscore.errors import InputError
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG
from lungscore.scan.phantom import PhantomLesion, make_phantom
from tests.anatomy.chest import as_scan, body, dice, ellipsoid, phantom, windowed
from tests.anatomy.lung_maps import maps_of

RIGHT, LEFT = ((24, 40, 28), (18, 20, 12)), ((24, 40, 68), (18, 20, 12))


def codes(lungs):
    return [notice.code for notice in lungs.notices]


def two_lungs():
    """A body with two lungs, and their labels."""
    values, labels = body(), np.zeros((48, 80, 96), np.uint8)
    for side, (centre, radii) in ((RIGHT_LUNG, RIGHT), (LEFT_LUNG, LEFT)):
        labels[ellipsoid(values.shape, centre, radii)] = side
    values[labels > 0] = -850
    return values, labels


def found_with(scan, labels, **more):
    return find_lungs(scan, lambda: maps_of(scan, labels, **more))


@pytest.mark.parametrize("preset", ["healthy", "severe"])
def test_a_network_that_knows_gives_the_phantoms_lungs(preset):
    case = phantom(preset)
    lungs = found_with(case.scan, case.lungs)
    assert lungs.found_by == "network"
    for side in (RIGHT_LUNG, LEFT_LUNG):
        assert dice(lungs.labels == side, case.lungs == side) > 0.97


def test_without_a_network_the_rules_find_them():
    case = phantom("healthy")
    for maps in (None, lambda: None):
        assert find_lungs(case.scan, maps).found_by == "rules"


def test_a_white_lobe_is_lung_where_the_network_says_so():
    lesion = PhantomLesion("consolidation", "RLL", (0.55, 1.0, 0.3), lobe_fraction=1.0)
    case = make_phantom("healthy", shape=(64, 112, 112), lesions=(lesion,))
    lungs = found_with(case.scan, case.lungs)
    assert dice(lungs.labels == RIGHT_LUNG, case.lungs == RIGHT_LUNG) > 0.95
    rules = find_lungs(case.scan)
    assert dice(rules.labels == RIGHT_LUNG, case.lungs == RIGHT_LUNG) < 0.9


@pytest.mark.parametrize(("density_hu", "is_lung"), [(-300, True), (30, False)])
def test_haze_is_lung_where_the_network_rather_says_so_and_dense_tissue_is_not(density_hu, is_lung):
    values, labels = two_lungs()
    base = (labels == LEFT_LUNG) & (np.arange(48) > 30)[:, None, None]
    values[base] = density_hu
    lungs = found_with(as_scan(values), labels, certainty=200)
    held = (lungs.labels[base] == LEFT_LUNG).mean()
    assert held > 0.85 if is_lung else held < 0.2


def faint(maps, slices, probability):
    """``maps`` that give lung so much, of 255, in those slices."""
    probabilities = maps.probabilities.copy()
    told = probabilities[slices, :2]
    told[told > 0] = probability
    return replace(maps, probabilities=probabilities)


def test_aerated_slivers_at_the_base_are_lung_where_rules_agree():
    values, labels = two_lungs()
    scan, base = as_scan(values), slice(36, 43)
    lungs = find_lungs(scan, lambda: faint(maps_of(scan, labels), base, 30))
    assert dice(lungs.labels[base] > 0, labels[base] > 0) > 0.95


def test_emphysema_above_lung_is_lung_and_gas_below_it_is_not():
    values, labels = two_lungs()
    values[labels > 0] = -975  # the rules take all of it for gas
    stomach = ellipsoid(values.shape, (45, 40, 68), (2, 8, 8))
    labels[stomach] = LEFT_LUNG
    scan, apex = as_scan(values), slice(0, 18)
    maps = faint(faint(maps_of(scan, labels), apex, 40), slice(43, 48), 40)
    values[stomach] = -975
    lungs = find_lungs(scan, lambda: maps)
    assert dice(lungs.labels[apex] > 0, labels[apex] > 0) > 0.9
    assert not lungs.labels[stomach & (np.arange(48) > 44)[:, None, None]].any()


def test_plain_gas_that_the_network_hardly_calls_lung_stays_out():
    values, labels = two_lungs()
    values[labels > 0] = -975
    values[:18][labels[:18] > 0] = -1000  # the pleural space, or a bulla
    scan = as_scan(values)
    lungs = find_lungs(scan, lambda: faint(maps_of(scan, labels), slice(0, 18), 40))
    assert (lungs.labels[:16][labels[:16] > 0] > 0).mean() < 0.1


def test_dense_lung_at_the_ribs_that_the_network_knows_in_part_is_lung():
    place, axes_mm = (0.55, 1.0, 0.3), (60, 40, 50)
    lesion = PhantomLesion("consolidation", "RUL", place, axes_mm, lobe_fraction=0.3)
    case = make_phantom("healthy", shape=(64, 112, 112), lesions=(lesion,))
    dense = case.lesions > 0
    rows = np.flatnonzero(dense.any(axis=(0, 2)))
    told = case.lungs.copy()
    told[:, : (rows[0] + rows[-1]) // 2][dense[:, : (rows[0] + rows[-1]) // 2]] = 0
    lungs = found_with(case.scan, told)
    assert "lungs-from-shape" in codes(lungs)
    assert (lungs.labels[dense] == RIGHT_LUNG).mean() > 0.9
    assert lungs.perhaps_ml < 10


def test_a_bay_full_of_gas_is_not_dense_lung():
    values, labels = two_lungs()
    pleural = ellipsoid(values.shape, (24, 40, 16), (8, 12, 9)) & (labels == RIGHT_LUNG)
    for density_hu, is_lung in ((30, True), (-1000, False)):
        values[pleural] = density_hu
        told = np.where(pleural, 0, labels)
        scan = as_scan(values)
        lungs = find_lungs(scan, lambda: with_background(scan, told, pleural))  # noqa: B023
        held = (lungs.labels[pleural] > 0).mean()
        assert held > 0.8 if is_lung else held < 0.3


def with_background(scan, labels, mask):
    """Maps of ``labels`` that give ``mask`` a fifth: not excluded, but not lung."""
    maps, there = maps_of(scan, labels), maps_of(scan, mask.astype(np.uint8))
    probabilities = np.maximum(maps.probabilities, there.probabilities // 5)
    return replace(maps, probabilities=probabilities)


def test_grey_levels_and_lone_slices_are_served():
    case = phantom("healthy")
    scan = as_scan(windowed(case.scan.values), case.scan.spacing_mm)
    lungs = found_with(scan, case.lungs)
    assert dice(lungs.labels > 0, case.lungs > 0) > 0.94
    middle = slice(30, 31)
    lone = as_scan(case.scan.values[middle], case.scan.spacing_mm)
    lungs = found_with(lone, case.lungs[middle])
    assert dice(lungs.labels > 0, case.lungs[middle] > 0) > 0.94


def test_where_the_network_sees_no_lungs_there_are_none():
    values, labels = two_lungs()
    scan = as_scan(values)
    with pytest.raises(InputError) as error:
        found_with(scan, np.zeros_like(labels))
    assert error.value.code == "no-lungs"


def test_in_a_lone_picture_the_rules_find_what_the_network_does_not_see():
    case = phantom("healthy")
    middle = slice(30, 31)
    lone = as_scan(case.scan.values[middle], case.scan.spacing_mm)
    nothing = np.zeros_like(case.lungs[middle])
    with pytest.raises(InputError):
        found_with(lone, nothing)
    picture = replace(lone, sides_known=False)
    lungs = found_with(picture, nothing)
    assert lungs.found_by != "network"
    assert np.array_equal(lungs.labels, find_lungs(picture).labels)


def test_lungs_that_are_all_emphysema_are_no_gas():
    values, labels = two_lungs()
    values[labels > 0] = -985
    # What is left of usual lung, for the rules to find.
    kept = ellipsoid(values.shape, (24, 40, 48), (6, 6, 6))
    values[kept] = -850
    labels[kept] = RIGHT_LUNG
    lungs = found_with(as_scan(values), labels, certainty=180)
    for side in (RIGHT_LUNG, LEFT_LUNG):
        assert dice(lungs.labels == side, labels == side) > 0.95
    assert "lungs-disagree" in codes(lungs)


def test_a_speck_is_no_lung_and_a_stray_piece_of_a_side_joins_its_lung():
    values, labels = two_lungs()
    told = labels.copy()
    told[4:5, 38:40, 46:48] = RIGHT_LUNG  # 0.3 ml of mediastinum
    told[20:26, 36:44, 62:68] = RIGHT_LUNG  # within the left lung
    lungs = found_with(as_scan(values), told)
    assert not lungs.labels[4, 38:40, 46:48].any()
    assert dice(lungs.labels == LEFT_LUNG, labels == LEFT_LUNG) > 0.98
    assert dice(lungs.labels == RIGHT_LUNG, labels == RIGHT_LUNG) > 0.98


def test_sides_are_not_named_where_they_are_not_known():
    values, labels = two_lungs()
    scan = replace(as_scan(values), sides_known=False)
    lungs = found_with(scan, labels)
    assert set(np.unique(lungs.labels)) == {0, 1}
    assert not lungs.sides_known


def test_airways_stay_out():
    values, labels = two_lungs()
    trachea = ellipsoid(values.shape, (10, 40, 48), (12, 3, 3))
    values[trachea] = -1000
    lungs = found_with(as_scan(values), labels, airways=trachea)
    assert not lungs.labels[trachea].any()


def test_where_the_two_methods_agree_nothing_is_said():
    values, labels = two_lungs()
    notices = set(codes(found_with(as_scan(values), labels)))
    assert not notices & {"lungs-disagree", "lungs-doubtful", "lungs-uneven", "lungs-unequal"}


def test_a_third_of_a_lung_that_one_method_misses_is_named_and_doubtful():
    values, labels = two_lungs()
    told = labels.copy()
    told[30:][told[30:] == LEFT_LUNG] = 0
    lungs = found_with(as_scan(values), told)
    assert {"lungs-disagree", "lungs-doubtful"} <= set(codes(lungs))
    (message,) = [n.message for n in lungs.notices if n.code == "lungs-disagree"]
    assert "left lung, lower third" in message
    assert "right lung" not in message


def test_a_place_of_a_lung_without_any_air_may_be_lung_and_is_not():
    values, labels = two_lungs()
    values[labels == LEFT_LUNG] = 30
    lungs = found_with(as_scan(values), labels)
    assert not (lungs.labels == LEFT_LUNG).any()
    assert "one-lung" in codes(lungs)
    assert lungs.perhaps_ml == pytest.approx((labels == LEFT_LUNG).sum() * 0.08, rel=0.15)


def test_a_dense_band_that_reaches_the_ribs_is_lung_though_the_network_leaves_it_out():
    values, labels = two_lungs()
    band = np.zeros_like(labels, bool)
    band[20:28, 38:42, 60:82] = True
    band &= labels == LEFT_LUNG
    values[band] = 30
    at_heart = np.zeros_like(band)
    at_heart[20:28, 38:42, 28:42] = True
    at_heart &= labels == RIGHT_LUNG
    values[at_heart] = 30
    lungs = found_with(as_scan(values), np.where(band | at_heart, 0, labels))
    assert (lungs.labels[band] == LEFT_LUNG).mean() > 0.9
    outer = at_heart & (np.arange(96) > 36)
    assert (lungs.labels[outer] > 0).mean() < 0.2
    assert lungs.doubtful_ml > 0


def test_the_blurred_top_of_the_diaphragm_is_not_lung_and_thicker_dense_lung_is():
    for top, is_lung in ((35, False), (26, True)):
        values, labels = two_lungs()
        dome = ellipsoid(values.shape, (46, 40, 28), (12, 12, 8))
        values[dome] = 30
        labels[dome] = 0
        told = labels.copy()
        cap = np.zeros_like(dome)
        cap[top:37, 34:46, 23:33] = True
        values[cap] = 30
        told[cap & (labels > 0)] = RIGHT_LUNG  # sure of it, and wrong where it is thin
        told[34:37][dome[34:37]] = RIGHT_LUNG
        lungs = found_with(as_scan(values, (2.5, 4.0, 4.0)), told)
        held = (lungs.labels[top : top + 2][cap[top : top + 2]] > 0).mean()
        assert held > 0.8 if is_lung else held < 0.2
        assert not lungs.labels[40:][dome[40:]].any()


def test_a_narrow_layer_of_haze_at_the_ribs_is_lung():
    values = np.full((24, 120, 160), 40, np.int16)
    values[:, :8] = values[:, -8:] = values[:, :, :8] = values[:, :, -8:] = -1000
    labels = np.zeros(values.shape, np.uint8)
    labels[:, 24:96, 20:72], labels[:, 24:96, 88:140] = RIGHT_LUNG, LEFT_LUNG
    values[labels > 0] = -850
    layer = np.zeros(values.shape, bool)
    layer[:, 24:96, 136:140] = True  # 5 mm, two blocks
    values[layer] = -300
    lungs = found_with(as_scan(values, (2.5, 1.25, 1.25)), labels, certainty=200)
    assert (lungs.labels[layer] == LEFT_LUNG).mean() > 0.9
