"""lungscore data for one's own images and masks: exit codes, and what is printed."""

import json

import pytest

from lungscore.cli.main import call
from tests.datasets.own_data import INDEX, picture, save, save_slice


@pytest.fixture
def run(capsys):
    """(exit code, standard output, standard error) of lungscore data …"""

    def run(*arguments):
        code = call(["data", *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def folder(tmp_path, small_phantom):
    """Two images with masks, and one without."""
    for number in range(2):
        save_slice(tmp_path / "own", f"{number}", small_phantom("moderate"), INDEX + number)
    save(tmp_path / "own" / "images" / "2.png", picture(small_phantom("moderate"), 5))
    return tmp_path / "own"


def test_the_list_names_ones_own_data(run):
    assert "my-data: a folder of your own images and masks" in run("list")[1]
    assert run("list", "my-data")[1].startswith("my-data: ")


def test_a_folder_is_checked(run, folder, tmp_path):
    code, printed, _ = run("check", "my-data", folder, "-o", tmp_path / "problems.json")
    assert code == 3
    assert "my-data: 2 readable images, 2 cases" in printed
    assert "problem [file-missing] 1" in printed
    assert "images/2.png: it has no mask" in printed
    assert not json.loads((tmp_path / "problems.json").read_text())["complete"]
    (folder / "images" / "2.png").unlink()
    code, printed, _ = run("check", "my-data", folder)
    assert (code, "The dataset is complete." in printed) == (0, True)


def test_a_manifest_is_written_or_nothing(run, folder, tmp_path):
    code, _, error = run("prepare", "my-data", folder, "-o", tmp_path / "m.csv")
    assert (code, "dataset-faulty" in error, (tmp_path / "m.csv").exists()) == (3, True, False)
    code, printed, _ = run("prepare", "my-data", folder, "-o", tmp_path / "m.csv", "--partial")
    assert code == 0
    assert "The manifest is partial" in printed
    assert "images/2.png" in (tmp_path / "m.left-out.csv").read_text()
    assert run("check", "my-data", tmp_path / "m.csv")[0] == 0


def test_options_that_do_not_fit_are_refused(run, folder, tmp_path):
    assert run("check", "my-data", folder, "--against", tmp_path / "m.csv")[0] == 2
    assert run("prepare", "my-data", folder, "-o", tmp_path / "m.parquet")[0] == 2
    assert run("prepare", "my-data", tmp_path / "nowhere", "-o", tmp_path / "m.csv")[0] == 3
