"""Every label of the lungs counted, by hand and against counting each label alone."""

import numpy as np
import pytest

from lungscore.labels import CONSOLIDATION, GGO, PLEURAL_EFFUSION
from lungscore.severity import Segmentation, measure
from lungscore.severity.counts import Counts, checked, lung_voxels, tallies_of_others, tally

SHAPE = (5, 6, 7)


def maps(seed=0):
    rng = np.random.default_rng(seed)
    highest = {"lungs": 2, "lesions": 2, "lobes": 5, "regions": 20, "dense": 1}
    labels = {name: rng.integers(0, top + 1, SHAPE) for name, top in highest.items()}
    labels = {name: array.astype(np.uint8) for name, array in labels.items()}
    labels["lungs"][3] = 0
    return labels


def counted(given, **more):
    given = {**given, **more}
    return tally(given.pop("lungs"), given.pop("lesions"), **given)


def test_the_table_has_one_cell_for_every_combination_of_labels():
    given = maps()
    histogram = counted(given).histogram
    assert histogram.shape == (5, 3, 6, 21, 3, 2)
    for z, lung, lobe, region, lesion, dense in np.argwhere(histogram >= 0)[::97]:
        same = (given["lungs"][z] == lung) & (given["lobes"][z] == lobe) & (lung > 0)
        same &= (given["regions"][z] == region) & (given["lesions"][z] == lesion)
        same &= given["dense"][z] == dense
        assert histogram[z, lung, lobe, region, lesion, dense] == same.sum()


def test_a_part_is_that_of_the_labels_asked_for():
    given = maps()
    table = counted(given)
    inside = given["lungs"] > 0
    for where, chosen in (
        ({}, inside),
        ({"lung": 2}, given["lungs"] == 2),
        ({"lobe": 0}, inside & (given["lobes"] == 0)),
        ({"lobe": 5}, inside & (given["lobes"] == 5)),
        ({"region": 20}, inside & (given["regions"] == 20)),
    ):
        lesions = given["lesions"][chosen]
        infected = lesions > 0
        assert table.part(**where) == Counts(
            int(chosen.sum()),
            int((lesions == GGO).sum()),
            int((lesions == CONSOLIDATION).sum()),
            int((infected & (given["dense"][chosen] == 1)).sum()),
        )
    part = table.part(slices=slice(1, 3), lung=1)
    assert part.voxels == int((given["lungs"][1:3] == 1).sum())
    with pytest.raises(ValueError, match="lobes"):
        table.part(lobes=1)


def test_slices_and_lungs_are_counted_alone():
    given = maps()
    table = counted(given)
    voxels = [(plane > 0).sum() for plane in given["lungs"]]
    assert [counts.voxels for counts in table.per_slice()] == voxels
    assert voxels[3] == 0
    both = [
        ((plane > 0) & (lesion > 0)).sum()
        for plane, lesion in zip(given["lungs"], given["lesions"], strict=True)
    ]
    assert [counts.infection for counts in table.per_slice()] == both
    right = [(plane == 1).sum() for plane in given["lungs"]]
    assert table.slices_of_lung(1).tolist() == right


def test_infection_is_both_lesions_and_a_part_without_voxels_has_no_percent():
    counts = Counts(8, 1, 2, 1)
    assert (counts.infection, counts.percent(counts.infection)) == (3, 37.5)
    assert Counts(0, 0, 0, 0).percent(0) is None


def test_infection_outside_the_lungs_is_counted_apart():
    given = maps()
    outside = int(((given["lesions"] > 0) & (given["lungs"] == 0)).sum())
    assert outside > 0
    assert counted(given).outside == outside


