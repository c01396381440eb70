"""Several processes that each do one piece of work after the other, started once."""

import multiprocessing
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any


class Workers:
    """Processes that share a device.

    prepare: called once in each process with ``setting``; what it returns is handed to ``work``
    with every piece. Both must be importable. A process that dies is started anew, and its piece is
    tried once more.
    """

    def __init__(
        self,
        count: int,
        prepare: Callable[[Any], Any],
        work: Callable[[Any, Any], Any],
        setting: Any,
    ) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._made = (prepare, work, setting)
        self._processes = [self._start() for _ in range(count)]

    def _start(self) -> tuple[Any, Connection]:
        here, there = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(there, *self._made), daemon=True)
        process.start()
        there.close()
        return process, here

    def ready(self, seconds: float) -> int:
        """Wait until the processes have prepared; the number of those that have."""
        end, pending = time.monotonic() + seconds, [line for _, line in self._processes]
        while pending and time.monotonic() < end:
            for line in wait(pending, timeout=max(0.0, end - time.monotonic())):
                pending.remove(line)  # type: ignore[arg-type]
                _received(line)  # type: ignore[arg-type]
        return len(self._processes) - len(pending)

    def do(
        self, pieces: Sequence[Any], report: Callable[[Any, Any], None] = lambda piece, result: None
    ) -> list[tuple[Any, Any]]:
        """Every piece with its result, or with the text of the error that ended it."""
        waiting = [(piece, 2) for piece in pieces]
        at_work: dict[int, tuple[Any, int]] = {}
        results = []
        while waiting or at_work:
            for number, (_, line) in enumerate(self._processes):
                if waiting and number not in at_work:
                    piece, tries = waiting.pop(0)
                    try:
                        line.send(piece)
                    except OSError:
                        waiting.insert(0, (piece, tries))
                        self._processes[number] = self._start()
                        self._processes[number][1].recv()
                        continue
                    at_work[number] = (piece, tries)
            lines = {id(self._processes[number][1]): number for number in at_work}
            for line in wait([self._processes[number][1] for number in at_work], timeout=1.0):
                number = lines[id(line)]
                piece, tries = at_work.pop(number)
                alive, result = _received(line)  # type: ignore[arg-type]
                if not alive:
                    self._processes[number] = self._start()
                    _received(self._processes[number][1])
                    if tries > 1:
                        waiting.append((piece, tries - 1))
                        continue
                    result = RuntimeError("the process died twice")
                results.append((piece, result))
                report(piece, result)
        return results

    def end(self) -> None:
        """Let all processes go."""
        for process, line in self._processes:
            line.close()
            process.join(timeout=5)
            if process.is_alive():
                process.terminate()


def _received(line: Connection) -> tuple[bool, Any]:
    """Whether the process is alive, and what it said."""
    try:
        return True, line.recv()
    except (EOFError, OSError):
        return False, None


def _serve(
    line: Connection, prepare: Callable[[Any], Any], work: Callable[[Any, Any], Any], setting: Any
) -> None:
    prepared = prepare(setting)
    line.send("ready")
    while True:
        try:
            piece = line.recv()
        except EOFError:
            return
        try:
            line.send(work(prepared, piece))
        except Exception:
            line.send(RuntimeError(traceback.format_exc()))
