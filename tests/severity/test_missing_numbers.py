"""Blocks without numbers: null, with a notice that says why."""

import numpy as np

from lungscore.anatomy import separate_lesions
from lungscore.severity import Segmentation, measure

# Blocks without numbers


def body(depth=6):
    lungs = np.zeros((depth, 4, 8), np.uint8)
    lungs[..., :3], lungs[..., 5:] = 1, 2
    lesions = np.zeros_like(lungs)
    lesions[:, 3, 1] = 1
    return lungs, lesions


def not_computed(severity):
    return " ".join(n.message for n in severity.notices if n.code == "not-computable")


def test_without_hounsfield_units_there_is_no_aeration():
    severity = measure(Segmentation(*body()))
    assert severity.aeration.reason == "no Hounsfield units are available"
    assert all(band.percent is band.ml is None for band in severity.aeration.bands.values())
    assert "aeration" in not_computed(severity)


def test_without_a_voxel_size_percents_of_bands_are_given_but_no_sizes():
    lungs, lesions = body()
    hu = np.full(lungs.shape, -800, np.int16)
    components = separate_lesions(lungs, lesions)
    severity = measure(Segmentation(lungs, lesions, hu=hu, components=components))
    well = severity.aeration.bands["well_aerated"]
    assert (well.percent, well.ml) == (100, None)
    assert severity.lesions.reason == "no voxel size is known"
    assert severity.lesions.count is severity.lesions.specks is None
    assert severity.distribution.peripheral.lung_percent is None
    assert severity.distribution.posterior.infection_percent == 100
    assert "number and size of lesions, peripheral share" in not_computed(severity)


def test_one_slice_has_bands_and_neither_lesions_nor_distribution():
    lungs, lesions = body(depth=1)
    severity = measure(
        Segmentation(
            lungs,
            lesions,
            hu=np.full(lungs.shape, -800, np.int16),
            components=separate_lesions(lungs, lesions),
            voxel_ml=0.5,
        )
    )
    assert severity.aeration.bands["well_aerated"].ml == 12
    assert severity.lesions.count is None
    assert severity.distribution.bilateral is None
    assert severity.lesions.reason == severity.distribution.reason
    assert "one slice" in severity.lesions.reason
    assert "number and size of lesions, distribution" in not_computed(severity)


def test_unknown_sides_leave_no_distribution():
    lungs, lesions = body()
    severity = measure(Segmentation((lungs > 0).astype(np.uint8), lesions, sides_known=False))
    assert severity.distribution.reason == "right and left are not known"
    assert severity.distribution.posterior.lung_percent is None


def test_what_is_not_asked_for_is_no_notice():
    lungs, lesions = body()
    severity = measure(Segmentation(lungs, lesions, dense=lesions > 0, voxel_ml=100.0))
    assert severity.aeration.reason == severity.lesions.reason == "not asked for"
    assert "aeration" not in not_computed(severity)


def test_no_infection_has_no_distribution_and_no_size():
    lungs, lesions = body()
    none = np.zeros_like(lesions)
    severity = measure(
        Segmentation(lungs, none, components=np.zeros((0, 6), np.int64), voxel_ml=100.0)
    )
    assert severity.distribution.posterior.infection_percent is None
    assert severity.distribution.posterior.lung_percent == 50
    assert (severity.distribution.bilateral, severity.lesions.count) == (False, 0)
    assert severity.lesions.largest_ml is severity.lesions.median_ml is None


def test_no_lungs_have_no_bands():
    nothing = np.zeros((3, 2, 2), np.uint8)
    severity = measure(Segmentation(nothing, nothing, hu=nothing.astype(np.int16), voxel_ml=1.0))
    assert severity.aeration.reason == "there are no lungs"
    assert severity.distribution.posterior.lung_percent is None
