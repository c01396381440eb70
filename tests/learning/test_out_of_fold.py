"""Which runs are measured together, and what keeps them from it."""

import pytest

from lungscore.errors import InputError
from lungscore.learning.checkpoints import save_weights
from lungscore.learning.experiment_file import run_folder
from lungscore.learning.out_of_fold import fold_runs, maps_out_of_fold
from lungscore.networks import make_network
from tests.learning.tiny_training import U_NET, experiment, lesion_experiment


def finish(runs, config, **facts) -> None:
    """A finished run of ``config`` below ``runs``."""
    network = make_network("u-net", base_width=4)
    folder = runs / run_folder(config).name
    save_weights(
        network, folder / "weights.safetensors", config=config.model_dump(mode="json"), **facts
    )


def config(**data):
    return experiment(network=U_NET, data={"healthy": None, "folds": 2, **data})


def rejected(code: str, runs, **options) -> str:
    with pytest.raises(InputError) as caught:
        fold_runs(runs, **options)
    assert caught.value.code == code
    return caught.value.message


def test_every_fold_is_read_in_order(tmp_path):
    for fold in (1, 0):
        finish(tmp_path, config(fold=fold), manifests={"a": "1"})
    finish(tmp_path, config())  # on all: is measured elsewhere
    assert [run.config.data.fold for run in fold_runs(tmp_path)] == [0, 1]


def test_a_fold_that_is_not_finished_is_named(tmp_path):
    assert "no finished run of a fold" in rejected("run-missing", tmp_path)
    finish(tmp_path, config(fold=0))
    assert "fold1-seed0" in rejected("run-missing", tmp_path)


def test_of_several_seeds_one_is_chosen(tmp_path):
    for seed in (0, 3):
        for fold in range(2):
            finish(tmp_path, config(fold=fold).at(seed=seed))
    assert "seeds 0, 3" in rejected("run-missing", tmp_path)
    assert {run.config.training.seed for run in fold_runs(tmp_path, seed=3)} == {3}


@pytest.mark.parametrize(
    ("second", "facts"),
    [
        (config(fold=1, slices=3), {"manifests": {"a": "1"}}),
        (config(fold=1), {"manifests": {"a": "2"}}),
    ],
)
def test_folds_of_two_trainings_are_not_measured_together(tmp_path, second, facts):
    finish(tmp_path, config(fold=0), manifests={"a": "1"})
    finish(tmp_path, second, **facts)
    assert "not folds of one experiment" in rejected("checkpoint-mismatch", tmp_path)


def test_networks_for_lesions_are_not_measured_as_infection(tmp_path, small_bundle):
    lesions = lesion_experiment(network={**U_NET, "name": "multi-inf-net"})
    for fold in range(lesions.data.folds):
        finish(tmp_path, lesions.at(fold=fold))
    with pytest.raises(InputError, match="target lesions"):
        list(maps_out_of_fold(fold_runs(tmp_path), small_bundle, tmp_path))
