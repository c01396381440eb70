"""Many scans: each alone, none lost, and nothing left behind."""

import os
import pickle
import signal
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from lungscore.batch import AnalyzeSettings, one_case, run
from lungscore.batch.one_case import analyze_one
from lungscore.errors import InputError, LungscoreError, ResourceError, UsageError
from lungscore.scan.phantom import make_phantom
from lungscore.scan.write import write_nifti


@pytest.fixture
def options(tmp_path: Path, stand_in_model: Path) -> AnalyzeSettings:
    return AnalyzeSettings(tmp_path / "out", model=str(stand_in_model), threads=1)


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two very small phantoms and, between them, a file that is none."""
    folder = tmp_path_factory.mktemp("chests")
    for seed, name in enumerate(("first", "last")):
        phantom = make_phantom("mild", seed=seed, shape=(16, 80, 80))
        write_nifti(phantom.scan, folder / f"{name}.nii.gz")
    (folder / "broken.nii.gz").write_bytes(b"no scan at all")
    return [folder / f"{name}.nii.gz" for name in ("first", "broken", "last")]


def results(out: Path) -> dict[str, bytes]:
    """Everything that must not depend on how the cases were run."""
    kept = ("result.json", "lesions.nii.gz", "lungs.nii.gz", "lobes.nii.gz", "regions.nii.gz")
    return {
        f"{path.parent.name}/{path.name}": path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.name in kept
    }


# One after the other


def test_an_empty_share_of_a_cohort_ends_well(options: AnalyzeSettings) -> None:
    assert list(run([], options, workers=4)) == []


def test_the_current_folder_changes_no_number_of_a_message(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = InputError("input-unreadable", "voxels of 9.5 mm")
    assert one_case._without_folders(error, Path(".")).found == "voxels of 9.5 mm"
    error = InputError("input-not-found", f"There is no {tmp_path / 'a.nii'}")
    assert one_case._without_folders(error, tmp_path / "a.nii").found == "There is no a.nii"
    assert one_case._own_name(Path(".")) == tmp_path.name


def test_a_rejected_case_stops_no_other(chests: list[Path], options: AnalyzeSettings) -> None:
    first, broken, last = run(chests, options)
    assert first.folder == options.out / "first"
    assert last.folder == options.out / "last"
    assert "CT-SS" in first.table
    assert broken.folder is None
    assert isinstance(broken.error, InputError)
    assert broken.error.code == "format-not-recognised"
    assert sorted(p.name for p in options.out.iterdir()) == ["first", "last"]


@pytest.mark.slow
def test_the_model_is_loaded_once_and_not_for_a_rejected_case(
    chests: list[Path], options: AnalyzeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    real = one_case._segmenter.__wrapped__
    counted = lru_cache(maxsize=1)(lambda *of: loaded.append(of) or real(*of))
    monkeypatch.setattr(one_case, "_segmenter", counted)
    assert analyze_one(chests[1], options).error
    assert not loaded
    for outcome in run([chests[0], chests[2]], options):
        assert not outcome.error
    assert len(loaded) == 1


def test_finished_cases_are_skipped_on_resume(chests: list[Path], options: AnalyzeSettings) -> None:
    list(run(chests[:1], options))
    before = (options.out / "first" / "run.json").read_bytes()
    again = AnalyzeSettings(options.out, model=options.model, threads=1, resume=True)
    skipped, analysed = run([chests[0], chests[2]], again)
    assert skipped.skipped
    assert skipped.folder == options.out / "first"
    assert not analysed.skipped
    assert (options.out / "first" / "run.json").read_bytes() == before


@pytest.mark.slow
def test_resume_finds_the_folder_under_the_name_it_was_given(
    chests: list[Path], options: AnalyzeSettings
) -> None:
    for name in ("COM10", " .a:b" + "x" * 300):
        case = AnalyzeSettings(options.out, model=options.model, threads=1, name=name, resume=True)
        assert not analyze_one(chests[0], case).skipped
        assert analyze_one(chests[0], case).skipped


def test_existing_results_are_refused_before_any_work(
    chests: list[Path], options: AnalyzeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (options.out / "first").mkdir(parents=True)
    monkeypatch.setattr("lungscore.analysis.analyze", None)
    outcome = analyze_one(chests[0], options)
    assert isinstance(outcome.error, UsageError)
    assert outcome.error.code == "output-exists"


def test_two_inputs_of_one_name_are_refused_before_any_work(
    tmp_path: Path, options: AnalyzeSettings
) -> None:
    inputs = [tmp_path / "a" / "scan.nii.gz", tmp_path / "b" / "Scan.nii"]
    with pytest.raises(UsageError) as caught:
        list(run(inputs, options))
    assert caught.value.code == "usage"
    assert "scan" in caught.value.found.lower()
    assert not options.out.exists()


def test_memory_that_runs_out_is_a_resource_error(
    chests: list[Path], options: AnalyzeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(*_: object, **__: object) -> None:
        np.empty(2**60, np.uint8)

    monkeypatch.setattr("lungscore.analysis.analyze", greedy)
    outcome = analyze_one(chests[0], options)
    assert isinstance(outcome.error, ResourceError)
    assert (outcome.error.code, outcome.error.exit_code) == ("out-of-memory", 4)
    assert "first.nii.gz" in outcome.error.found


def test_a_bug_of_ours_stops_no_other_case(
    chests: list[Path], options: AnalyzeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(path: Path, **_: object) -> None:
        raise KeyError(f"/secret/{path.name}")

    monkeypatch.setattr("lungscore.analysis.analyze", wrong)
    for outcome in run(chests, options):
        assert outcome.error is not None
        assert (outcome.error.code, outcome.error.exit_code) == ("not-analysable", 3)
        assert "secret" not in outcome.error.message
        assert "KeyError" in outcome.trace


def test_a_failed_write_leaves_nothing_behind(
    chests: list[Path], options: AnalyzeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lungscore.report.outputs.nifti_bytes", full)
    outcome = analyze_one(chests[0], options)
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.exit_code) == ("disk-full", 4)
    assert list(options.out.iterdir()) == []


# Errors between processes


@pytest.mark.parametrize("kind", [InputError, ResourceError, UsageError, LungscoreError])
def test_an_error_survives_the_way_from_another_process(kind: type[LungscoreError]) -> None:
    error = kind("slice-gap", "slice 4 is missing", expected="all slices", hint="--allow-gaps")
    # What a process pool does with it.
    back = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(back) is kind
    assert (back.code, back.found, back.expected, back.hint) == (
        error.code,
        error.found,
        error.expected,
        error.hint,
    )
    assert back.exit_code == error.exit_code
    assert str(back) == str(error)


# Several processes


@pytest.mark.slow
def test_two_workers_give_what_one_gives(
    tmp_path: Path, chests: list[Path], stand_in_model: Path
) -> None:
    first = AnalyzeSettings(tmp_path / "one", model=str(stand_in_model))
    second = AnalyzeSettings(tmp_path / "two", model=str(stand_in_model))
    alone, together = list(run(chests, first)), list(run(chests, second, workers=2))
    assert [o.input for o in together] == chests
    assert [o.error and o.error.code for o in together] == [o.error and o.error.code for o in alone]
    assert [o.table for o in together] == [o.table for o in alone]
    assert results(tmp_path / "one") == results(tmp_path / "two")
    assert len(results(tmp_path / "two")) == 10


KILLED = """
import os, signal, sys
from pathlib import Path
import lungscore.batch as batch

