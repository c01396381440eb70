"""The report in a browser: it opens from the disk, whole, without an error or the network."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of 40 slices with ranges, notices and regions near the edge."""
    analysis = analysis_of_boxes(
        name="A case with a long name", depth=40, ranges=True, codes=("hu-split", "contrast")
    )
    return write_outputs(analysis, tmp_path_factory.mktemp("boxes")) / "report.html"


@pytest.fixture
def tab(chromium: Any, report: Path) -> Iterator[Any]:
    with opened(chromium, report) as page:
        page.wait_for_selector("#viewer[data-shown]")
        yield page


def shown(tab: Any) -> str:
    """Plane and index, once nothing else is on its way."""
    tab.wait_for_timeout(150)
    text: str = tab.get_attribute("#viewer", "data-shown")
    return text


def image(tab: Any) -> bytes:
    """The canvas as it is."""
    tab.wait_for_timeout(150)
    content: bytes = tab.locator("#viewer canvas").screenshot()
    return content


# The first screen


def test_the_first_screen_says_how_much_how_severe_how_sure_and_where(tab: Any) -> None:
    answers = (".grade", ".card.main .value", ".card:nth-of-type(2)", ".planes img", ".lobes")
    for answer in answers:
        box = tab.locator(answer).first.bounding_box()
        assert box["y"] + box["height"] <= LAPTOP["height"], answer
        assert box["x"] + box["width"] <= LAPTOP["width"], answer


# The slices


def test_the_worst_slice_is_shown_first_and_the_keys_move_it(tab: Any) -> None:
    assert shown(tab) == "axial 20"
    tab.locator("#viewer canvas").focus()
    for key, index in (
        ("ArrowDown", 21),
        ("ArrowRight", 22),
        ("ArrowUp", 21),
        ("PageDown", 31),
        ("PageUp", 21),
        ("End", 39),
        ("ArrowDown", 39),
        ("Home", 0),
        ("ArrowLeft", 0),
    ):
        tab.keyboard.press(key)
        assert shown(tab) == f"axial {index}", key
    assert "axial slice 1 of 40" in tab.inner_text("#viewer output")


def test_the_wheel_moves_the_slices_and_not_the_page(tab: Any) -> None:
    canvas = tab.locator("#viewer canvas")
    canvas.scroll_into_view_if_needed()
    canvas.hover()
    before = tab.evaluate("scrollY")
    tab.mouse.wheel(0, 100)
    assert shown(tab) == "axial 21"
    tab.mouse.wheel(0, -100)
    assert shown(tab) == "axial 20"
    assert tab.evaluate("scrollY") == before


def test_the_slider_moves_the_slices(tab: Any) -> None:
    tab.locator("#slice").focus()
    tab.keyboard.press("ArrowRight")
    assert shown(tab) == "axial 21"
    assert tab.get_attribute("#slice", "max") == "40"


def test_c_takes_the_contours_off_and_on_again(tab: Any) -> None:
    drawn = image(tab)
    tab.keyboard.press("c")
    bare = image(tab)
    assert bare != drawn
    assert not tab.is_checked("[data-control=contours]")
    tab.keyboard.press("C")
    assert image(tab) == drawn


def test_a_window_changes_what_is_seen_and_so_does_ones_own(tab: Any) -> None:
    lung = image(tab)
    tab.click("text=soft tissue")
    soft = image(tab)
    assert soft != lung
    assert tab.input_value("[data-control=level]") == "40"
    tab.fill("[data-control=level]", "-600")
    tab.fill("[data-control=width]", "1500")
    tab.keyboard.press("Tab")
    assert image(tab) == lung
    assert tab.get_attribute("text=lung >> nth=0", "aria-pressed") in ("true", None)


def test_filled_lesions_are_seen(tab: Any) -> None:
    before = image(tab)
    tab.locator("[data-control=fill]").focus()
    tab.keyboard.press("End")
    assert image(tab) != before


@pytest.mark.parametrize(("plane", "count"), [("coronal", 34), ("sagittal", 54)])
def test_the_other_planes_are_cut_from_the_same_slices(tab: Any, plane: str, count: int) -> None:
    tab.click(f"[data-plane={plane}]")
    tab.wait_for_selector(f"#viewer[data-shown^={plane}]")
    assert tab.get_attribute("#slice", "max") == str(count)
    tab.locator("#viewer canvas").focus()
    tab.keyboard.press("Home")
    assert shown(tab) == f"{plane} 0"


