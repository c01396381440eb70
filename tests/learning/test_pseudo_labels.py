"""Semi-Inf-Net in miniature: two groups of four slices of 64 × 96 pixels, built here."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from lungscore.datasets import covid_semiseg
from lungscore.errors import InputError
from lungscore.learning import pseudo_labels
from lungscore.learning import train as train_module
from lungscore.learning.checkpoints import load_weights
from lungscore.learning.experiment_file import load_experiment
from lungscore.learning.pseudo_labels import pseudo_labelled, split
from lungscore.learning.run import run_experiment
from lungscore.learning.selection import annotated_folds
from lungscore.learning.slices import SliceStore
from lungscore.networks import InfectionProbability, make_network
from tests.learning.tiny_training import NO_AUGMENTATION

DOCTORS = "TrainingSet/LungInfection-Train/Doctor-label"
CLASSES = "TrainingSet/MultiClassInfection-Train/GT"
UNLABELLED = "TrainingSet/LungInfection-Train/Pseudo-label/Imgs"

pytestmark = pytest.mark.usefixtures("one_thread")


class StoppedError(Exception):
    """Stands for whatever ends a training early."""


def stop_after(epoch: int):
    """A report that ends the training behind ``epoch``."""

    def report(line: str) -> None:
        if f"epoch {epoch}/" in line:
            raise StoppedError

    return report


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A working folder beside six annotated and nine unlabelled slices, and the experiments."""
    root = tmp_path / "data" / "covid-semiseg"
    for index in range(15):
        rng = np.random.default_rng(index)
        image = rng.integers(0, 60, (80, 60)).astype(np.uint8)  # stored transposed
        lesions = np.zeros(image.shape, np.uint8)
        lesions[10 + 2 * index : 40 + 2 * index, 20:45] = 1
        image[lesions > 0] += 150
        if index < 6:
            save(root / DOCTORS / "Imgs" / f"{index}.png", image)
            save(root / DOCTORS / "GT" / f"{index}.png", np.uint8(255) * lesions)
            save(root / CLASSES / f"{index}.png", lesions)
        else:
            save(root / UNLABELLED / f"volume_{index}.png", image)
    monkeypatch.setenv("LUNGSCORE_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    training = {"epochs": 1, "slices_per_epoch": 4, "batch_size": 2, "precision": "32-true"}
    base = {
        "network": {"name": "u-net", "base_width": 4},
        "input": {"height": 64, "width": 96},
        "data": {"folds": 3, "fold": 1},
        "training": training,
    }
    write("base", **base)
    write("supervised", extends="base.yaml")
    write(
        "labels",
        extends="base.yaml",
        network={"start": {"experiment": "supervised"}},
        training={"epochs": 2, "slices_per_epoch": 6},
        pseudo_labelling={"groups": 2, "group_slices": 4},
    )
    write(
        "stage",
        extends="base.yaml",
        data={"infected": [], "pseudo_labels": {"experiment": "labels", "seed": 0}},
    )
    write("semi", extends="base.yaml", network={"start": {"experiment": "stage"}})
    return tmp_path


def write(name: str, **values) -> Path:
    """An experiment file in the working folder."""
    path = Path(f"{name}.yaml")
    path.write_text(yaml.safe_dump({**values, "name": name}))
    return path


def run(name: str, **options) -> Path:
    return run_experiment(Path(f"{name}.yaml"), **options)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    network = make_network("u-net", base_width=4)
    load_weights(network, folder / "weights.safetensors")
    return network.state_dict()


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "pseudo-labels").iterdir()}


def rejected(code: str, function, *args, **options) -> str:
    """The message with which ``function`` refuses."""
    with pytest.raises(InputError) as caught:
        function(*args, **options)
    assert caught.value.code == code
    return caught.value.message


@pytest.fixture
def drawn(monkeypatch):
    """Which slices every store was made of, and how many were in the store of every batch."""
    seen: dict[str, list] = {"samples": [], "sizes": []}
    make, batch = SliceStore.__init__, SliceStore.batch

    def init(self, samples, config, **options):
        seen["samples"] += samples
        make(self, samples, config, **options)

    def draw(self, indices, config, rng, device):
        seen["sizes"].append(len(self))
        return batch(self, indices, config, rng, device)

    monkeypatch.setattr(SliceStore, "__init__", init)
    monkeypatch.setattr(SliceStore, "batch", draw)
    return seen


