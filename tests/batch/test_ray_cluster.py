"""Cases on Ray: the same results, whatever becomes of the workers."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lungscore.batch import AnalyzeSettings, Outcome, ray_cluster, run
from lungscore.batch.case import COHORT_FILES, Case, as_case
from lungscore.batch.ray_cluster import Worker, cluster, run_on_ray, seen_from_here
from lungscore.cli.main import call
from lungscore.errors import ResourceError, UsageError
from lungscore.scan.phantom import make_phantom
from lungscore.scan.write import write_nifti
from lungscore.version import __version__

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="processes are found and killed by ps"
)


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    with cluster("local", cores=2) as module:
        yield module


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six very small phantoms, and among them a file that is none."""
    folder = tmp_path_factory.mktemp("chests")
    inputs = [folder / f"chest{number}.nii.gz" for number in range(6)]
    for seed, path in enumerate(inputs):
        write_nifti(make_phantom("mild", seed=seed % 2, shape=(16, 80, 80)).scan, path)
    broken = folder / "broken.nii.gz"
    broken.write_bytes(b"no scan at all")
    return [*inputs[:2], broken, *inputs[2:]]


@pytest.fixture(scope="module")
def expected(
    tmp_path_factory: pytest.TempPathFactory, chests: list[Path], stand_in_model: Path
) -> dict[str, bytes]:
    """What the same command writes without Ray."""
    out = tmp_path_factory.mktemp("plain")
    for _ in run(chests, AnalyzeSettings(out, model=str(stand_in_model), threads=1)):
        pass
    return results(out)


@pytest.fixture
def options(tmp_path: Path, stand_in_model: Path) -> AnalyzeSettings:
    return AnalyzeSettings(tmp_path / "out", model=str(stand_in_model), threads=1)


def results(out: Path) -> dict[str, bytes]:
    """Everything that must not depend on where the cases were analysed."""
    kept = ("result.json", "lesions.nii.gz", "lungs.nii.gz", "lobes.nii.gz", "regions.nii.gz")
    return {
        f"{path.parent.name}/{path.name}": path.read_bytes()
        # Not what a killed worker was writing.
        for path in sorted(out.glob("[!.]*/*"))
        if path.name in kept
    }


def codes(outcomes: list[Outcome]) -> dict[str, str | None]:
    errors = {outcome.input.name: outcome.error for outcome in outcomes}
    return {name: error.code if error else None for name, error in errors.items()}


