"""Slices of one's own manifests as training sees them, and what its folds hold out."""

import numpy as np
import pytest

from lungscore.anatomy import find_lungs
from lungscore.datasets.sample import Sample
from lungscore.errors import InputError
from lungscore.inference.views import views_with_lungs
from lungscore.learning import selection
from lungscore.learning.labelled_slices import held_out, manifest_sums, own_slices
from lungscore.learning.selection import healthy_slices, held_out_slices, training_slices
from lungscore.learning.slices import SliceStore, epoch_indices
from tests.datasets.own_data import (
    INDEX,
    manifest,
    picture,
    save,
    save_mask,
    save_slice,
    save_volume,
)
from tests.learning.tiny_training import experiment

OWN = {"infected": ["mine"], "healthy": None}


@pytest.fixture
def root(tmp_path):
    """The folder of data, with room for manifests and what they name."""
    (tmp_path / "manifests").mkdir()
    return tmp_path


@pytest.fixture
def ill(small_phantom):
    return small_phantom("moderate")


@pytest.fixture
def healthy(small_phantom):
    return small_phantom("healthy")


def write(root, *rows, name="mine"):
    return manifest(root / "manifests" / f"{name}.csv", *rows)


def rejected(code: str, config, root) -> str:
    """The message with which the slices are refused."""
    with pytest.raises(InputError) as caught:
        own_slices(config, root, "train")
    assert caught.value.code == code, caught.value.message
    return caught.value.message


def test_a_volume_gives_the_views_of_its_slices_with_their_labels(root, ill):
    save_volume(root / "manifests", "v", ill)
    write(
        root,
        {
            "image": "images/v.nii.gz",
            "mask": "masks/v.nii.gz",
            "labels": "classes",
            "first_slice": "3",
            "last_slice": "12",
            "weight": "2",
        },
    )
    samples = own_slices(experiment("resnet18", data=OWN), root, "train")
    views = [v for v in views_with_lungs(ill.scan, find_lungs(ill.scan)) if 3 <= v.index <= 12]
    assert [s.name for s in samples] == [f"case-0-{v.index:03d}" for v in views]
    for sample, view in zip(samples, views, strict=True):
        np.testing.assert_array_equal(sample.image, view.cut(ill.scan))
        np.testing.assert_array_equal(sample.lesions, view.cut_labels(ill.lesions))
        np.testing.assert_array_equal(sample.infection, sample.lesions > 0)
        assert (sample.source, sample.patient, sample.weight) == ("ours", "patient-0", 2)
    assert any(sample.infection.any() for sample in samples)


def test_a_picture_gives_one_slice_and_given_lungs_are_its_box(root, ill):
    folder = root / "manifests"
    save_slice(folder, "0", ill)
    lungs = np.zeros_like(picture(ill))
    lungs[30:50, 20:60] = 255
    save(folder / "lungs" / "0.png", lungs)
    write(root, {"lungs": "lungs/0.png"})
    (sample,) = own_slices(experiment("resnet18", data=OWN), root, "train")
    assert sample.name == "case-0"
    assert sample.lesions is None
    assert sample.image.dtype == np.uint8
    height, width = sample.image.shape
    assert (height, width) < picture(ill).shape
    assert 20 <= height <= 24
    assert 40 <= width <= 48


def test_slices_without_infection_are_healthy_ones(root, ill, healthy):
    folder = root / "manifests"
    save_slice(folder, "0", ill)
    save(folder / "images" / "1.png", picture(healthy))
    write(root, {}, {"mask": "", "negative": "yes"})
    config = experiment("resnet18", data=OWN)
    assert [s.name for s in training_slices(config, root)] == ["case-0"]
    assert [s.name for s in healthy_slices(config, root)] == ["case-1"]


