"""The list of cases."""

from typing import Any

import pytest

from tests.browser import PHONE, cut_off, violations
from tests.review.browser.cases import NAMES
from tests.review.browser.pages import DESK, READER, Server, tab_at

pytestmark = pytest.mark.ci


def names(tab: Any) -> list[str]:
    """The cases that are listed."""
    tab.wait_for_selector("#cases tbody tr")
    listed: list[str] = tab.locator("#cases tbody a").all_inner_texts()
    return listed


def test_who_reads_is_asked_once(chromium: Any, server: Server) -> None:
    with tab_at(chromium, server, reader="") as tab:
        tab.wait_for_selector("#reader-form:visible")
        assert tab.evaluate("document.activeElement.id") == "reader-name"
        tab.keyboard.type("Dr Baker")
        tab.keyboard.press("Enter")
        assert len(names(tab)) == len(NAMES)
        tab.reload()
        assert len(names(tab)) == len(NAMES)
        assert tab.inner_text("#reader-shown") == "Dr Baker"


def test_the_list_is_searched_and_walked_by_keys(chromium: Any, server: Server) -> None:
    with tab_at(chromium, server) as tab:
        listed = names(tab)
        assert sorted(listed) == sorted(NAMES)
        tab.keyboard.press("/")
        tab.keyboard.type("stro")
        assert names(tab) == ["strokes"]
        tab.fill("#search", "")
        tab.locator("body").click(position={"x": 2, "y": 400})
        tab.keyboard.press("ArrowDown")
        tab.keyboard.press("ArrowDown")
        tab.keyboard.press("Enter")
        tab.wait_for_selector("body[data-ready]")
        assert tab.inner_text("#title") == listed[1]
        assert tab.inner_text("#reader-shown") == READER


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE])
def test_everybody_can_use_the_list(
    chromium: Any, server: Server, size: dict[str, int], scheme: str
) -> None:
    with tab_at(chromium, server, size=size, color_scheme=scheme) as tab:
        names(tab)
        assert violations(tab) == []
        assert cut_off(tab) == []
