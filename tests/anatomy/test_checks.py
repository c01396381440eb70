"""Checks of a lung mask: each finds its fault and says where, and sound lungs pass."""

from dataclasses import replace

import numpy as np
import pytest

from lungscore.anatomy import Lungs, checks, dense_outside, find_lungs, lung_field
from lungscore.anatomy.agreement import are_doubtful, differences, is_noted
from lungscore.anatomy.overview import Overview
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG
from lungscore.scan import Scan
from tests.anatomy.chest import as_scan, body, ellipsoid, found, phantom

RIGHT, LEFT = ((24, 40, 28), (18, 20, 12)), ((24, 40, 68), (18, 20, 12))
SPACING_MM = (2.5, 2.5, 2.5)


def chest(spacing_mm=SPACING_MM, hu=-850):
    values, labels = body(), np.zeros((48, 80, 96), np.uint8)
    for side, (centre, radii) in ((RIGHT_LUNG, RIGHT), (LEFT_LUNG, LEFT)):
        labels[ellipsoid(values.shape, centre, radii)] = side
    values[labels > 0] = hu
    return Overview.of(as_scan(values, spacing_mm)), labels


def messages(notices):
    return {notice.code: notice.message for notice in notices}


def test_sound_lungs_pass_every_check():
    overview, labels = chest()
    for notices in (
        checks.broken_lungs(labels, SPACING_MM[0]),
        checks.unequal_lungs(labels),
        checks.gas_in_lungs(labels, overview),
        checks.air_outside(labels, np.zeros(labels.shape, bool), overview),
        checks.cut_sideways(labels, overview),
    ):
        assert not list(notices)


def test_slices_in_which_a_lung_is_lost_are_named():
    _, labels = chest()
    labels[20:23][labels[20:23] == LEFT_LUNG] = 0
    (notice,) = checks.broken_lungs(labels, SPACING_MM[0])
    assert notice.code == "lungs-uneven"
    assert "left lung" in notice.message
    assert "slices 21 to 23" in notice.message


def test_a_lung_that_ends_is_not_broken():
    _, labels = chest()
    labels[26:][labels[26:] == LEFT_LUNG] = 0
    assert not list(checks.broken_lungs(labels, SPACING_MM[0]))


def test_unequal_lungs_are_noticed():
    _, labels = chest()
    labels[:30][labels[:30] == RIGHT_LUNG] = 0
    (notice,) = checks.unequal_lungs(labels)
    assert notice.code == "lungs-unequal"
    assert "right lung" in notice.message


def test_gas_low_in_a_lung_is_noticed_and_high_in_it_not():
    overview, labels = chest()
    for middle, noticed in ((36, True), (14, False)):
        values = overview.scan.values.copy()
        values[ellipsoid(values.shape, (middle, 40, 66), (6, 9, 8))] = -1000
        notices = list(checks.gas_in_lungs(labels, Overview.of(as_scan(values, SPACING_MM))))
        assert [n.code for n in notices] == ["gas-below-diaphragm"] * noticed
        assert all("left" in n.message for n in notices)


def test_air_beside_a_lung_is_noticed_and_below_it_not():
    overview, labels = chest()
    airways = np.zeros(labels.shape, bool)
    assert not list(checks.air_outside(labels, airways, overview))
    missed, below = labels.copy(), labels.copy()
    missed[9:18, :40][missed[9:18, :40] == LEFT_LUNG] = 0  # a pneumothorax in front, say
    (notice,) = checks.air_outside(missed, airways, overview)
    assert notice.code == "air-outside-lungs"
    assert "left lung, most in its upper third" in notice.message
    below[34:][below[34:] == LEFT_LUNG] = 0  # it may be bowel
    assert not list(checks.air_outside(below, airways, overview))
    assert not list(checks.air_outside(missed, labels > 0, overview))


@pytest.mark.parametrize("padding", [0, -1024, -1000])
def test_lungs_cut_at_the_side_are_noticed_and_found(padding):
    overview, labels = chest()
    values = overview.scan.values[:, :, 20:].copy()
    if padding:  # a round field of view instead of a narrow one
        values = overview.scan.values.copy()
        values[:, :, :20] = padding
        labels[:, :, :20] = 0
    else:
        labels = labels[:, :, 20:]
    lungs = find_lungs(as_scan(values, SPACING_MM))
    assert "lungs-cut-sideways" in messages(lungs.notices)
    assert (lungs.labels[labels == RIGHT_LUNG] == RIGHT_LUNG).mean() > 0.95


