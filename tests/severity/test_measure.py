"""What is counted where, what is refused, and what is said of numbers that are missing."""

import numpy as np
import pytest

from lungscore.anatomy import separate_lesions
from lungscore.severity import measure


def test_lesions_outside_the_lungs_count_nowhere():
    lungs = np.zeros((2, 4, 4), dtype=np.uint8)
    lungs[:, :, :2] = 1
    lesions = np.ones_like(lungs)
    severity = measure(lungs, lesions)
    assert severity.lungs.infection_percent == 100
    assert severity.outside_voxels == 16


def test_pleural_effusion_is_no_infection():
    lungs = np.ones((2, 2, 2), dtype=np.uint8)
    severity = measure(lungs, np.full_like(lungs, 3))
    assert severity.lungs.infection_percent == 0


def test_zones_are_thirds_of_each_lungs_own_height():
    lungs = np.zeros((12, 1, 2), dtype=np.uint8)
    lungs[0:6, :, 0] = 1
    lungs[6:12, :, 1] = 2
    lesions = np.zeros_like(lungs)
    lesions[0:2, :, 0] = 1
    lesions[11, :, 1] = 2
    zones = {name: part.percent for name, part in measure(lungs, lesions).zones.parts.items()}
    assert zones == {
        "right upper": 100,
        "right middle": 0,
        "right lower": 0,
        "left upper": 0,
        "left middle": 0,
        "left lower": 50,
    }


@pytest.mark.parametrize(
    ("name", "labels", "message"),
    [
        ("lesions", np.full((2, 2, 2), 4, np.uint8), "labels 0–4"),
        ("lesions", np.zeros((2, 2, 3), np.uint8), "shape"),
        ("lobes", np.full((2, 2, 2), 6, np.uint8), "0–5"),
        ("regions", np.full((2, 2, 2), 21, np.uint8), "0–20"),
        ("lungs", np.zeros((2, 2, 2), np.float32), "labels"),
        ("lungs", np.full((2, 2, 2), -1, np.int16), "0–2"),
    ],
)
def test_arrays_that_are_no_labels_are_rejected(name, labels, message):
    arrays = {"lungs": np.ones((2, 2, 2), np.uint8), "lesions": np.zeros((2, 2, 2), np.uint8)}
    arrays[name] = labels
    with pytest.raises(ValueError, match=message):
        measure(arrays.pop("lungs"), arrays.pop("lesions"), **arrays)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("hu", np.zeros((2, 2, 3), np.int16), "shape"),
        ("components", np.ones((1, 6), np.int64), "add up"),
        ("peripheral", np.zeros((2, 2, 3), bool), "shape"),
        ("peripheral", np.full((2, 2, 2), 2, np.uint8), "0–1"),
    ],
)
def test_arrays_that_do_not_belong_to_the_lungs_are_rejected(name, array, message):
    lungs = np.ones((2, 2, 2), np.uint8)
    with pytest.raises(ValueError, match=message):
        measure(lungs, lungs, voxel_ml=1.0, **{name: array})


# A lobe mask that leaves out part of the lungs


def lungs_with_lobes(per_mille):
    """1000 voxels of lung in 10 slices, the first ``per_mille`` of each 1000 in lobes."""
    lungs = np.ones((10, 10, 100), np.uint8)
    lungs[..., 50:] = 2
    lobes = np.tile(np.array([3, 4, 5, 1, 2], np.uint8).repeat(20), (10, 10, 1))
    lobes[np.arange(10_000).reshape(lungs.shape) % 1000 >= per_mille] = 0
    return lungs, lobes


@pytest.mark.parametrize(
    ("per_mille", "noticed", "withheld"),
    [
        (1000, False, False),
        (980, False, False),
        (979, True, False),
        (600, True, False),
        (599, True, True),
        (200, True, True),
    ],
)
def test_lung_outside_the_lobes_is_noticed_and_much_of_it_withholds(per_mille, noticed, withheld):
    lungs, lobes = lungs_with_lobes(per_mille)
    regions = np.array([0, 11, 16, 1, 4, 6], np.uint8)[lobes]
    severity = measure(lungs, np.zeros_like(lungs), lobes=lobes, regions=regions)
    messages = [n.message for n in severity.notices if n.code == "lobes-incomplete"]
    assert bool(messages) == noticed
    if noticed:
        assert f"Only {per_mille / 10:.1f} % of the lungs" in messages[0]
    assert ("lobes-incomplete" in severity.withheld) == withheld
    if withheld:
        assert "less than 60 %" in severity.basis
        assert severity.category is None
    # Whether the lungs are infected is said all the same: it rests on no lobe.
    assert severity.infected is False


def test_without_a_lobe_mask_nothing_is_said_of_lobes():
    lungs, _ = lungs_with_lobes(1000)
    codes = {notice.code for notice in measure(lungs, np.zeros_like(lungs)).notices}
    assert "lobes-incomplete" not in codes


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
    severity = measure(*body())
    assert severity.aeration.reason == "no Hounsfield units are available"
    assert all(part.percent is part.ml is None for part in severity.aeration.bands.values())
    assert "aeration" in not_computed(severity)


def test_without_a_voxel_size_percents_of_bands_are_given_but_no_sizes():
    lungs, lesions = body()
    hu = np.full(lungs.shape, -800, np.int16)
    components = separate_lesions(lungs, lesions)
    severity = measure(lungs, lesions, hu=hu, components=components)
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
        lungs,
        lesions,
        hu=np.full(lungs.shape, -800, np.int16),
        components=separate_lesions(lungs, lesions),
        voxel_ml=0.5,
    )
    assert severity.aeration.bands["well_aerated"].ml == 12
    assert severity.lesions.count is None
    assert severity.distribution.bilateral is None
    assert severity.lesions.reason == severity.distribution.reason
    assert "one slice" in severity.lesions.reason
    assert "number and size of lesions, distribution" in not_computed(severity)


def test_unknown_sides_leave_no_distribution():
    lungs, lesions = body()
    severity = measure((lungs > 0).astype(np.uint8), lesions, sides_known=False)
    assert severity.distribution.reason == "right and left are not known"
    assert severity.distribution.posterior.lung_percent is None


def test_what_is_not_asked_for_is_no_notice():
    lungs, lesions = body()
    severity = measure(lungs, lesions, dense=lesions > 0, voxel_ml=100.0)
    assert severity.aeration.reason == severity.lesions.reason == "not asked for"
    assert "aeration" not in not_computed(severity)


def test_no_infection_has_no_distribution_and_no_size():
    lungs, lesions = body()
    none = np.zeros_like(lesions)
    severity = measure(lungs, none, components=np.zeros((0, 6), np.int64), voxel_ml=100.0)
    assert severity.distribution.posterior.infection_percent is None
    assert severity.distribution.posterior.lung_percent == 50
    assert (severity.distribution.bilateral, severity.lesions.count) == (False, 0)
    assert severity.lesions.largest_ml is severity.lesions.median_ml is None


def test_no_lungs_have_no_bands():
    nothing = np.zeros((3, 2, 2), np.uint8)
    severity = measure(nothing, nothing, hu=nothing.astype(np.int16), voxel_ml=1.0)
    assert severity.aeration.reason == "there are no lungs"
    assert severity.distribution.posterior.lung_percent is None