def test_pleural_effusion_changes_no_number():
    """Left in, its label would run over into the next region."""
    given = maps()
    given.pop("dense")
    effusion = np.random.default_rng(1).random(SHAPE) < 0.3
    clean = np.where(effusion, 0, given["lesions"]).astype(np.uint8)
    wet = np.where(effusion, PLEURAL_EFFUSION, given["lesions"]).astype(np.uint8)
    lungs = given.pop("lungs")
    del given["lesions"]
    expected = tally(lungs, clean, **given)
    table = tally(lungs, wet, **given)
    np.testing.assert_array_equal(table.histogram, expected.histogram)
    assert table.outside == expected.outside
    assert measure(Segmentation(lungs, wet, **given)) == measure(
        Segmentation(lungs, clean, **given)
    )


def test_nothing_is_counted_of_empty_arrays():
    empty = np.zeros((0, 4, 4), np.uint8)
    table = tally(empty, empty)
    assert (table.part().voxels, table.outside) == (0, 0)
    assert table.per_slice() == []


def test_slices_with_lung_come_with_where_it_is():
    lungs = maps()["lungs"]
    slices = dict(lung_voxels(lungs))
    assert list(slices) == [0, 1, 2, 4]
    np.testing.assert_array_equal(slices[4], lungs[4] > 0)


@pytest.mark.parametrize("without", [(), ("lobes",), ("regions",), ("dense",), ("lobes", "dense")])
def test_tallies_of_others_are_those_of_counting_each_whole(without):
    given = maps()
    for name in without:
        del given[name]
    lesions = given.pop("lesions")
    rng = np.random.default_rng(2)
    alternatives = [lesions, np.zeros_like(lesions)]
    alternatives += [(rng.integers(0, 3, SHAPE) * (rng.random(SHAPE) < 0.4)).astype(np.uint8)]
    voxels = np.flatnonzero(np.any(alternatives, axis=0))
    lungs = given.pop("lungs")
    tables = tallies_of_others(
        tally(lungs, lesions, **given),
        voxels,
        (mask.ravel()[voxels] for mask in alternatives),
        lungs=lungs,
        **given,
    )
    for mask, table in zip(alternatives, tables, strict=True):
        expected = tally(lungs, mask, **given)
        np.testing.assert_array_equal(table.histogram, expected.histogram)
        assert table.outside == expected.outside


# Labels that are none


def test_labels_are_given_back_as_bytes_and_truth_values_without_a_copy():
    assert checked("lobes", np.ones((1, 2, 2), np.int64), 5, (1, 2, 2)).dtype == np.uint8
    truth = np.ones((1, 2, 2), bool)
    assert np.shares_memory(checked("dense", truth, 1, truth.shape), truth)
    labels = np.ones((1, 2, 2), np.uint8)
    assert checked("lungs", labels, 2, labels.shape) is labels


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (np.zeros((2, 2), np.uint8), "shape"),
        (np.zeros((1, 2, 3), np.uint8), "shape"),
        (np.zeros((1, 2, 2), np.float32), "integers"),
        (np.full((1, 2, 2), 3, np.uint8), "labels 0–3; expected 0–2"),
        (np.array([[[0, -1], [0, 1]]], np.int8), "labels -1–1; expected 0–2"),
    ],
)
def test_arrays_that_are_no_labels_are_refused(labels, text):
    with pytest.raises(ValueError, match=text):
        checked("lungs", labels, 2, (1, 2, 2))
    with pytest.raises(ValueError, match="lungs"):
        checked("lungs", labels, 2, (1, 2, 2))


@pytest.mark.parametrize(
    ("name", "label"), [("lungs", 3), ("lesions", 4), ("lobes", 6), ("regions", 21), ("dense", 2)]
)
def test_a_label_outside_its_table_is_refused_by_name(name, label):
    given = {key: array[:1].copy() for key, array in maps().items()}
    given[name][0, 0, 0] = label
    with pytest.raises(ValueError, match=f"{name} hold labels 0–{label}"):
        counted(given)


def test_lungs_of_two_axes_are_refused():
    flat = np.zeros((2, 2), np.uint8)
    with pytest.raises(ValueError, match="shape"):
        tally(flat, flat)
