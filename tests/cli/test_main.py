"""Exit codes and messages that hold for every command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from lungscore.cli.commands import app
from lungscore.cli.console import note
from lungscore.cli.main import call, run
from lungscore.errors import InputError, ResourceError, UsageError
from lungscore.version import __version__


def ends_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let ``lungscore inspect`` end with ``error``."""

    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr("lungscore.scan.inspect_input", fail)


def test_version_says_what_it_is_and_is_not(capsys: pytest.CaptureFixture) -> None:
    assert call(["--version"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"lungscore {__version__}",
        "Research use only. Not a medical device.",
    ]


def test_the_installed_command_and_the_module_are_the_same() -> None:
    for command in (["-m", "lungscore"], ["-c", "from lungscore.cli.main import run; run()"]):
        done = subprocess.run(
            [sys.executable, *command, "--version"], capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert __version__ in done.stdout


def test_a_rejection_reaches_the_shell(tmp_path) -> None:
    command = [sys.executable, "-m", "lungscore", "inspect", str(tmp_path / "nothing")]
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == 3


@pytest.mark.parametrize(
    "command", ["analyze", "predict", "score", "compare", "inspect", "demo", "train"]
)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture) -> None:
    assert call([command, "--help"]) == 0
    assert "Usage: lungscore " + command in capsys.readouterr().out


def test_help_lists_every_command(capsys: pytest.CaptureFixture) -> None:
    assert call(["--help"]) == 0
    text = capsys.readouterr().out
    for command in "analyze predict score compare inspect demo train evaluate models info".split():
        assert f" {command} " in text
    for group in ("Use", "Compare", "Research"):
        assert f"─ {group} ─" in text
    for option in ("--debug", "--quiet", "--verbose", "--install-completion"):
        assert option in text
    assert "Research use only" in text


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["diagnose"],
        ["analyze"],
        ["analyze", "scan"],
        ["analyze", "scan", "-o", "out", "--engine", "abacus"],
        ["analyze", "scan", "-o", "out", "--precision", "f64"],
        ["analyze", "scan", "-o", "out", "--workers", "0"],
        ["analyze", "scan", "-o", "out", "--threads", "many"],
        ["analyze", "scan", "-o", "out", "--unknown"],
        ["predict", "slice.png"],
        ["score", "--lungs", "lungs.nii.gz"],
        ["inspect"],
        ["inspect", "one", "two"],
        ["models", "rename"],
    ],
    ids=lambda arguments: " ".join(arguments) or "nothing",
)
def test_wrong_usage_is_code_2_with_a_hint(
    arguments: list[str], capsys: pytest.CaptureFixture
) -> None:
    assert call(arguments) == 2
    output = capsys.readouterr()
    assert "Usage: lungscore" in (output.err if arguments else output.out)
    assert "Traceback" not in output.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("usage", "these do not fit together"), 2),
        (InputError("no-lungs", "nothing that looks like lungs", expected="a chest CT"), 3),
        (ResourceError("engine-missing", "No engine", hint="pip install openvino"), 4),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 4),
        (MemoryError(), 4),
        (RuntimeError("inner secret"), 5),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_every_way_to_fail_has_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, error: Exception, code: int
) -> None:
    ends_with(monkeypatch, error)
    assert call(["inspect", "scan"]) == code
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    assert "inner secret" not in output.err
    assert output.err.strip()
    assert output.out == ""


def test_a_message_says_code_finding_expectation_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    ends_with(
        monkeypatch,
        InputError(
            "slice-gap",
            "Slice 7 is missing",
            expected="a slice every 2 mm",
            hint="Use --allow-gaps",
        ),
    )
    assert call(["inspect", "scan"]) == 3
    assert capsys.readouterr().err.splitlines() == [
        "error [slice-gap] Slice 7 is missing.",
        "  Expected: a slice every 2 mm.",
        "  What to do: Use --allow-gaps.",
    ]


