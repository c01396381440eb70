"""A decoder that dies takes no more with it than the image it died of."""

import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from lungscore.errors import InputError, ResourceError
from lungscore.scan import read_scan
from lungscore.scan.dicom.decode_worker import serve
from tests.scan.scan_builder import chest, compress, write_series


@pytest.fixture
def compressed(tmp_path: Path) -> Path:
    for path in write_series(tmp_path / "in"):
        compress(path, "JPEGLosslessProcess14_1")
    return tmp_path / "in"


def with_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> None:
    """Let the worker's module be ``code``."""
    package = tmp_path / "broken" / "lungscore" / "scan"
    package.mkdir(parents=True)
    (package / "decode_worker.py").write_text(code)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "broken"), *sys.path])


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.abort()",
        "import sys; sys.exit(1)",
        "print('{}')",
        "print('no json', flush=True)",
        """import sys; sys.stdin.readline(); print('{"rows": 36, "columns": 40}')""",
    ],
)
def test_worker_that_dies_or_talks_nonsense_is_an_unreadable_file(
    compressed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    with_worker(monkeypatch, tmp_path, code)
    with pytest.raises(InputError) as caught:
        read_scan(compressed)
    assert caught.value.code == "dicom-unreadable"
    assert re.search(r"file \d+ of 12\b", caught.value.found)


def test_worker_that_hangs_is_ended(
    compressed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lungscore.scan.dicom.decode.PATIENCE_S", 0.2)
    with_worker(monkeypatch, tmp_path, "import time; time.sleep(60)")
    with pytest.raises(InputError) as caught:
        read_scan(compressed)
    assert caught.value.code == "dicom-unreadable"


def test_no_process_left_is_a_lack_of_resources(
    compressed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(ResourceError) as caught:
        read_scan(compressed)
    assert caught.value.code == "out-of-memory"


def test_several_workers_give_the_same_scan(
    compressed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lungscore.scan.dicom.workers.IMAGES_PER_WORKER", 4)
    monkeypatch.setattr("lungscore.scan.dicom.workers.available_threads", lambda: 3)
    np.testing.assert_array_equal(read_scan(compressed).values, chest())


def test_size_that_contradicts_the_stream_is_a_rejection(compressed: Path) -> None:
    for path in compressed.iterdir():
        content = path.read_bytes()
        rows = b"\x28\x00\x10\x00US\x02\x00" + (36).to_bytes(2, "little")
        assert rows in content
        path.write_bytes(content.replace(rows, rows[:-2] + (200).to_bytes(2, "little")))
    with pytest.raises(InputError) as caught:
        read_scan(compressed)
    assert caught.value.code == "dicom-unreadable"


def test_worker_answers_images_and_codes(tmp_path: Path) -> None:
    path = write_series(tmp_path, chest()[:1])[0]
    (tmp_path / "bad").write_bytes(bytes(128) + b"DICM" + bytes(9))
    asked = [[str(p), p.name] for p in (path, tmp_path / "bad")]
    requests = b"".join(json.dumps(request).encode() + b"\n" for request in asked)
    answers = io.BytesIO()
    serve(io.BytesIO(requests), answers)
    answers.seek(0)
    assert json.loads(answers.readline()) == {
        "rows": 36,
        "columns": 40,
        "scale": "slope and intercept",
    }
    values = np.frombuffer(answers.read(36 * 40 * 2), np.int16).reshape(36, 40)
    np.testing.assert_array_equal(values, chest()[0])
    assert json.loads(answers.readline())["code"] == "dicom-unreadable"
