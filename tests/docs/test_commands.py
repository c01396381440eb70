"""Every command of the manual exists with its options, and is run here or said not to be."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from lungscore.cli.commands import app
from lungscore.cli.main import call
from lungscore.scan.phantom import Phantom
from lungscore.scan.write import write_dicom_series, write_nifti
from tests.docs.pages import COMMANDS, DOCS, Command

sys.path.insert(0, str(DOCS / "_ext"))
from not_run import reason_for, reasons


def label(command: Command) -> str:
    return f"{command.page}:{command.line}"


@pytest.mark.parametrize("command", COMMANDS, ids=label)
def test_a_command_of_the_manual_exists_with_its_options(command: Command) -> None:
    words = [word for word in command.words if word not in ("-q", "-v", "--debug")]
    context, node = None, typer.main.get_command(app)
    while hasattr(node, "commands"):
        context = node.make_context(node.name, words, parent=context, resilient_parsing=True)
        if not words and node.invoke_without_command:
            return
        name, node, words = node.resolve_command(context, words)
        assert node is not None, name
    node.make_context(node.name, words, parent=context)


def test_every_reason_not_to_run_is_of_a_command() -> None:
    for page, beginnings in reasons().items():
        shown = [command.text for command in COMMANDS if command.page == page]
        if not (DOCS.parent / page).is_file():
            continue  # of a feature that is not here
        for beginning in beginnings:
            assert beginning == "*" or any(text.startswith(beginning) for text in shown), beginning


#: What runs below, in this order, with the names of the manual: each makes what later ones need.
RUN = tuple(
    dict.fromkeys(
        command.text for command in COMMANDS if reason_for(command.page, command.text) is None
    )
)


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, small_phantom: Callable[[str], Phantom]
) -> Iterator[Path]:
    """A working folder in which every path of the manual is there, made of the small phantom."""
    workspace = tmp_path_factory.mktemp("manual")
    scan, later = small_phantom("moderate").scan, small_phantom("severe").scan
    write_nifti(scan, workspace / "chest.nii.gz")
    (workspace / "path" / "to").mkdir(parents=True)
    write_dicom_series(scan, workspace / "path" / "to" / "dicom")
    shutil.copytree(workspace / "path" / "to" / "dicom", workspace / "path" / "to" / "scan")
    for name in ("FOLDER", "scans", "folder/of/scans"):
        (workspace / name).mkdir(parents=True)
        write_nifti(scan, workspace / name / "january.nii.gz")
        write_nifti(later, workspace / name / "march.nii.gz")
        shutil.copy(workspace / name / "january.nii.gz", workspace / name / "february.nii.gz")
    (workspace / "LIST.csv").write_text("case,path\nfirst,chest.nii.gz\n", encoding="utf-8")
    before = os.getcwd()
    os.chdir(workspace)
    try:
        for source in ("scans", "chest.nii.gz"):
            small = ["--report-size", "none", "--no-ranges"]
            assert call(["-q", "analyze", source, "-o", "results", *small]) == 0
        for name, source in (("EARLIER", "january"), ("LATER", "march")):
            shutil.copytree(workspace / "results" / source, workspace / name)
        for name in ("A", "B", "C"):
            shutil.copytree(workspace / "results", workspace / name)
        shutil.copy("results/chest/lesions.nii.gz", "edited.nii.gz")
        rows = ["case,infection_percent,ct_ss", "january,3,4", "february,3,5", "march,20,18"]
        for name in ("ratings", "reader1", "reader2"):
            (workspace / f"{name}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        yield workspace
    finally:
        os.chdir(before)


@pytest.mark.ci
@pytest.mark.parametrize("text", RUN)
def test_a_command_of_the_manual_runs(
    text: str, folder: Path, capsys: pytest.CaptureFixture
) -> None:
    words = Command("", 0, text).words
    if "-o" in words and "--resume" not in words and words[0] not in ("models", "labels"):
        words.append("--overwrite")
    code = call(["-q", *words])
    assert code == 0, capsys.readouterr().err
