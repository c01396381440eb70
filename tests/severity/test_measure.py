"""Numbers of a label map against a plain loop, and the laws that they keep."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lungscore.labels import LOBES, REGIONS
from lungscore.severity import measure

SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, min_side=2, max_side=7)


def label_maps(shape):
    labels = {"lungs": 2, "lesions": 2, "lobes": 5, "regions": 20, "dense": 1}
    return st.fixed_dictionaries(
        {
            name: hnp.arrays(np.uint8, shape, elements=st.integers(0, n))
            for name, n in labels.items()
        }
    )


MAPS = SHAPES.flatmap(label_maps)


def measured(maps, **more):
    return measure(
        maps["lungs"],
        maps["lesions"],
        lobes=maps["lobes"],
        regions=maps["regions"],
        dense=maps["dense"].astype(bool),
        **more,
    )


def naive_percent(maps, of, among):
    """Percent by one loop over voxels, None for an empty part."""
    part = infected = 0
    for index in np.ndindex(maps["lungs"].shape):
        voxel = {name: labels[index] for name, labels in maps.items()}
        if voxel["lungs"] > 0 and among(voxel):
            part += 1
            infected += of(voxel)
    return None if part == 0 else 100.0 * infected / part


@settings(max_examples=40, deadline=None)
@given(MAPS)
def test_every_percent_equals_a_loop_over_voxels(maps):
    severity = measured(maps)

    def infected(voxel):
        return voxel["lesions"] > 0

    everything = naive_percent(maps, infected, lambda v: True)
    assert severity.lungs.infection_percent == everything
    for name, value in LOBES.items():
        expected = naive_percent(maps, infected, lambda v, value=value: v["lobes"] == value)
        assert severity.lobes[name].infection_percent == expected
        dense = naive_percent(
            maps,
            lambda v: v["lesions"] > 0 and v["dense"] == 1,
            lambda v, value=value: v["lobes"] == value,
        )
        assert severity.lobes[name].dense_percent == dense
    for value, (name, _) in enumerate(REGIONS, start=1):
        expected = naive_percent(maps, infected, lambda v, value=value: v["regions"] == value)
        assert severity.ct_ss.parts[name].percent == expected
    right = naive_percent(maps, infected, lambda v: v["lungs"] == 1)
    assert severity.right is not None
    assert severity.right.infection_percent == right


@settings(max_examples=60, deadline=None)
@given(MAPS)
def test_ggo_and_consolidation_add_up_and_nothing_exceeds_100_percent(maps):
    severity = measured(maps, voxel_ml=0.5)
    parts = [severity.lungs, severity.right, severity.left, *severity.lobes.values()]
    for part in [*parts, *severity.slices]:
        if part.infection_percent is None:
            assert part.volume_ml == 0
            continue
        total = part.ggo_percent + part.consolidation_percent
        assert total == pytest.approx(part.infection_percent)
        assert 0 <= part.dense_percent <= part.infection_percent <= 100
    assert severity.right.volume_ml + severity.left.volume_ml == severity.lungs.volume_ml
    assert sum(part.infection_ml for part in severity.slices) == severity.lungs.infection_ml
    inside = np.count_nonzero((maps["lungs"] > 0) & (maps["lesions"] > 0))
    assert severity.outside_voxels == np.count_nonzero(maps["lesions"]) - inside


@settings(max_examples=60, deadline=None)
@given(MAPS, st.integers(0, 2**32 - 1))
def test_more_infection_never_lowers_a_score(maps, seed):
    more = dict(maps)
    grown = np.random.default_rng(seed).random(maps["lesions"].shape) < 0.3
    more["lesions"] = np.where((maps["lesions"] == 0) & grown, 1, maps["lesions"]).astype(np.uint8)
    before, after = measured(maps), measured(more)
    for name in ("ct_ss", "tss", "ctsi", "lss", "lhos", "zones"):
        low, high = getattr(before, name).total, getattr(after, name).total
        assert (low is None) == (high is None)
        assert low is None or low <= high
    assert (before.mosmed or "") <= (after.mosmed or "")
    order = [None, "none", "mild", "moderate", "severe"]
    assert order.index(before.category) <= order.index(after.category)


@settings(max_examples=40, deadline=None)
@given(MAPS, st.permutations([1, 2]), st.lists(st.booleans(), min_size=2, max_size=2))
def test_flips_and_order_of_the_axes_in_plane_change_nothing(maps, order, flips):
    def turned(labels):
        result = np.transpose(labels, (0, *order))
        return np.flip(result, [axis for axis, flip in zip((1, 2), flips, strict=True) if flip])

    assert measured({name: turned(labels) for name, labels in maps.items()}) == measured(maps)


@settings(max_examples=40, deadline=None)
@given(MAPS)
def test_upside_down_only_the_order_of_slices_and_zones_changes(maps):
    upright, turned = measured(maps), measured({k: v[::-1] for k, v in maps.items()})
    assert turned.slices == upright.slices[::-1]
    assert turned.lobes == upright.lobes
    assert turned.ct_ss == upright.ct_ss


def test_a_typical_scan_takes_less_than_half_a_second():
    z, y, x = np.ogrid[:133, :512, :512]
    height = ((z - 66) / 60) ** 2 + ((y - 256) / 150) ** 2
    lungs = (height + ((x - 150) / 90) ** 2 < 1).astype(np.uint8)
    lungs[np.broadcast_to(height + ((x - 360) / 90) ** 2 < 1, lungs.shape)] = 2
    lesions = lungs * (z % 4 == 0).astype(np.uint8)
    started = time.process_time()
    measure(lungs, lesions, lobes=lungs, regions=lungs, dense=lesions > 0, voxel_ml=0.001)
    assert time.process_time() - started < 0.5


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
