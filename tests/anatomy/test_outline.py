"""Outlines of lungs that follow no edge, or are ragged, are noticed with their place."""

import numpy as np
import pytest

from lungscore.anatomy.outline import cut_tissue, edgeless, ragged_outlines
from lungscore.anatomy.overview import Overview
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG
from tests.anatomy.chest import as_scan, body, ellipsoid, phantom

RIGHT, LEFT = ((24, 40, 28), (18, 20, 12)), ((24, 40, 68), (18, 20, 12))
SPACING_MM = (2.5, 2.5, 2.5)


def chest(spacing_mm=SPACING_MM):
    values, labels = body(), np.zeros((48, 80, 96), np.uint8)
    for side, (centre, radii) in ((RIGHT_LUNG, RIGHT), (LEFT_LUNG, LEFT)):
        labels[ellipsoid(values.shape, centre, radii)] = side
    values[labels > 0] = -850
    return as_scan(values, spacing_mm), labels


def told(scan, labels):
    overview = Overview.of(scan)
    cuts = list(cut_tissue(overview.grid.centres(labels), overview))
    notices = [*cuts, *ragged_outlines(labels, overview)]
    return "; ".join(f"{notice.code}: {notice.message}" for notice in notices)


def test_outlines_at_edges_are_certain():
    scan, labels = chest()
    assert not edgeless(labels, Overview.of(scan)).any()
    assert not told(scan, labels)


@pytest.mark.parametrize("density_hu", [40, 300])
def test_an_outline_that_cuts_a_mass_is_noticed_and_one_that_cuts_a_bright_vessel_is_not(
    density_hu,
):
    scan, labels = chest()
    mass = ellipsoid(labels.shape, (20, 40, 36), (9, 12, 12))
    scan.values[mass] = density_hu
    labels[mass] = 0
    labels[mass & (np.arange(48) > 19)[:, None, None]] = RIGHT_LUNG  # half of it is inside
    message = told(scan, labels)
    if density_hu == 300:
        assert not message
    else:
        assert message.startswith("lungs-outline: ")
        assert "right lung, about slice 2" in message


def test_dense_lung_within_the_outline_is_no_cut():
    scan, labels = chest()
    scan.values[ellipsoid(labels.shape, (24, 40, 28), (9, 9, 6))] = 40
    assert not told(scan, labels)


@pytest.mark.parametrize(
    ("columns", "density_hu", "noticed"),
    [
        (slice(16, 21), 0, True),
        (slice(16, 21), -850, False),  # aerated: no dense band
        (slice(36, 41), 0, False),  # at the heart
    ],
)
def test_narrow_dense_notches_at_the_ribs_are_noticed(columns, density_hu, noticed):
    scan, labels = chest((2.5, 1.2, 1.2))
    labels[24, 38:41, columns] = 0
    scan.values[24, 38:41, columns] = density_hu
    message = told(scan, labels)
    assert bool(message) == noticed
    if noticed:
        assert message.startswith("lungs-ragged: ")
        assert "right lung is ragged at the ribs, most in slice 25" in message


def test_healthy_phantoms_have_certain_outlines():
    case = phantom("healthy")
    assert not told(case.scan, case.lungs)
