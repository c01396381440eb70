"""Told to stop, or killed: the process ends soon, and nothing of the patient stays behind."""

import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Generator
from pathlib import Path

import pytest

from lungscore import interruption
from lungscore.background import in_background
from lungscore.files import atomic_path, staging_folder
from lungscore.temporary import clear_temporary_folders, temporary_folder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def python(code: str, folder: Path, **options: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(folder)},
        **options,
    )


def own(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith("lungscore-")]


#: A command that hangs, deaf to exceptions, with a temporary folder and a file being written.
DEAF = """
import threading, time
from pathlib import Path
from lungscore import interruption
from lungscore.files import staging_folder
from lungscore.temporary import temporary_folder
interruption.PATIENCE_S = 0.5
interruption.end_when_told()
with temporary_folder() as folder, staging_folder(Path.cwd()) as staging:
    (folder / "doe.dcm").write_text("patient")
    (staging / "half").write_text("half")
    said = "ready"
    while True:
        try:
            print(said, flush=True)
            said = "lost"
            time.sleep(600)
        except KeyboardInterrupt:
            pass
"""


@pytest.mark.parametrize("number", interruption.SIGNALS)
def test_a_deaf_process_ends_and_clears_up(tmp_path: Path, number: int) -> None:
    process = python(DEAF, tmp_path)
    assert process.stdout.readline() == "ready\n"
    assert len(own(tmp_path)) == 1
    process.send_signal(number)
    assert process.wait(30) == 130
    assert "interrupted" in process.stderr.read()
    assert list(tmp_path.iterdir()) == []


def test_the_second_signal_does_not_disturb_clearing_up(tmp_path: Path) -> None:
    process = python(DEAF, tmp_path)
    process.stdout.readline()
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    assert process.wait(30) == 130
    assert process.stdout.read().count("lost") <= 1
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_start(tmp_path: Path) -> None:
    process = python(DEAF, tmp_path)
    process.stdout.readline()
    process.kill()
    process.wait()
    assert len(own(tmp_path)) == 1
    code = "import sys; from lungscore.cli.main import call; sys.exit(call(['--version']))"
    assert python(code, tmp_path).wait(60) == 0
    assert own(tmp_path) == []


def test_only_what_nobody_holds_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    strange = tmp_path / "lungscore-mine"
    strange.mkdir()
    (tmp_path / "lungscore-0123456789ab").symlink_to(strange)
    with temporary_folder() as held:
        clear_temporary_folders()
        assert held.is_dir()
    clear_temporary_folders()
    assert {path.name for path in tmp_path.iterdir()} == {
        "lungscore-mine",
        "lungscore-0123456789ab",
    }


def test_what_is_written_is_known_until_it_is_whole(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a") as path, staging_folder(tmp_path) as staging:
        path.write_text("half")
        assert {path, staging} <= interruption._temporary
        interruption.remove_temporary()
        assert not path.exists()
        assert not staging.exists()
        path.write_text("whole")
    assert not {path, staging} & interruption._temporary


@pytest.mark.slow
def test_an_interruption_does_not_wait_for_a_step_that_never_ends() -> None:
    go_on = threading.Event()

    def steps() -> Generator[int, None, None]:
        go_on.wait(60)
        yield 1

    def leave() -> None:
        with in_background(steps()):
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        leave()
    go_on.set()
    assert time.monotonic() - began < 30  # it would have been 60


def test_ctrl_c_while_modules_load_is_an_interruption(tmp_path: Path) -> None:
    code = """
import sys, threading, os, signal
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "lungscore.cli.commands":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.argv = ["lungscore", "--version"]
from lungscore.cli.main import run
run()
"""
    process = python(code, tmp_path)
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out, errors) == (130, "", "The run was interrupted.\n")


def test_ctrl_c_as_python_ends_is_too_late(tmp_path: Path) -> None:
    code = """
import os, signal, sys
class Last:
    # After the handlers of signals were given back; the names of modules are gone by then.
    def __del__(self, kill=os.kill, process=os.getpid(), number=signal.SIGINT):
        kill(process, number)
sys.last = Last()
sys.argv = ["lungscore", "--version"]
from lungscore.cli.main import run
run()
"""
    process = python(code, tmp_path)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_signals_at_several_moments_of_an_analysis(
    tmp_path: Path, stand_in_model: Path, packed: bool
) -> None:
    from lungscore.scan.phantom import make_phantom
    from lungscore.scan.write import write_dicom_series

    series, archive = tmp_path / "series", tmp_path / "series.zip"
    write_dicom_series(make_phantom("mild", shape=(16, 80, 80)).scan, series)
    with zipfile.ZipFile(archive, "w") as target:
        for path in series.iterdir():
            target.write(path, path.name)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    code = "import sys; from lungscore.cli.main import run; print(1, flush=True); run()"
    for step in range(6):
        out = tmp_path / f"out{step}"
        given = [str(archive if packed else series), "-o", str(out), "--model", str(stand_in_model)]
        process = subprocess.Popen(
            [sys.executable, "-c", code, "analyze", *given],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"TMPDIR": str(temporary)},
        )
        process.stdout.readline()
        time.sleep(0.05 + 0.4 * step)
        process.send_signal(signal.SIGINT if step % 2 else signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        finished = (out / "series" / "result.json").is_file()
        assert process.returncode == 130 or (process.returncode == 0 and finished), errors
        assert b"Traceback" not in errors
        assert own(temporary) == []
        assert not list(tmp_path.glob("out*/.tmp-*"))
