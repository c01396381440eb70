"""What tests of commands share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lungscore.batch import one_case
from lungscore.cli.main import call

Analyze = Callable[..., int]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def analyze(out: Path, stand_in_model: Path) -> Analyze:
    """``lungscore analyze`` with the stand-in model; returns the exit code.

    Without ranges, which take as long as all else, unless they are asked for.
    """

    def command(*arguments: object, ranges: bool = False) -> int:
        given = [str(argument) for argument in arguments]
        if not ranges:
            given.append("--no-ranges")
        return call(["analyze", *given, "-o", str(out), "--model", str(stand_in_model)])

    return command


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where anything is analysed in earnest."""
    monkeypatch.setattr(one_case, "_segmenter", None)