def test_every_patient_is_held_out_once_and_never_trains_then(root, ill, healthy):
    folder = root / "manifests"
    rows = []
    for number in range(8):
        shown = ill if number < 6 else healthy
        save(folder / "images" / f"{number}.png", picture(shown, 5 + number % 6))
        marked = 255 * (ill.lesions[5 + number % 6] > 0)
        save(folder / "masks" / f"{number}.png", marked.astype(np.uint8))
        row = {"patient": f"p{number // 2}"}
        rows.append(row if number < 6 else {**row, "mask": "", "negative": "yes"})
    rows.append({**rows[0], "image": "images/8.png", "mask": "masks/8.png", "group": "test"})
    rows[-1]["patient"] = "somebody else"
    save(folder / "images" / "8.png", picture(ill, 11))
    save(folder / "masks" / "8.png", (255 * (ill.lesions[9] > 0)).astype(np.uint8))
    write(root, *rows)
    config = experiment("resnet18", data={**OWN, "folds": 2})
    seen = []
    for fold in range(2):
        at = config.at(fold=fold)
        out = held_out_slices(at, root)
        train = training_slices(at, root) + healthy_slices(at, root)
        assert out
        assert not {s.patient for s in out} & {s.patient for s in train}
        assert len(out) + len(train) == 8
        assert training_slices(at, root)
        seen += [s.name for s in out]
    assert sorted(seen) == [f"case-{number}" for number in range(8)]
    with pytest.raises(InputError, match="5 folds of 3 patients with infection") as caught:
        held_out_slices(experiment("resnet18", data={**OWN, "fold": 0}), root)
    assert caught.value.code == "config-invalid"


def test_a_limit_counts_ones_own_slices(root, ill):
    for number in range(4):
        save_slice(root / "manifests", f"{number}", ill, 7 + number)
    write(root, {}, {}, {}, {})
    fewer, more = (
        {s.name for s in training_slices(experiment("resnet18", data={**OWN, "slices": n}), root)}
        for n in (1, 3)
    )
    assert (len(fewer), len(more)) == (1, 3)
    assert fewer < more


def test_public_slices_and_ones_own_train_together(root, ill, monkeypatch):
    save_slice(root / "manifests", "0", ill)
    write(root, {})
    nothing = np.zeros((4, 4), bool)
    public = Sample(nothing.astype(np.uint8), nothing, "1", "medseg")
    monkeypatch.setattr(
        selection, "load_infected", lambda names, root: [public] * (names == ("medseg",))
    )
    config = experiment("resnet18", data={"infected": ["medseg", "mine"], "healthy": None})
    assert [s.name for s in training_slices(config, root)] == ["1", "case-0"]


# What is wrong is told with its row, before any training


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        ("gone", "input-not-found", "images/1.png"),
        ("cut", "input-unreadable", "row 2 (case-1)"),
        ("size", "mask-geometry", "row 2 (case-1)"),
        ("labels", "mask-labels", "contains 3"),
        ("empty", "mask-empty", "marks nothing"),
        ("changed", "content-changed", "images/1.png"),
        ("range", "manifest-invalid", "slices of 0 to 0"),
        ("both sides", "patient-on-both-sides", "row 3"),
        ("no training", "manifest-invalid", "no row is of the group train"),
        ("marked negative", "mask-labels", "said to be negative"),
        ("lungs", "no-lungs", "empty"),
    ],
)
def test_a_wrong_row_is_named(root, ill, fault, code, told):
    folder = root / "manifests"
    for number in range(3):
        save_slice(folder, f"{number}", ill, 8 + number)
    rows: list[dict[str, str]] = [{}, {}, {}]
    marked = (ill.lesions[9] > 0).astype(np.uint8)
    if fault == "gone":
        (folder / "images" / "1.png").unlink()
    elif fault == "cut":
        content = (folder / "images" / "1.png").read_bytes()
        (folder / "images" / "1.png").write_bytes(content[:200])
    elif fault == "size":
        save(folder / "masks" / "1.png", marked[1:])
    elif fault == "labels":
        save(folder / "masks" / "1.png", 3 * marked)
    elif fault == "empty":
        save(folder / "masks" / "1.png", 0 * marked)
    elif fault == "range":
        rows[1] = {"last_slice": "4"}
    elif fault == "both sides":
        rows[1:] = [{"patient": "p"}, {"patient": "p", "group": "test"}]
    elif fault == "no training":
        rows = [{"group": "test"}, {"group": "validation"}]
    elif fault == "marked negative":
        rows[1] = {"negative": "yes"}
    elif fault == "lungs":
        save(folder / "lungs" / "1.png", 0 * marked)
        rows[1] = {"lungs": "lungs/1.png"}
    path = write(root, *rows)
    if fault == "changed":
        save(folder / "images" / "1.png", picture(ill, 3))
    message = rejected(code, experiment("resnet18", data=OWN), root)
    assert path.name in message
    assert told in message