def murderous(path, options):
    if path.name == "broken.nii.gz":
        os.kill(os.getpid(), signal.SIGKILL)
    return batch.Outcome(path, path.parent)

if __name__ in ("__main__", "__mp_main__"):
    import lungscore.batch.processes as processes
    processes.analyze_one = murderous
if __name__ == "__main__":
    inputs = [Path(name) for name in sys.argv[1:]]
    for outcome in batch.run(inputs, batch.AnalyzeSettings(Path("out")), workers=2):
        print(outcome.input.name, outcome.error.code if outcome.error else "analysed")
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="processes are killed by a signal")
def test_a_killed_process_costs_only_its_own_case(tmp_path: Path, chests: list[Path]) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    done = subprocess.run(
        [sys.executable, script, *map(str, chests)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "first.nii.gz analysed",
        "broken.nii.gz out-of-memory",
        "last.nii.gz analysed",
    ]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="processes are stopped by a signal")
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_batch_stops_soon_and_leaves_only_whole_cases(
    tmp_path: Path, chests: list[Path], stand_in_model: Path, workers: int, number: int
) -> None:
    inputs = []
    for index in range(40):
        inputs.append(tmp_path / f"scan{index}.nii.gz")
        os.link(chests[0], inputs[-1])
    temporary, out = tmp_path / "temporary", tmp_path / "out"
    temporary.mkdir()
    command = [sys.executable, "-m", "lungscore", "analyze", *map(str, inputs), "-o", str(out)]
    command += ["--model", str(stand_in_model), "--workers", str(workers)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        start_new_session=True,
        # Tests that run in the background of a shell inherit an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not list(out.glob("scan*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    finished = sorted(path.name for path in out.iterdir())
    assert 1 <= len(finished) < len(inputs)
    assert all((out / name / "run.json").is_file() for name in finished)
    assert list(temporary.iterdir()) == []


def test_a_failure_names_no_folder_since_its_message_is_kept(
    tmp_path: Path, options: AnalyzeSettings
) -> None:
    outcome = analyze_one(tmp_path / "Jane Doe" / "scan.nii", options)
    assert outcome.error is not None
    assert outcome.error.code == "input-not-found"
    assert "scan.nii" in outcome.error.message
    assert "Jane Doe" not in outcome.error.message
