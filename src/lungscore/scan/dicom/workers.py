"""The processes that decode compressed pixels: when they start, and how long they stay.

One takes longer to start than to decode fifty slices, so those of a scan start before anything
large is loaded here, and nothing large is imported by this module.
"""

import atexit
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lungscore.errors import ResourceError
from lungscore.machine import available_threads

#: Images that are worth a further process, and the most processes of one series.
IMAGES_PER_WORKER, MOST_WORKERS = 64, 4

#: What a file begins with whose pixels are compressed: the roots of the JPEG family's transfer
#: syntaxes and of run lengths, which stand in the first elements.
_COMPRESSED, _HEAD_BYTES = (b"1.2.840.10008.1.2.4.", b"1.2.840.10008.1.2.5"), 1024

#: A process that has decoded so many series ends: libraries may lose memory in each.
MOST_SERIES = 100

#: Processes that wait for a series, and how many each has decoded, by its number.
_waiting: list[subprocess.Popen] = []
_series: Counter[int] = Counter()
_keep = False


def worker_count(images: int) -> int:
    """How many processes decode so many images."""
    return min(available_threads(), MOST_WORKERS, -(-images // IMAGES_PER_WORKER))


def keep_workers() -> None:
    """From now on, processes that have decoded a series wait for the next one."""
    global _keep
    _keep = True


def take_worker() -> subprocess.Popen:
    """A process that waits for requests. Raises ResourceError where none can be started."""
    while _waiting:
        process = _waiting.pop()
        if process.poll() is None:
            return process
    return _start()


def give_back(process: subprocess.Popen, *, whole: bool) -> None:
    """What ``take_worker`` gave is not needed any more. whole: it has answered all requests."""
    _series[process.pid] += 1
    if whole and _keep and len(_waiting) < MOST_WORKERS and _series[process.pid] < MOST_SERIES:
        _waiting.append(process)
    else:
        _end(process)


@contextmanager
def started_early(path: Path) -> Iterator[None]:
    """While the block lasts, the processes for the compressed series in the folder ``path`` wait.

    Nothing happens where it holds none. Those that nobody took end with the block.
    """
    try:
        for _ in range(worker_count(_compressed_images(path)) - len(_waiting)):
            _waiting.append(_start())
    except ResourceError:  # for who needs one to say
        pass
    try:
        yield
    finally:
        if not _keep:
            _end_waiting()


def _compressed_images(folder: Path) -> int:
    """How many files lie in ``folder`` itself where the first is DICOM with compressed pixels."""
    try:
        names = [entry.path for entry in os.scandir(folder) if entry.is_file()]
        with open(min(names), "rb") as file:
            head = file.read(_HEAD_BYTES)
    except (OSError, ValueError):  # no folder, none that may be read, or an empty one
        return 0
    is_compressed = head[128:132] == b"DICM" and any(root in head for root in _COMPRESSED)
    return len(names) if is_compressed else 0


def _start() -> subprocess.Popen:
    # The same modules as here, and none from the folder the user happens to stand in.
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(folder for folder in sys.path if folder),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-P", "-m", "lungscore.scan.dicom.decode_worker"]
    try:
        return subprocess.Popen(  # noqa: S603 (our own module, no shell)
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
    except OSError as error:
        raise ResourceError(
            "out-of-memory", f"No decoding process could be started ({error.strerror})"
        ) from error


def _end(process: subprocess.Popen) -> None:
    _series.pop(process.pid, None)
    process.kill()
    process.communicate()


@atexit.register
def _end_waiting() -> None:
    while _waiting:
        _end(_waiting.pop())
