"""The numbers of corrected masks are those that ``lungscore score`` finds in the saved masks."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lungscore import score
from lungscore.anatomy import separate_lesions
from lungscore.assessment import as_lungs, assess, placeholder
from lungscore.errors import InputError
from lungscore.inference import Lesions
from lungscore.result import to_result
from lungscore.review.correction import Correction
from lungscore.review.counting import Counting
from lungscore.review.masks import Change, Masks, masks_within
from lungscore.review.pieces import LesionPieces
from lungscore.review.requests import parse_edit
from lungscore.scan.phantom import make_phantom
from lungscore.scan.write import nifti_bytes, write_nifti
from tests.review.edits import random_edit


@pytest.fixture(scope="module")
def phantom():
    return make_phantom("several-patches", seed=3, shape=(28, 96, 96))


@pytest.fixture(scope="module")
def original(phantom) -> Masks:
    return masks_within(phantom.lungs, phantom.lesions, phantom.lobes, phantom.scan.values)


def scored(masks: Masks, scan, *, has_ct: bool = True):
    """What ``lungscore score`` says of the masks."""
    lungs, lesions = as_lungs(masks.lungs.copy(), "lungs"), Lesions(masks.lesions.copy(), (), None)
    return to_result(assess(scan, lungs, lesions, lobes=masks.lobes, has_ct=has_ct))


def refused(error: InputError) -> None:
    """An edit may be refused, as one without a lung to paint in."""
    assert error.code == "review-invalid"


def edited(correction: Correction, seed: int, number: int, counting: Counting) -> None:
    """Make random edits, and take some of them back."""
    generator = np.random.default_rng(seed)
    for _ in range(number):
        if generator.random() < 0.2 and correction.done:
            step = correction.undoing(correction.version)
        elif generator.random() < 0.1 and correction.undone:
            step = correction.redoing(correction.version)
        else:
            body = random_edit(generator, correction.masks, correction.version)
            try:
                step = correction.planned(parse_edit(json.dumps(body).encode()))
            except InputError as error:
                refused(error)
                continue
        if step.changes:
            correction.take(step)
        counting.update(step.changes)
        if generator.random() < 0.4:
            counting.analysis()


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), number=st.integers(1, 12))
def test_after_any_edits_every_number_is_that_of_score(phantom, original, seed, number):
    correction = Correction.begin(original)
    counting = Counting(correction.masks, phantom.scan, has_ct=True)
    edited(correction, seed, number, counting)
    counted = to_result(counting.analysis())
    assert counted == scored(correction.masks, phantom.scan)


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), lobes=st.booleans())
def test_without_a_ct_or_lobes_too(phantom, original, seed, lobes):
    masks = Masks(original.lungs, original.lesions, original.lobes if lobes else None)
    correction = Correction.begin(masks)
    lungs = as_lungs(masks.lungs, "lungs")
    scan = placeholder(lungs, phantom.scan.geometry, kind="nifti", name="case")
    counting = Counting(correction.masks, scan, has_ct=False)
    edited(correction, seed, 4, counting)
    counted = to_result(counting.analysis())
    assert counted == scored(correction.masks, scan, has_ct=False)


def test_the_files_that_are_saved_score_the_same(phantom, original, tmp_path):
    correction = Correction.begin(original)
    counting = Counting(correction.masks, phantom.scan, has_ct=True)
    edited(correction, 5, 10, counting)
    write_nifti(phantom.scan, tmp_path / "ct.nii.gz")
    for layer, labels in correction.masks.layers.items():
        path = tmp_path / f"{layer}.nii.gz"
        path.write_bytes(nifti_bytes(labels, phantom.scan.geometry))
    paths = [tmp_path / f"{layer}.nii.gz" for layer in ("lungs", "lesions", "lobes")]
    saved = score(*paths[:2], lobes=paths[2], ct=tmp_path / "ct.nii.gz", name="case")
    mine, theirs = to_result(counting.analysis()), to_result(saved)
    for part in ("lungs", "burden", "scores", "severity", "lobes", "slices", "aeration"):
        assert getattr(mine, part) == getattr(theirs, part), part
    assert mine.lesions == theirs.lesions
    assert mine.distribution == theirs.distribution


def test_density_of_the_lung_is_looked_at_after_every_change(phantom, original):
    values = phantom.scan.values.copy()
    values[phantom.lungs == 1] += 250
    scan = replace(phantom.scan, values=values)
    masks = masks_within(phantom.lungs, np.zeros_like(phantom.lesions), phantom.lobes, values)
    counting = Counting(masks, scan, has_ct=True)
    assert "lung-density" in {notice.code for notice in counting.analysis().notices}
    right = np.flatnonzero(phantom.lungs == 1)
    masks.lesions.flat[right] = 1
    ones = np.ones(len(right), np.uint8)
    plane = values[0].size
    counting.update([Change.of("lesions", right, 0 * ones, ones, plane=plane)])
    result = to_result(counting.analysis())
    assert "lung-density" not in {warning.code for warning in result.warnings}
    assert result == scored(masks, scan)


def test_lung_edits_are_pending_until_somebody_asks(phantom, original):
    correction = Correction.begin(original)
    counting = Counting(correction.masks, phantom.scan, has_ct=True)
    z = len(original.lungs) // 2
    body = {"version": 0, "tool": "clear", "layer": "lungs", "slices": [z, z]}
    step = correction.planned(parse_edit(json.dumps(body).encode()))
    correction.take(step)
    counting.update(step.changes)
    assert counting.pending
    counting.analysis()
    assert not counting.pending


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_pieces_are_the_separate_lesions(data):
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = tuple(data.draw(st.tuples(st.integers(1, 7), st.integers(1, 9), st.integers(1, 9))))
    share = data.draw(st.sampled_from([0.1, 0.3, 0.6]))
    lungs = generator.integers(0, 3, shape, np.uint8)
    lesions = ((generator.random(shape) < share) * generator.integers(1, 3, shape)).astype(np.uint8)
    lobes = generator.integers(0, 6, shape, np.uint8)
    pieces = LesionPieces(lungs, lesions, lobes)
    for _ in range(3):
        whole = separate_lesions(lungs, lesions, lobes)
        assert sorted(pieces.components().tolist()) == sorted(whole.tolist())
        changed = generator.choice(shape[0], generator.integers(1, shape[0] + 1), replace=False)
        for z in changed:
            lesions[z] = generator.integers(0, 3, shape[1:]) * (generator.random(shape[1:]) < share)
        pieces.update(changed.tolist())
