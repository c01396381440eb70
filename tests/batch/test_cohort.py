"""A cohort as a whole: tables, failures, what may be overwritten, and what is cleared up."""

import csv
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lungscore import batch, files
from lungscore.batch import AnalyzeSettings, Outcome
from lungscore.batch.case import COHORT_FILES, Case
from lungscore.batch.cohort import FAILURES_IN_A_ROW, Progress, cohort_cases, run_cohort
from lungscore.batch.columns import COLUMNS
from lungscore.batch.leftovers import clear_leftovers
from lungscore.batch.table import refuse_tables, write_cohort
from lungscore.errors import InputError, LungscoreError, ResourceError, UsageError
from lungscore.files import lock_folder, staging_folder, unlock
from lungscore.report.outputs import write_outputs
from lungscore.report.settings import ReportSettings
from lungscore.result.numbers import MEASURES
from lungscore.scan.phantom import make_phantom
from lungscore.scan.write import write_nifti
from tests.small_case import analysis_of_boxes


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two small phantoms and two that are none."""
    folder = tmp_path_factory.mktemp("chests")
    for seed, (name, preset) in enumerate((("b/mild", "mild"), ("a/severe", "severe"))):
        phantom = make_phantom(preset, seed=seed, shape=(16, 80, 80))
        (folder / name).parent.mkdir()
        write_nifti(phantom.scan, folder / f"{name}.nii.gz")
    (folder / "empty.nii.gz").touch()
    (folder / "text.nii.gz").write_bytes(b"no scan at all")
    return folder


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cohorts without processes of their own: quick, and open to monkeypatching."""
    real = batch.run
    monkeypatch.setattr(
        "lungscore.batch.cohort.run", lambda *of, isolated, **more: real(*of, **more)
    )


@pytest.fixture
def options(tmp_path: Path, stand_in_model: Path) -> AnalyzeSettings:
    return AnalyzeSettings(tmp_path / "out", model=str(stand_in_model), threads=1, ranges=False)


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# What is written


@pytest.mark.usefixtures("in_process")
def test_a_cohort_writes_every_number_of_every_case(chests: Path, options: AnalyzeSettings) -> None:
    cases, cohort = cohort_cases([chests])
    assert cohort
    told: list[int] = []
    run_cohort(cases, options, report=lambda progress, outcome: told.append(progress.done))
    assert told == [1, 2, 3, 4]
    out = options.out
    assert {p.name for p in out.iterdir()} == {"a__severe", "b__mild", *COHORT_FILES}
    table = {row["case"]: row for row in rows(out / "cohort.csv")}
    assert list(table) == ["a__severe", "b__mild", "empty", "text"]
    assert (table["text"]["status"], table["text"]["code"]) == ("failed", "format-not-recognised")
    result = json.loads((out / "a__severe" / "result.json").read_text())
    for measure in MEASURES.values():
        value = result
        for key in measure.keys:
            value = value[key]
        assert table["a__severe"][measure.name] == ("" if value is None else str(value))
        assert table["empty"][measure.name] == ""
    codes = [warning["code"] for warning in result["warnings"]]
    assert table["a__severe"]["warnings"].split(";") == list(dict.fromkeys(codes))
    columns = pq.read_table(out / "cohort.parquet").to_pylist()
    assert tuple(columns[0]) == COLUMNS
    assert columns[0]["infection_percent"] == result["burden"]["infection_percent"]
    assert columns[0]["ct_ss"] == result["scores"]["ct_ss"]["total"]
    assert columns[2]["infection_percent"] is None
    assert [(row["case"], row["code"]) for row in rows(out / "failures.csv")] == [
        ("empty", "input-empty"),
        ("text", "format-not-recognised"),
    ]
    for path in COHORT_FILES:
        assert str(chests).encode() not in (out / path).read_bytes()
    page = (out / "cohort.html").read_text(encoding="utf-8")
    assert page.index("a__severe/report.html") < page.index("b__mild/report.html")
    assert "format-not-recognised" in page
    assert page.count("<script") == 1
    assert 'src="http' not in page
    assert "a / severe" in page
    assert page.count('alt="Coronal plane of') == 2


