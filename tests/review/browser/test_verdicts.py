"""Verdicts, interruptions and several readers."""

import json
from typing import Any

import pytest

from tests.browser import wait_until
from tests.review.browser.cases import Cohort, numbers_of, review_folder, scored_again
from tests.review.browser.pages import Reading, Server, open_case, tab_at

pytestmark = pytest.mark.ci


def state_of(tab: Any, name: str) -> str:
    """What the list says of a case."""
    tab.wait_for_selector("#cases tbody tr")
    return str(tab.inner_text(f"#cases tr:has(a:text-is('{name}')) td >> nth=0"))


def erase(reading: Reading, cohort: Cohort, place: tuple[int, int, int]) -> None:
    """Take a planted piece away by a click."""
    z, y, x = place
    reading.press("x")
    reading.go(z)
    reading.click(reading.place(y, x, cohort.truth.shape[1:], cohort.spacing_mm[1:]))
    assert "removed" in reading.note


def test_a_case_is_accepted_as_it_is(chromium: Any, server: Server, cohort: Cohort) -> None:
    with tab_at(chromium, server, reader="Dr Okafor") as tab:
        reading = open_case(tab, "accept")
        assert tab.is_disabled("[value=corrected]")
        reading.judge("accepted", "Nothing to mend.")
        assert "Accepted" in tab.inner_text("#save-note")
        assert tab.evaluate("document.activeElement.id") == "next-case"
        tab.click("#next-case")
        wait_until(tab, "document.querySelector('#title').textContent !== 'accept'")
        Reading(tab)
        tab.click("#back")
        assert state_of(tab, "accept") == "accepted"
        assert tab.inner_text("#progress-text").startswith("1 of")
    folder = review_folder(cohort, "accept", "Dr Okafor")
    review = json.loads((folder / "review.json").read_text(encoding="utf-8"))
    assert (review["verdict"], review["comment"]) == ("accepted", "Nothing to mend.")
    assert review["viewed"], "what was seen since the last report of the page counts, too"


def test_changes_survive_a_server_that_is_killed(chromium: Any, cohort: Cohort) -> None:
    first = Server(cohort.results, cohort.scans)
    with tab_at(chromium, first, reader="Dr Ito", refusals=True) as tab:
        reading = open_case(tab, "resume")
        erase(reading, cohort, cohort.places[0])
        erase(reading, cohort, cohort.places[1])
        numbers = reading.numbers()
        first.kill()
        reading.click(reading.place(2, 2, cohort.truth.shape[1:], cohort.spacing_mm[1:]))
        tab.wait_for_selector("#messages >> text=The server does not answer")
    second = Server(cohort.results, cohort.scans)
    with tab_at(chromium, second, reader="Dr Ito") as tab:
        assert state_of(tab, "resume") == "in progress"
        reading = open_case(tab, "resume")
        tab.wait_for_selector("#messages >> text=taken up again")
        assert reading.numbers() == numbers
        reading.axial.focus()
        reading.press("Control+z")
        assert "Undone" in reading.note
        assert reading.numbers() != numbers
    second.stop()


def test_a_page_is_not_left_in_silence_while_an_edit_is_on_its_way(
    chromium: Any, server: Server, cohort: Cohort
) -> None:
    asks = """() => { const event = new Event('beforeunload', {cancelable: true});
        dispatchEvent(event); return event.defaultPrevented; }"""
    with tab_at(chromium, server, reader="Dr Leaver") as tab:
        reading = open_case(tab, "resume")
        held: list[Any] = []
        tab.route("**/edits", lambda route: held.append(route))
        z, y, x = cohort.places[0]
        reading.press("x")
        reading.go(z)
        assert not tab.evaluate(asks)
        reading.click(reading.place(y, x, cohort.truth.shape[1:], cohort.spacing_mm[1:]))
        assert tab.evaluate(asks)
        held[0].continue_()
        assert "removed" in reading.note
        assert not tab.evaluate(asks)


