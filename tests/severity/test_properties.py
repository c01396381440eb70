"""The laws that every severity keeps, whatever the label maps."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lungscore.anatomy import outer_third, separate_lesions
from lungscore.labels import LOBE_ORDER, LOBES, REGIONS
from lungscore.severity import Segmentation, measure, score_part
from tests.severity.maps import MAPS, SHAPES, label_maps, measured, with_density

SEEDS = st.integers(0, 2**32 - 1)
SCORES = ("ct_ss", "tss", "ctsi", "lss", "lhos", "zones")


def not_lower(before: float | None, after: float | None) -> None:
    assert (before is None) == (after is None)
    if before is not None and after is not None:
        assert before <= after


# More infection


@settings(max_examples=80, deadline=None)
@given(MAPS, SEEDS, st.sampled_from([0.05, 0.3, 0.9]))
def test_more_infection_never_lowers_a_score_or_percent(maps, seed, amount):
    grown = np.random.default_rng(seed).random(maps["lesions"].shape) < amount
    more = np.where((maps["lesions"] == 0) & grown, 1, maps["lesions"]).astype(np.uint8)
    before, after = measured(maps), measured({**maps, "lesions": more})
    for name in SCORES:
        low, high = getattr(before, name), getattr(after, name)
        not_lower(low.total, high.total)
        for part in low.parts:
            not_lower(low.parts[part].percent, high.parts[part].percent)
            not_lower(low.parts[part].score, high.parts[part].score)
    for name in ("po", "pho"):
        not_lower(getattr(before, name), getattr(after, name))
    assert (before.mosmed or "") <= (after.mosmed or "")
    low, high = before.distribution, after.distribution
    not_lower(low.lobes_affected, high.lobes_affected)
    not_lower(low.bilateral, high.bilateral)
    if before.withheld == after.withheld:
        order = [None, "none", "mild", "moderate", "severe"]
        assert order.index(before.category) <= order.index(after.category)


@settings(max_examples=40, deadline=None)
@given(MAPS, SEEDS)
def test_denser_infection_never_lowers_a_score_of_density_nor_changes_another(maps, seed):
    denser = np.random.default_rng(seed).integers(0, 300, maps["hu"].shape)
    before = measured(maps)
    after = measured(with_density({**maps, "hu": (maps["hu"] + denser).astype(np.int16)}))
    not_lower(before.pho, after.pho)
    not_lower(before.lhos.total, after.lhos.total)
    for name in ("ct_ss", "tss", "ctsi", "lss", "zones", "po", "lesions", "distribution"):
        assert getattr(before, name) == getattr(after, name)


# Parts and wholes


def complete(maps):
    """The maps with every voxel in a lobe of its own side, and in a region of that lobe."""
    lobes = np.where(maps["lungs"] == 2, maps["lobes"] % 2 + 1, maps["lobes"] % 3 + 3)
    lobes = np.where(maps["lungs"] > 0, lobes, 0)
    regions = np.zeros_like(lobes)
    for name, value in LOBES.items():
        numbers = np.array([n for n, (_, lobe) in enumerate(REGIONS, 1) if lobe == name])
        regions = np.where(lobes == value, numbers[maps["regions"] % len(numbers)], regions)
    return {**maps, "lobes": lobes.astype(np.uint8), "regions": regions.astype(np.uint8)}


@settings(max_examples=80, deadline=None)
@given(MAPS)
def test_parts_add_up_to_wholes(maps):
    maps = complete(maps)
    severity = measured(maps, voxel_ml=0.5)
    whole, lobes = severity.lungs, severity.lobes.values()
    for parts in ((severity.right, severity.left), lobes, severity.slices):
        assert sum(part.volume_ml for part in parts) == whole.volume_ml
        assert sum(part.infection_ml for part in parts) == whole.infection_ml
    for part in (whole, severity.right, severity.left, *lobes, *severity.slices):
        if part.infection_percent is None:
            assert part.volume_ml == 0
            continue
        total = part.ggo_percent + part.consolidation_percent
        assert total == pytest.approx(part.infection_percent)
        assert 0 <= part.dense_percent <= part.infection_percent <= 100
    regions = np.bincount(maps["regions"][maps["lungs"] > 0], minlength=21)
    for name, lobe in severity.lobes.items():
        infected = sum(
            regions[number] * (severity.ct_ss.parts[region].percent or 0) / 100
            for number, (region, of_lobe) in enumerate(REGIONS, start=1)
            if of_lobe == name
        )
        assert infected * 0.5 == pytest.approx(lobe.infection_ml)
    if whole.volume_ml:
        bands = severity.aeration.bands.values()
        assert sum(band.ml for band in bands) == whole.volume_ml
        assert sum(band.percent for band in bands) == pytest.approx(100)
    inside = np.count_nonzero((maps["lungs"] > 0) & (maps["lesions"] > 0))
    assert severity.outside_voxels == np.count_nonzero(maps["lesions"]) - inside


@settings(max_examples=60, deadline=None)
@given(MAPS, st.sampled_from([0.01, 0.04, 0.2]))
def test_lesions_add_up_to_the_infection(maps, voxel_ml):
    maps = complete(maps)
    sizes = measured(maps, voxel_ml=voxel_ml).lesions
    components = separate_lesions(maps["lungs"], maps["lesions"], maps["lobes"])
    assert sum(sizes.by_lobe.values()) == sizes.count
    assert sizes.count + sizes.specks == len(components)
    infected = np.count_nonzero((maps["lungs"] > 0) & (maps["lesions"] > 0))
    assert components.sum() == infected
    assert (sizes.largest_ml or 0) <= infected * voxel_ml
    if sizes.count:
        assert 0.1 <= sizes.median_ml <= sizes.largest_ml
        assert sizes.count * 0.1 <= infected * voxel_ml - sizes.specks_ml + 1e-9


@settings(max_examples=60, deadline=None)
@given(MAPS)
def test_all_infected_lungs_are_distributed_like_the_lungs(maps):
    lungs = maps["lungs"]
    peripheral = maps["hu"] > -500
    where = measure(Segmentation(lungs, np.ones_like(lungs), peripheral=peripheral)).distribution
    for share in (where.peripheral, where.posterior, where.lower):
        assert share.infection_percent == share.lung_percent
        assert share.lung_percent is None or 0 <= share.lung_percent <= 100


# Storage and orientation


@settings(max_examples=40, deadline=None)
@given(MAPS, st.permutations([1, 2]), st.lists(st.booleans(), min_size=2, max_size=2))
def test_flips_and_order_of_the_axes_in_plane_change_no_score(maps, order, flips):
    def turned(labels):
        result = np.transpose(labels, (0, *order))
        return np.flip(result, [axis for axis, flip in zip((1, 2), flips, strict=True) if flip])

    before = measured(maps, voxel_ml=0.05)
    after = measured({name: turned(labels) for name, labels in maps.items()}, voxel_ml=0.05)
    # Front and back are turned too; nothing else is.
    where = after.distribution
    assert where.lower == before.distribution.lower
    turned_back = replace(where, posterior=before.distribution.posterior)
    assert replace(after, distribution=turned_back) == before


@settings(max_examples=40, deadline=None)
@given(SHAPES.flatmap(label_maps))
def test_memory_order_changes_nothing(maps):
    fortran = {name: np.asfortranarray(labels) for name, labels in maps.items()}
    views = {name: np.repeat(labels, 2, axis=2)[..., ::2] for name, labels in maps.items()}
    expected = measured(maps, voxel_ml=0.05)
    assert measured(fortran, voxel_ml=0.05) == measured(views, voxel_ml=0.05) == expected


@settings(max_examples=40, deadline=None)
@given(MAPS)
def test_upside_down_only_the_order_of_slices_and_zones_changes(maps):
    upright, turned = measured(maps), measured({k: v[::-1] for k, v in maps.items()})
    assert turned.slices == upright.slices[::-1]
    for name in ("lobes", "ct_ss", "tss", "ctsi", "lss", "lhos", "aeration"):
        assert getattr(turned, name) == getattr(upright, name)


# Resolution


def chest(scale: int) -> tuple[dict[str, np.ndarray], tuple[float, float, float]]:
    """The same two ellipsoid lungs with five lesions, ``scale`` times as fine as 3 mm."""
    size = np.array((84, 68, 98)) * scale
    z, y, x = (
        ((np.arange(n) + 0.5) * 3 / scale).reshape(shape)
        for n, shape in zip(size, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), strict=True)
    )

    def ball(centre, radii):
        axes = zip((z, y, x), centre, radii, strict=True)
        return sum(((axis - c) / r) ** 2 for axis, c, r in axes) <= 1

    right, left = ball((130, 112, 90), (115, 90, 62)), ball((125, 112, 235), (110, 90, 58))
    lungs = np.where(right, 1, np.where(left, 2, 0)).astype(np.uint8)
    upper = np.broadcast_to(z < 120, lungs.shape)
    middle = np.broadcast_to((z >= 120) & (y < 112), lungs.shape)
    lobes = np.select([right & upper, right & middle, right, left & upper, left], [3, 4, 5, 1, 2])
    lesions = np.zeros_like(lungs)
    for kind, centre, radius in [
        (1, (180, 150, 70), 32),
        (2, (185, 155, 70), 17),
        (1, (60, 100, 80), 18),
        (1, (160, 170, 235), 30),
        (2, (90, 80, 250), 14),
        (1, (130, 60, 100), 12),
    ]:
        lesions[ball(centre, (radius,) * 3) & (lungs > 0)] = kind
    hu = np.select([lesions == 2, lesions == 1], [0, -550], -850).astype(np.int16)
    spacing = (3 / scale,) * 3
    lobes = lobes.astype(np.uint8)
    regions = np.zeros_like(lobes)
    for name, value in LOBES.items():
        # Slabs in turn: which region is where does not matter here.
        numbers = np.array([n for n, (_, lobe) in enumerate(REGIONS, 1) if lobe == name], np.uint8)
        segments = numbers[(z // 12).astype(int) % len(numbers)]
        regions = np.where(lobes == value, segments, regions)
    maps = {"lungs": lungs, "lesions": lesions, "lobes": lobes, "regions": regions, "hu": hu}
    return with_density(maps), spacing


def test_twice_the_resolution_gives_the_same_numbers_within_a_point():
    """Percents within a point or two, volumes within 1 to 5 %, the number of lesions equal."""
    severities = []
    for scale in (1, 2):
        maps, spacing = chest(scale)
        peripheral = outer_third(maps["lungs"], spacing)
        severities.append(measured(maps, voxel_ml=np.prod(spacing) / 1000, peripheral=peripheral))
    coarse, fine = severities
    assert coarse.lungs.volume_ml == pytest.approx(fine.lungs.volume_ml, rel=0.01)
    assert coarse.lungs.infection_ml == pytest.approx(fine.lungs.infection_ml, rel=0.02)
    for name in LOBE_ORDER:
        for percent in ("infection_percent", "ggo_percent", "consolidation_percent"):
            pair = (getattr(severity.lobes[name], percent) for severity in severities)
            assert next(pair) == pytest.approx(next(pair), abs=1)
    for name in SCORES:
        for part, score in getattr(coarse, name).parts.items():
            # Equal scores, unless the percent lies within a point of an edge.
            percent = getattr(fine, name).parts[part].percent
            assert score.percent == pytest.approx(percent, abs=1)
            low, high = max(percent - 1, 0), min(percent + 1, 100)
            assert score_part(low, name) <= score.score <= score_part(high, name)
    assert (coarse.mosmed, coarse.category) == (fine.mosmed, fine.category)
    for name, band in coarse.aeration.bands.items():
        assert band.percent == pytest.approx(fine.aeration.bands[name].percent, abs=0.5)
    assert coarse.lesions.count == fine.lesions.count == 5
    assert coarse.lesions.by_lobe == fine.lesions.by_lobe
    assert coarse.lesions.largest_ml == pytest.approx(fine.lesions.largest_ml, rel=0.03)
    assert coarse.lesions.median_ml == pytest.approx(fine.lesions.median_ml, rel=0.05)
    for zone in ("peripheral", "posterior", "lower"):
        for percent in ("infection_percent", "lung_percent"):
            pair = (
                getattr(getattr(severity.distribution, zone), percent) for severity in severities
            )
            # Thirds of the height end with whole slices, depth is measured on blocks of 3 mm.
            assert next(pair) == pytest.approx(next(pair), abs=2)
