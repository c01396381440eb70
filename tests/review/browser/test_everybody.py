"""The page of a case for everybody: axe-core's rules, small windows, both colour schemes."""

from typing import Any

import pytest

from tests.browser import PHONE, cut_off, violations
from tests.review.browser.pages import DESK, Server, open_case, tab_at

pytestmark = pytest.mark.ci

TABLET = {"width": 1024, "height": 768}


@pytest.mark.parametrize(
    ("size", "scheme"), [(DESK, "light"), (DESK, "dark"), (TABLET, "light"), (PHONE, "dark")]
)
def test_everybody_can_use_the_page_of_a_case(
    chromium: Any, server: Server, size: dict[str, int], scheme: str
) -> None:
    with tab_at(chromium, server, "Dr Any", size, color_scheme=scheme) as tab:
        open_case(tab, "everybody")
        if size != PHONE:
            tab.keyboard.press("b")
        for details in tab.locator("#side details:visible").all():
            details.locator("summary").click()
        assert violations(tab) == []
        assert cut_off(tab) == []
        tab.click("#compare-button")
        tab.wait_for_selector("#comparison[data-shown]")
        assert violations(tab) == []
        assert cut_off(tab) == []
        tab.click("#help-button")
        assert violations(tab) == []


def test_a_phone_reads_and_does_not_draw(chromium: Any, server: Server) -> None:
    with tab_at(chromium, server, "Dr Any", PHONE, has_touch=True) as tab:
        reading = open_case(tab, "everybody")
        assert not tab.is_visible("#tools")
        reading.axial.focus()
        tab.keyboard.press("b")
        tab.keyboard.press("Enter")
        tab.keyboard.press("Enter")
        assert reading.version == 0
        assert tab.is_visible("#save")
