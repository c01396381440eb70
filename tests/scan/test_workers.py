"""Processes that decode start before they are needed, and stay where more scans follow."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lungscore.scan import read_scan
from lungscore.scan.dicom import workers
from lungscore.scan.dicom.workers import started_early
from tests.scan.scan_builder import compress, write_series


@pytest.fixture(autouse=True)
def _no_worker_stays() -> Iterator[None]:
    yield
    workers._keep = False
    workers._end_waiting()


@pytest.fixture
def series(tmp_path: Path) -> Path:
    write_series(tmp_path / "plain")
    return tmp_path / "plain"


@pytest.fixture
def compressed(series: Path) -> Path:
    for path in series.iterdir():
        compress(path, "JPEGLosslessProcess14_1")
    return series


def test_a_compressed_series_is_decoded_by_a_process_that_was_there(
    compressed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started_early(compressed):
        assert len(workers._waiting) == 1
        monkeypatch.setattr(workers, "_start", lambda: pytest.fail("another one was started"))
        assert read_scan(compressed).shape[0] == 12
        assert not workers._waiting


def test_one_that_nobody_took_ends_with_the_block(compressed: Path) -> None:
    with started_early(compressed), started_early(compressed):
        (process,) = workers._waiting
    assert process.poll() is not None
    assert not workers._waiting


@pytest.mark.parametrize("name", ["", "no-such-folder", "empty"])
def test_nothing_starts_where_nothing_is_compressed(series: Path, name: str) -> None:
    (series / "empty").mkdir()
    with started_early(series / name):
        assert not workers._waiting


def test_one_that_has_died_is_not_used(compressed: Path) -> None:
    with started_early(compressed):
        workers._waiting[0].kill()
        workers._waiting[0].wait()
        assert read_scan(compressed).shape[0] == 12


def test_where_more_scans_follow_it_stays(compressed: Path) -> None:
    workers.keep_workers()
    first = read_scan(compressed)
    (process,) = workers._waiting
    assert (read_scan(compressed).values == first.values).all()
    assert workers._waiting == [process]


def test_one_that_has_decoded_many_series_is_replaced(
    compressed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "MOST_SERIES", 2)
    workers.keep_workers()
    read_scan(compressed)
    (process,) = workers._waiting
    read_scan(compressed)
    assert process.poll() is not None
    assert not workers._waiting


def test_one_that_was_interrupted_does_not_stay(compressed: Path) -> None:
    workers.keep_workers()
    process = workers.take_worker()
    workers.give_back(process, whole=False)
    assert process.poll() is not None
    assert not workers._waiting


def test_the_module_loads_nothing_large() -> None:
    code = "import sys, lungscore.scan.dicom.workers; print({'numpy', 'pydicom'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
