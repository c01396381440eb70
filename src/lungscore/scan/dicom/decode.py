"""The pixels of many DICOM images: plain ones here, compressed ones in processes of their own.

A damaged compressed image can bring a decoder down, and with it the process it runs in. As a gain
on the side several processes decode at once, which threads cannot.
"""

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lungscore.errors import InputError
from lungscore.scan.dicom.header import Header
from lungscore.scan.dicom.pixels import NATIVE, Encapsulated, read_hounsfield
from lungscore.scan.dicom.workers import give_back, take_worker, worker_count

#: Seconds after which an image that is still not decoded counts as damaged.
PATIENCE_S = 60.0


def read_images(headers: Sequence[Header], into: np.ndarray, slots: Sequence[int]) -> list[str]:
    """Write the HU of each image to ``into[slot]``; gives how each of them states its scale.

    headers: images of one size. into: (D, rows, columns) int16. slots: a slice for each image.
    What is given: as by ``read_hounsfield``.
    Raises what ``read_hounsfield`` raises, and ``dicom-unreadable`` for an image that brings its
    decoder down. Call it within ``quiet_pydicom``.
    """
    scales = [""] * len(headers)
    compressed = []
    for number, (header, slot) in enumerate(zip(headers, slots, strict=True)):
        if header.syntax in NATIVE:
            try:
                into[slot], scales[number] = read_hounsfield(header, decode=False)
                continue
            except Encapsulated:
                pass  # compressed all the same
        compressed.append((number, header, slot))
    for number, scale in _read_compressed(compressed, into):
        scales[number] = scale
    return scales


def _read_compressed(
    images: list[tuple[int, Header, int]], into: np.ndarray
) -> list[tuple[int, str]]:
    """Number and scale of each of ``images``: number, header and slot."""
    if not images:
        return []
    count = worker_count(len(images))
    stop = threading.Event()

    def work(share: list[tuple[int, Header, int]]) -> list[tuple[int, str]]:
        try:
            return _work_off(share, into, stop)
        except BaseException:
            stop.set()  # the others need not go on
            raise

    with ThreadPoolExecutor(count) as threads:
        shares = [images[start::count] for start in range(count)]
        try:
            return [scale for share in threads.map(work, shares) for scale in share]
        except BaseException:  # an interruption comes to this thread alone
            stop.set()
            raise


def _work_off(
    share: list[tuple[int, Header, int]], into: np.ndarray, stop: threading.Event
) -> list[tuple[int, str]]:
    """Let one process decode a share of the images."""
    scales = []
    with _Worker() as worker:
        for number, header, slot in share:
            if stop.is_set():
                break
            into[slot], scale = worker.decode(header)
            scales.append((number, scale))
    return scales


class _Worker:
    """One process of ``decode_worker``."""

    def __enter__(self) -> "_Worker":
        self._process, self._whole = take_worker(), True
        return self

    def __exit__(self, *_: object) -> None:
        give_back(self._process, whole=self._whole)

    def decode(self, header: Header) -> tuple[np.ndarray, str]:
        """(rows, columns) int16 HU, and how the image states its scale."""
        watch = threading.Timer(PATIENCE_S, self._process.kill)
        watch.start()
        self._whole = False
        try:
            answer, pixels = self._ask(header)
        except (OSError, ValueError) as error:
            raise InputError(
                "dicom-unreadable",
                f"{header.name}: the decoder crashed on the compressed pixels",
                hint="Copy the file again from its source",
            ) from error
        finally:
            watch.cancel()
        self._whole = True
        if "code" in answer:
            raise InputError(
                answer["code"], answer["found"], expected=answer["expected"], hint=answer["hint"]
            )
        values = np.frombuffer(pixels, dtype=np.int16)
        return values.reshape(header.rows, header.columns), str(answer["scale"])

    def _ask(self, header: Header) -> tuple[dict, bytes]:
        """Raises OSError or ValueError where no whole answer comes."""
        requests, answers = self._process.stdin, self._process.stdout
        if requests is None or answers is None:
            raise ValueError("the process has no pipes")
        requests.write(json.dumps([str(header.path.resolve()), header.name]).encode() + b"\n")
        requests.flush()
        answer = json.loads(answers.readline())
        if "code" in answer:
            return answer, b""
        if (answer.get("rows"), answer.get("columns")) != (header.rows, header.columns):
            raise ValueError("the answer is about another image")
        size = 2 * header.rows * header.columns
        pixels = answers.read(size)
        if len(pixels) != size:
            raise ValueError("the answer is cut off")
        return answer, pixels
