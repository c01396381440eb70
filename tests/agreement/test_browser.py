"""The page of a agreement in a browser: whole on a phone, one for everybody."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lungscore.agreement import write_agreement
from lungscore.agreement.content import to_content
from lungscore.agreement.raters import compare_raters
from lungscore.agreement.ratings import read_ratings
from lungscore.report.outputs import write_outputs
from lungscore.report.settings import ReportSettings
from tests.browser import LAPTOP, PHONE, browser, cut_off, opened, violations
from tests.small_case import analysis_of_boxes

pytestmark = pytest.mark.ci


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("agreement")
    for rater in ("network", "reader"):
        for depth in (12, 16, 20, 24):
            infected = rater == "network" or depth != 16
            analysis = analysis_of_boxes(name=f"P{depth}", depth=depth, infected=infected)
            write_outputs(analysis, folder / rater, settings=ReportSettings("none"))
    agreement = compare_raters(*(read_ratings(folder / rater) for rater in ("network", "reader")))
    return write_agreement(agreement, to_content(agreement), folder / "out") / "report.html"


@pytest.mark.parametrize("size", [LAPTOP, PHONE])
def test_everybody_can_use_the_page(chromium: Any, page: Path, size: dict[str, int]) -> None:
    with opened(chromium, page, size) as tab:
        assert violations(tab) == []
        assert cut_off(tab) == []
