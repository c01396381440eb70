"""What is counted where, what is refused, and what is said of numbers that are missing."""

import numpy as np
import pytest

from lungscore.anatomy import separate_lesions
from lungscore.labels import LOBE_ORDER, LOBES, REGIONS
from lungscore.severity import WITHHOLDING, Segmentation, measure


def test_lesions_outside_the_lungs_count_nowhere():
    lungs = np.zeros((2, 4, 4), dtype=np.uint8)
    lungs[:, :, :2] = 1
    lesions = np.ones_like(lungs)
    severity = measure(Segmentation(lungs, lesions))
    assert severity.lungs.infection_percent == 100
    assert severity.outside_voxels == 16


def test_pleural_effusion_is_no_infection():
    lungs = np.ones((2, 2, 2), dtype=np.uint8)
    severity = measure(Segmentation(lungs, np.full_like(lungs, 3)))
    assert severity.lungs.infection_percent == 0


def test_zones_are_thirds_of_each_lungs_own_height():
    lungs = np.zeros((12, 1, 2), dtype=np.uint8)
    lungs[0:6, :, 0] = 1
    lungs[6:12, :, 1] = 2
    lesions = np.zeros_like(lungs)
    lesions[0:2, :, 0] = 1
    lesions[11, :, 1] = 2
    zones = {
        name: zone.percent
        for name, zone in measure(Segmentation(lungs, lesions)).zones.parts.items()
    }
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
        measure(Segmentation(arrays.pop("lungs"), arrays.pop("lesions"), **arrays))


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
        measure(Segmentation(lungs, lungs, voxel_ml=1.0, **{name: array}))


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
    severity = measure(Segmentation(lungs, np.zeros_like(lungs), lobes=lobes, regions=regions))
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
    codes = {notice.code for notice in measure(Segmentation(lungs, np.zeros_like(lungs))).notices}
    assert "lobes-incomplete" not in codes


# One number, one place


def every_label():
    """A chest of 20 slices with all labels, its components and its density."""
    rng = np.random.default_rng(5)
    lungs = np.ones((20, 6, 12), np.uint8)
    lungs[..., 6:] = 2
    regions = rng.integers(1, 11, lungs.shape) + 10 * (lungs == 1)
    lobes = np.where(lungs == 1, 3 + (regions % 3), 1 + (regions % 2))
    lesions = (rng.integers(1, 3, lungs.shape) * (rng.random(lungs.shape) < 0.2)).astype(np.uint8)
    return {
        "lungs": lungs,
        "lesions": lesions,
        "lobes": lobes.astype(np.uint8),
        "regions": regions.astype(np.uint8),
        "dense": rng.random(lungs.shape) < 0.5,
        "hu": rng.integers(-1000, 100, lungs.shape).astype(np.int16),
        "components": separate_lesions(lungs, lesions, lobes.astype(np.uint8)),
        "peripheral": rng.random(lungs.shape) < 0.3,
        "voxel_ml": 5.0,
    }


def severity_of(**changed):
    given = every_label() | changed
    return measure(Segmentation(given.pop("lungs"), given.pop("lesions"), **given))


def test_the_burden_of_every_part_is_counted_by_hand():
    given, severity = every_label(), severity_of()
    lungs, lesions, dense = given["lungs"], given["lesions"], given["dense"]
    parts = [(severity.lungs, lungs > 0), (severity.right, lungs == 1), (severity.left, lungs == 2)]
    parts += [(severity.lobes[name], given["lobes"] == value) for name, value in LOBES.items()]
    for z, burden in enumerate(severity.slices):
        plane = np.zeros_like(lungs, bool)
        plane[z] = True
        parts.append((burden, plane))
    for burden, inside in parts:
        count = inside.sum()
        assert burden.volume_ml == 5.0 * count
        assert burden.infection_ml == 5.0 * (lesions[inside] > 0).sum()
        for name, infected in (
            ("infection_percent", lesions > 0),
            ("ggo_percent", lesions == 1),
            ("consolidation_percent", lesions == 2),
            ("dense_percent", (lesions > 0) & dense),
        ):
            assert getattr(burden, name) == pytest.approx(100 * infected[inside].sum() / count)
    assert severity.po == severity.lungs.infection_percent
    assert severity.pho == severity.lungs.dense_percent
    assert len(severity.slices) == 20


def test_every_score_is_of_its_own_parts():
    given, severity = every_label(), severity_of()
    for value, (name, _) in enumerate(REGIONS, start=1):
        inside = given["regions"] == value
        percent = 100 * (given["lesions"][inside] > 0).mean()
        assert severity.ct_ss.parts[name].percent == pytest.approx(percent)
    for name in LOBE_ORDER:
        lobe = severity.lobes[name]
        for score in (severity.tss, severity.ctsi, severity.lss):
            assert score.parts[name].percent == lobe.infection_percent
        assert severity.lhos.parts[name].percent == lobe.dense_percent
    assert (severity.ctsi.maximum, severity.tss.maximum, severity.zones.maximum) == (25, 20, 24)


