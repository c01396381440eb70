"""Work beside the main thread: its results, its failures, and its end."""

import threading
from collections.abc import Generator

import pytest

from lungscore.background import in_background


def test_all_steps_are_given_in_order_by_another_thread() -> None:
    def steps() -> Generator[tuple[int, bool], None, None]:
        for number in range(5):
            yield number, threading.current_thread() is threading.main_thread()

    with in_background(steps()) as result:
        assert result() == [(number, False) for number in range(5)]
        assert result() is result()


def test_a_failure_is_raised_where_the_result_is_asked_for() -> None:
    def steps() -> Generator[int, None, None]:
        yield 1
        raise ValueError("a broken step")

    with in_background(steps()) as result:
        for _ in range(2):
            with pytest.raises(ValueError, match="a broken step"):
                result()


def test_who_leaves_ends_the_work_with_the_step_at_hand() -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), []

    def steps() -> Generator[int, None, None]:
        try:
            yield 0
            begun.set()
            assert go_on.wait(30)
            yield 1
            yield 2
            ended.append("all steps")
        finally:
            ended.append("cleared up")

    def leave_early() -> None:
        with in_background(steps()):
            assert begun.wait(30)
            threading.Timer(0.1, go_on.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave_early()
    assert ended == ["cleared up"]
    assert all(thread.name != "background" for thread in threading.enumerate())