def descendants(of: int) -> dict[int, str]:
    """The processes below one, with their titles."""
    listed = subprocess.run(
        ["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
    )
    rows = [line.split(maxsplit=2) for line in listed.stdout.splitlines()[1:]]
    processes, parents = {}, {of}
    while parents:
        children = {int(row[0]): row[-1] for row in rows if int(row[1]) in parents}
        processes |= children
        parents = set(children)
    return processes


def busy_worker(*, other_than: Sequence[int] = ()) -> int:
    """Wait for a worker that is analysing a case."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for number, title in descendants(os.getpid()).items():
            if title.startswith("ray::Worker.analyze") and number not in other_than:
                return number
        time.sleep(0.02)
    raise TimeoutError("no worker is at work")


@pytest.mark.slow
def test_two_workers_give_what_the_plain_run_gives(
    ray: Any, chests: list[Path], options: AnalyzeSettings, expected: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    # Paths are given relative to a folder that is not the workers' own.
    monkeypatch.chdir(options.out.parent)
    inputs = [Path(os.path.relpath(path)) for path in chests]
    here = replace(options, out=Path("out"), model=os.path.relpath(options.model or ""))
    outcomes = list(run(inputs, here, workers=2, ray="local"))
    assert len(outcomes) == len(inputs)
    assert {outcome.input for outcome in outcomes} == set(inputs)
    assert codes(outcomes) == {
        path.name: "format-not-recognised" if path.name == "broken.nii.gz" else None
        for path in inputs
    }
    assert all("CT-SS" in outcome.table for outcome in outcomes if not outcome.error)
    assert {outcome.folder for outcome in outcomes if not outcome.error} == {
        Path("out") / f"chest{number}" for number in range(6)
    }
    assert len(expected) == 30
    assert results(options.out) == expected
    assert list(options.out.glob(".tmp-*")) == []


def kill_busy_workers(count: int) -> tuple[threading.Thread, list[int]]:
    """Kill ``count`` workers, one after the other, as each is seen at work; and which they were."""
    killed: list[int] = []

    def watch() -> None:
        # A new worker's first case takes a second at least: it loads the libraries and the model.
        for _ in range(count):
            killed.append(busy_worker(other_than=killed))
            os.kill(killed[-1], signal.SIGKILL)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread, killed


@pytest.mark.slow
def test_a_killed_worker_costs_no_case(
    ray: Any, chests: list[Path], options: AnalyzeSettings, expected: dict[str, bytes]
) -> None:
    thread, killed = kill_busy_workers(1)
    ends = codes(list(run_on_ray(chests, options, workers=2)))
    thread.join()
    assert len(killed) == 1
    assert killed[0] not in descendants(os.getpid())
    assert ends.pop("broken.nii.gz") == "format-not-recognised"
    assert ends == {f"chest{number}.nii.gz": None for number in range(6)}
    assert results(options.out) == expected


@pytest.mark.slow
def test_a_case_that_loses_two_workers_fails_alone(
    ray: Any, chests: list[Path], options: AnalyzeSettings
) -> None:
    thread, killed = kill_busy_workers(2)
    outcomes = list(run_on_ray(chests[:2], options, workers=1))
    thread.join()
    assert len(killed) == 2
    assert codes(outcomes) == {"chest0.nii.gz": "worker-lost", "chest1.nii.gz": None}
    lost = outcomes[0].error
    assert isinstance(lost, ResourceError)
    assert "chest0.nii.gz" in lost.message


@pytest.mark.slow
def test_cores_that_nobody_has_are_waited_for_and_then_an_error(
    ray: Any, chests: list[Path], options: AnalyzeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "PATIENCE_S", 1.0)
    with pytest.raises(ResourceError) as caught:
        list(run_on_ray(chests, replace(options, threads=64), workers=2))
    assert caught.value.code == "cluster-unusable"
    assert "64 free cores" in caught.value.found


@pytest.mark.slow
def test_a_cluster_that_is_joined_keeps_running_and_prints_nothing(
    ray: Any, chests: list[Path], options: AnalyzeSettings, expected: dict[str, bytes]
) -> None:
    address = ray.get_runtime_context().gcs_address
    command = [sys.executable, "-m", "lungscore", "analyze", *map(str, chests), "--json"]
    command += ["-o", str(options.out), "--model", str(options.model), "--workers", "2"]
    done = subprocess.run([*command, "--ray", address], capture_output=True, text=True, timeout=120)
    assert done.returncode == 3
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(line.get("case", "broken") for line in printed) == [
        "broken", *(f"chest{number}" for number in range(6))
    ]  # fmt: skip
    assert "ray" not in done.stderr.lower().replace("grey", "")
    assert results(options.out) == expected

    @ray.remote(num_cpus=0)
    def alive() -> bool:
        return True

    assert ray.get(alive.remote())


@pytest.mark.slow
def test_ctrl_c_ends_the_private_cluster_and_leaves_only_whole_cases(
    tmp_path: Path, chests: list[Path], options: AnalyzeSettings
) -> None:
    inputs = []
    for index in range(60):
        inputs.append(tmp_path / f"scan{index}.nii.gz")
        os.link(chests[0], inputs[-1])
    command = [sys.executable, "-m", "lungscore", "analyze", *map(str, inputs), "--ray", "local"]
    command += ["-o", str(options.out), "--model", str(options.model), "--workers", "2"]
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as temporary:
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": temporary},
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        deadline = time.monotonic() + 60
        while not list(options.out.glob("scan*")) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.1)
        started = descendants(process.pid)
        assert any(title.startswith("ray::Worker") for title in started.values())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in errors
        assert list(Path(temporary).iterdir()) == []
    finished = list(options.out.iterdir())
    assert 1 <= len(finished) < len(inputs)
    assert all((folder / "run.json").is_file() for folder in finished)
    assert not any(Path(f"/proc/{number}").exists() for number in started)


# Without a cluster


IMPORTED = """
import os
print(os.environ["RAY_USAGE_STATS_ENABLED"], os.environ["RAY_AUTH_MODE"])
raise ModuleNotFoundError("No module named 'ray'", name="ray")
"""


def test_usage_reporting_is_off_before_ray_is_imported(
    tmp_path: Path, chests: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ray.py").write_text(IMPORTED)
    environment = {name: value for name, value in os.environ.items() if name[:4] != "RAY_"}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *sys.path])
    environment["RAY_USAGE_STATS_ENABLED"] = "1"
    command = [sys.executable, "-m", "lungscore", "analyze", str(chests[0]), "--ray", "local"]
    done = subprocess.run(
        [*command, "-o", "out"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=60,
    )
    assert done.stdout.split() == ["0", "token"]
    assert done.returncode == 4
    assert "library-missing" in done.stderr
    assert 'pip install "lungscore[ray]"' in done.stderr


def test_a_wrong_address_is_a_usage_error(chests: list[Path], options: AnalyzeSettings) -> None:
    for address in ("", "somewhere", "ray://head", "head:port"):
        with pytest.raises(UsageError):
            list(run(chests, options, workers=2, ray=address))


def test_a_cluster_that_is_not_there_is_a_clear_error(
    chests: list[Path], options: AnalyzeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(**_: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as Ray does, before it looks
        raise ConnectionError("nobody is there")

    absent = SimpleNamespace(
        init=nobody, is_initialized=bool, exceptions=SimpleNamespace(RayError=KeyError)
    )
    monkeypatch.setattr(ray_cluster, "_import_ray", lambda private: absent)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ResourceError) as caught:
        list(run(chests, options, workers=2, ray="10.0.0.1:6379"))
    assert caught.value.code == "cluster-unusable"
    assert "10.0.0.1:6379" in caught.value.found
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_lungscore_on_a_computer_of_the_cluster_is_refused(
    chests: list[Path], options: AnalyzeSettings
) -> None:
    outcome = Worker().analyze(as_case(chests[0]), options, "0.0.0")
    assert outcome.error is not None
    assert outcome.error.code == "cluster-unusable"
    assert __version__ in outcome.error.message
    assert "0.0.0" in outcome.error.message
    assert not options.out.exists()


def test_a_result_that_cannot_be_seen_here_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "SHOWN_WITHIN_S", 0.0)
    case = as_case(Path("chest.nii.gz"))
    there = Outcome(case.path.absolute(), Path("/elsewhere/out/chest"), "A table")
    unseen = seen_from_here(there, case, tmp_path)
    assert unseen.error is not None
    assert unseen.error.code == "cluster-unusable"
    (tmp_path / "chest").mkdir()
    (tmp_path / "chest" / "result.json").write_text("{}")
    assert unseen.case == "chest"
    assert seen_from_here(there, case, tmp_path) == Outcome(
        case.path, tmp_path / "chest", "A table"
    )


@pytest.mark.slow
def test_a_retry_takes_what_the_lost_worker_had_finished(
    chests: list[Path], options: AnalyzeSettings
) -> None:
    analysed: list[AnalyzeSettings] = []

    class Lost(Exception):
        """What a task gives whose process was killed."""

    def analyze(case: Case, options: AnalyzeSettings, version: str) -> Outcome | Lost:
        analysed.append(options)
        outcome = Worker().analyze(case, options, version)
        return Lost() if len(analysed) == 1 else outcome

    def get(result: Any) -> Any:
        if isinstance(result, Lost):
            raise result
        return result

    def remote(function: Callable[..., Any]) -> SimpleNamespace:
        return SimpleNamespace(remote=function)

    worker = SimpleNamespace(ready=remote(lambda: None), analyze=remote(analyze))
    immediate = SimpleNamespace(
        remote=lambda **_: lambda _: remote(lambda: worker),
        wait=lambda tasks, **_: (tasks[:1], tasks[1:]),
        get=get,
        kill=lambda _: None,
        exceptions=SimpleNamespace(RayError=Lost),
    )
    (outcome,) = ray_cluster._Crew(immediate, chests[:1], options).outcomes(1)
    assert [settings.resume for settings in analysed] == [False, True]
    assert outcome.error is None
    assert outcome.folder == options.out / "chest0"


@pytest.mark.slow
def test_a_cohort_on_ray_has_the_tables_of_a_plain_one(
    ray: Any, chests: list[Path], options: AnalyzeSettings, tmp_path: Path
) -> None:
    folder, plain = chests[0].parent, tmp_path / "plain"
    arguments = ["analyze", str(folder), "--workers", "2", "--threads", "1"]
    arguments += ["--model", str(options.model)]
    assert call([*arguments, "-o", str(plain)]) == 3  # one of them is no scan
    assert call([*arguments, "-o", str(options.out), "--ray", "local"]) == 3
    for name in COHORT_FILES:
        assert (options.out / name).read_bytes() == (plain / name).read_bytes(), name
    assert results(options.out) == results(plain)
