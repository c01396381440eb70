"""experiments/figures.py: what it gathers and cuts; the drawings themselves are looked at."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lungscore.learning.pictures import GAP

LOG = """epoch,erased_error,erased_share,coach_mask_error,random_mask_error,random_mask_floor,\
seconds
1,{0},0.25,0.9,0.8,0.7,12.3
2,0.5,0.5,0.6,0.4,0.5,12.1
"""


@pytest.fixture
def figures(monkeypatch, tmp_path):
    """The script, writing below tmp_path, where it also looks for runs."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "experiments"))
    module = importlib.import_module("figures")
    monkeypatch.setattr(module, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(module, "CURVES", tmp_path / "curves.json")
    monkeypatch.setattr(module, "FIGURES", tmp_path)
    return module


def log_of(runs: Path, fold: int, *, first: float, finished: bool = True) -> None:
    folder = runs / "coach-50-ours-pretraining" / f"fold{fold}-seed0"
    folder.mkdir(parents=True)
    (folder / "log.csv").write_text(LOG.format(first))
    if finished:
        (folder / "weights.safetensors").touch()


def test_finished_folds_are_gathered_without_durations_and_drawn(figures, tmp_path, monkeypatch):
    for fold, first in ((0, 1.0), (1, 2.0)):
        log_of(tmp_path / "runs", fold, first=first)
    log_of(tmp_path / "runs", 2, first=9.0, finished=False)
    figures.collect()
    result = json.loads((tmp_path / "curves.json").read_text())
    hardness = result["coach_over_random"]["coach-50-ours-pretraining"]
    assert hardness == pytest.approx({"smallest": 1.5, "largest": 1.5, "folds": 2})
    runs = result["runs"]["coach-50-ours-pretraining"]
    assert sorted(runs) == ["fold0-seed0", "fold1-seed0"]
    assert "seconds" not in runs["fold0-seed0"][0]
    mean, low, high = figures.mean_and_range(runs, "erased_error")
    assert (mean.tolist(), low.tolist(), high.tolist()) == ([1.5, 0.5], [1.0, 0.5], [2.0, 0.5])
    labels = []
    monkeypatch.setattr(
        figures.Axes, "legend", lambda axes, **_: labels.extend(axes.get_legend_handles_labels()[1])
    )
    figures.curves()
    assert labels.count("plain Laplace filling") == 1  # of random masks: the other has no floor
    assert Image.open(tmp_path / "pretraining-curves.png").width > 1000


def test_nothing_is_gathered_from_nothing(figures, tmp_path):
    with pytest.raises(SystemExit, match="no finished pre-training"):
        figures.collect()
    assert not (tmp_path / "curves.json").exists()


def test_a_picture_is_cut_into_the_parts_it_was_put_together_from(figures, tmp_path):
    page = np.full((2 * (6 + GAP) - GAP, 5 * (8 + GAP) - GAP), 255, np.uint8)
    for row in range(2):
        for column in range(5):
            top, left = row * (6 + GAP), column * (8 + GAP)
            page[top : top + 6, left : left + 8] = 10 * row + column
    Image.fromarray(page).save(tmp_path / "epoch-01.png")
    parts = figures.read_parts(tmp_path / "epoch-01.png")
    assert parts.shape == (2, 5, 6, 8)
    assert np.array_equal(parts[:, :, 0, 0], [[0, 1, 2, 3, 4], [10, 11, 12, 13, 14]])
    assert np.ptp(parts, axis=(2, 3)).max() == 0