@pytest.mark.slow
def test_the_three_stages_run_one_after_the_other_and_no_held_out_slice_trains(workspace, drawn):
    for name in ("supervised", "labels", "stage", "semi"):
        assert run(name) == Path("runs") / name / "fold1-seed0"
    held_out = {name for name, fold in annotated_folds(3).items() if fold == 1}
    assert len(held_out) == 2
    names = {sample.name for sample in drawn["samples"]}
    assert not names & held_out
    assert len(names) == 4 + 8
    before, after = weights(Path("runs/stage/fold1-seed0")), weights(Path("runs/semi/fold1-seed0"))
    assert any(not torch.equal(before[key], after[key]) for key in before)


def test_each_round_adds_a_group_whose_label_is_the_network_as_it_stood(workspace, drawn):
    run("supervised")
    drawn["sizes"].clear()
    folder = run("labels")
    # Six slices in batches of two; four annotated slices, then a group of four a round.
    assert drawn["sizes"] == [8] * 3 + [12] * 3
    groups = split(load_experiment(Path("labels.yaml")), [f"volume_{i}" for i in range(6, 15)])
    assert [len(group) for group in groups] == [4, 4]
    assert sorted(pictures(folder)) == sorted(f"{name}.png" for group in groups for name in group)
    config = load_experiment(Path("supervised.yaml"))
    network = InfectionProbability(make_network("u-net", base_width=4))
    network.network.load_state_dict(weights(Path("runs/supervised/fold1-seed0")))
    samples = covid_semiseg.load_unlabelled(workspace / "data" / "covid-semiseg", groups[0])
    for sample, probs in zip(
        samples, pseudo_labels.predict(network.eval(), samples, config), strict=True
    ):
        picture = np.asarray(Image.open(folder / "pseudo-labels" / f"{sample.name}.png"))
        assert picture.shape == sample.image.shape
        np.testing.assert_allclose(picture / 255, probs[0], atol=0.5001 / 255)


@pytest.mark.parametrize("broken", [False, True], ids=["between rounds", "within a round"])
@pytest.mark.slow
def test_a_stopped_and_resumed_labelling_ends_with_the_same_labels_and_weights(
    workspace, monkeypatch, broken
):
    run("supervised")
    whole = run("labels", out=Path("whole"))
    if broken:
        # The second group is half written when the light goes out.
        write_maps, rounds = pseudo_labels.write_maps, []

        def stop(folder, maps):
            rounds.append(1)
            write_maps(folder, maps if len(rounds) == 1 else [next(iter(maps))])
            if len(rounds) == 2:
                raise StoppedError

        with monkeypatch.context() as patch:
            patch.setattr(pseudo_labels, "write_maps", stop)
            with pytest.raises(StoppedError):
                run("labels", out=Path("parts"))
        assert len(pictures(Path("parts"))) == 5
    else:
        with pytest.raises(StoppedError):
            run("labels", out=Path("parts"), report=stop_after(1))
        assert len(pictures(Path("parts"))) == 4
    parts = run("labels", out=Path("parts"), resume=True)
    assert pictures(whole) == pictures(parts)
    expected, resumed = weights(whole), weights(parts)
    assert all(torch.equal(expected[key], resumed[key]) for key in expected)


def test_the_rate_is_constant_and_the_optimiser_fresh_every_round(workspace, monkeypatch):
    steps, rates = [], []
    optimise = train_module.optimise

    def spy(fabric, network, optimizer, loss, **clip):
        value = optimise(fabric, network, optimizer, loss, **clip)
        steps.append(int(next(iter(optimizer.optimizer.state.values()))["step"]))
        rates.append(optimizer.param_groups[0]["lr"])
        return value

    run("supervised")
    monkeypatch.setattr(train_module, "optimise", spy)
    run("labels")
    assert steps == [1, 2, 3, 1, 2, 3]
    assert set(rates) == {1e-3}


def test_soft_labels_reach_the_loss_soft_and_annotated_ones_hard(workspace, monkeypatch):
    truths = []
    loss = train_module.infection_loss

    def spy(output, truth, edge, **options):
        truths.append((truth, edge))
        return loss(output, truth, edge, **options)

    run("supervised")
    run("labels")
    monkeypatch.setattr(train_module, "infection_loss", spy)
    run("stage")
    assert all(((0 < truth) & (truth < 1)).any() for truth, _ in truths)
    assert all(set(edge.unique().tolist()) <= {0, 1} for _, edge in truths)
    truths.clear()
    run("semi")
    assert all(set(truth.unique().tolist()) == {0, 1} for truth, _ in truths)


