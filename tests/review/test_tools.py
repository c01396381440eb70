"""What each tool does, and what follows in other layers."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lungscore.errors import InputError
from lungscore.review.correction import Correction
from lungscore.review.masks import Change, Masks
from lungscore.review.planes import picture_shape, voxels_of_runs
from lungscore.review.requests import parse_edit

SHAPE = (5, 8, 10)


@pytest.fixture
def correction() -> Correction:
    """Two lungs side by side, an upper and a lower lobe in each, one lesion in two slices."""
    lungs = np.zeros(SHAPE, np.uint8)
    lungs[:, 1:7, 1:5], lungs[:, 1:7, 5:9] = 1, 2
    lobes = np.zeros(SHAPE, np.uint8)
    lobes[:2][lungs[:2] == 1], lobes[2:][lungs[2:] == 1] = 3, 5
    lobes[:2][lungs[:2] == 2], lobes[2:][lungs[2:] == 2] = 1, 2
    lesions = np.zeros(SHAPE, np.uint8)
    lesions[1:3, 2:4, 2:4], lesions[2, 3, 3] = 1, 2
    hu = np.full(SHAPE, -500, np.int16)
    hu[2, 3, 3], hu[1, 2, 2] = 40, -900
    return Correction.begin(Masks(lungs, lesions, lobes, hu))


def do(correction: Correction, **body: object):
    """Make one edit; its step."""
    content = json.dumps({"version": correction.version, **body}).encode()
    step = correction.planned(parse_edit(content))
    if step.changes:
        correction.take(step)
    return step


def brush(correction: Correction, layer: str, label: int, z: int, y: int, x: int, **more: object):
    picture = {"index": z, "runs": [[y * SHAPE[2] + x, 1]]}
    body = {"tool": "brush", "layer": layer, "plane": "axial", "label": label}
    return do(correction, **body, slices=[picture], **more)


def test_planes_name_the_same_voxel():
    z, y, x = 3, 4, 6
    place = (z * SHAPE[1] + y) * SHAPE[2] + x
    assert voxels_of_runs("axial", z, [(y * SHAPE[2] + x, 1)], SHAPE).tolist() == [place]
    assert voxels_of_runs("coronal", y, [(z * SHAPE[2] + x, 1)], SHAPE).tolist() == [place]
    assert voxels_of_runs("sagittal", x, [(z * SHAPE[1] + y, 1)], SHAPE).tolist() == [place]


@given(st.sampled_from(["axial", "coronal", "sagittal"]), st.data())
def test_runs_name_what_the_picture_shows(plane, data):
    pictures, rows, columns = picture_shape(plane, SHAPE)
    index = data.draw(st.integers(0, pictures - 1))
    drawn = np.array(data.draw(st.lists(st.booleans(), min_size=rows * columns, max_size=400)))
    drawn = drawn[: rows * columns]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], drawn.astype(int), [0]])))
    runs = [(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    volume = np.zeros(SHAPE, bool)
    volume.reshape(-1)[voxels_of_runs(plane, index, runs, SHAPE)] = True
    axis = {"axial": 0, "coronal": 1, "sagittal": 2}[plane]
    assert np.array_equal(volume.take(index, axis).ravel(), drawn)
    assert volume.sum() == drawn.sum()


@given(st.data())
def test_a_change_packed_and_unpacked_does_and_undoes_the_same(data):
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    before = generator.integers(0, 3, SHAPE, np.uint8)
    voxels = np.flatnonzero(generator.random(before.size) < 0.4)
    after = generator.integers(0, 3, len(voxels)).astype(np.uint8)
    change = Change.of("lesions", voxels, before.ravel()[voxels], after, plane=80)
    packed = json.loads(json.dumps(change.packed()))
    change = Change.unpacked(packed, before.size)
    labels = before.copy()
    change.apply(labels)
    expected = before.copy()
    expected.reshape(-1)[voxels] = after
    assert np.array_equal(labels, expected)
    shown = before.copy()  # what a browser makes of the runs
    for z, runs in change.by_slice(80):
        for start, length, value in np.reshape(runs, (-1, 3)):
            shown[z].reshape(-1)[start : start + length] = value
    assert np.array_equal(shown, expected)
    change.reverted().apply(labels)
    assert np.array_equal(labels, before)


@pytest.mark.parametrize(
    "runs",
    [[[-1], [2], [0], [1]], [[390], [20], [0], [1]], [[0], [0], [0], [1]], [[0], [1], [0], [9]]],
)
def test_a_damaged_change_is_no_change(runs):
    table = np.array(runs)
    packed = Change("lesions", table[0], table[1], table[2], table[3]).packed()
    with pytest.raises(ValueError, match=r"volume|label"):
        Change.unpacked(packed, 400)


def test_a_brush_paints_within_the_lungs_only(correction):
    assert brush(correction, "lesions", 2, 0, 1, 1).changes
    assert correction.masks.lesions[0, 1, 1] == 2
    step = brush(correction, "lesions", 1, 0, 0, 0)
    assert (step.changes, step.outside) == ((), 1)
    assert correction.version == 1


def test_a_brush_may_spare_labels_and_densities(correction):
    assert not brush(correction, "lesions", 1, 2, 3, 3, over=[0]).changes
    assert not brush(correction, "lesions", 1, 0, 1, 1, hu=[-100, 100]).changes
    assert brush(correction, "lesions", 1, 2, 3, 3, hu=[-100, 100]).changes


def test_lung_taken_away_takes_lesions_and_lobe_along(correction):
    step = brush(correction, "lungs", 0, 1, 2, 2)
    assert {change.layer for change in step.changes} == {"lungs", "lesions", "lobes"}
    at = (1, 2, 2)
    assert all(labels[at] == 0 for labels in correction.masks.layers.values())
    correction.take(correction.undoing(correction.version))
    for layer, labels in correction.masks.layers.items():
        assert np.array_equal(labels, correction.original.layers[layer])
    assert correction.changed_slices() == []


def test_new_lung_gets_the_nearest_lobe_of_its_side(correction):
    brush(correction, "lungs", 1, 4, 0, 2)
    assert correction.masks.lobes[4, 0, 2] == 5
    brush(correction, "lungs", 2, 4, 3, 4)  # was right lung
    assert correction.masks.lobes[4, 3, 4] == 2


def test_a_click_removes_the_whole_piece_and_may_relabel_it(correction):
    do(correction, tool="component", layer="lesions", at=[1, 2, 2], label=2)
    assert np.count_nonzero(correction.masks.lesions == 2) == 8
    do(correction, tool="component", layer="lesions", at=[1, 2, 2])
    assert not correction.masks.lesions.any()
    with pytest.raises(InputError, match="nothing is marked"):
        do(correction, tool="component", layer="lesions", at=[1, 2, 2])


def test_pieces_of_two_lungs_are_two_pieces(correction):
    correction.masks.lesions[1, 3, 4:6] = 1
    do(correction, tool="component", layer="lesions", at=[1, 3, 5])
    assert correction.masks.lesions[1, 3, 5] == 0
    assert correction.masks.lesions[1, 3, 4] == 1


@pytest.mark.parametrize(
    "scope",
    [{"scope": "all"}, {"scope": "component", "at": [1, 3, 3]}, {"scope": "slice", "index": 2}],
)
def test_densities_outside_a_span_are_removed(correction, scope):
    do(correction, tool="keep_hu", low=-700, high=-100, **scope)
    assert correction.masks.lesions[2, 3, 3] == 0
    assert (correction.masks.lesions[1, 2, 2] == 0) == ("index" not in scope)


def test_densities_need_a_ct(correction):
    bare = Correction.begin(Masks(correction.masks.lungs, correction.masks.lesions))
    with pytest.raises(InputError, match="no CT"):
        do(bare, tool="keep_hu", scope="all")
    with pytest.raises(InputError, match="no lobes"):
        do(bare, tool="smooth", layer="lobes", slices=[0, 1])


def test_a_slice_is_smoothed_by_its_neighbours(correction):
    lesions = correction.masks.lesions
    lesions[3, 2:4, 2:4] = 1
    lesions[2] = 0
    do(correction, tool="smooth", layer="lesions", slices=[2, 2])
    assert (lesions[2, 2:4, 2:4] == 1).all()
    lesions[:] = 0
    lesions[2, 2, 2] = 1
    do(correction, tool="smooth", layer="lesions", slices=[1, 3])
    assert not lesions.any()


def test_a_slice_is_copied(correction):
    do(correction, tool="copy", layer="lesions", **{"from": 2, "to": 3})
    assert np.array_equal(correction.masks.lesions[3], correction.masks.lesions[2])
    correction.masks.lesions[4, 6, 2] = 1
    do(correction, tool="copy", layer="lesions", add=True, **{"from": 2, "to": 4})
    assert correction.masks.lesions[4, 6, 2] == 1
    assert (correction.masks.lesions[4, 2:4, 2:4] > 0).all()


def test_slices_between_two_are_interpolated(correction):
    lesions = correction.masks.lesions
    lesions[:] = 0
    lesions[0, 2:4, 1:3], lesions[4, 2:4, 2:4] = 1, 1
    do(correction, tool="fill_between", slices=[0, 4])
    assert all(lesions[z].any() for z in range(5))
    assert (lesions[2, 2:4, 2] == 1).all()
    lesions[4] = 0
    with pytest.raises(InputError, match="no lesions"):
        do(correction, tool="fill_between", slices=[0, 4])


def test_whole_slices_may_be_mended_in_one_lung_alone(correction):
    left = np.zeros(SHAPE, bool)
    left[:, 1:7, 5:9] = True
    for z in (0, 4):
        brush(correction, "lesions", 1, z, 3, 3)
        brush(correction, "lesions", 1, z, 3, 6)
    before = correction.masks.lesions.copy()
    do(correction, tool="fill_between", slices=[0, 4], lung=2)
    assert correction.masks.lesions[1:4, 3, 6].tolist() == [1, 1, 1]
    do(correction, tool="copy", layer="lesions", **{"from": 1, "to": 4}, lung=2)
    do(correction, tool="smooth", layer="lesions", slices=[0, 4], lung=2)
    assert np.array_equal(correction.masks.lesions[~left], before[~left])
    do(correction, tool="clear", layer="lesions", slices=[0, 4], lung=2)
    assert not correction.masks.lesions[left].any()
    with pytest.raises(InputError, match="no lesions"):
        do(correction, tool="fill_between", slices=[0, 4], lung=2)


def test_slices_are_cleared_by_label_and_lung(correction):
    do(correction, tool="clear", layer="lesions", slices=[0, 4], label=2)
    assert np.count_nonzero(correction.masks.lesions == 2) == 0
    do(correction, tool="clear", layer="lesions", slices=[0, 4], lung=2)
    assert np.count_nonzero(correction.masks.lesions) == 7
    with pytest.raises(InputError, match="no lung would be left"):
        do(correction, tool="clear", layer="lungs", slices=[0, 4])


def test_undo_and_redo_have_no_limit(correction):
    states = [correction.masks.lesions.copy()]
    for x in range(1, 9):
        brush(correction, "lesions", 1, 0, 2, x)
        states.append(correction.masks.lesions.copy())
    for before in reversed(states[:-1]):
        correction.take(correction.undoing(correction.version))
        assert np.array_equal(correction.masks.lesions, before)
    with pytest.raises(InputError, match="nothing to undo"):
        correction.undoing(correction.version)
    for after in states[1:]:
        correction.take(correction.redoing(correction.version))
        assert np.array_equal(correction.masks.lesions, after)
    with pytest.raises(InputError, match="nothing to redo"):
        correction.redoing(correction.version)


def test_a_new_edit_ends_what_could_be_redone(correction):
    brush(correction, "lesions", 1, 0, 2, 2)
    correction.take(correction.undoing(correction.version))
    brush(correction, "lesions", 1, 0, 3, 3)
    assert not correction.undone


def test_an_edit_of_another_version_is_refused(correction):
    body = {"version": 7, "tool": "clear", "layer": "lesions", "slices": [0, 1]}
    with pytest.raises(InputError) as caught:
        correction.planned(parse_edit(json.dumps(body).encode()))
    assert caught.value.code == "review-behind"


def test_voxels_are_counted_against_the_original(correction):
    brush(correction, "lesions", 2, 1, 2, 2)
    brush(correction, "lesions", 1, 0, 2, 2)
    brush(correction, "lesions", 0, 2, 3, 3)
    counts = correction.voxels_changed()["lesions"]
    assert counts == {"added": 1, "removed": 1, "relabelled": 1}
    assert correction.changed_slices("lesions") == [0, 1, 2]
    assert correction.changed_slices("lobes") == []
