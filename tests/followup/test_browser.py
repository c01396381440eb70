"""The page of a comparison in a browser: whole on a phone, one for everybody."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lungscore.followup import compare
from lungscore.followup.outputs import write_comparison
from tests.browser import LAPTOP, PHONE, browser, cut_off, opened, violations
from tests.small_case import analysis_of_boxes

pytestmark = pytest.mark.ci


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    earlier = analysis_of_boxes(name="first", ranges=True)
    later = analysis_of_boxes(name="second", infected=False, codes=("contrast",))
    folder = write_comparison(compare(earlier, later), tmp_path_factory.mktemp("comparison"))
    return folder / "report.html"


@pytest.mark.parametrize("size", [LAPTOP, PHONE])
def test_everybody_can_use_the_page(chromium: Any, page: Path, size: dict[str, int]) -> None:
    with opened(chromium, page, size) as tab:
        assert violations(tab) == []
        assert cut_off(tab) == []