@pytest.mark.usefixtures("in_process")
@pytest.mark.slow
def test_a_resumed_cohort_gives_the_same_bytes(chests: Path, options: AnalyzeSettings) -> None:
    cases, _ = cohort_cases([chests])
    run_cohort(cases, options)
    before = {name: (options.out / name).read_bytes() for name in COHORT_FILES}
    stored = options.out / "b__mild" / "result.json"
    (options.out / "a__severe" / "result.json").unlink()
    for path in sorted((options.out / "a__severe").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (options.out / "a__severe").rmdir()
    when = stored.stat().st_mtime_ns
    again = AnalyzeSettings(**{**vars(options), "resume": True})
    assert run_cohort(cases, again).skipped == 1
    assert {name: (options.out / name).read_bytes() for name in COHORT_FILES} == before
    assert stored.stat().st_mtime_ns == when


def test_a_result_that_cannot_be_read_back_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "result.json").write_text('{"schema": "lungscore.result/1", "burden": {}}')
    failures = write_cohort(tmp_path, ["a", "b"], {"b": InputError("input-empty", "b\nis empty")})
    assert {case: error.code for case, error in failures.items()} == {
        "a": "case-damaged",
        "b": "input-empty",
    }
    assert [row["message"] for row in rows(tmp_path / "failures.csv")][1] == "b\\nis empty."


@pytest.mark.parametrize("percent", [-1200.0, 100.1, True, "much"])
def test_a_result_with_a_number_that_there_cannot_be_is_a_failure(
    tmp_path: Path, percent: float | str
) -> None:
    analysis = analysis_of_boxes(name="a")
    write_outputs(analysis, tmp_path, settings=ReportSettings("small"))
    path = tmp_path / "a" / "result.json"
    content = json.loads(path.read_text())
    content["burden"]["infection_percent"] = percent
    path.write_text(json.dumps(content))
    failures = write_cohort(tmp_path, ["a"], {})
    assert failures["a"].code == "case-damaged"
    assert "burden.infection_percent" in failures["a"].message


@pytest.mark.parametrize("text", ["\\ud800", {}, None])
def test_a_result_whose_text_cannot_be_written_is_a_failure(tmp_path: Path, text: Any) -> None:
    write_outputs(analysis_of_boxes(name="a"), tmp_path, settings=ReportSettings("small"))
    path = tmp_path / "a" / "result.json"
    content = json.loads(path.read_text())
    content["warnings"][0]["code"] = text
    path.write_text(json.dumps(content).replace("\\\\ud800", "\\ud800"))
    assert write_cohort(tmp_path, ["a"], {})["a"].code == "case-damaged"


def test_names_are_escaped_on_the_page(tmp_path: Path) -> None:
    write_cohort(tmp_path, ["<b>"], {"<b>": InputError("input-empty", "<i>")})
    assert "<b>" not in (tmp_path / "cohort.html").read_text()


# What is a cohort


def test_groups_are_of_manifests(chests: Path) -> None:
    with pytest.raises(UsageError, match="--group"):
        cohort_cases([chests], ["test"])
    with pytest.raises(UsageError, match="Unknown group"):
        cohort_cases([chests], ["tests"])


def test_single_scans_are_no_cohort(chests: Path) -> None:
    paths = [chests / "a", chests / "text.nii.gz", chests / "nothing"]
    assert cohort_cases(paths) == (paths, False)


# Faults