def test_labels_of_a_run_come_back_as_its_pictures_say(workspace):
    run("supervised")
    folder = run("labels")
    samples = pseudo_labelled(
        load_experiment(Path("stage.yaml")), Path("stage.yaml"), workspace / "data"
    )
    assert len(samples) == 8
    for sample in samples:
        picture = np.asarray(Image.open(folder / "pseudo-labels" / f"{sample.name}.png"))
        np.testing.assert_array_equal(sample.soft, picture)
        np.testing.assert_array_equal(sample.infection, picture >= 128)


def test_runs_that_are_not_there_are_named(workspace):
    assert "supervised" in rejected("run-missing", run, "labels")
    assert "labels/fold1-seed0" in rejected("run-missing", run, "stage")
    run("supervised")
    with pytest.raises(StoppedError):
        run("labels", report=stop_after(1))
    assert "not finished" in rejected("run-missing", run, "stage")
    assert "stage" in rejected("run-missing", run, "semi")


def test_a_label_that_is_gone_or_of_another_size_is_named(workspace):
    run("supervised")
    with pytest.raises(StoppedError):
        run("labels", report=stop_after(1))
    first = sorted(Path("runs/labels/fold1-seed0/pseudo-labels").iterdir())[0]
    first.unlink()
    # The network that made it is gone: it cannot be made again.
    assert first.stem in rejected("run-missing", run, "labels", resume=True)
    save(first, np.zeros((3, 3), np.uint8))
    assert first.stem in rejected("label-invalid", run, "labels", resume=True)


def test_more_groups_than_slices_are_refused(workspace):
    text = Path("labels.yaml").read_text().replace("group_slices: 4", "group_slices: 5")
    Path("labels.yaml").write_text(text)
    run("supervised")
    assert "need 10, there are 9" in rejected("config-invalid", run, "labels")


def test_the_published_recipe_stretches_every_label_to_its_own_range(workspace):
    text = Path("labels.yaml").read_text().replace("slices_per_epoch: 6", "recipe: paper")
    Path("labels.yaml").write_text(text)
    run("supervised")
    folder = run("labels")
    for path in (folder / "pseudo-labels").iterdir():
        picture = np.asarray(Image.open(path))
        assert (picture.min(), picture.max()) == (0, 255)


def test_passes_grow_with_the_set(workspace, drawn):
    text = (
        Path("labels.yaml").read_text().replace("group_slices: 4", "group_slices: 4\n  passes: 1")
    )
    Path("labels.yaml").write_text(text)
    run("supervised")
    drawn["sizes"].clear()
    run("labels")
    assert drawn["sizes"] == [8] * 4 + [12] * 6


def test_annotated_slices_are_drawn_as_they_were_without_soft_ones_beside_them(workspace):
    config = load_experiment(Path("base.yaml"))
    config = config.model_copy(update={"augmentation": NO_AUGMENTATION})
    samples = covid_semiseg.load(workspace / "data" / "covid-semiseg", "train")[:2]
    soft = pseudo_labels.with_soft_labels(samples[0], np.full(samples[0].image.shape, 77, np.uint8))
    alone, both = (SliceStore(chosen, config) for chosen in (samples, [*samples, soft]))
    indices = np.arange(2)
    batch = alone.batch(indices, config, np.random.default_rng(0))
    batch_of_both = both.batch(indices, config, np.random.default_rng(0))
    assert all(torch.equal(a, b) for a, b in zip(batch, batch_of_both, strict=True))
    assert set(batch.target.unique().tolist()) == {0, 1}
    target = both.batch(np.array([2]), config, np.random.default_rng(0)).target
    assert target.unique().numpy() == pytest.approx(77 / 255, abs=1e-3)


@pytest.mark.usefixtures("workspace")
def test_labels_are_made_in_the_precision_of_the_training():
    half = {"epochs": 2, "slices_per_epoch": 6, "precision": "bf16-mixed"}
    file = write("half", extends="labels.yaml", training=half)
    run_experiment(Path("supervised.yaml"))
    folders = [run_experiment(experiment) for experiment in (Path("labels.yaml"), file)]
    first = [sorted((folder / "pseudo-labels").iterdir())[0] for folder in folders]
    exact, rounded = (np.asarray(Image.open(path), np.int16) for path in first)
    assert first[0].name == first[1].name
    assert 0 < np.abs(exact - rounded).max() <= 16
