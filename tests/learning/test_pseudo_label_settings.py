"""Pseudo-labels as an experiment asks for them: groups, what a schedule costs, what is refused."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from lungscore.errors import InputError
from lungscore.learning.config import ExperimentConfig
from lungscore.learning.experiment_file import load_experiment, run_folder
from lungscore.learning.pseudo_labels import drawn_slices, split, stretched

EXPERIMENTS = Path(__file__).parents[2] / "experiments" / "benchmark"


def rejected(function, *arguments) -> str:
    """The message with which ``function`` refuses a configuration."""
    with pytest.raises(InputError) as caught:
        function(*arguments)
    assert caught.value.code == "config-invalid"
    return caught.value.message


def test_a_constant_map_is_not_stretched():
    np.testing.assert_array_equal(stretched(np.full((1, 3, 3), 0.2)), np.full((1, 3, 3), 0.2))
    result = stretched(np.array([[[0.2, 0.3, 0.6]]]))
    np.testing.assert_allclose(result, [[[0, 0.25, 1]]])


def test_groups_are_a_seeded_shuffle_that_takes_no_slice_twice():
    config = load_experiment(EXPERIMENTS / "semi-inf-net-labels.yaml")
    names = [f"{index:04d}" for index in range(1600)]
    groups = split(config, names)
    assert [len(group) for group in groups] == [200] * 8
    assert sorted(name for group in groups for name in group) == names
    assert split(config, names[::-1]) == groups
    assert split(config.at(seed=1), names) != groups


@pytest.mark.parametrize(
    ("name", "annotated", "slices"),
    [
        ("semi-inf-net-labels", 40, 8 * 160),
        # 9 passes over 50 + 5, 50 + 10, … 50 + 1600 slices.
        ("semi-inf-net-paper-labels", 50, 2_455_200),
    ],
)
def test_what_a_schedule_costs_in_slices(name, annotated, slices):
    assert drawn_slices(load_experiment(EXPERIMENTS / f"{name}.yaml"), annotated) == slices


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"training": {"epochs": 3}}, "training.epochs"),
        ({"network": {}}, "network.start"),
        ({"data": {"healthy": "somebody"}}, "data.healthy"),
        ({"pretraining": {}}, "not both"),
    ],
)
def test_an_experiment_that_cannot_label_is_refused(tmp_path, change, named):
    path = tmp_path / "one.yaml"
    values = {
        "name": "one",
        "network": {"start": {"experiment": "supervised"}},
        "training": {"epochs": 8},
        "pseudo_labelling": {},
    }
    path.write_text(yaml.safe_dump(values))
    load_experiment(path)
    path.write_text(yaml.safe_dump(values | change))
    assert named in rejected(load_experiment, path)


def test_an_experiment_without_the_section_makes_no_labels():
    assert "pseudo_labelling" in rejected(split, ExperimentConfig(name="x"), [])


def test_no_annotated_slices_are_fine_only_with_pseudo_labels():
    with pytest.raises(ValueError, match=r"data\.infected"):
        ExperimentConfig.model_validate({"name": "x", "data": {"infected": []}})
    stage = load_experiment(EXPERIMENTS / "semi-inf-net-stage.yaml")
    assert stage.data.infected == ()
    assert run_folder(stage.at(fold=2)) == Path("runs/semi-inf-net-stage/fold2-seed0")
