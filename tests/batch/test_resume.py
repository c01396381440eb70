"""A cohort that is killed, stopped or robbed of a worker, and goes on."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lungscore.scan.phantom import make_phantom
from lungscore.scan.write import write_nifti

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are killed by signals")

COUNT, KILLS = 8, 2
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight small phantoms, one of them cut off and one packed."""
    folder = tmp_path_factory.mktemp("scans")
    for index in range(COUNT):
        phantom = make_phantom("mild", seed=index, shape=(16, 80, 80))
        write_nifti(phantom.scan, folder / f"{index}.nii.gz")
    cut = folder / "3.nii.gz"
    cut.write_bytes(cut.read_bytes()[:5000])
    shutil.make_archive(str(folder / "packed"), "zip", folder, "5.nii.gz")
    (folder / "5.nii.gz").unlink()
    return folder


def command(scans: Path, out: Path, model: Path, *more: str) -> list[str]:
    given = ["analyze", str(scans), "-o", str(out), "--model", str(model), "--no-ranges"]
    return [sys.executable, "-m", "lungscore", *given, "--threads", "1", *more]


def started(*of: str) -> subprocess.Popen:
    return subprocess.Popen(
        of,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Tests that run in the background of a shell inherit an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def alive(group: int) -> bool:
    """Whether a process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def files(out: Path) -> dict[str, bytes]:
    """Every file of a cohort but run.json, which has the times."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "run.json"
    }


