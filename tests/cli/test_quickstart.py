"""lungscore quickstart: three commands for whatever lies in a folder, and each of them exists."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
import typer

from lungscore.cli.commands import app
from lungscore.cli.main import call


def commands(folder: Path, capsys: pytest.CaptureFixture) -> tuple[str, list[str]]:
    assert call(["quickstart", str(folder), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert len(content["commands"]) == 3
    for command in content["commands"]:
        _, *words = shlex.split(command)
        context, node = None, typer.main.get_command(app)
        while hasattr(node, "commands"):
            context = node.make_context(node.name, words, parent=context, resilient_parsing=True)
            name, node, words = node.resolve_command(context, words)
            assert node is not None, name
        node.make_context(node.name, words, parent=context)
    return content["contains"], content["commands"]


def test_of_an_empty_folder_it_names_the_demonstration(tmp_path, capsys):
    contents, (first, *_) = commands(tmp_path, capsys)
    assert contents == "There is neither a scan nor a result here."
    assert first == "lungscore demo -o demo"


def test_of_other_files_it_says_the_same(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("nothing")
    assert commands(tmp_path, capsys)[0] == "There is neither a scan nor a result here."


def test_of_one_scan_it_names_inspect_and_analyze(tmp_path, capsys, phantom_file):
    shutil.copy(phantom_file, tmp_path / "a chest.nii.gz")
    contents, (first, second, _) = commands(tmp_path, capsys)
    assert contents == "Here is one scan."
    assert first.startswith("lungscore inspect ")
    assert second.startswith("lungscore analyze ")


def test_of_several_scans_it_names_a_cohort(tmp_path, capsys, phantom_file):
    for name in ("a", "b"):
        shutil.copy(phantom_file, tmp_path / f"{name}.nii.gz")
    contents, (_, second, third) = commands(tmp_path, capsys)
    assert contents == "Here are several scans."
    assert "--workers" in second
    assert third.endswith("--resume")


def test_of_results_it_names_what_is_done_with_them(tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / "results" / name).mkdir(parents=True)
        for file in ("result.json", "lesions.nii.gz", "lungs.nii.gz"):
            (tmp_path / "results" / name / file).touch()
        contents, (first, *_) = commands(tmp_path, capsys)
    assert contents == "Here are results of several cases."
    assert first.startswith("lungscore compare ")
    (tmp_path / "reader.csv").write_text("case,ct_ss\n")
    assert "reader.csv" in commands(tmp_path, capsys)[1][1]
    shutil.rmtree(tmp_path / "results" / "b")
    contents, (first, *_) = commands(tmp_path, capsys)
    assert contents == "Here is the result of one case."
    assert first.startswith("lungscore review ")
    assert "--scans" not in first


def test_of_a_result_beside_its_scan_it_says_where_the_scan_is(tmp_path, capsys, phantom_file):
    shutil.copy(phantom_file, tmp_path / "chest.nii.gz")
    (tmp_path / "results" / "chest").mkdir(parents=True)
    for file in ("result.json", "lesions.nii.gz", "lungs.nii.gz"):
        (tmp_path / "results" / "chest" / file).touch()
    _, (first, *_) = commands(tmp_path, capsys)
    assert first.startswith("lungscore review ")
    assert first.endswith(f" --scans {shlex.quote(str(tmp_path))}")


def test_of_images_and_masks_it_names_training(tmp_path, capsys):
    for name in ("images", "masks"):
        (tmp_path / "mine" / name).mkdir(parents=True)
    contents, (first, *_) = commands(tmp_path, capsys)
    assert contents == "Here are images with masks."
    assert first.startswith("lungscore data prepare my-data ")


def test_it_prints_what_each_command_is_for(tmp_path, capsys):
    assert call(["quickstart", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "  lungscore demo -o demo\n      Analyse a synthetic chest CT" in said
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_rejected(tmp_path, capsys):
    assert call(["quickstart", str(tmp_path / "nothing")]) == 3
    assert "input-not-found" in capsys.readouterr().err
