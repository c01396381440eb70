"""Rows start from the weights that were measured, or are refused."""

import pytest
import torch
from torch import nn

from lungscore.benchmark.plan import in_order, runs_of
from lungscore.benchmark.provenance import check_weights
from lungscore.benchmark.rows import load_rows
from lungscore.errors import InputError
from lungscore.learning.checkpoints import save_weights
from lungscore.learning.provenance import built_on, sums_of
from tests.benchmark.tiny_benchmark import result, write_folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A comparison of few rows, in a working folder without runs."""
    monkeypatch.chdir(tmp_path)
    return write_folder(tmp_path / "experiments" / "tiny")


def runs(folder, row):
    return runs_of(load_rows(folder).row(row), folder)[:1]


def train(run, **facts):
    """Weights as a training leaves them, from what there is."""
    torch.manual_seed(len(facts))
    run.folder.mkdir(parents=True, exist_ok=True)
    said = {"built_on": sums_of(built_on(run.config, run.file))} | facts
    save_weights(nn.Linear(2, 2), run.folder / "weights.safetensors", **said)


def trained(folder, row):
    for run in in_order(runs(folder, row)):
        train(run)
    return runs(folder, row)


def stored(row, run):
    """A result whose networks are those that lie there."""
    made = result(row, 0.7)
    made["runs"][0]["weights_sha256"] = sums_of([run.folder])[run.name]
    return {row: made}


def code(last, results):
    with pytest.raises(InputError) as caught:
        check_weights(last, results)
    assert caught.value.code == "weights-differ"
    return caught.value.message


def test_a_row_from_the_weights_that_lie_there_and_were_measured_passes(folder):
    last = trained(folder, "semi")
    check_weights(last, {})
    (teacher,) = runs(folder, "supervised")
    check_weights(last, stored("supervised", teacher))


def test_a_teacher_that_was_trained_again_since_is_noticed_two_steps_away(folder):
    last = trained(folder, "semi")
    (teacher,) = runs(folder, "supervised")
    train(teacher, more="other weights")
    assert "labels/fold0-seed0 was trained from other weights of supervised/fold0-seed0" in code(
        last, {}
    )


def test_a_teacher_whose_stored_result_is_of_other_weights_is_noticed(folder):
    last = trained(folder, "semi")
    assert "not those whose result is stored" in code(last, {"supervised": result("supervised", 1)})


def test_weights_that_do_not_say_what_they_started_from_are_refused(folder):
    last = trained(folder, "semi")
    (run,) = last
    train(run, built_on={})
    assert "does not say from which weights of labels/fold0-seed0" in code(last, {})


def test_priors_of_every_fold_are_among_what_a_lesion_network_is_built_on(folder):
    (run,) = runs(folder, "lesions")
    names = [path.parent.name + "/" + path.name for path in built_on(run.config, run.file)]
    assert names == ["coach/fold0-seed0", "supervised/fold0-seed0", "supervised/fold1-seed0"]