def test_a_library_that_only_training_needs_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for name in [name for name in sys.modules if name.startswith("lungscore.learning")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    assert call(["train", str(tmp_path / "experiment.yaml")]) == 4
    text = capsys.readouterr().err
    assert "error [library-missing] torch is not installed" in text
    assert "lungscore[train]" in text


def test_a_bug_of_ours_says_how_to_report_it_and_debug_shows_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    ends_with(monkeypatch, ZeroDivisionError("inside"))
    assert call(["inspect", "scan"]) == 5
    text = capsys.readouterr().err
    assert "error [internal] ZeroDivisionError in lungscore" in text
    assert "--debug" in text
    assert call(["inspect", "scan"], debug=True) == 5
    text = capsys.readouterr().err
    assert "Traceback" in text
    assert "ZeroDivisionError: inside" in text


@pytest.mark.parametrize("position", [1, 2, 3])
def test_debug_may_stand_anywhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, position: int
) -> None:
    ends_with(monkeypatch, ZeroDivisionError("inside"))
    monkeypatch.setattr("lungscore.cli.main.end_when_told", lambda: None)
    monkeypatch.setattr("signal.pthread_sigmask", lambda *_: None, raising=False)
    arguments = ["lungscore", "inspect", "scan"]
    monkeypatch.setattr("sys.argv", [*arguments[:position], "--debug", *arguments[position:]])
    with pytest.raises(SystemExit) as left:
        run()
    assert left.value.code == 5
    assert "Traceback" in capsys.readouterr().err


def every_command() -> list[list[str]]:
    """Every command and group of commands, as its arguments."""
    names: list[list[str]] = [[]]
    pending = [([], typer.main.get_command(app))]
    while pending:
        path, group = pending.pop()
        for name, command in getattr(group, "commands", {}).items():
            names.append([*path, name])
            pending.append(([*path, name], command))
    return names


#: Prints the help of every command that it is given, as one JSON object.
EVERY_HELP = """
import json, sys
from typer.testing import CliRunner
from lungscore.cli.commands import app
commands = json.loads(sys.argv[1])
results = [CliRunner().invoke(app, [*command, "--help"]) for command in commands]
assert not any(result.exit_code for result in results)
print(json.dumps([result.output for result in results]))
"""


def test_no_help_is_cut_at_100_columns() -> None:
    commands = every_command()
    done = subprocess.run(
        [sys.executable, "-c", EVERY_HELP, json.dumps(commands)],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"COLUMNS": "100", "TERMINAL_WIDTH": "100"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    for command, text in zip(commands, json.loads(done.stdout), strict=True):
        assert max(map(len, text.splitlines())) in range(90, 101), command
        cut = [line for line in text.splitlines() if "…" in line and "label, …" not in line]
        assert not [line for line in cut if "LABEL=CLASS" not in line], command


def test_completion_of_the_shell_knows_commands_and_presets(tmp_path: Path) -> None:
    def complete(words: str) -> list[str]:
        environment = os.environ | {
            "_LUNGSCORE_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }
        command = [sys.executable, "-m", "lungscore"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
        return done.stdout.split()

    assert complete("lungscore ana") == ["analyze"]
    assert complete("lungscore demo --preset few") == ["few-patches"]
    done = subprocess.run(
        [sys.executable, "-m", "lungscore", "--install-completion", "bash"],
        capture_output=True,
        text=True,
        env=os.environ
        | {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*lungscore*"))


def test_quiet_hides_progress_but_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(
        "lungscore.scan.inspect_input", lambda _: note("at work") or {"rejection": None}
    )
    assert call(["inspect", "scan"]) == 0
    assert "at work" in capsys.readouterr().err
    assert call(["inspect", "scan", "-q"]) == 0
    output = capsys.readouterr()
    assert (output.out, output.err) == ("rejection: null\n", "")
    ends_with(monkeypatch, InputError("no-lungs", "No lungs"))
    assert call(["--quiet", "inspect", "scan"]) == 3
    assert "error [no-lungs]" in capsys.readouterr().err


def test_verbose_says_how_long_it_took(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("lungscore.scan.inspect_input", lambda _: {"rejection": None})
    assert call(["inspect", "-v", "scan"]) == 0
    assert capsys.readouterr().err.endswith(" s in all\n")
    assert call(["inspect", "scan"]) == 0
    assert capsys.readouterr().err == ""


def test_what_follows_two_dashes_is_no_flag(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(
        "lungscore.scan.inspect_input", lambda path: {"rejection": None, "path": str(path)}
    )
    assert call(["inspect", "--", "-v"]) == 0
    output = capsys.readouterr()
    assert 'path: "-v"' in output.out
    assert output.err == ""
