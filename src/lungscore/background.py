"""Work in a thread beside the main one, stopped when nobody waits for it any more."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import TypeVar

Step = TypeVar("Step")


@contextmanager
def in_background(steps: Generator[Step, None, None]) -> Iterator[Callable[[], list[Step]]]:
    """Run through ``steps`` while the block lasts.

    Yields a function that waits until they are done and returns what they gave, or raises what
    they raised. Where the block is left before, they end with the step at hand.
    """
    given: list[Step] = []
    failures: list[BaseException] = []
    leave = threading.Event()

    def work() -> None:
        try:
            with closing(steps):
                for step in steps:
                    given.append(step)
                    if leave.is_set():
                        return
        except BaseException as failure:
            failures.append(failure)

    def result() -> list[Step]:
        thread.join()
        if failures:
            raise failures[0]
        return given

    thread = threading.Thread(target=work, name="background", daemon=True)
    thread.start()
    try:
        yield result
    finally:
        leave.set()
        thread.join()
