"""IRRCNN as a detector of infected slices: what it learns from, and that it learns."""

import numpy as np
import pytest

from slice_detection import blocks

pytest.importorskip("torch")
detection_irrcnn = pytest.importorskip("detection_irrcnn")


def test_every_slice_is_judged_by_networks_that_did_not_learn_from_it():
    folds, halves = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1, 1])
    judged = np.zeros(9, int)
    for block in blocks(folds, halves):
        learned, out = detection_irrcnn.indices_of(block, len(folds))
        assert not set(learned) & set(out)
        assert set(learned) | set(out) == set(range(9))
        judged[out] += 1
    assert judged.tolist() == [2] * 4 + [2] * 5


@pytest.mark.slow
def test_bright_slices_are_told_from_dark_ones_and_a_seed_repeats():
    rng = np.random.default_rng(0)
    infected = np.arange(24) < 12
    images = (rng.integers(0, 80, (24, 40, 48)) + 120 * infected[:, None, None]).astype(np.uint8)
    learned, out = np.arange(24)[::2], np.arange(24)[1::2]
    options = {"width": 8, "passes": 40}
    logits = detection_irrcnn.logits_of(images, infected, learned, out, seed=0, **options)
    assert logits[infected[out]].min() > logits[~infected[out]].max()
    again = detection_irrcnn.logits_of(images, infected, learned, out, seed=0, **options)
    np.testing.assert_array_equal(logits, again)
