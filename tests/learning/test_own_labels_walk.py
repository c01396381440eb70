"""From a folder of images and masks to a model of one's own in five commands."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lungscore.cli.main import call
from lungscore.learning.checkpoints import read_facts
from phantom_labels import write_phantoms
from tests.datasets.own_data import picture, save, save_slice

ROOT = Path(__file__).parents[2]

CARD = """
description: ours
data: ["slices of phantoms"]
data_terms: anybody may use them
limits: ["no phantom is a patient"]
"""


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    """The working folder, and the folder of manifests below it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LUNGSCORE_DATA", str(tmp_path / "data"))
    (tmp_path / "data" / "manifests").mkdir(parents=True)
    (tmp_path / "card.yaml").write_text(CARD)
    return tmp_path


def write_experiment(path: Path, **values) -> None:
    path.write_text(json.dumps({"name": path.stem, **values}))  # JSON is YAML


def small_folder(work: Path, small_phantom) -> None:
    """Six slices of two phantoms as of six patients, and two healthy ones."""
    lines = ["image,patient,group,negative"]
    for number in range(6):
        preset = ("moderate", "severe")[number % 2]
        save_slice(work / "own", f"ill-{number}", small_phantom(preset), 7 + number)
        lines.append(f"images/ill-{number}.png,patient-{number},train,")
    for number in range(2):
        shown = picture(small_phantom("healthy"), 6 + number)
        save(work / "own" / "images" / f"well-{number}.png", shown)
        lines.append(f"images/well-{number}.png,well-{number},train,yes")
    (work / "own" / "cases.csv").write_text("\n".join(lines))


def test_five_commands_make_a_model_of_ones_own(
    work, small_phantom, small_bundle, capsys, one_thread
):
    small_folder(work, small_phantom)
    shutil.copytree(small_bundle.folder, work / "start")
    write_experiment(
        work / "mine.yaml",
        network={"name": "u-net", "base_width": 4, "start": {"bundle": "start"}},
        input={"height": 64, "width": 64},
        data={"infected": ["mine"]},
        training={
            "epochs": 2,
            "slices_per_epoch": 8,
            "batch_size": 4,
            "healthy_fraction": 0.25,
            "precision": "32-true",
        },
    )
    assert not call(["data", "prepare", "my-data", "own", "-o", "data/manifests/mine.csv"])
    told = capsys.readouterr().out
    assert "masks of infection: 6" in told
    assert "images without infection: 2" in told
    assert "8 images (8 train)" in told
    assert not call(["data", "check", "my-data", "data/manifests/mine.csv"])
    assert "The dataset is complete." in capsys.readouterr().out

    assert not call(["train", "mine.yaml", "--folds", "2"])
    told = capsys.readouterr()
    assert told.out.strip() == "Runs: runs/mine"
    assert "mine: fold 1 of 2\nmine: 3 labelled and 1 healthy slices" in told.err
    assert "mine: all cases\nmine: 6 labelled and 2 healthy slices" in told.err
    runs = sorted(path.name for path in (work / "runs" / "mine").iterdir())
    assert runs == ["all-seed0", "fold0-seed0", "fold1-seed0"]

    assert not call(["evaluate", "folds", "runs/mine", "-o", "folds.json", "--against", "start"])
    told = capsys.readouterr().out
    assert "out of fold, 2 folds, Dice at 0.5" in told
    assert "compared with small 0" in told
    assert "called infected where nothing is marked" in told
    figures = json.loads((work / "folds.json").read_text())["figures"]
    assert len(figures["slices"]) == 8
    assert figures["infected"]["dice"]["measured"]["n"] == 6
    # Names of patients stay where they are.
    assert "patient-3" not in (work / "folds.json").read_text()

    os.environ.pop("LUNGSCORE_DATA")  # monkeypatch brings it back
    assert not call(
        [
            *("models", "export", "runs/mine/all-seed0", "-o", "model"),
            *("--facts", "card.yaml", "--results", "folds.json"),
        ]
    )
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.startswith("Model: model (mine 1)")
    assert "does not state" not in told.out
    card = json.loads((work / "model" / "card.json").read_text())
    assert card["data"] == [
        "slices of phantoms",
        "mine: 8 slices of 8 patients, 6 of them with infection",
        "nothing (of small 0)",
    ]
    assert (
        card["data_terms"] == "anybody may use them; of small 0, from which it started: for tests"
    )
    assert card["limits"] == ["no phantom is a patient", "knows nothing (of small 0)"]
    assert "n = 6 slices of 6 patients" in card["metrics"][0]["text"]
    assert "[" in card["metrics"][0]["text"]
    assert card["input"]["grey_split"] == 0.5

    assert not call(["analyze", "own/images/ill-3.png", "-o", "out", "--model", "model"])
    result = json.loads((work / "out" / "ill-3" / "result.json").read_text())
    assert result["models"][0]["name"] == "mine"


