"""Standard output and temporary folders that fail, and what may be shown on a terminal."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lungscore.cli.console import printable
from lungscore.errors import InputError, Notice, ResourceError, escaped
from lungscore.scan.archive import unpacked
from lungscore.temporary import parent_folder

COMMAND = [sys.executable, "-m", "lungscore"]

on_linux = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")


@on_linux
@pytest.mark.parametrize("arguments", [["--version"], ["info", "--json"], ["--help"]])
def test_standard_output_on_a_full_disk_is_a_code(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 4
    assert "error [disk-full]" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_closed_pipe_is_a_code() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*COMMAND, "info"], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(writer)
    assert done.returncode == 4
    assert "error [output-not-writable] Standard output" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="descriptors of POSIX")
@pytest.mark.parametrize("closed", [0, 1, 2])
def test_streams_that_the_caller_closed_do_no_harm(closed: int, tmp_path: Path) -> None:
    code = f"import os, sys; os.close({closed}); os.execv(sys.executable, {COMMAND!r} + ['info'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.returncode == 0


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "scan.zip"
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("slice", b"x" * 100)
    return path


def test_no_temporary_folder_is_a_code(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none)
    with pytest.raises(ResourceError) as caught, unpacked(archive):
        pass
    assert caught.value.code == "output-not-writable"
    assert "TMPDIR" in caught.value.message


def test_a_temporary_folder_that_is_full_is_named(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")
    folder = tmp_path / "own temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, before[1]))
    try:
        with pytest.raises(ResourceError) as caught, unpacked(archive):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.code == "disk-full"
    assert folder.name in caught.value.found
    assert list(folder.iterdir()) == []


def test_the_folder_that_is_used_instead_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    used = parent_folder()
    assert str(tmp_path / "missing") in caplog.text
    assert f"{used} is used instead" in caplog.text


@pytest.mark.parametrize(
    "letter", ["\x1b", "\x9b", "\x07", "\r", "\x7f", "\u202e", "\u2028", "\udce4"]
)
def test_no_control_character_reaches_terminal_result_or_report(letter: str) -> None:
    text = f"a{letter}[2Jb"
    assert letter not in printable(text)
    assert letter not in InputError("no-lungs", text, expected=text, hint=text).message
    assert letter not in Notice("contrast", text).message
    assert json.loads(f'"{escaped(text)}"') == text  # the same text to JSON
    Notice("contrast", text).message.encode()  # "\udce4" stands for a byte that is no UTF-8


def test_letters_of_all_scripts_stay() -> None:
    text = "Müller 肺 Ω 3 158 ml «é» ①"
    assert escaped(text) == printable(text) == text
    assert printable("two\nlines") == "two\nlines"
