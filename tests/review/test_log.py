"""The log: what is whole is read, what is not is dropped, and nobody writes beside another."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lungscore.errors import InputError, LungscoreError, ResourceError
from lungscore.review.log import Log, log_path, logged_work, read_log


@pytest.fixture
def path(tmp_path):
    return log_path(tmp_path, "Anna")


def test_what_is_appended_is_read(path):
    log = Log(path)
    records = [{"do": "edit", "n": n, "text": "ä\n☃"} for n in range(3)]
    for record in records:
        log.append(record)
    assert read_log(path).records == records
    log.close()
    assert Log(path).records == records


@given(st.integers(0, 400), st.binary(max_size=30))
def test_a_log_cut_anywhere_has_its_whole_lines(tmp_path_factory, cut, more):
    path = log_path(tmp_path_factory.mktemp("case"), "Anna")
    log = Log(path)
    for n in range(5):
        log.append({"n": n, "text": "x" * n * 10})
    log.close()
    content = path.read_bytes()
    lines = [len(line) for line in content.splitlines(keepends=True)]
    path.write_bytes(content[:cut] + more.replace(b"\n", b""))
    whole = sum(sum(lines[: n + 1]) <= cut for n in range(5))
    log = Log(path)  # which cuts the rest off
    assert [record["n"] for record in log.records] == list(range(whole))
    log.append({"n": "next"})
    log.close()
    assert read_log(path).records[-1] == {"n": "next"}


def test_a_line_that_was_altered_ends_the_log(path):
    log = Log(path)
    for n in range(3):
        log.append({"n": n})
    log.close()
    path.write_bytes(path.read_bytes().replace(b'"n":1', b'"n":7'))
    assert [record["n"] for record in read_log(path).records] == [0]
    before = path.read_bytes()
    with pytest.raises(InputError) as caught:
        Log(path)
    assert caught.value.code == "review-damaged"
    assert path.read_bytes() == before


def test_one_process_writes_a_log(path):
    log = Log(path)
    with pytest.raises(InputError) as caught:
        Log(path)
    assert caught.value.code == "review-in-use"
    log.close()
    Log(path).close()


def test_a_full_disk_leaves_the_log_as_it_was(path, monkeypatch):
    log = Log(path)
    log.append({"n": 0})
    written = os.write

    def full(file: int, data: bytes) -> int:
        if len(data) < 20:
            raise OSError(28, "No space left on device")
        return written(file, data[:-10])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(LungscoreError) as caught:
        log.append({"n": 1, "text": "x" * 50})
    assert caught.value.code == "disk-full"
    monkeypatch.undo()
    log.append({"n": 2})
    assert [record["n"] for record in read_log(path).records] == [0, 2]


def test_a_disk_that_takes_nothing_for_good_leaves_the_log_as_it_was(path, monkeypatch):
    log = Log(path)
    log.append({"n": 0})

    def failing(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", failing)
    log._synced -= 100  # the time to reach the disk itself has come
    with pytest.raises(ResourceError) as caught:
        log.append({"n": 1})
    assert caught.value.code == "disk-full"
    with pytest.raises(ResourceError):
        log.sync()
    log.close()
    assert log.closed
    again = Log(path)  # the lock went with the first one
    assert again.records == [{"n": 0}]
    again.close()


def test_a_log_of_another_user_is_left_out(tmp_path, monkeypatch):
    for reader in ("Anna", "Ben"):
        log = Log(log_path(tmp_path, reader))
        log.append({"reader": reader})
        log.close()
    read = Path.read_bytes

    def forbidden(path: Path) -> bytes:
        if path.name == ".Ben.log":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    assert [reader for reader, _ in logged_work(tmp_path)] == ["Anna"]


def test_readers_are_known_by_their_logs(tmp_path):
    for reader in ("Anna", "B/C"):
        log = Log(log_path(tmp_path, reader))
        log.append({"reader": reader})
        log.close()
    (tmp_path / "reviews" / ".other.log").write_text(json.dumps({"reader": "x"}))
    assert {reader for reader, _ in logged_work(tmp_path)} == {"Anna", "B/C"}