def failing(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(cases: list[Case], *_: object, **__: object) -> object:
        for case in cases:
            error = ResourceError(code, "it failed", hint="Free some space")
            yield Outcome(case.path, error=error, case=case.name)

    monkeypatch.setattr("lungscore.batch.cohort.run", run)


def test_a_run_ends_where_the_computer_fails_again_and_again(
    options: AnalyzeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing("disk-full", monkeypatch)
    cases = [Case(str(i), Path(str(i))) for i in range(2 * FAILURES_IN_A_ROW)]
    seen: list[Progress] = []
    with pytest.raises(ResourceError, match="--resume") as caught:
        run_cohort(cases, options, report=lambda progress, _: seen.append(progress))
    assert caught.value.code == "disk-full"
    assert len(seen) == FAILURES_IN_A_ROW
    assert not (options.out / "cohort.csv").exists()


def test_scans_that_need_too_much_end_no_run(
    options: AnalyzeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing("out-of-memory", monkeypatch)
    cases = [Case(str(i), Path(str(i))) for i in range(2 * FAILURES_IN_A_ROW)]
    assert len(run_cohort(cases, options).failures) == len(cases)


@pytest.mark.usefixtures("in_process")
def test_a_scan_that_takes_too_long_is_given_up(
    chests: Path, options: AnalyzeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(*_: object, **__: object) -> None:
        while True:
            pass

    monkeypatch.setattr("lungscore.analysis.analyze", endless)
    limited = AnalyzeSettings(**{**vars(options), "timeout": 0.1})
    cases = [Case("slow", chests / "a" / "severe.nii.gz")]
    (error,) = run_cohort(cases, limited).failures.values()
    assert (error.code, error.exit_code) == ("timed-out", 4)


@pytest.mark.usefixtures("in_process")
@pytest.mark.slow
def test_an_input_that_vanishes_after_it_was_found_is_said(
    tmp_path: Path, options: AnalyzeSettings
) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(make_phantom("mild", shape=(16, 80, 80)).scan, tmp_path / "in" / name)
    cases, _ = cohort_cases([tmp_path / "in"])
    (tmp_path / "in" / "b.nii.gz").unlink()
    failures: dict[str, LungscoreError] = run_cohort(cases, options).failures
    assert {case: error.code for case, error in failures.items()} == {"b": "input-not-found"}


# What is the user's


@pytest.mark.parametrize("name", COHORT_FILES)
def test_a_file_of_the_users_is_never_replaced_unasked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    for resume in (False, True):
        with pytest.raises(UsageError) as caught:
            refuse_tables(tmp_path, resume=resume)
        assert caught.value.code == "output-exists"
    refuse_tables(tmp_path, overwrite=True)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    with pytest.raises(UsageError):
        refuse_tables(tmp_path, overwrite=True)


def test_tables_of_an_earlier_run_are_replaced_on_resume_alone(tmp_path: Path) -> None:
    write_cohort(tmp_path, ["a"], {"a": InputError("input-empty", "a")})
    refuse_tables(tmp_path, resume=True)
    with pytest.raises(UsageError, match="--resume"):
        refuse_tables(tmp_path)


def test_a_folder_that_cannot_be_written_is_said_before_any_work(
    tmp_path: Path, options: AnalyzeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing("disk-full", monkeypatch)  # were it asked for anything
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ResourceError) as caught:
        run_cohort([Case("a", Path("a"))], options)
    assert caught.value.code == "output-not-writable"


def test_a_disk_that_fills_up_at_the_end_leaves_no_half_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("csv.writer", full)
    with pytest.raises(ResourceError) as caught:
        write_cohort(tmp_path, ["a"], {"a": InputError("input-empty", "a")})
    assert caught.value.code == "disk-full"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", COHORT_FILES)
def test_a_table_that_fails_leaves_all_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_cohort(tmp_path, ["a"], {"a": InputError("input-empty", "a")})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    real = files.atomic_path

    @contextmanager
    def full(path: Path) -> Iterator[Path]:
        with real(path) as temporary:
            yield temporary
            if path.name == name:
                raise OSError(28, "No space left on device")

    for module in ("batch.table", "batch.workbook", "files"):
        monkeypatch.setattr(f"lungscore.{module}.atomic_path", full)
    with pytest.raises(ResourceError) as caught:
        write_cohort(tmp_path, ["b"], {"b": InputError("input-not-found", "b")})
    assert caught.value.code == "disk-full"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# What a killed run left


def test_only_what_a_killed_run_of_ours_left_is_cleared(tmp_path: Path) -> None:
    ours = tmp_path / ".tmp-0123456789ab"
    (ours / "figures").mkdir(parents=True)
    (ours / ".tmp-12-lungs.nii.gz").touch()
    (tmp_path / ".tmp-0123456789ab-old").mkdir()
    tables = tmp_path / ".tmp-ba9876543210"
    tables.mkdir()
    (tables / "cohort.csv").touch()
    (tables / ".tmp-12-cohort.html").touch()
    kept = [
        ".tmp-0123456789ac",  # holds what is not ours
        ".tmp-mine",
        ".tmp-12-cohort.csv",
        "case",
    ]
    (tmp_path / kept[0]).mkdir()
    (tmp_path / kept[0] / "thesis.txt").touch()
    for name in kept[1:]:
        (tmp_path / name).touch()
    clear_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
    clear_leftovers(tmp_path / "nothing")


@pytest.mark.skipif(os.name != "posix", reason="folders are not locked there")
def test_what_another_run_is_writing_is_left_alone(tmp_path: Path) -> None:
    with staging_folder(tmp_path) as staging:
        clear_leftovers(tmp_path)
        assert staging.is_dir()
        assert lock_folder(staging, wait=False) is None
    assert not staging.exists()
    unlock(lock_folder(tmp_path, wait=False))
