"""What ratios.py runs in processes of its own: one decoding of a series, or one analysis, watched.

    python experiments/speed/watched.py OUT decode FOLDER
    python experiments/speed/watched.py OUT analyze WORDS

OUT gets what was found, as JSON. The analysis is that of the tree which PYTHONPATH names: an
earlier one is watched by the same code.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any


def decode(folder: str) -> dict[str, Any]:
    """R: decode every image of a series with pydicom and gdcm, on this one thread."""
    import gdcm  # noqa: F401  (loaded before the clock starts)
    import pydicom
    from pydicom.pixels import pixel_array

    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    began, images = time.perf_counter(), 0
    for file in files:
        dataset = pydicom.dcmread(file, force=True)
        if "PixelData" in dataset:
            compressed = dataset.file_meta.TransferSyntaxUID.is_compressed
            pixel_array(dataset, decoding_plugin="gdcm" if compressed else "")
            images += 1
    size = sum(file.stat().st_size for file in files)
    seconds, cpu = time.perf_counter() - began, time.process_time()
    began = time.perf_counter()
    for file in files:
        file.read_bytes()
    disk = time.perf_counter() - began
    return {"seconds": seconds, "cpu": cpu, "images": images, "bytes": size, "disk_seconds": disk}


def analyze(*words: str) -> dict[str, Any]:
    """Run ``lungscore`` with ``words`` once or, cut by "--then", several times in this process.

    Gives for the last run the seconds in which the walk waited for networks, how many pictures the
    networks for infection and for lungs were shown, and how long after the start of the process the
    first slice came to a network, reading aside.
    """
    began = float(os.environ["LUNGSCORE_STARTED"])
    waited, maps, first, read = [0.0], [0.0], [0.0], [0.0]
    shown = {"infection": 0, "lungs": 0}

    def timed(function: Any, into: list[float]) -> Any:
        def run(*arguments: Any, **keywords: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **keywords)
            finally:
                into[0] += time.perf_counter() - start

        return run

    import lungscore.cli.main as main

    with _patched(timed, waited, maps, first, read, shown):
        runs: list[list[str]] = [[]]
        for word in words:
            runs.append([]) if word == "--then" else runs[-1].append(word)
        if len(runs) > 1:
            _as_in_a_cohort()
        for arguments in runs:
            waited[0] = maps[0] = 0.0
            shown.update(infection=0, lungs=0)
            start = time.perf_counter()
            if code := main.call(arguments):
                sys.exit(code)
            seconds = time.perf_counter() - start
    return {
        "last_seconds": seconds,
        "waited": waited[0] + maps[0],
        "waited_for_lungs": maps[0],
        "shown": shown,
        "first_slice": first[0] - began - read[0],
    }


def _as_in_a_cohort() -> None:
    """What a process that analyses many scans does at its start; earlier trees do nothing."""
    with suppress(ImportError):
        from lungscore.scan.dicom.workers import keep_workers

        keep_workers()


class _patched:
    """While the block lasts, what is waited for and read is timed. Imports happen as they would:
    functions are replaced when their module has loaded."""

    def __init__(
        self, timed: Any, waited: list, maps: list, first: list, read: list, shown: dict[str, int]
    ) -> None:
        self.timed, self.waited, self.maps = timed, waited, maps
        self.first, self.read, self.shown = first, read, shown

    def find_spec(self, name: str, path: Any, target: Any = None) -> None:
        """Look, at every import, whether what is to be timed has loaded."""
        self.replace()

    def replace(self) -> None:
        segment = sys.modules.get("lungscore.inference.segment")
        reader = sys.modules.get("lungscore.scan.read")
        if reader is not None and hasattr(reader, "_read") and not hasattr(reader, "_timed"):
            reader._timed = True
            reader._read = self.timed(reader._read, self.read)
        ready = ("make_engine", "find_lungs", "Segmenter", "find_lungs_of")
        if segment is None or hasattr(segment, "_timed"):
            return
        finder = sys.modules.get("lungscore.inference.lung_finder")
        if not all(hasattr(segment, name) for name in ready) or not hasattr(finder, "make_engine"):
            return
        segment._timed = True
        find_lungs = segment.find_lungs
        segment.find_lungs = lambda scan, maps=None: find_lungs(
            scan, maps and self.timed(maps, self.maps)
        )
        for module, name in ((segment, "infection"), (finder, "lungs")):
            module.make_engine = self._engines(module.make_engine, name)

    def _engines(self, make_engine: Any, name: str) -> Any:
        import threading

        def make(*arguments: Any, **keywords: Any) -> Any:
            run, used = make_engine(*arguments, **keywords)

            def waits(slices: Any) -> Iterator[Any]:
                maps = run(self._seen(slices, name))
                main = threading.current_thread() is threading.main_thread()
                step = self.timed(next, self.waited) if main else next
                while (answer := step(maps, self)) is not self:
                    yield answer

            return waits, used

        return make

    def _seen(self, slices: Any, name: str) -> Iterator[Any]:
        for given in slices:
            self.first[0] = self.first[0] or time.time()
            self.shown[name] += given is not None
            yield given

    def __enter__(self) -> None:
        sys.meta_path.insert(0, self)  # type: ignore[arg-type]

    def __exit__(self, *_: object) -> None:
        sys.meta_path.remove(self)  # type: ignore[arg-type]


if __name__ == "__main__":
    out, kind, *words = sys.argv[1:]
    said = decode(*words) if kind == "decode" else analyze(*words)
    Path(out).write_text(json.dumps(said), encoding="utf-8")
