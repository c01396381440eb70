"""Which slices train, and which must not be seen."""

from pathlib import Path

import numpy as np
import pytest

from lungscore.datasets.sample import Sample
from lungscore.learning import selection
from lungscore.learning.selection import (
    annotated_folds,
    healthy_slices,
    held_out_slices,
    training_slices,
    unlabelled_slices,
)
from tests.learning.tiny_training import experiment

NAMES = [str(name) for name in range(50)]


def samples(source: str, names: list[str]) -> list[Sample]:
    nothing = np.zeros((4, 4), bool)
    return [Sample(nothing.astype(np.uint8), nothing, name, source) for name in names]


@pytest.fixture(autouse=True)
def datasets(monkeypatch):
    """Fifty annotated slices, the same in another window, and others of the very same names."""
    known = {
        "covid-semiseg": samples("covid-semiseg", NAMES),
        "medseg": samples("medseg", NAMES),
        "covid-semiseg-unlabelled": samples("covid-semiseg-unlabelled", NAMES),
        "covid-semiseg-pseudo": samples("covid-semiseg-pseudo", NAMES),
    }

    def load(names, root):
        return [sample for name in names for sample in known[name]]

    monkeypatch.setattr(selection, "load_infected", load)
    monkeypatch.setattr(selection, "load_unlabelled", load)
    monkeypatch.setattr(selection, "data_root", lambda: Path("data"))
    monkeypatch.setattr(selection.covid_semiseg, "names", lambda root: NAMES)


def config(**data):
    return experiment("resnet18", data=data)


def names(samples: list[Sample], source: str = "covid-semiseg") -> set[str]:
    return {sample.name for sample in samples if sample.source == source}


@pytest.mark.parametrize("fold", range(5))
def test_held_out_slices_train_in_no_window_and_are_not_pretrained_on(fold):
    both = config(infected=["covid-semiseg", "medseg", "covid-semiseg-pseudo"], fold=fold)
    unlabelled = ["covid-semiseg", "covid-semiseg-unlabelled"]
    pretraining = experiment(
        "resnet18", data={"fold": fold}, pretraining={"unlabelled": unlabelled}
    )
    out = names(held_out_slices(both, Path("data")))
    assert len(out) == 10
    seen = training_slices(both, Path("data"))
    for source in ("covid-semiseg", "medseg"):
        assert names(seen, source) == set(NAMES) - out
    seen_unlabelled = unlabelled_slices(pretraining, Path("data"))
    assert names(seen_unlabelled) == set(NAMES) - out
    # Slices of another source are other slices, whatever their names.
    assert names(seen, "covid-semiseg-pseudo") == set(NAMES)
    assert names(seen_unlabelled, "covid-semiseg-unlabelled") == set(NAMES)


def test_every_slice_is_held_out_once():
    held_out = [names(held_out_slices(config(fold=fold), Path("data"))) for fold in range(5)]
    assert set().union(*held_out) == set(NAMES)
    assert sum(map(len, held_out)) == 50


def test_without_a_fold_nothing_is_held_out():
    assert held_out_slices(config(), Path("data")) == []
    assert names(training_slices(config(), Path("data"))) == set(NAMES)


@pytest.mark.parametrize("fold", [None, 0, 3])
def test_fewer_slices_are_among_more(fold):
    by_count = {
        count: training_slices(
            config(infected=["covid-semiseg", "medseg"], slices=count, fold=fold), Path("data")
        )
        for count in (5, 10, 25)
    }
    assert {count: len(names(some)) for count, some in by_count.items()} == {5: 5, 10: 10, 25: 25}
    assert names(by_count[5]) < names(by_count[10]) < names(by_count[25])
    for some in by_count.values():
        assert names(some) == names(some, "medseg")


def test_a_limit_counts_annotated_slices_alone():
    some = config(infected=["covid-semiseg", "covid-semiseg-pseudo"], slices=5)
    samples = training_slices(some, Path("data"))
    assert (len(names(samples)), len(names(samples, "covid-semiseg-pseudo"))) == (5, 50)


def test_what_trains_without_a_section_pretraining_has_no_unlabelled_slices():
    assert unlabelled_slices(config(), Path("data")) == []


@pytest.mark.data
def test_the_folds_are_those_of_the_fifty_slices(real_data, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("LUNGSCORE_DATA", str(real_data))
    folds = annotated_folds(5)
    assert len(folds) == 50
    assert np.bincount(list(folds.values())).tolist() == [10] * 5


def test_further_scans_without_pneumonia_teach_silence_too(monkeypatch, tmp_path):
    def load_healthy(scan, part, root):
        return [] if scan is None else samples(f"{scan}, {part}", ["0", "1"])

    monkeypatch.setattr(selection, "load_healthy", load_healthy)
    data = {"healthy": "one", "clean": ["two", "three"], "healthy_part": "cranial"}
    sources = [
        sample.source for sample in healthy_slices(experiment("resnet18", data=data), tmp_path)
    ]
    assert sources == [f"{scan}, cranial" for scan in ("one", "two", "three") for _ in range(2)]
    assert healthy_slices(experiment("resnet18", data={"healthy": None}), tmp_path) == []
