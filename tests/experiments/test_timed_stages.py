"""What trainings of fixed time leave behind, and what is read from it."""

import json

import numpy as np
import pytest

import out_of_fold
import timed_stages
from lungscore.learning.timed.plan import FOLDS
from lungscore.learning.timed.work import FACTS, MAPS, WEIGHTS


def finished_run(runs, arm, split, seed=0):
    """A folder as ``lungscore.learning.timed.work.do`` leaves it."""
    folder = runs / f"{arm}-{split}"
    folder.mkdir(parents=True)
    kind = "today" if arm == "today" else "slim"
    run = {"arm": arm, "split": split, "encoder": "e", "teachers": [], "seed": seed, "kind": kind}
    facts = {"run": run, "whole_seconds": 10.0 + seed}
    if kind == "slim":
        curve = [[1.0, 2, 4.0], [2.0, 5, 3.0], [3.0, 10 + seed, 2.0]]
        facts |= {"steps": 10 + seed, "slices": 4 * (10 + seed), "curve": curve}
    (folder / FACTS).write_text(json.dumps(facts))
    (folder / WEIGHTS).write_bytes(b"weights")
    if split in FOLDS:
        maps = np.full((1, 2, 4, 6), 200, np.uint8)
        maps[0, 0, :2] = 20
        np.savez(folder / MAPS, names=np.array([split]), single=maps, views=maps)


def test_maps_lie_in_two_files_without_consolidation_where_nothing_is_infected(tmp_path):
    for arm in ("today", "iterated", "student", "iterated.1"):
        for split in FOLDS[:2]:
            finished_run(tmp_path / "runs", arm, split)
    finished_run(tmp_path / "runs", "iterated", "all")
    timed_stages._results(tmp_path / "runs", tmp_path / "results")
    kept = {}
    for name in ("maps.npz", "more-maps.npz"):
        with np.load(tmp_path / "results" / name) as file:
            kept[name] = {key: file[key] for key in file.files}
    both_kinds = {
        f"{a}/{k}" for a in ("today", "iterated", "iterated.1") for k in ("single", "views")
    }
    names = {f"{arm}/names" for arm in ("today", "iterated", "iterated.1")}
    assert kept["maps.npz"].keys() == both_kinds | names
    assert kept["more-maps.npz"].keys() == {"student/names", "student/single"}
    maps = kept["maps.npz"]["iterated/single"]
    assert maps.shape == (2, 2, 4, 6)
    assert not maps[:, 1, :2].any()
    assert (maps[:, 1, 2:] == 200).all()
    assert (maps[:, 0, :2] == 20).all()
    assert (tmp_path / "results/weights-0.zip").is_file()


def test_what_each_arm_trained_is_told(tmp_path):
    runs = tmp_path / "runs"
    finished_run(runs, "teacher", "fold0")
    finished_run(runs, "teacher", "fold1", seed=2)
    finished_run(runs, "today", "fold0")
    facts = {path.parent.name: json.loads(path.read_text()) for path in runs.glob(f"*/{FACTS}")}
    told = out_of_fold.trained(facts)
    assert told["teacher"]["networks"] == 2
    assert told["teacher"]["seeds"] == [0, 2]
    assert told["teacher"]["steps"] == [10, 12]
    assert told["teacher"]["slices"] == [40, 48]
    assert told["teacher"]["loss"] == {"half_way": 3.0, "at_the_end": 2.0}
    # 20 and 10 epochs of 320 slices (experiments/infection.yaml), eight slices a step.
    assert told["today"]["steps"] == [1200, 1200]
    assert told["today"]["slices"] == [9600, 9600]


def test_a_recipe_without_a_second_answer_is_compared_by_density():
    figures = {key: np.array([0.5, 0.6]) for key in ("dice", "toolbox_dice", "dice_where_dense")}
    classes = {f"{name}_by_density": np.array([0.4, 0.2]) for name in ("ggo", "consolidation")}
    answers = {f"{name}_by_network": np.array([0.7, 0.5]) for name in ("ggo", "consolidation")}
    by_arm = {
        "today/single": [figures | classes],
        "teacher/single": [figures | classes | answers],
    }
    (step,) = out_of_fold.steps(by_arm)
    assert step["dice"]["mean"] == 0
    assert step["ggo_by_network"]["mean"] == pytest.approx(0.3)
