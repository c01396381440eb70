"""How training slices look."""

import json

import numpy as np
import pytest

from lungscore.datasets.sample import Sample
from lungscore.errors import InputError
from lungscore.inference.appearance import STATISTICS, look
from lungscore.inference.bundle import Familiar, InputSpec
from lungscore.learning.card import _familiar
from lungscore.learning.familiarity import LEAST, WIDER, grey_of, learn_ranges, statistics_of

SPEC = InputSpec(height=64, width=96, window_hu=(-1350, 150), orientation="any")


def sample(image: np.ndarray) -> Sample:
    return Sample(image, np.zeros(image.shape, bool), "one", "test")


def test_training_slices_are_seen_in_the_networks_window_and_size():
    grey = grey_of(sample(np.full((30, 40), 51, np.uint8)), SPEC)
    assert grey.shape == (64, 96)
    assert grey == pytest.approx(0.2)
    assert grey_of(sample(np.full((30, 40), -600, np.int16)), SPEC) == pytest.approx(0.5)


def test_statistics_stand_in_their_order():
    greys = [np.random.default_rng(seed).random((64, 96)).astype(np.float32) for seed in range(3)]
    table = statistics_of(greys)
    assert table.shape == (3, len(STATISTICS))
    assert table[2].tolist() == list(look(greys[2]).values())


def test_a_range_spans_the_middle_of_every_volume_and_a_margin():
    steps = np.linspace(0, 1, 101)[:, None] * np.ones(len(STATISTICS))
    ranges = learn_ranges([steps, 2 + 10 * steps])
    # The middle 70 %: 0.15 of the one to 2 + 8.5 of the other.
    margin = WIDER * (10.5 - 0.15)
    assert list(ranges) == list(STATISTICS)
    for low, high in ranges.values():
        assert low == pytest.approx(0.15 - margin)
        assert high == pytest.approx(10.5 + margin)
    low, high = learn_ranges([np.zeros((5, len(STATISTICS)))])["noise"]
    assert (low, high) == (-LEAST, LEAST)


def test_a_card_takes_the_block_from_a_result_file(tmp_path):
    block = {"ranges": {"noise": [0.0, 0.2]}, "slices": 5, "command": "x"}
    (tmp_path / "familiar.json").write_text(json.dumps({"familiar": block}))
    assert _familiar(tmp_path / "familiar.json") == Familiar.model_validate(block)
    with pytest.raises(InputError) as caught:
        _familiar(tmp_path / "gone.json")
    assert caught.value.code == "input-not-found"