def test_a_run_is_measured_with_the_manifest_that_it_was_trained_with(
    work, small_phantom, small_bundle, capsys, one_thread
):
    small_folder(work, small_phantom)
    shutil.copytree(small_bundle.folder, work / "start")
    write_experiment(
        work / "mine.yaml",
        network={"name": "u-net", "base_width": 4, "start": {"bundle": "start"}},
        input={"height": 64, "width": 64},
        data={"infected": ["mine"]},
        training={"epochs": 1, "slices_per_epoch": 2, "batch_size": 2, "precision": "32-true"},
    )
    manifest = work / "data" / "manifests" / "mine.csv"
    assert not call(["data", "prepare", "my-data", "own", "-o", str(manifest)])
    assert call(["evaluate", "folds", "runs/mine", "-o", "f.json"]) == 3
    assert "run-missing" in capsys.readouterr().err
    assert not call(["train", "mine.yaml", "--folds", "2"])
    assert "are left out: training.healthy_fraction is 0" in capsys.readouterr().err
    assert call(["train", "mine.yaml", "--folds", "2"]) == 3
    assert "output-exists" in capsys.readouterr().err
    assert not call(["train", "mine.yaml", "--folds", "2", "--resume"])
    rows = manifest.read_text().splitlines()
    manifest.write_text("\n".join(rows[:-1]) + "\n")
    assert call(["evaluate", "folds", "runs/mine", "-o", "f.json", "--against", "start"]) == 3
    assert "trained with other manifests" in capsys.readouterr().err
    assert call(["train", "mine.yaml", "--fold", "0", "--folds", "2"]) == 2


def test_a_model_is_measured_on_a_group_of_own_labels(work, small_phantom, small_bundle, capsys):
    small_folder(work, small_phantom)
    table = work / "own" / "cases.csv"
    table.write_text(table.read_text().replace("patient-0,train", "patient-0,test"))
    shutil.copytree(small_bundle.folder, work / "start")
    assert not call(["data", "prepare", "my-data", "own", "-o", "mine.csv"])
    measured = ["evaluate", "labels", "mine.csv", "-o", "test.json", "--model", "start"]
    measured += ["--overwrite"]
    assert not call([*measured, "--against", "start"])
    assert "group test of mine, Dice at 0.5" in capsys.readouterr().out
    figures = json.loads((work / "test.json").read_text())["figures"]
    assert [row["name"] for row in figures["slices"]] == ["ill-0"]
    assert figures["infected"]["dice"]["difference"]["value"] == 0
    assert call([*measured, "--group", "tests"]) == 2
    assert call([*measured, "--group", "validation"]) == 3
    assert "no row is of the group validation" in capsys.readouterr().err


