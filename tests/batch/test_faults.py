"""Faults of the computer and of its users: nothing is half written, nothing of theirs is lost."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from lungscore import batch
from lungscore.batch import AnalyzeSettings, Outcome, one_case
from lungscore.batch.case import COHORT_FILES
from lungscore.batch.cohort import FAILURES_IN_A_ROW, Progress, cohort_cases, run_cohort
from lungscore.errors import ResourceError
from lungscore.scan.phantom import make_phantom
from lungscore.scan.write import write_dicom_series, write_nifti

resource = pytest.importorskip("resource")

CASES = FAILURES_IN_A_ROW + 1


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small phantoms; the last is a DICOM series."""
    folder = tmp_path_factory.mktemp("originals")
    for index in range(CASES):
        scan = make_phantom("mild", seed=index, shape=(16, 80, 80)).scan
        if index < CASES - 1:
            write_nifti(scan, folder / f"{index}.nii.gz")
        else:
            write_dicom_series(scan, folder / str(index))
    return folder


@pytest.fixture
def scans(tmp_path: Path, originals: Path) -> Path:
    """A copy that a test may harm."""
    return shutil.copytree(originals, tmp_path / "scans")


@pytest.fixture
def options(
    tmp_path: Path, stand_in_model: Path, monkeypatch: pytest.MonkeyPatch
) -> AnalyzeSettings:
    """Of cohorts without processes of their own: quick, and within reach of a test."""
    real = batch.run
    monkeypatch.setattr(
        "lungscore.batch.cohort.run", lambda *of, isolated, **more: real(*of, **more)
    )
    return AnalyzeSettings(tmp_path / "out", model=str(stand_in_model), threads=1, ranges=False)


@contextmanager
def full_beyond(size: int) -> Iterator[None]:
    """The system writes no file beyond ``size`` bytes: as on a full disk, in any library."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def content(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name != "run.json"
    }


def codes(progress: Progress) -> dict[str, str]:
    return {case: error.code for case, error in progress.failures.items()}


@pytest.mark.slow
def test_a_disk_that_is_full_ends_the_run_and_leaves_nothing(
    scans: Path, options: AnalyzeSettings
) -> None:
    cases, _ = cohort_cases([scans])
    with full_beyond(20_000), pytest.raises(ResourceError) as caught:
        run_cohort(cases, options)
    assert (caught.value.code, caught.value.exit_code) == ("disk-full", 4)
    assert "--resume" in str(caught.value.hint)
    assert list(options.out.iterdir()) == []
    assert run_cohort(cases, replace(options, resume=True)).analysed == CASES


@pytest.mark.parametrize("size", [500, pytest.param(5000, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_a_disk_that_is_full_for_the_tables_keeps_cases_and_older_tables(
    scans: Path, options: AnalyzeSettings, size: int
) -> None:
    cases, _ = cohort_cases([scans])
    run_cohort(cases[:2], options)
    before = content(options.out)
    with full_beyond(size), pytest.raises(ResourceError) as caught:
        run_cohort(cases[:2], replace(options, resume=True))
    assert caught.value.code == "disk-full"
    assert content(options.out) == before


@pytest.mark.slow
def test_a_folder_that_takes_no_more_ends_the_run(
    scans: Path, options: AnalyzeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, cases = Path.mkdir, cohort_cases([scans])[0]

    def read_only(path: Path, *of: object, **more: object) -> None:
        if path.name.startswith(".tmp-") and done:
            raise OSError(30, "Read-only file system")
        real(path, *of, **more)

    done: list[Outcome] = []
    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(ResourceError) as caught:
        run_cohort(cases, options, report=lambda progress, outcome: done.append(outcome))
    assert caught.value.code == "output-not-writable"
    assert [path.name for path in options.out.iterdir()] == ["0"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_said_before_any_work(scans: Path, options: AnalyzeSettings) -> None:
    options.out.mkdir(mode=0o555)
    seen: list[Outcome] = []
    with pytest.raises(ResourceError) as caught:
        run_cohort(
            cohort_cases([scans])[0],
            options,
            report=lambda progress, outcome: seen.append(outcome),
        )
    assert caught.value.code == "output-not-writable"
    assert seen == []


@pytest.mark.slow
def test_scans_that_vanish_in_the_middle_of_a_run_are_said_and_resumed(
    scans: Path, options: AnalyzeSettings
) -> None:
    cases, _ = cohort_cases([scans])
    away = scans.with_name("away")

    def unplug(progress: Progress, outcome: Outcome) -> None:
        if progress.done == 2:
            scans.rename(away)

    assert codes(run_cohort(cases, options, report=unplug)) == {
        str(index): "input-not-found" for index in range(2, CASES)
    }
    away.rename(scans)
    assert run_cohort(cases, replace(options, resume=True)).analysed == CASES - 2


@pytest.mark.slow
def test_a_slice_that_vanishes_while_its_scan_is_read_is_said(
    scans: Path, options: AnalyzeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lungscore.scan.dicom import read

    real, series = read.read_dicom, scans / str(CASES - 1)

    def late(*of: object, **more: object) -> object:
        sorted(series.iterdir())[7].unlink()
        return real(*of, **more)

    monkeypatch.setattr("lungscore.scan.dicom.read.read_dicom", late)
    cases = [case for case in cohort_cases([scans])[0] if case.path == series]
    assert codes(run_cohort(cases, options)) == {series.name: "input-not-found"}
    assert not (options.out / series.name).exists()


@pytest.mark.slow
def test_a_case_that_another_run_wrote_meanwhile_is_taken(
    scans: Path, options: AnalyzeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lungscore.report import outputs

    cases, resumed = cohort_cases([scans])[0][:1], replace(options, resume=True)
    real = outputs.to_result

    def other_run(analysis: object) -> object:
        monkeypatch.setattr("lungscore.report.outputs.to_result", real)
        assert one_case.analyze_one(cases[0], options).error is None
        return real(analysis)

    monkeypatch.setattr("lungscore.report.outputs.to_result", other_run)
    assert run_cohort(cases, resumed).skipped == 1
    assert {path.name for path in options.out.iterdir()} == {"0", *COHORT_FILES}


def test_a_file_of_the_users_in_a_case_is_kept_by_overwriting(
    scans: Path, options: AnalyzeSettings
) -> None:
    cases = cohort_cases([scans])[0][:2]
    run_cohort(cases, options)
    mine = options.out / "0" / "thesis.txt"
    mine.write_text("mine")
    (options.out / "1" / "report.html").write_text("old")
    progress = run_cohort(cases, replace(options, overwrite=True))
    assert codes(progress) == {"0": "output-exists"}
    assert mine.read_text() == "mine"
    assert (options.out / "0" / "result.json").is_file()
    assert (options.out / "1" / "report.html").read_text() != "old"