def test_what_is_drawn_is_where_the_masks_are(tab: Any) -> None:
    """Filled, the lesion is blue in the left lung, at the right of the image, and nowhere else."""
    tab.keyboard.press("c")
    tab.evaluate(
        """() => { const fill = document.querySelector('[data-control=fill]');
        fill.value = 60; fill.dispatchEvent(new Event('input')); }"""
    )
    tab.wait_for_timeout(200)
    blue = tab.evaluate(
        """() => { const canvas = document.querySelector('#viewer canvas');
        const {width, height} = canvas;
        const data = canvas.getContext('2d').getImageData(0, 0, width, height).data;
        const columns = [], rows = [];
        for (let i = 0; i < data.length; i += 4) {
          if (data[i + 2] > data[i] + 40) {
            columns.push((i / 4 % width) / width); rows.push(Math.floor(i / 4 / width) / height);
          }
        }
        const ends = (values) => [Math.min(...values), Math.max(...values)];
        return [...ends(columns), ...ends(rows)]; }"""
    )
    # Columns 40 to 50 and rows 20 to 30 of the box from column 3 to 57 and row 3 to 37.
    assert blue == pytest.approx([37 / 54, 47 / 54, 17 / 34, 27 / 34], abs=0.02)


# Jumps


def test_a_lobe_a_region_and_the_curve_lead_to_their_slice(tab: Any) -> None:
    tab.click(".lobes a >> nth=0")
    assert shown(tab) == "axial 0"
    tab.click("th >> text=LLL posterior basal")
    assert shown(tab) == "axial 20"
    curve = tab.locator("#curve")
    box = curve.bounding_box()
    left, right = (float(curve.get_attribute(f"data-{end}")) for end in ("left", "right"))
    at = (left + (right - left) * 30.5 / 40) / 640
    curve.click(position={"x": box["width"] * at, "y": 40})
    assert shown(tab) == "axial 30"
    assert tab.evaluate("document.activeElement.tagName") == "CANVAS"


def test_the_lobes_are_reached_by_the_keyboard(tab: Any) -> None:
    tab.locator(".lobes a >> nth=4").focus()
    tab.keyboard.press("Enter")
    assert shown(tab) == "axial 20"


# Without script, on paper, on a phone


def test_without_script_the_thumbnails_remain(chromium: Any, report: Path) -> None:
    with opened(chromium, report, java_script_enabled=False) as tab:
        assert tab.locator(".still img").first.is_visible()
        assert not tab.locator("#viewer").is_visible()
        assert tab.locator(".still .tiles figure").count() == 12


def test_the_small_report_shows_thumbnails(chromium: Any, tmp_path: Path) -> None:
    folder = write_outputs(analysis_of_boxes(), tmp_path, settings=ReportSettings("small"))
    with opened(chromium, folder / "report.html") as tab:
        assert tab.locator(".still img").first.is_visible()
        assert tab.locator("canvas").count() == 0


def test_on_paper_the_summary_is_the_first_page_and_every_page_has_name_and_number(
    tab: Any, tmp_path: Path
) -> None:
    tab.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")
    pages = pypdf.PdfReader(tmp_path / "report.pdf").pages
    texts = [re.sub(r"\s+", " ", page.extract_text()) for page in pages]
    assert 3 <= len(pages) <= 6
    for number, (page, text) in enumerate(zip(pages, texts, strict=True), start=1):
        assert [round(float(side)) for side in page.mediabox[2:]] == [595, 842]  # A4 in points
        assert "A case with a long name" in text
        assert f"page {number} of {len(pages)}" in text
        assert "Research use only" in text
    assert "Reliability grade" in texts[0]
    assert "Scores" not in texts[0]
    # No table is broken: each begins and ends on one page.
    for first, last in (("CT-SS", "six-zone score"), ("RUL apical", "RLL posterior basal")):
        assert any(first in text and last in text for text in texts[1:])


def test_on_a_phone_nothing_is_cut_off(chromium: Any, report: Path) -> None:
    with opened(chromium, report, PHONE) as tab:
        tab.wait_for_selector("#viewer[data-shown]")
        assert cut_off(tab) == []


@pytest.mark.parametrize("size", [LAPTOP, PHONE])
def test_everybody_can_use_the_page(chromium: Any, report: Path, size: dict[str, int]) -> None:
    with opened(chromium, report, size) as tab:
        assert violations(tab) == []


def test_the_report_of_the_demonstration_opens(chromium: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lungscore", "demo", "--out", str(tmp_path / "cases")]
    subprocess.run(command, check=True, capture_output=True)
    (page,) = tmp_path.glob("cases/*/report.html")
    with opened(chromium, page) as tab:
        tab.wait_for_selector("#viewer[data-shown]")
        assert "CT-SS" in tab.inner_text("main")
