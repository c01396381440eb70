"""The page of a cohort in a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lungscore.batch.table import write_cohort
from lungscore.errors import InputError
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
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cases and a failure."""
    out = tmp_path_factory.mktemp("cohort")
    names = {"ward A__P1": (), "ward A__P2": ("one-lung",), "ward B__P3": ("truncated-scan",)}
    for index, (name, codes) in enumerate(names.items()):
        analysis = analysis_of_boxes(
            name=name, ranges=True, codes=codes, infected=index > 0, depth=12 + 2 * index
        )
        write_outputs(analysis, out, settings=ReportSettings("small"))
    write_cohort(out, [*names, "broken"], {"broken": InputError("input-empty", "empty")})
    return out / "cohort.html"


def cases(tab: Any) -> list[str]:
    names: list[str] = tab.locator("#cases tbody tr:visible th").all_inner_texts()
    return names


def test_the_table_is_filtered_and_sorted(chromium: Any, cohort: Path) -> None:
    with opened(chromium, cohort) as tab:
        assert cases(tab)[-1] == "ward A / P1"
        tab.fill("#filter-text", "ward a")
        assert sorted(cases(tab)) == ["ward A / P1", "ward A / P2"]
        tab.select_option("#filter-grade", "C")
        assert cases(tab) == ["ward A / P2"]
        assert tab.inner_text("#filter-count") == "1 of 3"
        tab.select_option("#filter-grade", "")
        tab.fill("#filter-text", "")
        tab.click("#cases th button >> nth=0")
        assert cases(tab) == ["ward B / P3", "ward A / P2", "ward A / P1"]
        tab.click("#cases th button >> nth=3")
        assert tab.get_attribute("#cases th >> nth=3", "aria-sort") == "descending"
        assert cases(tab)[-1] == "ward A / P1"


def test_flagged_cases_come_first_in_the_mosaic(chromium: Any, cohort: Path) -> None:
    with opened(chromium, cohort) as tab:
        names = tab.locator(".mosaic span").all_inner_texts()
        assert [name.split("\n")[0] for name in names][-1] == "ward A / P1"
        tab.click(".mosaic a >> nth=0")
        assert tab.url.endswith("report.html")


def test_without_script_all_cases_are_there(chromium: Any, cohort: Path) -> None:
    with opened(chromium, cohort, java_script_enabled=False) as tab:
        assert len(cases(tab)) == 3
        assert not tab.locator(".filters").is_visible()


@pytest.mark.parametrize("size", [LAPTOP, PHONE])
def test_everybody_can_use_the_page(chromium: Any, cohort: Path, size: dict[str, int]) -> None:
    with opened(chromium, cohort, size) as tab:
        assert violations(tab) == []
        assert cut_off(tab) == []