def test_a_mask_of_another_spacing_is_named(root, ill):
    from lungscore.scan.phantom import make_phantom

    folder = root / "manifests"
    save_volume(folder, "v", ill)
    coarser = make_phantom("moderate", shape=ill.scan.shape, spacing_mm=(12.0, 3.75, 3.75))
    save_mask(folder / "masks" / "v.nii.gz", ill.lesions, coarser)
    write(root, {"image": "images/v.nii.gz", "mask": "masks/v.nii.gz", "labels": "classes"})
    message = rejected("mask-geometry", experiment("resnet18", data=OWN), root)
    assert "row 1 (case-0)" in message


def test_a_patient_on_two_sides_of_two_manifests_is_refused(root, ill):
    for number in range(2):
        save_slice(root / "manifests", f"{number}", ill, 8 + number)
    write(root, {"patient": "p"})
    write(root, {"image": "images/1.png", "patient": "p", "group": "test"}, name="more")
    config = experiment("resnet18", data={"infected": ["mine", "more"], "healthy": None})
    assert "row 1 of mine.csv" in rejected("patient-on-both-sides", config, root)


def test_a_name_that_is_no_manifest_is_answered_with_the_nearest(root):
    write(root, {})
    config = experiment("resnet18", data={"infected": ["mime"], "healthy": None})
    message = rejected("config-invalid", config, root)
    assert "data.infected" in message
    assert "Did you mean mine?" in message


def test_the_sums_of_manifests_are_those_of_their_bytes(root):
    path = write(root, {})
    config = experiment("resnet18", data=OWN)
    before = manifest_sums(config, root)
    path.write_text(path.read_text() + " ")
    assert manifest_sums(config, root) != before


def test_nothing_is_held_out_without_a_fold():
    assert held_out([], experiment("resnet18", data=OWN)) == set()


# Weights


def test_slices_are_drawn_as_often_as_their_weights_say():
    config = experiment("resnet18", slices_per_epoch=80, batch_size=8, healthy_fraction=0.25)
    weights = np.array([1, 2, 0.5, 0.5, 3, 1])  # four infected, two healthy
    batches = epoch_indices(4, 2, config, np.random.default_rng(0), weights=weights)
    drawn = np.bincount(np.concatenate(batches), minlength=6)
    assert np.abs(drawn[:4] - 60 * weights[:4] / 4).max() <= 1
    assert drawn[4:].sum() == 20
    assert drawn[4] > drawn[5]


def test_equal_weights_change_no_draw():
    config = experiment("resnet18", slices_per_epoch=40, batch_size=8, healthy_fraction=0.25)
    plain, weighted = (
        epoch_indices(5, 3, config, np.random.default_rng(1), weights=weights)
        for weights in (None, np.full(8, 2.0))
    )
    np.testing.assert_array_equal(plain, weighted)


def test_a_store_keeps_the_weights(root, ill):
    save_slice(root / "manifests", "0", ill)
    write(root, {"weight": "3"})
    config = experiment("resnet18", data=OWN)
    store = SliceStore(own_slices(config, root, "train"), config)
    store.add(SliceStore(own_slices(config, root, "train"), config))
    assert store.weights.tolist() == [3, 3]
    assert INDEX < ill.scan.shape[0]
