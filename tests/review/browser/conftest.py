"""One browser, one server and one folder of cases for all tests of the pages."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lungscore.scan.phantom import Phantom
from tests.browser import browser
from tests.review.browser.cases import Cohort, write_cohort
from tests.review.browser.pages import Server


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """The browser; closed before other tests start their own."""
    with browser() as started:
        yield started


@pytest.fixture(scope="package")
def cohort(
    tmp_path_factory: pytest.TempPathFactory, small_phantom: Callable[[str], Phantom]
) -> Cohort:
    """Cases with planted faults."""
    return write_cohort(tmp_path_factory.mktemp("review"), small_phantom("several-patches"))


@pytest.fixture(scope="package")
def server(cohort: Cohort, chromium: Any) -> Iterator[Server]:
    """``lungscore review`` on the cases."""
    running = Server(cohort.results, cohort.scans)
    yield running
    running.stop()
