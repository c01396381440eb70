"""From an experiment file to a run's folder, and how runs refer to each other."""

from pathlib import Path

import pytest

from lungscore.errors import InputError
from lungscore.inference.bundle import sha256
from lungscore.learning import run as run_module
from lungscore.learning.checkpoints import read_facts
from lungscore.learning.config import RunReference
from lungscore.learning.experiment_file import at, referred, run_folder
from lungscore.learning.run import run_experiment
from lungscore.version import commit
from tests.learning.tiny_training import U_NET, experiment, lesion_experiment, slices

ONCE = {"network": U_NET, "epochs": 1, "slices_per_epoch": 2, "data": {"healthy": None}}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes an experiment file in the working folder; slices are synthetic."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LUNGSCORE_DATA", str(tmp_path))
    monkeypatch.setattr(run_module, "training_slices", lambda config, root: slices(2))
    monkeypatch.setattr(run_module, "unlabelled_slices", lambda config, root: slices(2))

    def write(config) -> Path:
        (tmp_path / f"{config.name}.yaml").write_text(config.model_dump_json())
        return tmp_path / f"{config.name}.yaml"

    return write


def rejected(code: str, *args, **options) -> InputError:
    """The error with which an experiment is refused."""
    with pytest.raises(InputError) as caught:
        run_experiment(*args, **options)
    assert caught.value.code == code
    return caught.value


@pytest.mark.parametrize(
    ("fold", "seed", "folder"),
    [(None, 0, "all-seed0"), (0, 0, "fold0-seed0"), (3, 7, "fold3-seed7")],
)
def test_every_fold_and_seed_has_a_folder(fold, seed, folder):
    config = experiment("resnet18").at(fold=fold, seed=seed)
    assert run_folder(config) == Path("runs/test") / folder


def test_a_fold_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="fold 5 of 5") as caught:
        at(experiment("resnet18"), fold=5, seed=None)
    assert caught.value.code == "config-invalid"


def test_a_reference_means_the_same_fold_and_seed_unless_it_says_otherwise(write):
    path = write(experiment("resnet18", name="other"))
    config = experiment("resnet18").at(fold=2, seed=5)

    def meant(fold=None, **reference) -> str:
        named = RunReference(experiment="other", **reference)
        return run_folder(referred(named, config, path.with_name("one.yaml"), fold=fold)).name

    assert meant() == "fold2-seed5"
    assert meant(seed=0) == "fold2-seed0"
    assert meant(folds=False) == "all-seed5"
    assert meant(fold=4) == "fold4-seed5"


def test_a_run_lies_where_its_fold_and_seed_say_or_where_told(write, tmp_path):
    file, said = write(experiment(**ONCE)), []
    assert run_experiment(file, fold=1, seed=2, report=said.append) == Path("runs/test/fold1-seed2")
    assert "2 labelled and 0 healthy slices" in said[0]
    assert "epoch 1/1" in said[1]
    assert "about 0 min left" in said[1]
    run_experiment(file, tmp_path / "mine")
    for folder in (tmp_path / "runs/test/fold1-seed2", tmp_path / "mine"):
        files = sorted(path.name for path in folder.iterdir())
        assert files == ["log.csv", "tensorboard", "weights.safetensors"]


def test_a_finished_run_is_left_alone_when_resumed(write, monkeypatch):
    file = write(experiment(**ONCE))
    folder = run_experiment(file)
    monkeypatch.delenv("LUNGSCORE_DATA")
    assert run_experiment(file, resume=True) == folder


def test_pretraining_and_what_starts_from_it(write):
    file = write(experiment(**ONCE, name="pre", pretraining={"coach_width": 8}))
    start = {"experiment": "pre", "seed": 0}
    after = write(experiment(**{**ONCE, "network": {**U_NET, "start": start}}, name="after"))
    error = rejected("run-missing", after, fold=1, seed=3)
    assert "pre/fold1-seed0" in error.message
    run_experiment(file, fold=1)
    weights = run_experiment(after, fold=1, seed=3) / "weights.safetensors"
    facts = read_facts(weights)
    assert facts["built_on"] == {
        "pre/fold1-seed0": sha256(Path("runs/pre/fold1-seed0/weights.safetensors"))
    }
    assert facts["commit"] == commit()
    assert "built_on" not in read_facts(Path("runs/pre/fold1-seed0/weights.safetensors"))


def test_missing_encoder_weights_are_named(write):
    file = write(experiment("resnet18", network={"encoder_weights": "imagenet"}))
    assert "imagenet" in rejected("dataset-incomplete", file).message


@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_lesions_train_with_predicted_priors_and_in_the_paper_recipe_without(
    write, monkeypatch, recipe
):
    given = []
    monkeypatch.setattr(run_module, "train", lambda config, **options: given.append(options))
    monkeypatch.setattr(run_module, "priors_of_training", lambda config, file: {"a": file.name})
    monkeypatch.setattr(run_module, "built_on", lambda config, file: [])
    config = lesion_experiment(
        network={**U_NET, "name": "multi-inf-net"}, recipe=recipe
    ).model_copy(update={"data": experiment("resnet18", **ONCE).data})
    config = config.model_copy(
        update={"data": config.data.model_copy(update={"priors": RunReference(experiment="x")})}
    )
    run_experiment(write(config))
    assert given[0]["priors"] == (None if recipe == "paper" else {"a": "test.yaml"})