@pytest.fixture(scope="module")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, scans: Path, stand_in_model: Path
) -> tuple[dict[str, bytes], float]:
    """The files of a run that nobody disturbed, and how long it took."""
    out, began = tmp_path_factory.mktemp("uninterrupted") / "out", time.monotonic()
    done = subprocess.run(command(scans, out, stand_in_model), capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert f"{COUNT - 1} of {COUNT} analysed, 1 failed" in done.stderr
    return files(out), time.monotonic() - began


@pytest.mark.slow
def test_a_run_killed_at_any_moment_ends_with_the_same_bytes(
    tmp_path: Path,
    scans: Path,
    stand_in_model: Path,
    uninterrupted: tuple[dict[str, bytes], float],
) -> None:
    expected, seconds = uninterrupted
    rng, out, killed = random.Random(5), tmp_path / "out", 0  # noqa: S311
    while killed < KILLS:
        process = started(*command(scans, out, stand_in_model, "--resume", "--workers", "2"))
        try:
            process.communicate(timeout=rng.uniform(0.2, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            killed += 1
            complete = {name for name in files(out) if not name.startswith(".")}
            assert complete <= set(expected)
        else:
            shutil.rmtree(out)  # it was done before it could be killed: begin anew
    last = subprocess.run(
        command(scans, out, stand_in_model, "--resume"), capture_output=True, text=True
    )
    assert last.returncode == 3, last.stderr
    assert files(out) == expected


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are read from /proc")
def test_fifty_kills_of_processes_and_workers_leave_the_same_bytes(
    tmp_path: Path, stand_in_model: Path
) -> None:
    script, result = ROOT / "experiments" / "cohort_kills.py", tmp_path / "kills.json"
    given = [str(tmp_path / "folder"), "--model", str(stand_in_model), "--result", str(result)]
    given += ["--cases", "60"]
    done = subprocess.run([sys.executable, script, *given], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(result.read_text())["figures"]
    assert figures["identical"]
    assert figures["kills"] == 50
    assert figures["kills_that_left_something_half_written"] > 0
    assert set(figures["killed"]) == {"group", "parent", "worker"}
    assert set(figures["moments"]) == {"any", "writing", "tables"}


def in_work(process: subprocess.Popen, out: Path) -> None:
    """Wait until a case is there."""
    deadline = time.monotonic() + 60
    while not list(out.glob("[0-9]")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() is None


def ends(group: int) -> bool:
    """Whether all processes of the group end within 20 seconds."""
    deadline = time.monotonic() + 20
    while alive(group) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(group)


@pytest.mark.slow
def test_no_worker_outlives_a_run_that_is_killed(
    tmp_path: Path, scans: Path, stand_in_model: Path
) -> None:
    out = tmp_path / "out"
    process = started(*command(scans, out, stand_in_model, "--workers", "2"))
    in_work(process, out)
    process.kill()
    process.communicate()
    assert ends(process.pid)


@pytest.mark.slow
def test_ctrl_c_leaves_whole_cases_and_no_process_and_the_rest_to_resume(
    tmp_path: Path,
    scans: Path,
    stand_in_model: Path,
    uninterrupted: tuple[dict[str, bytes], float],
) -> None:
    out = tmp_path / "out"
    process = started(*command(scans, out, stand_in_model, "--workers", "2"))
    in_work(process, out)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
    cases = list(out.iterdir())
    assert cases
    assert all((case / "run.json").is_file() for case in cases)
    assert ends(process.pid)
    last = command(scans, out, stand_in_model, "--resume", "--workers", "2")
    assert subprocess.run(last, capture_output=True).returncode == 3
    assert files(out) == uninterrupted[0]


def printed(code: str, folder: Path) -> list[str]:
    """The lines that a script prints, which is run in ``folder``."""
    script = folder / "script.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=folder,
    )
    return done.stdout.splitlines()


ROBBED = """
import os, signal, sys
from pathlib import Path
import lungscore.batch as batch
import lungscore.batch.processes as processes

def murderous(case, options):
    if case.name == "guilty":
        os.kill(os.getpid(), signal.SIGKILL)
    return batch.Outcome(case.path, case.path, case=case.name)

processes.analyze_one = murderous
if __name__ == "__main__":
    names = [f"{i}" for i in range(4)] + ["guilty"] + [f"{i}" for i in range(4, 12)]
    cases = [batch.Case(name, Path(name)) for name in names]
    for outcome in batch.run(cases, batch.AnalyzeSettings(Path("out")), isolated=True):
        print(outcome.case, outcome.error.code if outcome.error else "analysed")
"""


def test_a_killed_worker_costs_its_own_case_alone_even_of_one_worker(tmp_path: Path) -> None:
    lines = printed(ROBBED, tmp_path)
    assert lines[4] == "guilty out-of-memory"
    assert len(lines) == 13
    assert all(line.endswith("analysed") for line in lines[:4] + lines[5:])


OTHERS = """
import os, signal, sys, threading, time
from multiprocessing import active_children
from pathlib import Path
import lungscore.batch as batch
import lungscore.batch.processes as processes

def slow(case, options):
    Path(case.name).write_text(str(os.getpid()))
    if case.name == "slow":
        time.sleep(2)
    return batch.Outcome(case.path, case.path, case=case.name)

def kill_the_idle():
    while not (Path("slow").is_file() and Path("quick").is_file()):
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(int(Path("quick").read_text()), signal.SIGKILL)

processes.analyze_one = slow
if __name__ == "__main__":
    threading.Thread(target=kill_the_idle).start()
    cases = [batch.Case(name, Path(name)) for name in ("slow", "quick")]
    for outcome in batch.run(cases, batch.AnalyzeSettings(Path("out")), workers=2):
        print(outcome.case, outcome.error.code if outcome.error else "analysed")
"""


@pytest.mark.slow
def test_a_worker_that_is_killed_as_it_waits_holds_nobody_up(tmp_path: Path) -> None:
    assert printed(OTHERS, tmp_path) == ["slow analysed", "quick analysed"]


DEAF = """
import os, signal, sys, time
from pathlib import Path
import lungscore.batch as batch
import lungscore.batch.processes as processes

def deaf(case, options):
    if case.name == "deaf":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
        Path("deaf").touch()
        time.sleep(600)
    return batch.Outcome(case.path, case.path, case=case.name)

processes.analyze_one = deaf
processes.PATIENCE_S = 0.5
if __name__ == "__main__":
    cases = [batch.Case(name, Path(name)) for name in ("quick", "deaf")]
    outcomes = batch.run(cases, batch.AnalyzeSettings(Path("out")), isolated=True)
    print(next(outcomes).case)
    while not Path("deaf").exists():
        time.sleep(0.05)
    outcomes.close()
"""


@pytest.mark.slow
def test_a_worker_that_does_not_listen_is_killed_when_the_run_stops(tmp_path: Path) -> None:
    assert printed(DEAF, tmp_path) == ["quick"]