def test_an_edit_whose_answer_is_lost_does_not_cost_the_next_one(
    chromium: Any, server: Server, cohort: Cohort
) -> None:
    def lose(route: Any) -> None:
        route.fetch()  # the server makes the edit
        route.abort()

    with tab_at(chromium, server, reader="Dr Unplugged", refusals=True) as tab:
        reading = open_case(tab, "resume")
        tab.route("**/edits", lose)
        z, y, x = cohort.places[0]
        reading.press("x")
        reading.go(z)
        reading.click(reading.place(y, x, cohort.truth.shape[1:], cohort.spacing_mm[1:]))
        tab.wait_for_selector("#messages >> text=The server does not answer")
        tab.unroute("**/edits")
        assert reading.version == 1
        erase(reading, cohort, cohort.places[1])
        assert reading.version == 2
        assert not tab.query_selector("[data-key=review-behind]")


def test_a_layer_that_arrives_after_an_edit_is_asked_for_again(
    chromium: Any, server: Server, cohort: Cohort
) -> None:
    held: list[Any] = []

    def late(route: Any) -> None:
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    with tab_at(chromium, server, reader="Dr Late") as tab:
        reading = open_case(tab, "resume")
        tab.route("**/labels/lobes", late)
        tab.check("[name=shown][value=lobes]")
        for _ in range(200):
            if held:
                break
            tab.wait_for_timeout(50)
        route, before_the_edit = held[0]
        erase(reading, cohort, cohort.places[0])
        with tab.expect_request("**/labels/lobes"):
            route.fulfill(response=before_the_edit)


def test_the_same_reader_continues_in_another_tab(
    chromium: Any, server: Server, cohort: Cohort
) -> None:
    with tab_at(chromium, server, reader="Dr Two", refusals=True) as tab:
        reading = open_case(tab, "resume")
        other = tab.context.browser.new_context()
        late = other.new_page()
        late.goto(f"{server.address}/")
        late.fill("#reader-name", "Dr Two")
        late.keyboard.press("Enter")
        late.click("#cases a:text-is('resume')")
        late.click("#messages button:text-is('Continue here')")
        late.wait_for_selector("body[data-ready]")
        erase_at = cohort.places[0]
        reading.press("x")
        reading.go(erase_at[0])
        reading.click(reading.place(*erase_at[1:], cohort.truth.shape[1:], cohort.spacing_mm[1:]))
        tab.wait_for_selector("body[data-ended]")
        assert tab.is_disabled("#save")
        assert tab.is_visible("#messages button:text-is('Continue here')")
        other.close()


def test_two_readers_side_by_side(chromium: Any, server: Server, cohort: Cohort) -> None:
    for reader, place in (("Dr One", cohort.places[0]), ("Dr Two", cohort.places[1])):
        with tab_at(chromium, server, reader=reader) as tab:
            reading = open_case(tab, "shared")
            erase(reading, cohort, place)
            reading.judge("corrected")
            if reader == "Dr One":
                continue
            tab.click("#compare-button")
            tab.wait_for_selector("#comparison[data-shown]")
            assert tab.inner_text("#caption-a") == "Dr Two (corrected)"
            assert tab.inner_text("#caption-b") == "Dr One (corrected)"
            assert "Opacity 0.9" in tab.inner_text("#differences")
            ct = cohort.scans / "shared.nii.gz"
            folders = [review_folder(cohort, "shared", name) for name in ("Dr Two", "Dr One")]
            ours, theirs = (numbers_of(scored_again(f, ct, "shared")) for f in folders)
            script = """() => Object.fromEntries(
                [...document.querySelectorAll('#differences tbody tr')].map((row) =>
                    [row.dataset.path, [...row.querySelectorAll('.n')].map((cell) =>
                        JSON.parse(cell.dataset.value))]))"""
            shown = tab.evaluate(script)
            assert {path: [ours[path], theirs[path]] for path in shown} == shown
            assert "burden.infection_percent" in shown
            # Both views move together, to where the two differ.
            tab.click("#next-difference")
            tab.wait_for_timeout(200)
            views = [tab.get_attribute(f"[data-side={side}]", "data-shown") for side in ("a", "b")]
            assert views[0] == views[1]
            assert int(views[0].split()[1]) in {cohort.places[0][0], cohort.places[1][0]}
            tab.locator("[data-side=b]").hover()
            tab.mouse.wheel(0, 100)
            tab.wait_for_timeout(300)
            later = [tab.get_attribute(f"[data-side={side}]", "data-shown") for side in ("a", "b")]
            assert later[0] == later[1] != views[0]
            tab.click("#compare-button")
            tab.wait_for_selector("#desk:visible")