def test_class_masks_train_a_network_for_lesions(work, small_phantom, capsys, one_thread):
    for number in range(4):
        phantom = small_phantom(("moderate", "severe")[number % 2])
        save(work / "own" / "images" / f"{number}.png", picture(phantom, 7 + number))
        save(work / "own" / "masks" / f"{number}.png", phantom.lesions[7 + number])
    (work / "own" / "cases.csv").write_text(
        "image,group\n" + "".join(f"images/{number}.png,train\n" for number in range(4))
    )
    assert not call(["data", "prepare", "my-data", "own", "-o", "data/manifests/mine.csv"])
    assert "masks of GGO (1) and consolidation (2): 4" in capsys.readouterr().out
    common = {
        "input": {"height": 64, "width": 64},
        "training": {
            "epochs": 1,
            "slices_per_epoch": 4,
            "batch_size": 2,
            "precision": "32-true",
        },
    }
    data = {"infected": ["mine"], "folds": 2}
    write_experiment(
        work / "mine.yaml", network={"name": "u-net", "base_width": 4}, data=data, **common
    )
    lesions = {
        "target": "lesions",
        "network": {"name": "multi-inf-net", "base_width": 4},
        "data": {**data, "priors": {"experiment": "mine"}},
    }
    write_experiment(work / "classes.yaml", **common, **lesions)
    assert call(["train", "classes.yaml"]) == 3
    assert "run-missing" in capsys.readouterr().err
    assert not call(["train", "mine.yaml", "--folds", "2"])
    # With other folds, priors would be of networks that have seen the slice.
    write_experiment(
        work / "mine.yaml",
        network={"name": "u-net", "base_width": 4},
        data={**data, "folds": 3},
        **common,
    )
    assert call(["train", "classes.yaml"]) == 3
    assert "checkpoint-mismatch" in capsys.readouterr().err
    write_experiment(
        work / "mine.yaml", network={"name": "u-net", "base_width": 4}, data=data, **common
    )
    assert not call(["train", "classes.yaml"])
    maps = sorted((work / "runs" / "mine").glob("fold*/held-out/*.png"))
    assert sorted(path.stem for path in maps) == ["0", "1", "2", "3"]


# The shipped network, fine-tuned on phantoms


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory) -> Path:
    """Forty slices of as many patients who do not exist."""
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, patients=40, shape=(12, 96, 96))
    return folder


def lungscore(work: Path, *arguments: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "lungscore", *arguments]
    return subprocess.Popen(command, cwd=work, env=environment)


@pytest.mark.slow
def test_fine_tuned_on_20_slices_the_shipped_network_is_beaten_on_20_others(work, phantoms):
    write_experiment(
        work / "mine.yaml",
        network={
            "name": "slim-inf-net",
            "encoder": "resnet10",
            "start": {"bundle": "infection"},
        },
        input={"height": 128, "width": 160},
        data={"infected": ["mine"], "folds": 2},
        training={
            "epochs": 2,
            "slices_per_epoch": 40,
            "batch_size": 8,
            "learning_rate": 2e-4,
            "precision": "32-true",
        },
    )
    prepare = ["data", "prepare", "my-data", str(phantoms), "-o", "data/manifests/mine.csv"]
    assert not call(prepare)
    # Killed after its first epoch, and resumed; beside it, a fold that nobody stopped.
    train = ["train", "mine.yaml", "--folds", "2"]
    killed = lungscore(work, *train)
    checkpoint = work / "runs" / "mine" / "fold0-seed0" / "checkpoint.safetensors"
    until = time.monotonic() + 600
    while not checkpoint.is_file() and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert read_facts(checkpoint)["epoch"] == 1
    assert lungscore(work, *train, "--resume").wait() == 0
    assert lungscore(work, "train", "mine.yaml", "--fold", "0", "-o", "whole").wait() == 0
    resumed = checkpoint.with_name("weights.safetensors").read_bytes()
    assert (work / "whole" / "weights.safetensors").read_bytes() == resumed

    assert not call(["evaluate", "folds", "runs/mine", "-o", "folds.json"])
    figures = json.loads((work / "folds.json").read_text())["figures"]
    dice = figures["infected"]["dice"]
    assert dice["measured"]["n"] == 40
    assert dice["difference"]["low"] > 0
    assert figures["reference"]["name"] == "infection"

    export = ["models", "export", "runs/mine/all-seed0", "-o", "model"]
    assert not call([*export, "--facts", "card.yaml", "--results", "folds.json"])
    card = json.loads((work / "model" / "card.json").read_text())
    assert card["data"][0] == "slices of phantoms"
    assert any("COVID-SemiSeg" in text for text in card["data"])
    assert "non-commercial" in card["data_terms"]
    assert all("n = 40" in metric["text"] and "[" in metric["text"] for metric in card["metrics"])
    image = str(sorted((phantoms / "images").iterdir())[0])
    assert not call(["analyze", image, "-o", "out", "--model", "model"])
