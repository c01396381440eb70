"""Several processes that each do one piece of work after the other, started once."""

import multiprocessing
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

Results = list[tuple[Any, Any]]
Report = Callable[[Any, Any], None]


class ProcessDied(RuntimeError):
    """A process ended before its piece did."""


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
        #: Number of a process -> its piece, and how often that may still be tried.
        self._at_work: dict[int, tuple[Any, int]] = {}

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

    def idle(self) -> int:
        """How many processes have nothing to do."""
        return len(self._processes) - len(self._at_work)

    def begin(self, pieces: Sequence[Any]) -> None:
        """Give pieces to idle processes and do not wait; at most as many as are idle."""
        for piece in pieces:
            self._give(piece, 2)

    def do(self, pieces: Sequence[Any], report: Report = lambda piece, result: None) -> Results:
        """Every piece with its result, or with the error that ended it.

        Pieces that had begun before go on meanwhile; they are reported when they end.
        """
        waiting = [(piece, 2) for piece in pieces]
        results: Results = []
        asked = list(pieces)
        while len(results) < len(asked):
            while waiting and self.idle():
                self._give(*waiting.pop(0))
            for piece, result, tries in self._ended():
                if isinstance(result, ProcessDied) and tries > 1:
                    waiting.append((piece, tries - 1))
                    continue
                report(piece, result)
                if any(piece is request for request in asked):
                    results.append((piece, result))
        return results

    def finish(self, seconds: float, report: Report = lambda piece, result: None) -> None:
        """Wait for what had begun, no longer than so."""
        end = time.monotonic() + seconds
        while self._at_work and time.monotonic() < end:
            for piece, result, _ in self._ended():
                report(piece, result)

    def _give(self, piece: Any, tries: int) -> None:
        number = next(n for n in range(len(self._processes)) if n not in self._at_work)
        self._at_work[number] = (piece, tries)
        try:
            self._processes[number][1].send(piece)
        except OSError:
            pass  # it is dead, which its line tells next

    def _ended(self) -> list[tuple[Any, Any, int]]:
        """Pieces that ended within a second, with results and how often they may be tried."""
        lines = {id(self._processes[number][1]): number for number in self._at_work}
        ended = []
        for line in wait([self._processes[number][1] for number in self._at_work], timeout=1.0):
            number = lines[id(line)]
            piece, tries = self._at_work.pop(number)
            alive, result = _received(line)  # type: ignore[arg-type]
            if not alive:
                self._processes[number] = self._start()
                _received(self._processes[number][1])
                result = ProcessDied("the process died")
            ended.append((piece, result, tries))
        return ended

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
