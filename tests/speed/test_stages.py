"""Time by part of a running program."""

import json
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

import parts
import stages
from parts import PARTS, PartClock, find


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock shows, in the first place: time passes where a test adds to it."""
    now = [0.0]
    clock = types.SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr(parts, "time", clock)
    return now


def as_dict(clock: PartClock) -> dict[tuple[str, ...], tuple[float, float, int]]:
    return {
        tuple(row["path"]): (row["seconds"], row["own_seconds"], row["calls"])
        for row in clock.rows()
    }


@pytest.mark.parametrize("place", PARTS)
def test_every_part_that_is_timed_is_there(place: str) -> None:
    assert callable(find(place))


def test_what_a_part_inside_takes_is_not_its_own(seconds: list[float]) -> None:
    clock = PartClock()
    for _ in range(2):
        with clock.part("read"):
            seconds[0] += 1
            with clock.part("decode"):
                seconds[0] += 3
    assert as_dict(clock) == {("read",): (8, 2, 2), ("read", "decode"): (6, 6, 2)}


def test_the_same_part_is_told_apart_by_what_is_around_it(seconds: list[float]) -> None:
    clock = PartClock()
    step = clock.timed("network", lambda: seconds.__setitem__(0, seconds[0] + 1))
    step()
    clock.timed("ranges", step)()
    assert list(as_dict(clock)) == [("network",), ("ranges",), ("ranges", "network")]


def test_an_iterator_takes_time_where_it_is_asked(seconds: list[float]) -> None:
    clock, closed = PartClock(), []

    def numbers(shown: Iterator[int]) -> Iterator[int]:
        try:
            for each in shown:
                seconds[0] += 2
                yield each
        finally:
            closed.append(True)

    def shown() -> Iterator[int]:
        for each in range(3):
            seconds[0] += 1
            yield each

    run = clock.timed("network", numbers)
    for _ in run(clock.timed("show", shown)()):
        seconds[0] += 100  # of whoever asks
    assert as_dict(clock)[("network",)] == (9, 6, 1)
    assert as_dict(clock)[("network", "show")][:2] == (3, 3)
    left = run(iter([1, 2]))
    next(left)
    left.close()
    assert closed == [True, True]


def test_a_part_that_fails_is_counted_and_fails(seconds: list[float]) -> None:
    clock = PartClock()

    def broken() -> None:
        seconds[0] += 1
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        clock.timed("read", broken)()
    assert as_dict(clock) == {("read",): (1, 1, 1)}


def test_another_thread_is_beside(seconds: list[float]) -> None:
    clock = PartClock()
    with clock.part("write"):
        seconds[0] += 1
        thread = threading.Thread(target=clock.timed("masks", lambda: None))
        thread.start()
        thread.join()
    assert as_dict(clock) == {("write",): (1, 1, 1), ("beside", "masks"): (0, 0, 1)}


@pytest.mark.slow
def test_a_line_holds_the_parts_of_a_whole_analysis(phantom_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "stages.jsonl"
    words = ["-o", out, "--slices", "--scan", phantom_file]
    subprocess.run([sys.executable, stages.__file__, *words], check=True, timeout=300)
    line = json.loads(out.read_text("utf-8"))
    assert line["schema"] == "lungscore.stages/1"
    assert line["input"]["slices"] == 16
    paths = [tuple(row["path"]) for row in line["parts"]]
    names = {path[-1] for path in paths}
    expected = {"import", "read", "decode NIfTI", "find lungs", "load model", "lesions", "network"}
    assert expected | {"regions", "scores", "masks", "curve", "page"} <= names
    # Reading DICOM is no part of a NIfTI file's analysis.
    assert set(PARTS.values()) - names == {"DICOM headers", "decode DICOM"}
    own = sum(row["own_seconds"] for row in line["parts"] if row["path"][0] != "beside")
    assert own <= line["total_seconds"] + 0.01