@pytest.mark.parametrize(
    ("without", "missing"),
    [
        (("lobes", "components"), {"tss", "ctsi", "lss", "lhos"}),
        (("regions",), {"ct_ss"}),
        (("dense",), {"lhos"}),
        ((), set()),
    ],
)
def test_what_is_not_given_leaves_out_its_own_scores_alone(without, missing):
    severity = severity_of(**dict.fromkeys(without))
    scores = {
        name: getattr(severity, name) for name in ("ct_ss", "tss", "ctsi", "lss", "lhos", "zones")
    }
    assert {name for name, score in scores.items() if score.total is None} == missing
    for name in missing:
        assert scores[name].reason
        # What is known of the parts stays.
        assert scores[name].parts
    assert (severity.pho is None) == ("dense" in without)
    assert (severity.lungs.dense_percent is None) == ("dense" in without)
    assert bool(severity.lobes) == ("lobes" not in without)


def test_reasons_tell_what_is_missing():
    assert "lobe mask" in severity_of(lobes=None, components=None).tss.reason
    assert "region mask" in severity_of(regions=None).ct_ss.reason
    flat = every_label()
    flat = {
        name: array[:1] if name != "components" and not isinstance(array, float) else array
        for name, array in flat.items()
    }
    severity = measure(Segmentation(flat.pop("lungs"), flat.pop("lesions"), **flat))
    assert severity.tss.reason == severity.zones.reason == severity.distribution.reason
    assert severity.lesions.reason == severity.tss.reason == WITHHOLDING["single-slice"]
    assert (severity.po, severity.pho, severity.mosmed) == (None, None, None)
    unknown = measure(
        Segmentation(
            (every_label()["lungs"] > 0).astype(np.uint8),
            every_label()["lesions"],
            sides_known=False,
        )
    )
    for score in (unknown.tss, unknown.ct_ss, unknown.zones, unknown.lhos):
        assert score.reason == unknown.distribution.reason
        assert "right and left" in score.reason
    assert all(zone.percent is None for zone in unknown.zones.parts.values())


@pytest.mark.parametrize("name", ["lobes", "regions"])
def test_lobes_and_regions_need_known_sides(name):
    lungs = np.ones((3, 4, 4), np.uint8)
    with pytest.raises(ValueError, match="sides"):
        measure(Segmentation(lungs, lungs * 0, sides_known=False, **{name: lungs}))


def test_two_slices_are_a_volume():
    lungs = np.ones((2, 4, 4), np.uint8)
    lungs[..., 2:] = 2
    severity = measure(Segmentation(lungs, lungs * 0))
    assert (severity.po, severity.mosmed) == (0, "CT-0")
    assert severity.zones.total is None
    assert [zone.percent for zone in severity.zones.parts.values()] == [None] * 6
    assert severity.zones.reason
    assert severity.distribution.reason is None


def test_not_asked_for_is_said_of_each_block():
    severity = severity_of(hu=None, components=None)
    assert severity.aeration.reason == severity.lesions.reason == "not asked for"
    assert severity.distribution.reason is None
    whole = severity_of()
    assert whole.aeration.reason is whole.lesions.reason is whole.distribution.reason is None
    assert whole.aeration.well_aerated_of_lobes
    assert sum(whole.lesions.by_lobe.values()) == whole.lesions.count
    assert severity_of(dense=None, hu=None).aeration.reason == "no Hounsfield units are available"


def test_components_without_lobes_are_in_no_lobe():
    given = every_label()
    components = separate_lesions(given["lungs"], given["lesions"])
    severity = severity_of(lobes=None, components=components)
    assert severity.lesions.by_lobe == {}
    assert severity.lesions.count > 0


def test_the_distribution_is_of_both_lungs_and_all_lobes():
    severity = severity_of()
    assert severity.distribution.bilateral is True
    assert severity.distribution.lobes_affected == 5
    peripheral = every_label()["peripheral"]
    assert severity.distribution.peripheral.lung_percent == pytest.approx(100 * peripheral.mean())
    one_sided = every_label()["lesions"] * (every_label()["lungs"] == 1)
    severity = severity_of(lesions=one_sided, components=None)
    assert severity.distribution.bilateral is False
    assert severity.distribution.lobes_affected == 3
    assert severity_of(lobes=None, components=None).distribution.lobes_affected is None


def test_one_lung_alone_is_not_bilateral_and_not_known_to_be():
    lungs = np.ones((6, 4, 4), np.uint8)
    assert measure(Segmentation(lungs, lungs)).distribution.bilateral is None


def test_no_category_of_lungs_without_a_voxel():
    empty = np.zeros((6, 4, 4), np.uint8)
    severity = measure(Segmentation(empty, empty, lobes=empty, regions=empty))
    assert severity.withheld == ("not-computable",)
    assert severity.infected is None
    assert "lobes-incomplete" not in {notice.code for notice in severity.notices}


def test_a_category_needs_the_ct_ss():
    severity = severity_of(regions=None)
    assert (severity.category, severity.withheld) == (None, ("not-computable",))
    assert severity.basis == f"withheld: {WITHHOLDING['not-computable']}"
    assert severity.infected is True


@pytest.mark.parametrize(("infected", "called"), [(9, False), (10, True)])
def test_infected_begins_at_one_percent_of_the_lungs(infected, called):
    lungs = np.ones((4, 10, 25), np.uint8)
    lungs[..., 12:] = 2
    lesions = np.zeros_like(lungs)
    lesions[0].ravel()[:infected] = 1
    assert measure(Segmentation(lungs, lesions)).infected is called
