"""Correcting masks: every tool, and numbers that are those of ``lungscore score``."""

import json
from typing import Any

import numpy as np
import pytest

from lungscore.result.numbers import NUMBERS, value_at
from lungscore.scan.masks import read_label_volume
from tests.review.browser.cases import (
    EMPTIED,
    PLANTED,
    Cohort,
    numbers_of,
    review_folder,
    scored_again,
)
from tests.review.browser.pages import READER, Reading, Server, open_case, tab_at

pytestmark = pytest.mark.ci


def on_screen(reading: Reading, cohort: Cohort, y: float, x: float) -> tuple[float, float]:
    return reading.place(y, x, cohort.truth.shape[1:], cohort.spacing_mm[1:])


def same_numbers(reading: Reading, cohort: Cohort, name: str, folder: Any) -> dict[str, object]:
    """The numbers of the page, of the saved result and of ``lungscore score`` are the same."""
    analysis = scored_again(folder, cohort.scans / f"{name}.nii.gz", name)
    expected = numbers_of(analysis)
    assert reading.numbers() == expected
    stored = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert {number.path: value_at(stored, number.path) for number in NUMBERS.values()} == expected
    return expected


def around(cohort: Cohort, z: int) -> list[tuple[int, int]]:
    """Corners of a box around the true opacity of the left lung in a slice."""
    rows, columns = np.nonzero((cohort.truth[z] > 0) & (cohort.lungs[z] == 2))
    top, bottom = int(rows.min()) - 1, int(rows.max()) + 1
    left, right = int(columns.min()) - 1, int(columns.max()) + 1
    return [(top, left), (top, right), (bottom, right), (bottom, left)]


def test_strokes_undo_and_the_numbers_of_the_saved_masks(
    chromium: Any, server: Server, cohort: Cohort
) -> None:
    z, y, x = cohort.places[0]
    with tab_at(chromium, server) as tab:
        reading = open_case(tab, "strokes")
        before = reading.numbers()
        reading.go(z)
        at = lambda dy, dx: on_screen(reading, cohort, y + dy, x + dx)  # noqa: E731
        # Erased with the eraser, drawn again with the brush, filled with the lasso, undone, redone.
        reading.press("e")
        reading.drag(at(-1, -1), at(1, 1))
        assert "removed" in reading.note
        erased = reading.numbers()
        assert erased != before
        reading.press("b", "2")
        reading.drag(at(0, 0), at(0, 3))
        assert "added" in reading.note
        reading.press("l", "1")
        reading.drag(at(-6, -6), at(-6, 6), at(6, 6), at(6, -6))
        assert "voxels" in reading.note
        drawn = reading.numbers()
        reading.press("Control+z", "Control+z")
        assert reading.numbers() == erased
        reading.press("Control+Shift+z", "Control+y")
        assert reading.numbers() == drawn
        reading.press("k")
        reading.drag(at(-3, -3), at(-3, 3), at(3, 3), at(3, -3))
        assert "removed" in reading.note
        # The lungs, and what of the opacity goes with them.
        tab.check("[name=layer][value=lungs]", force=True)
        reading.press("e")
        reading.drag(at(5, 0), at(8, 3))
        assert "removed" in reading.note
        reading.judge("corrected", "Drawn anew.")
        folder = review_folder(cohort, "strokes", READER)
        numbers = same_numbers(reading, cohort, "strokes", folder)
        assert numbers["burden.infection_percent"] is not None
        review = json.loads((folder / "review.json").read_text(encoding="utf-8"))
        assert (review["reader"], review["comment"]) == (READER, "Drawn anew.")
        labels, _ = read_label_volume(folder / "lesions.nii.gz", "lesions")
        changed = np.unique(np.argwhere(labels != cohort.faulty)[:, 0])
        assert changed.tolist() == [z]


def test_whole_slices_are_copied_smoothed_cleared_and_kept_within_a_density(
    chromium: Any, server: Server, cohort: Cohort
) -> None:
    first, last = cohort.emptied
    with tab_at(chromium, server) as tab:
        reading = open_case(tab, "slices")
        before = reading.numbers()
        reading.go(first - 1)
        reading.press("n")
        assert "added" in reading.note
        assert reading.shown() == f"axial {first}"
        reading.press("n")
        assert "added" in reading.note
        tab.fill("#range-first", str(first + 1))
        tab.fill("#range-last", str(last + 1))
        tab.keyboard.press("Tab")
        tab.click("#smooth")
        reading.settle()
        tab.select_option("#hu-scope", "all")
        tab.click("#keep-hu")
        assert "removed" in reading.note
        tab.select_option("#lung", "2")
        tab.click("#clear")
        assert "removed" in reading.note
        count = int(tab.inner_text("#undo").strip("Undo ()"))
        for _ in range(count):
            tab.click("#undo")
        assert reading.numbers() == before
        assert tab.is_disabled("#undo")
        # Nothing in the lungs is as dense as that.
        reading.press("b")
        tab.fill("#hu-low", "2000")
        tab.fill("#hu-high", "3000")
        tab.check("#within")
        reading.go(cohort.places[0][0])
        reading.click(on_screen(reading, cohort, *cohort.places[0][1:]))
        assert reading.note.startswith("Nothing changed")
        assert tab.is_disabled("[value=corrected]")


def test_planted_faults_are_mended_with_few_actions(
    chromium: Any, server: Server, cohort: Cohort
) -> None:
    """False opacity of one lung goes by clicks, six neighbouring slices are mended: 40 actions."""
    first, last = cohort.emptied
    with tab_at(chromium, server) as tab:
        reading = open_case(tab, "planted")
        reading.press("x")
        for z, y, x in cohort.places:
            reading.go(z)
            reading.click(on_screen(reading, cohort, y, x))
            assert reading.note == "9 voxels removed."
        # A lasso around what is dense, slice by slice; the densities keep it to the opacity.
        reading.press("l")
        tab.check("#within")
        tab.fill("#hu-high", "200")
        reading.actions += 2
        for z in range(first, last + 1):
            reading.go(z)
            reading.drag(*(on_screen(reading, cohort, *corner) for corner in around(cohort, z)))
            assert "added" in reading.note
        assert reading.actions <= 40
        reading.judge("corrected")
        folder = review_folder(cohort, "planted", READER)
        same_numbers(reading, cohort, "planted", folder)
    labels, _ = read_label_volume(folder / "lesions.nii.gz", "lesions")
    right = cohort.lungs == 1
    assert len(cohort.places) == PLANTED
    assert np.array_equal(labels[right] > 0, cohort.truth[right] > 0)
    assert last - first + 1 == EMPTIED
    left = cohort.lungs[first : last + 1] == 2
    mended, true = (array[first : last + 1][left] > 0 for array in (labels, cohort.truth))
    assert 2 * (mended & true).sum() / (mended.sum() + true.sum()) > 0.8
    assert (folder / "report.html").is_file()
    review = json.loads((folder / "review.json").read_text(encoding="utf-8"))
    changed = [entry for entry in review["numbers"] if entry["before"] != entry["after"]]
    assert "burden.infection_percent" in {entry["path"] for entry in changed}
    original, _ = read_label_volume(cohort.results / "planted" / "lesions.nii.gz", "lesions")
    assert np.array_equal(original, cohort.faulty)
