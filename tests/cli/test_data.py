"""lungscore data: exit codes, what is printed for people and programs, and what is written."""

import json
from pathlib import Path

import pytest

from lungscore.cli.main import call
from lungscore.datasets import catalogue
from lungscore.datasets.manifest import read_rows
from lungscore.datasets.records import PROBLEMS
from tests.datasets.made_dataset import made, make_tree


@pytest.fixture
def known(monkeypatch):
    """Makes the dataset "made" known, and the only one."""
    monkeypatch.setattr(catalogue, "NAMES", ("made",))
    monkeypatch.setattr(catalogue, "_MODULES", {"made": "made"})
    module = type("Module", (), {"DATASET": made(overlaps=("other",))})
    monkeypatch.setattr(catalogue, "import_module", lambda name: module)


@pytest.fixture
def root(tmp_path, known) -> Path:
    return make_tree(tmp_path / "made")


@pytest.fixture
def run(capsys):
    """(exit code, standard output, standard error) of lungscore data …"""

    def run(*arguments):
        code = call(["data", *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def damage(root: Path, count: int = 1) -> None:
    for path in sorted(root.rglob("*.png"))[:count]:
        path.write_bytes(b"")


# list


def test_list_tells_of_every_dataset_how_to_get_it(run):
    code, said, _ = run("list")
    assert code == 0
    for name in catalogue.NAMES:
        told = catalogue.dataset(name)
        for text in (f"{name}: {told.title}", told.licence, told.citation, told.where):
            assert text in said
    assert "lungscore downloads nothing" in said


def test_list_tells_of_one(run):
    code, said, _ = run("list", "mosmed")
    assert code == 0
    assert said.startswith("mosmed: ")
    assert "covid-semiseg: " not in said


def test_list_for_programs_is_a_line_a_dataset(run):
    code, said, _ = run("list", "--json")
    facts = [json.loads(line) for line in said.splitlines()]
    assert code == 0
    assert [entry["name"] for entry in facts] == list(catalogue.NAMES)
    expected = {"title", "what", "size", "licence", "citation", "where", "seen", "unverified"}
    assert all(expected | {"name", "overlaps"} == set(entry) for entry in facts)
    assert all(entry["licence"] and entry["where"] for entry in facts)


@pytest.mark.parametrize("name", catalogue.NAMES)
def test_overlaps_are_datasets_and_hold_both_ways(name):
    for overlapping in catalogue.dataset(name).overlaps:
        assert name in catalogue.dataset(overlapping).overlaps


@pytest.mark.parametrize("command", [("list",), ("check", "."), ("prepare", ".", "-o", "m.csv")])
def test_an_unknown_name_is_a_usage_error_that_names_the_nearest(run, command):
    code, _, said = run(command[0], "mosmid", *command[1:])
    assert code == 2
    assert "Unknown dataset: 'mosmid'" in said
    assert "Did you mean mosmed?" in said


# check


def test_check_of_a_whole_dataset(run, root):
    code, said, _ = run("check", "made", root)
    assert code == 0
    assert said.splitlines() == [
        "made: 8 readable images, 4 cases, 4 patients",
        "  slices: 8",
        "  mild: 2 cases",
        "  severe: 2 cases",
        "The dataset is complete.",
    ]


def test_check_of_a_damaged_dataset_names_a_few_files_and_how_many_more(run, root):
    damage(root, 7)
    (root / "left.zip").touch()
    code, said, _ = run("check", "made", root)
    assert code == 3
    meaning = PROBLEMS["image-empty"][0]
    assert f"  problem [image-empty] 7: {meaning}\n    mild/p0/s1/0.png: the file" in said
    assert "    … and 2 more (-o FILE lists all)" in said
    assert "  note [archive-left] 1: " in said
    assert said.index("problem [") < said.index("note [")
    assert said.endswith("The dataset is not complete.\n")


def test_check_for_programs_is_one_line_and_the_same_exit_code(run, root, tmp_path):
    damage(root, 7)
    code, said, _ = run("check", "made", root, "--json", "-o", tmp_path / "all.json")
    assert code == 3
    content = json.loads(said)
    assert said.count("\n") == 1
    assert len(content["problems"]) == 7
    assert json.loads((tmp_path / "all.json").read_text()) == content


def test_a_report_of_a_check_overwrites_nothing_unasked(run, root, tmp_path):
    out = tmp_path / "all.json"
    out.write_text("precious")
    code, _, said = run("check", "made", root, "-o", out)
    assert code == 2
    assert "error [output-exists]" in said
    assert out.read_text() == "precious"
    assert run("check", "made", root, "-o", out, "--overwrite")[0] == 0
    assert json.loads(out.read_text())["complete"] is True


def test_check_against_a_manifest(run, root, tmp_path):
    run("prepare", "made", root, "-o", tmp_path / "m.parquet")
    assert run("check", "made", root, "--against", tmp_path / "m.parquet")[0] == 0
    damage(root)
    assert run("check", "made", root, "--against", tmp_path / "m.parquet")[0] == 3


@pytest.mark.parametrize("threads", [(), ("--threads", "1"), ("--threads", "3")])
def test_threads_make_no_difference(run, root, threads):
    damage(root, 3)
    assert run("check", "made", root, *threads) == run("check", "made", root)


def test_check_of_a_folder_that_is_not_there(run, root, tmp_path):
    code, _, said = run("check", "made", tmp_path / "none")
    assert code == 3
    assert f"error [input-not-found] No such folder: {tmp_path / 'none'}" in said


# prepare


def test_prepare_writes_and_counts(run, root, tmp_path):
    out = tmp_path / "m.csv"
    code, said, _ = run("prepare", "made", root, "-o", out)
    assert code == 0
    assert said.startswith("8 images (")
    assert said.endswith(f"): {out}\n")
    assert len(list(read_rows(out))) == 8


def test_prepare_refuses_what_is_damaged_and_says_what_to_do(run, root, tmp_path):
    damage(root)
    code, _, said = run("prepare", "made", root, "-o", tmp_path / "m.csv")
    assert code == 3
    assert "error [dataset-faulty] image-empty (1); first: mild/p0/s1/0.png: " in said
    assert (
        "lungscore data check made FOLDER lists all problems; --partial leaves these files out"
        in said
    )
    assert not (tmp_path / "m.csv").exists()


def test_prepare_in_part_says_so(run, root, tmp_path):
    damage(root)
    code, said, _ = run("prepare", "made", root, "-o", tmp_path / "m.csv", "--partial")
    assert code == 0
    assert "problem [image-empty] 1" in said
    assert "7 images (" in said
    assert f"The manifest is partial. Files left out: {tmp_path / 'm.left-out.csv'}" in said


def test_prepare_overwrites_when_asked(run, root, tmp_path):
    out = ("-o", tmp_path / "m.csv")
    assert run("prepare", "made", root, *out)[0] == 0
    code, _, said = run("prepare", "made", root, *out)
    assert code == 2
    assert "error [output-exists]" in said
    assert run("prepare", "made", root, *out, "--overwrite")[0] == 0


def test_prepare_needs_to_know_the_format(run, root, tmp_path):
    code, _, said = run("prepare", "made", root, "-o", tmp_path / "manifest")
    assert code == 2
    assert "a name that ends in .parquet or .csv" in said


def test_progress_goes_to_standard_error(run, root, monkeypatch):
    monkeypatch.setattr("lungscore.datasets.examine._EVERY", 4)
    monkeypatch.setattr("lungscore.cli.data._EVERY", 4)
    _, said, told = run("check", "made", root, "--json")
    assert json.loads(said)["images"] == 8
    assert "4 images checked" in told
