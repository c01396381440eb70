"""A whole reading without a pointer."""

import json
from typing import Any

import numpy as np
import pytest

from lungscore.scan.masks import read_label_volume
from tests.review.browser.cases import Cohort, review_folder
from tests.review.browser.pages import Reading, Server, tab_at

pytestmark = pytest.mark.ci


def tab_to(tab: Any, selector: str, limit: int = 80) -> None:
    """Press Tab until an element has the focus; each that has it on the way must show it."""
    for _ in range(limit):
        tab.keyboard.press("Tab")
        if tab.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"the keyboard does not reach {selector}")


def move_cross(reading: Reading, to: tuple[int, int]) -> None:
    """Move the crosshair of the axial plane by arrow keys."""
    script = """() => ['sagittal', 'coronal'].map((plane) => {
        const { shown } = document.querySelector(`#desk [data-plane=${plane}]`).dataset;
        return Number(shown.split(' ')[1]); })"""
    reading.shown()
    column, row = reading.tab.evaluate(script)
    for now, then, keys in (
        (row, to[0], ("ArrowUp", "ArrowDown")),
        (column, to[1], ("ArrowLeft", "ArrowRight")),
    ):
        key = keys[then > now]
        tens, ones = divmod(abs(then - now), 10)
        reading.press(*[f"Shift+{key}"] * tens, *[key] * ones)


def test_a_case_is_read_and_corrected_without_a_pointer(
    chromium: Any, server: Server, cohort: Cohort
) -> None:
    z, y, x = cohort.places[0]
    with tab_at(chromium, server, reader="Dr Keys") as tab:
        tab.wait_for_selector("#cases tbody tr")
        tab.keyboard.press("/")
        tab.keyboard.type("keys")
        tab_to(tab, "#cases a")
        tab.keyboard.press("Enter")
        reading = Reading(tab)
        tab_to(tab, "#desk [data-plane=axial]")
        outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        reading.press("Home", *["."] * z)
        assert reading.shown() == f"axial {z}"
        # The planted piece goes; where it was, two strokes and a lasso are drawn.
        reading.press("x")
        move_cross(reading, (y, x))
        reading.press("Space")
        assert reading.note == "9 voxels removed."
        reading.press("b", "2", *["["] * 8, "Enter", "ArrowRight", "ArrowRight", "Enter")
        assert reading.note == "3 voxels added."
        move_cross(reading, (y + 2, x))
        reading.tab.keyboard.down("Space")
        reading.press("ArrowRight")
        reading.tab.keyboard.up("Space")
        assert reading.note == "2 voxels added."
        reading.press("l", "1")
        move_cross(reading, (y - 2, x - 2))
        reading.press("Space", "ArrowRight", "ArrowRight", "ArrowUp", "Enter")
        assert "added" in reading.note
        reading.press("Control+z")
        assert "Undone" in reading.note
        tab_to(tab, "[name=verdict]:not(:disabled)")
        tab.keyboard.press("Space")
        tab_to(tab, "#comment")
        tab.keyboard.type("By keys")
        tab_to(tab, "#save")
        tab.keyboard.press("Enter")
        tab.wait_for_selector("#next-case:visible", timeout=60_000)
        assert tab.evaluate("document.activeElement.id") == "next-case"
    folder = review_folder(cohort, "keys", "Dr Keys")
    review = json.loads((folder / "review.json").read_text(encoding="utf-8"))
    assert review["comment"] == "By keys"
    labels, _ = read_label_volume(folder / "lesions.nii.gz", "lesions")
    expected = cohort.faulty.copy()
    expected[z, y - 1 : y + 2, x - 1 : x + 2] = 0
    expected[z, y, x : x + 3] = expected[z, y + 2, x : x + 2] = 2
    assert np.array_equal(labels, expected)


def test_single_letters_can_be_switched_off(chromium: Any, server: Server) -> None:
    with tab_at(chromium, server) as tab:
        tab.click("#cases a:text-is('scroll')")
        Reading(tab)
        tab.keyboard.press("?")
        tab.wait_for_selector("#help[open]")
        tab.uncheck("#single-keys")
        tab.keyboard.press("Escape")
        tab.locator("#desk [data-plane=axial]").focus()
        tab.keyboard.press("c")
        assert tab.is_checked("#contours")