def test_a_round_field_of_view_hides_no_lung_that_it_cuts():
    case = phantom("healthy")
    rows, columns = np.ogrid[:112, :112]
    seen = np.hypot(rows - 55.5, columns - 55.5) < 36
    values = np.where(seen, case.scan.values, np.int16(-1024))
    lungs = find_lungs(replace(case.scan, values=values))
    for side in (RIGHT_LUNG, LEFT_LUNG):
        assert (lungs.labels[seen & (case.lungs == side)] == side).mean() > 0.9
    assert not lungs.labels[:, ~seen].any()
    (cut,) = (n.message for n in lungs.notices if n.code == "lungs-cut-sideways")
    assert "edge of the field of view" in cut


def test_a_scan_without_trachea_is_noticed():
    overview, labels = chest()
    (notice,) = checks.no_trachea(np.zeros(labels.shape, bool), labels, overview)
    assert notice.code == "no-trachea"
    airways = np.zeros(labels.shape, bool)
    airways[:15, 38:43, 46:51] = True
    assert not list(checks.no_trachea(airways, labels, overview))
    below = labels[24:]  # it begins below the trachea
    assert not list(checks.no_trachea(np.zeros(below.shape, bool), below, overview))


def test_differences_count_in_each_third_and_swapped_sides_too():
    _, labels = chest()
    air = np.ones(labels.shape, bool)
    swapped = np.where(labels > 0, 3 - labels, 0).astype(np.uint8)
    same = list(differences(labels, labels, air, 0.1))
    assert len(same) == 6
    assert not any(d.share or is_noted(d) for d in same)
    assert not are_doubtful(same)
    other = list(differences(labels, swapped, air, 0.1))
    assert all(d.share == 1 for d in other)
    assert are_doubtful(other)
    few = labels.copy()
    few[7:10] = 0
    noted = [d.where for d in differences(labels, few, air, 0.1) if is_noted(d)]
    assert noted == ["right lung, upper third", "left lung, upper third"]


@pytest.mark.slow
def test_healthy_phantoms_have_little_dense_tissue_beside_their_lungs():
    lungs, scan = found("healthy"), phantom("healthy").scan
    ml, notices = dense_outside(lungs, lung_field(lungs, scan.spacing_mm), scan)
    assert not notices
    assert ml < 100


def test_a_mass_at_the_ribs_that_is_in_no_lung_is_noticed_with_its_place():
    overview, labels = chest((5.0, 4.0, 4.0))
    values = overview.scan.values.copy()
    mass = ellipsoid(values.shape, (22, 48, 18), (9, 14, 10))
    values[mass] = 40
    labels[mass] = 0
    scan = as_scan(values)
    lungs = Lungs(labels, True)
    ml, notices = dense_outside(lungs, lung_field(lungs, scan.spacing_mm), scan)
    said = messages(notices)
    assert ml > 100
    assert "right side" in said["dense-outside-lungs"]


def test_what_the_network_held_possible_is_noticed_too():
    overview, labels = chest((5.0, 4.0, 4.0))
    lungs = Lungs(labels, True, perhaps_ml=90.0)
    ml, notices = dense_outside(lungs, labels > 0, overview.scan)
    assert ml == 90.0
    assert messages(notices).keys() == {"dense-outside-lungs"}


def test_lungs_between_the_voxels_that_are_looked_at_have_nothing_dense_beside_them() -> None:
    """Two slices of 2.5 mm, lung in the first: the grid of 4 mm looks at the second."""
    values = np.full((2, 80, 80), 40, np.int16)
    labels = np.zeros(values.shape, np.uint8)
    values[0, 20:60, 20:60], labels[0, 20:60, 20:60] = -800, 1
    scan = Scan.from_array(values, (2.5, 1.0, 1.0))
    lungs = Lungs(labels, False)
    assert dense_outside(lungs, labels > 0, scan) == (0.0, ())
