"""One case that nobody foresaw takes no other down."""

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lungscore.batch import AnalyzeSettings, run
from lungscore.batch.cohort import cohort_cases
from lungscore.batch.find import find_cases
from lungscore.batch.manifest_cases import manifest_cases
from lungscore.cli.commands import app
from lungscore.cli.main import call
from lungscore.datasets.manifest import COLUMNS, read_rows
from lungscore.errors import InputError
from lungscore.guard import reported
from lungscore.scan.read import read_scan
from lungscore.scan.slices import natural_order

NAMES = ["①", "²", "10", "2", "٣", "a¹b", "½", "x9", "x10", "🫁"]


def test_names_in_any_digits_have_an_order() -> None:
    paths = [Path(name) for name in NAMES]
    ordered = [path.name for path in sorted(paths, key=natural_order)]
    assert ordered.index("2") < ordered.index("10")
    assert ordered.index("x9") < ordered.index("x10")
    assert sorted(ordered) == sorted(NAMES)


def test_a_cohort_in_folders_of_such_names(tmp_path: Path, phantom_file: Path) -> None:
    for name in NAMES:
        (tmp_path / name).mkdir()
        shutil.copy(phantom_file, tmp_path / name)
    assert len(list(find_cases(tmp_path))) == len(NAMES)


def deep(folder: Path, levels: int) -> None:
    here = os.getcwd()
    os.chdir(folder)
    try:
        for _ in range(levels):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(here)


def test_a_tree_without_end_is_a_case_that_fails(tmp_path: Path, phantom_file: Path) -> None:
    folder = tmp_path / "cohort"
    folder.mkdir()
    for name in ("a.nii.gz", "b.nii.gz"):
        shutil.copy(phantom_file, folder / name)
    deep(folder, 1200)
    cases = list(find_cases(folder))
    faulty = [case for case in cases if case.error]
    assert len(cases) == 3
    assert [case.error.code for case in faulty] == ["folders-too-deep"]
    shutil.copytree(
        folder / "d/d/d",
        tmp_path / "short",
        copy_function=lambda *_: None,
        ignore=lambda path, _: ["d"] if path.count("/d") > 40 else [],
    )
    os.system(f"rm -rf '{folder}'")  # noqa: S605 (deeper than Python removes)


def test_files_too_deep_to_be_read_are_counted(tmp_path: Path, phantom_file: Path) -> None:
    below = tmp_path.joinpath("in", *["d"] * 34)
    below.mkdir(parents=True)
    shutil.copy(phantom_file, tmp_path / "in")
    shutil.copy(phantom_file, below / "hidden.nii.gz")
    notices = [notice.message for notice in read_scan(tmp_path / "in").notices]
    assert any("1 files or folders could not be opened" in message for message in notices)


def test_no_command_leaves_it_to_typer_whether_a_path_can_be_read() -> None:
    def options(commands: object) -> list[object]:
        untrusted = [
            option
            for command in commands.registered_commands
            for annotation in command.callback.__annotations__.values()
            for option in getattr(annotation, "__metadata__", ())
        ]
        for group in commands.registered_groups:
            untrusted += options(group.typer_instance)
        return untrusted

    known = options(app)
    assert len(known) > 50
    assert not any(option.readable for option in known)


@pytest.fixture
def options(tmp_path: Path, stand_in_model: Path) -> AnalyzeSettings:
    return AnalyzeSettings(tmp_path / "out", model=str(stand_in_model), threads=1, ranges=False)


def test_a_damaged_result_under_resume_ends_that_case(
    tmp_path: Path, phantom_file: Path, stand_in_model: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    (out / "chest").mkdir(parents=True)
    (out / "chest" / "result.json").write_text('{"schema": ')
    second = shutil.copy(phantom_file, tmp_path / "other.nii.gz")
    given = [str(phantom_file), str(second), "-o", str(out), "--model", str(stand_in_model)]
    assert call(["analyze", *given, "--resume", "--json", "--no-ranges"]) == 3
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["error"]["code"] == "case-damaged"
    assert lines[1]["case"] == "other"


def test_an_error_of_ours_is_a_rejection_with_a_report(
    phantom_file: Path, options: AnalyzeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the secret of a patient")

    monkeypatch.setattr("lungscore.analysis.find_lungs_of", fail)
    (outcome,) = run([phantom_file], options)
    assert outcome.error.code == "not-analysable"
    assert outcome.error.exit_code == 3
    assert "ZeroDivisionError at lungscore/analysis.py:" in outcome.error.found
    assert "secret" not in outcome.error.message
    assert "Traceback" in outcome.trace


def test_lacking_memory_or_libraries_is_not_the_inputs_fault() -> None:
    for error in (MemoryError(), ModuleNotFoundError("x", name="x")):
        with pytest.raises(type(error)), reported("scan"):
            raise error


ROW = "{case},p,{group},,,s,volume,{path},,{digest},\r\n"


def manifest(folder: Path, *rows: str) -> Path:
    path = folder / "manifest.csv"
    path.write_text(",".join(COLUMNS) + "\r\n" + "".join(rows), newline="")
    return path


def row(case: str, group: str = "test") -> str:
    return ROW.format(case=case, group=group, path=f"{case}.nii.gz", digest="0" * 64)


def test_a_wrong_row_of_a_manifest_ends_its_case_alone(tmp_path: Path) -> None:
    path = manifest(tmp_path, row("a"), row("b", "tset"), "c,too,few\r\n", row("d"))
    cases = {case.name: case.error for case in manifest_cases(path)}
    assert {name for name, error in cases.items() if error is None} == {"a", "d"}
    assert "tset" in cases["b"].found
    assert cases["row 3"].code == "manifest-invalid"
    with pytest.raises(InputError):  # training reads all rows or none
        list(read_rows(path))


@pytest.mark.parametrize(
    "column",
    [
        pa.array([2**30], pa.int32()).cast(pa.date32()),
        pa.array([2**62], pa.timestamp("us")),
        pa.array([2**62], pa.duration("ns")),
        pa.array([b"\xff"], pa.binary()),
        pa.array([["x"]]),
        pa.array([1.5]),
    ],
    ids=lambda array: str(array.type),
)
def test_a_parquet_manifest_of_another_type_ends_alone(
    tmp_path: Path, phantom_file: Path, column: pa.Array
) -> None:
    columns = {name: pa.array(["x"]) for name in COLUMNS}
    columns |= {"group": pa.array(["test"]), "kind": pa.array(["volume"]), "path": column}
    path = tmp_path / "manifest.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(InputError) as caught:
        list(read_rows(path))
    assert caught.value.code == "manifest-invalid"
    assert "column path is" in caught.value.found
    cases, _ = cohort_cases([path, phantom_file])
    assert cases[0].error.code == "manifest-invalid"
    assert (cases[1].path, cases[1].error) == (phantom_file, None)
