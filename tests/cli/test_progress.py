"""Progress without a terminal, and with one."""

import sys

import pytest

from lungscore.batch.cohort import Progress
from lungscore.cli.progress import Lines, TimeLeft, progress_of
from lungscore.errors import InputError


def test_plain_lines_come_now_and_then_and_at_the_end(capsys: pytest.CaptureFixture) -> None:
    now = 0.0
    lines, progress = Lines(100, lambda: now), Progress(100, skipped=40)
    progress.failures["x"] = InputError("input-empty", "x")
    for _ in range(59):
        now += 3.0
        progress.analysed += 1
        lines.update(progress)
    text = capsys.readouterr().err.splitlines()
    assert text[0] == "100 cases"
    assert text[1] == "45 of 100 done, 1 failed, about 2 min left"
    assert text[2] == "49 of 100 done, 1 failed, about 2 min left"
    assert text[-1] == "100 of 100 done, 1 failed"
    assert len(text) == 2 + 59 // 4


def test_cases_that_were_there_already_say_nothing_of_the_time_left() -> None:
    now = 0.0
    left, progress = TimeLeft(lambda: now), Progress(1001)
    for _ in range(900):
        now += 0.1
        progress.skipped += 1
        left.learn(progress)
    progress.failures["x"] = InputError("input-empty", "x")  # tried again, and failed at once
    left.learn(progress)
    assert left.text() == ""
    now += 30.0
    progress.analysed += 1
    left.learn(progress)
    assert left.text() == "about 50 min left"  # 99 cases of 30 seconds
    now += 600.0
    assert left.text() == "about 40 min left"  # it runs, though no case has ended
    now += 6000.0
    assert left.text() == ""
    progress.analysed += 99
    left.learn(progress)
    assert left.text() == ""


def test_a_terminal_gets_a_bar_and_names_as_they_are(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress_of(2) as show:
        show.complain("[bold]a[/bold]: input-empty")
        show.update(Progress(2, analysed=1, failures={"a": InputError("input-empty", "a")}))
    text = capsys.readouterr().err
    assert "[bold]a[/bold]: input-empty" in text
    assert "2/2" in text
    assert "1 failed" in text
