from pathlib import Path

import pytest
import yaml

from lungscore.errors import InputError
from lungscore.learning.experiment_file import load_experiment

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture
def write(tmp_path):
    """Writes an experiment file and returns its path."""

    def write(text: str, name: str = "one.yaml") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def rejected(path: Path) -> InputError:
    """The error with which ``path`` is refused."""
    with pytest.raises(InputError) as caught:
        load_experiment(path)
    assert caught.value.code == "config-invalid"
    assert path.name in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    "path",
    [
        path
        for folder in ("", "benchmark")
        for path in sorted((EXPERIMENTS / folder).glob("*.yaml"))
        if not path.stem.endswith(".card") and path.stem != "rows"
    ],
    ids=lambda path: path.stem,
)
def test_every_experiment_file_loads_and_is_named_after_itself(path):
    assert load_experiment(path).name == path.stem


def test_a_file_with_a_name_alone_has_every_default(write):
    config = load_experiment(write("name: plain"))
    assert (config.input.height, config.input.width) == (256, 320)
    assert config.training.recipe == "default"


def test_an_unknown_key_is_answered_with_the_nearest_one(write):
    error = rejected(write("name: a\ntraining: {epoch: 3}"))
    assert "training.epoch" in error.message
    assert "'epochs'" in error.message


def test_an_unknown_key_at_the_top_is_answered_too(write):
    assert "'network'" in rejected(write("name: a\nnetworks: {}")).message


def test_a_key_like_no_other_is_answered_with_all_there_are(write):
    assert "Known are name" in rejected(write("name: a\nxyzxyz: 1")).message


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("training: {epochs: many}", "training.epochs"),
        ("training: {epochs: 0}", "training.epochs"),
        ("training: {learning_rate: .nan}", "training.learning_rate"),
        ("training: {weight_decay: .inf}", "training.weight_decay"),
        ("training: 5", "training"),
        ("augmentation: {flip_left_right: 1.5}", "augmentation.flip_left_right"),
        ("input: {window_hu: [150, -1350]}", "input.window_hu"),
        ("input: {window_hu: [1]}", "input.window_hu"),
        ("input: {height: 8}", "input.height"),
        ("data: {infected: [a/b]}", "data.infected"),
        ("data: {infected: []}", "data.infected"),
        ("data: {folds: 5, fold: 5}", "data"),
        ("data: {slices: 0}", "data.slices"),
        ("data: {priors: {experiment: ../x}}", "data.priors.experiment"),
        ("network: {name: w-net}", "network.name"),
        ("network: {base_width: 2}", "network.base_width"),
        ("pretraining: {masks: clever}", "pretraining.masks"),
        ("pretraining: {unlabelled: []}", "pretraining.unlabelled"),
        ("pretraining: {erase: [0.2]}", "pretraining.erase"),
        ("target: lesions", "lesions"),
        ("target: lesions\nnetwork: {name: lesion-inf-net}", "data.priors"),
        ("network: {name: lesion-inf-net}", "target"),
        ("pretraining: {}\npseudo_labelling: {}", "not both"),
        ("network: {encoder: resnet19}", "network.encoder"),
    ],
)
def test_a_wrong_value_is_named_by_its_place(write, text, where):
    assert where in rejected(write(f"name: a\n{text}")).message


def test_an_unknown_encoder_is_answered_with_the_known_ones(write):
    assert "resnet18" in rejected(write("name: a\nnetwork: {encoder: resnet19}")).message


@pytest.mark.parametrize("name", ["", "Has Capitals", "../elsewhere", "a/b"])
def test_a_name_is_fit_for_a_folder(write, name):
    assert "name" in rejected(write(f"name: '{name}'")).message


def test_a_file_extends_another_and_changes_what_it_names(write):
    write("name: base\ntraining: {epochs: 7, seed: 3}\ninput: {height: 64}", "base.yaml")
    config = load_experiment(write("extends: base.yaml\nname: more\ntraining: {epochs: 9}"))
    assert config.name == "more"
    assert (config.training.epochs, config.training.seed) == (9, 3)
    assert config.input.height == 64


def test_a_file_that_extends_itself_is_refused(write):
    assert "extends" in rejected(write("extends: one.yaml\nname: a")).message


@pytest.mark.parametrize("base", ["../base.yaml", "/etc/passwd", "[base.yaml]", "3"])
def test_only_files_beside_it_can_be_extended(write, base):
    assert "same folder" in rejected(write(f"extends: {base}\nname: a")).message


def test_a_key_that_stands_twice_is_refused(write):
    error = rejected(write("name: a\nextends: b.yaml\nextends: c.yaml"))
    assert "'extends' occurs twice" in error.message
    assert "occurs twice" in rejected(write("name: a\ntraining: {seed: 1, seed: 2}")).message


@pytest.mark.parametrize(
    "text", ["- a", "", "a: [", "name: !!python/object:os.system x", "{[]: 1}"]
)
def test_what_is_no_table_is_refused(write, text):
    rejected(write(text))


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "one.yaml").write_bytes(b"\xff\xfe\x00name")
    rejected(tmp_path / "one.yaml")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"No such file: .*none\.yaml") as caught:
        load_experiment(tmp_path / "none.yaml")
    assert caught.value.code == "input-not-found"
    (tmp_path / "one.yaml").write_text("extends: none.yaml")
    with pytest.raises(InputError, match=r"none\.yaml"):
        load_experiment(tmp_path / "one.yaml")


def test_a_configuration_survives_its_own_json(write):
    config = load_experiment(write("name: a\ndata: {fold: 2}"))
    assert type(config).model_validate(config.model_dump(mode="json")) == config
    assert yaml.safe_load(config.model_dump_json())["data"]["fold"] == 2


def test_an_unknown_key_of_a_section_that_may_be_missing_is_answered_too(write):
    error = rejected(write("name: a\npretraining: {mask: coach}"))
    assert "pretraining.mask" in error.message
    assert "'masks'" in error.message


def test_a_share_of_healthy_slices_needs_a_scan_to_take_them_from(write):
    assert "data.healthy" in rejected(write("name: a\ntraining: {healthy_fraction: 0.2}")).message
