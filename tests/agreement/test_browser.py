"""The pages of an agreement in a browser: whole on a phone, one for everybody."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lungscore.agreement import write_agreement
from lungscore.agreement.content import to_content
from lungscore.agreement.raters import compare_raters
from lungscore.agreement.ratings import read_ratings
from lungscore.agreement.several import compare_several
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
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("agreement")
    for rater in ("network", "reader"):
        for depth in (12, 16, 20, 24):
            infected = rater == "network" or depth != 16
            analysis = analysis_of_boxes(name=f"P{depth}", depth=depth, infected=infected)
            write_outputs(analysis, folder / rater, settings=ReportSettings("none"))
    network, reader = (read_ratings(folder / rater) for rater in ("network", "reader"))
    third = replace(reader, name="a third reader of a rather long name")
    measures = ("infection_percent", "ct_ss", "category", "RUL ctsi")
    chosen = [replace(rater, measures=measures) for rater in (network, reader, third)]
    for agreement, name in (
        (compare_raters(network, reader), "two"),
        (compare_several(chosen), "three"),
    ):
        write_agreement(agreement, to_content(agreement), folder / name)
    return folder


@pytest.mark.parametrize("raters", ["two", "three"])
@pytest.mark.parametrize("size", [LAPTOP, PHONE])
def test_everybody_can_use_the_page(
    chromium: Any, pages: Path, size: dict[str, int], raters: str
) -> None:
    with opened(chromium, pages / raters / "report.html", size) as tab:
        assert violations(tab) == []
        assert cut_off(tab) == []


def test_a_cell_leads_to_the_plots_of_its_pair(chromium: Any, pages: Path) -> None:
    with opened(chromium, pages / "three" / "report.html", LAPTOP) as tab:
        tab.locator("#ct_ss table.matrix a").first.click()
        tab.wait_for_url("**/pairs/a-b/report.html#ct_ss")
        assert tab.locator("#ct_ss img").is_visible()
