"""Looking at a case: slices, planes, window, overlays."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.review.browser.cases import Cohort
from tests.review.browser.pages import Reading, Server, open_case, tab_at

pytestmark = pytest.mark.ci


@pytest.fixture(scope="module")
def reading(chromium: Any, server: Server) -> Iterator[Reading]:
    with tab_at(chromium, server) as tab:
        yield open_case(tab, "scroll")


def picture(reading: Reading, layer: str) -> bytes:
    """A canvas of the axial plane as it is."""
    reading.shown()
    script = f"() => document.querySelector('#desk [data-plane=axial] .{layer}').toDataURL()"
    return str(reading.tab.evaluate(script)).encode()


def test_wheel_keys_and_slider_move_the_slices(reading: Reading) -> None:
    tab = reading.tab
    reading.axial.focus()
    for key, place in (
        *(("Home", 0), ("ArrowDown", 1), ("ArrowUp", 0), (".", 1), (",", 0), ("PageDown", 10)),
        *(("PageUp", 0), ("End", 15), ("ArrowDown", 15)),
    ):
        tab.keyboard.press(key)
        assert reading.shown() == f"axial {place}", key
    reading.axial.hover()
    tab.mouse.wheel(0, -200)
    tab.wait_for_function("document.querySelector('#slice').value === '14'")
    assert reading.shown() == "axial 13"
    tab.locator("#slice").focus()
    tab.keyboard.press("ArrowLeft")
    assert reading.shown() == "axial 12"
    assert "Slice 13 of 16" in tab.inner_text("#readout")


def test_every_notch_of_the_wheel_is_drawn(reading: Reading) -> None:
    """None of the slices is left out while they are scrolled one a frame."""
    reading.go(0)
    script = """async () => {
        const view = document.querySelector('#desk [data-plane=axial]');
        const frame = () => new Promise(requestAnimationFrame);
        const shown = new Set();
        for (let i = 0; i < 15; i += 1) {
            view.dispatchEvent(new WheelEvent('wheel', { deltaY: 100, cancelable: true }));
            await frame();
            await frame();
            if (!view.hasAttribute('data-missing')) shown.add(view.dataset.shown);
        }
        return shown.size; }"""
    assert reading.tab.evaluate(script) == 15


def test_the_planes_are_linked(reading: Reading, cohort: Cohort) -> None:
    reading.tab.keyboard.press("v")
    (z, y, x), shape = cohort.places[0], cohort.truth.shape
    reading.go(z)
    reading.click(reading.place(y, x, shape[1:], cohort.spacing_mm[1:]))
    assert reading.shown("coronal") == f"coronal {y}"
    assert reading.shown("sagittal") == f"sagittal {x}"
    label = ("GGO", "Consolidation")[cohort.faulty[z, y, x] - 1]
    assert f"{label}, right lung" in reading.tab.inner_text("#readout")
    reading.tab.locator("[data-slider=coronal]").focus()
    reading.tab.keyboard.press("ArrowRight")
    assert reading.shown("coronal") == f"coronal {y + 1}"


def test_c_takes_the_contours_off_and_on_again(reading: Reading) -> None:
    reading.axial.focus()
    drawn = picture(reading, "overlay")
    reading.tab.keyboard.press("c")
    assert picture(reading, "overlay") != drawn
    assert not reading.tab.is_checked("#contours")
    reading.tab.keyboard.press("C")
    assert picture(reading, "overlay") == drawn


def test_a_window_is_chosen_typed_and_dragged(reading: Reading) -> None:
    tab = reading.tab
    lung = picture(reading, "grey")
    tab.click("#presets button:text-is('Soft tissue')")
    assert tab.input_value("#level") == "40"
    assert picture(reading, "grey") != lung
    tab.fill("#level", "-600")
    tab.fill("#width", "1500")
    tab.keyboard.press("Tab")
    assert picture(reading, "grey") == lung
    box = reading.axial.bounding_box()
    tab.mouse.move(box["x"] + 100, box["y"] + 100)
    tab.mouse.down(button="right")
    tab.mouse.move(box["x"] + 140, box["y"] + 120, steps=3)
    tab.mouse.up(button="right")
    assert (tab.input_value("#level"), tab.input_value("#width")) != ("-600", "1500")
    tab.click("#presets button:text-is('Lung')")
    assert picture(reading, "grey") == lung


def test_what_is_drawn_is_where_the_masks_are(reading: Reading, cohort: Cohort) -> None:
    """A pixel of each label has the colour of the report at the centre of its voxel."""
    reading.go(cohort.places[0][0])
    reading.tab.evaluate(
        """() => { const fill = document.querySelector('#fill'); fill.value = 80;
        fill.dispatchEvent(new Event('input')); }"""
    )
    script = """([x, y]) => {
        const canvas = document.querySelector('#desk [data-plane=axial] .overlay');
        const box = canvas.getBoundingClientRect();
        const pixel = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
        pixel.drawImage(canvas, box.x - Math.round(x), box.y - Math.round(y));
        return [...pixel.getImageData(0, 0, 1, 1).data]; }"""
    reading.shown()
    for place in cohort.places[:2]:
        z, y, x = place
        reading.go(z)
        point = reading.place(y, x, cohort.truth.shape[1:], cohort.spacing_mm[1:])
        colour = reading.tab.evaluate(script, point)
        expected = ([0x56, 0xB4, 0xE9], [0xE6, 0x9F, 0x00])[cohort.faulty[place] - 1]
        assert colour[:3] == pytest.approx(expected, abs=3)
        assert colour[3] >= 200
        point = reading.place(2, 2, cohort.truth.shape[1:], cohort.spacing_mm[1:])
        assert reading.tab.evaluate(script, point)[3] == 0


def test_the_colours_are_those_of_the_report(reading: Reading) -> None:
    from lungscore.report.pictures import COLOURS

    script = "async () => (await import('/static/label_names.js')).COLOURS"
    assert reading.tab.evaluate(script) == COLOURS
    script = """() => Object.fromEntries(['ggo', 'lungs', 'lobes'].map((name) => [name,
        [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])
            .find((rule) => rule.selectorText === `.swatch.${name}`).cssText]))"""
    for name, rule in reading.tab.evaluate(script).items():
        red, green, blue = bytes.fromhex(COLOURS[name][1:])
        assert f"rgb({red}, {green}, {blue})" in rule


def test_zooming_keeps_what_is_under_the_pointer(reading: Reading) -> None:
    reading.axial.focus()
    before = picture(reading, "grey")
    reading.tab.keyboard.press("+")
    assert picture(reading, "grey") != before
    reading.tab.keyboard.press("0")
    assert picture(reading, "grey") == before
