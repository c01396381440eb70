"""Timed trainings themselves: what is drawn, the clock, going on, plans and processes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lungscore.learning.timed import predictions, work
from lungscore.learning.timed.pack import (
    HEIGHT,
    HIGHEST_HU,
    LOWEST_HU,
    WIDTH,
    Row,
    picture,
    read_pack,
    write_pack,
)
from lungscore.learning.timed.plan import FOLDS, SPLITS, STAGES, Run, runs
from lungscore.learning.timed.slices import POOLS, SliceStore
from lungscore.learning.timed.training import Pace, TimedTraining, rate
from lungscore.learning.timed.work import Environment, do, levels
from lungscore.learning.timed.workers import Workers
from lungscore.networks import slim_inf_net
from lungscore.networks.slim_inf_net import SlimInfNet

CPU = torch.device("cpu")
PACE = Pace(batch=3, record=False, channels_last=False, bf16=False, steps=2)


@pytest.fixture
def slices(tmp_path):
    """Five annotated slices in two windows, four healthy ones, three without labels, in a pack."""
    rng = np.random.default_rng(0)
    rows, files = [], {}

    def add(name, pool, *, turned=False, classes=None, **facts):
        image = rng.integers(0, 256, (40, 56), np.uint8)
        stem = f"{pool}/{name}"
        lungs = np.zeros((40, 56), bool)
        lungs[8:32, 6:50] = True
        stored = [image, lungs] if classes is None else [image, lungs, classes]
        stored = [np.ascontiguousarray(array.T) if turned else array for array in stored]
        names = [f"{stem}.png", f"{stem}.lungs.png", f"{stem}.classes.png"]
        files.update(zip(names, (picture(array, "PNG") for array in stored), strict=False))
        rows.append(
            Row(
                name,
                pool,
                names[0],
                None if classes is None else names[2],
                names[1],
                turned=turned,
                **facts,
            )
        )
        return image

    classes = np.zeros((40, 56), np.uint8)
    classes[10:20, 10:30], classes[10:15, 10:30] = 1, 2
    images = {name: add(name, "annotated", turned=True, classes=classes) for name in "abcde"}
    for name in "abcde":
        add(name, "other-window", classes=classes)
    for index in range(4):
        half = "cranial" if index < 2 else "caudal"
        add(f"h{index}", "healthy", hu=True, part=half)
    for name in ("u0", "u1"):
        add(name, "unlabelled")
    add("w0", "elsewhere", hu=True)
    write_pack(tmp_path / "slices.zip", rows, files)
    read = read_pack(tmp_path / "slices.zip")
    for name, image in images.items():
        np.testing.assert_array_equal(read.exact[name], image)
        np.testing.assert_array_equal(read.truth[name], classes)
    return read


@pytest.fixture
def environment(slices, tmp_path, tiny, monkeypatch):
    """Everything a run needs, with the smallest encoder, from random weights."""
    monkeypatch.setattr(slim_inf_net, "ENCODERS", slim_inf_net.ENCODERS)
    monkeypatch.setattr(work, "load_imagenet_weights", lambda encoder, path: [])
    monkeypatch.setitem(work.ENCODERS, "tiny", "none")
    folds = (("a",), ("b",), ("c",), ("d",), ("e",))
    return Environment(slices, folds, tmp_path, tmp_path / "runs", CPU, PACE, size=(32, 40))


def names_of(store, slices, pool):
    return [slices.rows[index].name for index in store.by_pool[pool].tolist()]


def test_slices_in_hounsfield_units_are_seen_in_the_window_of_the_network(slices):
    store = SliceStore(slices, CPU)
    index = store.by_pool["healthy"][:1]
    store.maps[index, 0] = 128
    hu = LOWEST_HU + 128 / 255 * (HIGHEST_HU - LOWEST_HU)
    expected = (hu + 1350) / 1500
    torch.testing.assert_close(store.seen(index), torch.full((1, 1, 256, 320), expected))


def test_what_a_split_holds_out_is_not_drawn_in_either_window(slices):
    store = SliceStore(slices, CPU, hold=("b",), healthy_part="caudal", size=(32, 40))
    for pool in ("annotated", "other-window"):
        assert names_of(store, slices, pool) == ["a", "c", "d", "e"]
    assert names_of(store, slices, "healthy") == ["h2", "h3"]
    # Everything that is held out is painted over, and nothing of it shows in many batches.
    held = [i for i in range(len(slices.rows)) if i not in store.members.tolist()]
    assert len(held) == 4
    store.maps[:] = 0
    store.maps[held, 1] = 255
    store.set_shares({"annotated": 0.4, "other-window": 0.3, "healthy": 0.3})
    torch.manual_seed(0)
    assert not any(store.batch(16, synthesis=False).infection.any() for _ in range(5))


def test_shares_say_how_often_a_pool_is_drawn(slices):
    store = SliceStore(slices, CPU, size=(32, 40))
    store.maps[:] = 0
    for level, pool in enumerate(POOLS, start=1):
        store.maps[store.by_pool[pool], 1] = 50 * level if level > 2 else 255
    store.set_shares({"unlabelled": 1.0})
    batch = store.batch(8, synthesis=False)
    assert float(batch.infection.max()) == pytest.approx(200 / 255, abs=0.01)
    with pytest.raises(ValueError, match="no slices"):
        SliceStore(slices, CPU, hold="abcde").set_shares({"annotated": 1.0})


def test_radiologists_labels_stay_hard_and_a_networks_stay_soft(slices):
    torch.manual_seed(0)
    store = SliceStore(slices, CPU, size=(32, 40))
    store.set_shares({"annotated": 1.0})
    assert set(store.batch(8, synthesis=True).infection.unique().tolist()) <= {0.0, 1.0}
    unlabelled = store.unlabelled()
    assert len(unlabelled) == 3
    store.label(unlabelled, torch.full((3, 2, HEIGHT, WIDTH), 0.4))
    store.set_shares({"unlabelled": 1.0})
    soft = store.batch(8, synthesis=False)
    assert float(soft.infection.max()) == pytest.approx(0.4, abs=0.01)
    within = soft.infection > 0.3
    torch.testing.assert_close(
        soft.consolidation[within], torch.full((int(within.sum()),), 0.4), atol=0.02, rtol=0
    )


@pytest.mark.parametrize("split", SPLITS)
def test_whoever_labels_a_slice_held_out_what_its_pupil_holds_out(split, environment):
    planned = {run.name: run for stage in STAGES for run in runs(stage, splits=[split], seeds=2)}
    assert planned
    for run in planned.values():
        for arm in run.teachers:
            teacher = planned[f"{arm}-{run.split}"]
            assert teacher.split == split
            assert STAGES.index(teacher.stage) < STAGES.index(run.stage)
            assert work.held_out(teacher, environment) == work.held_out(run, environment)
    held = work.held_out(Run("teachers", "x", split), environment)
    assert held == (environment.folds[FOLDS.index(split)] if split in FOLDS else ())


@pytest.mark.slow
def test_a_student_learns_from_its_teacher_and_keeps_what_it_found(environment):
    teacher = Run("teachers", "teacher", "fold1", "tiny")
    student = Run("students", "student", "fold1", "tiny", teachers=("teacher",))
    assert do(teacher, environment, 5)["labelled"] is False
    told = do(student, environment, 5)
    assert told["labelled"] is True
    assert told["steps"] == 2
    folder = environment.folder / student.name
    with np.load(folder / work.MAPS) as maps:
        assert maps["names"].tolist() == ["b"]
        assert maps["single"].shape == maps["views"].shape == (1, 2, 32, 40)
    assert not (folder / work.CHECKPOINT).exists()
    # A finished run is not trained again.
    before = (folder / work.WEIGHTS).read_bytes()
    assert do(student, environment, 5) == json.loads((folder / work.FACTS).read_text())
    assert (folder / work.WEIGHTS).read_bytes() == before


def test_maps_are_kept_on_their_side_of_one_half():
    probabilities = np.array([0.0, 0.4999, 0.5, 1.0])
    assert levels(probabilities).tolist() == [0, 127, 128, 255]


def tiny_training(slices, **settings):
    store = SliceStore(slices, CPU, size=(32, 40))
    store.set_shares({"annotated": 0.5, "healthy": 0.5})
    torch.manual_seed(0)
    pace = Pace(batch=2, record=False, channels_last=True, bf16=False, **settings)
    return TimedTraining(SlimInfNet("tiny"), store, pace, synthesis=True)


def test_a_stopped_training_goes_on_where_it_was(slices, tiny, tmp_path):
    first = tiny_training(slices, steps=3)
    average = first.run(100.0)
    first.save(tmp_path / "checkpoint.safetensors")
    second = tiny_training(slices, steps=5)
    second.resume(tmp_path / "checkpoint.safetensors")
    assert second.done == 3
    for name, value in average.state_dict().items():
        torch.testing.assert_close(second.average.state_dict()[name], value)
    moments = list(second.optimizer.state.values())
    assert all(float(state["step"]) == 3 for state in moments)
    second.run(100.0)
    assert second.done == 5


@pytest.mark.slow
def test_a_short_training_forgets_its_first_weights(slices, tiny):
    training = tiny_training(slices, steps=30)
    with torch.no_grad():
        for value in training.average.state_dict().values():
            if value.is_floating_point():
                value += 1000
    average = training.run(100.0).state_dict()
    for name, value in training.network.state_dict().items():
        if value.is_floating_point():
            assert float((average[name] - value).abs().max()) < 1, name


def test_the_clock_ends_a_training(slices, tiny):
    training = tiny_training(slices)
    training.run(0.5)
    assert training.done >= 1
    assert training.spent >= 0.5


def test_the_average_follows_weights_and_statistics(slices, tiny):
    training = tiny_training(slices, steps=2)
    before = {k: v.clone() for k, v in training.average.state_dict().items()}
    training.run(100.0)
    after = training.average.state_dict()
    moved = [k for k, v in before.items() if v.is_floating_point() and not torch.equal(v, after[k])]
    assert any(k.endswith("running_mean") for k in moved)
    assert any(k.startswith("encoder") for k in moved)
    assert any(k.startswith("finer") for k in moved)


def test_a_loss_that_is_no_number_ends_a_training(slices, tiny):
    training = tiny_training(slices, steps=50)
    training.loss = lambda output, infection, consolidation: (
        output.consolidation.sum() * float("nan")
    )
    with pytest.raises(FloatingPointError, match="mean loss"):
        training.run(0.5)


def test_the_rate_climbs_and_falls():
    shares = [rate(progress) for progress in np.linspace(0, 1, 101)]
    assert max(shares) == pytest.approx(1.0, abs=0.01)
    peak = int(np.argmax(shares))
    assert 5 <= peak <= 10
    assert all(np.diff(shares[peak:]) <= 0)
    assert shares[-1] == pytest.approx(0.01, abs=1e-6)


def test_wider_views_are_laid_back_where_they_were():
    class Echo(torch.nn.Module):
        """Says that what is bright is infected."""

        def forward(self, grey):
            return torch.cat([grey, grey], dim=1)

    y, x = np.mgrid[:64, :80]
    image = (127 + 100 * np.sin(x / 9) * np.cos(y / 7)).astype(np.uint8)
    single, views = predictions.of_annotated(
        Echo(), SimpleNamespace(exact={"a": image}), ["a"], CPU, size=(64, 80)
    )
    inner = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(single[0, 0], image / 255, atol=1e-6)
    np.testing.assert_allclose(views[inner], single[inner], atol=0.02)


def prepared(setting):
    return setting


def doubled_or_broken(prepared, piece):
    if piece == "raise":
        raise ValueError("this piece is broken")
    if piece == "die":
        if not Path(prepared).exists():
            Path(prepared).touch()
            os._exit(3)
        return "lived"
    return piece * 2


@pytest.mark.slow
def test_processes_share_the_work_and_survive_a_death(tmp_path):
    workers = Workers(2, prepared, doubled_or_broken, str(tmp_path / "died"))
    try:
        assert workers.ready(120) == 2
        workers.begin([5])
        results = dict(workers.do([1, 2, "die", "raise", 3]))
        workers.finish(60)
        assert workers.idle() == 2
    finally:
        workers.end()
    assert (results[1], results[2], results[3], results["die"]) == (2, 4, 6, "lived")
    assert "this piece is broken" in str(results["raise"])


@pytest.mark.slow
def test_torch_numpy_pillow_and_safetensors_are_enough():
    blocked = ("pydantic", "lightning_fabric", "scipy", "nibabel", "pydicom", "onnx", "openvino")
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked!r}))\n"
        "from lungscore.learning.timed import encoders, today, work, workers"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


@pytest.mark.parametrize("encoder", ["resnet10", "resnet18"])
def test_students_may_have_the_encoder_that_ships(encoder, slices, tmp_path):
    weights = Path(os.environ.get("LUNGSCORE_DATA", "")) / "resnet18-imagenet-partial"
    if not weights.is_dir():
        pytest.skip("needs resnet18-imagenet-partial in LUNGSCORE_DATA")
    (tmp_path / "resnet18-imagenet-partial").symlink_to(weights)
    folds = (("a",), ("b",), ("c",), ("d",), ("e",))
    place = Environment(slices, folds, tmp_path, tmp_path / "runs", CPU, PACE, size=(32, 40))
    run = Run("students", "student", "fold0", encoder)
    network = work.new_network(run, place, SliceStore(slices, CPU, size=(32, 40)))
    expected = torch.from_numpy(np.load(next(weights.glob("layer1.0.conv1.weight.npy"))))
    kernel = network.encoder.layer1[0].conv1.weight
    assert kernel.shape == expected.shape
    assert torch.allclose(kernel, expected)
