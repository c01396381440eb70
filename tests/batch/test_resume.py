"""A cohort that is killed, stopped or robbed of a worker, and goes on."""

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

#: A run that ends and begins anew as often as kills are wanted.
COUNT = 8


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


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_a_run_killed_at_any_moment_ends_with_the_same_bytes(
    tmp_path: Path,
    scans: Path,
    stand_in_model: Path,
    uninterrupted: tuple[dict[str, bytes], float],
    kills: int,
) -> None:
    expected, seconds = uninterrupted
    rng, out, killed = random.Random(kills), tmp_path / "out", 0  # noqa: S311
    while killed < kills:
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


def test_a_stopped_run_leaves_whole_cases_and_no_process(
    tmp_path: Path, scans: Path, stand_in_model: Path
) -> None:
    out = tmp_path / "out"
    process = started(*command(scans, out, stand_in_model, "--workers", "2"))
    deadline = time.monotonic() + 60
    while not list(out.glob("[0-9]")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
    cases = list(out.iterdir())
    assert cases
    assert all((case / "run.json").is_file() for case in cases)
    deadline = time.monotonic() + 20
    while alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(process.pid)


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
    for outcome in batch.run(cases, batch.Options(Path("out")), isolated=True):
        print(outcome.case, outcome.error.code if outcome.error else "analysed")
"""


def test_a_killed_worker_costs_its_own_case_alone_even_of_one_worker(tmp_path: Path) -> None:
    script = tmp_path / "robbed.py"
    script.write_text(ROBBED)
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[4] == "guilty out-of-memory"
    assert len(lines) == 13
    assert all(line.endswith("analysed") for line in lines[:4] + lines[5:])
