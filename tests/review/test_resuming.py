"""A review goes on where it stopped, whatever became of its server, its log or its masks."""

import json
import shutil

import pytest

pytest.importorskip("starlette")

from lungscore.review.log import Log, log_path
from lungscore.review.work_list import states_of
from tests.review.asking import Browser, accepted, corrected

pytestmark = pytest.mark.usefixtures("small_reports")


def test_a_restarted_server_goes_on_where_the_reader_stopped(browser, desk_over):
    session = f"/api/sessions/{browser.open()['session']}"
    body = {"version": 0, "tool": "clear", "layer": "lungs", "slices": [5, 5]}
    changed = browser.post(f"{session}/edits", body).json
    assert changed["pending"]
    browser.post(f"{session}/edits", {**body, "version": 1, "slices": [6, 6]})
    browser.post(f"{session}/undo", {"version": 2})
    numbers = browser.get(f"{session}/numbers").json["numbers"]
    lesions = browser.get(f"{session}/labels/lesions").data
    browser.desk.close_all()
    again = Browser(desk_over())
    assert again.get("/api/cases?reader=Anna").json["cases"][0]["mine"] == "open"
    opened = again.open()
    assert opened["resumed"]
    assert opened["recovered_edits"] == 2
    state = opened["state"]
    assert (state["version"], state["undo"], state["redo"]) == (3, 1, 1)
    session = f"/api/sessions/{opened['session']}"
    assert again.get(f"{session}/labels/lesions").data == lesions
    assert again.get(f"{session}/numbers").json["numbers"] == numbers
    assert again.post(f"{session}/redo", {"version": 3}).json["version"] == 4


def test_what_a_killed_server_had_put_aside_is_put_back(browser, desk_over, cohort):
    corrected(browser)
    browser.desk.close_all()
    reviews = cohort / "results" / "case-1" / "reviews"
    (reviews / "Anna").rename(reviews / ".tmp-0123456789ab-old")
    (reviews / ".tmp-ba9876543210").mkdir()  # what it was writing
    again = Browser(desk_over())
    assert again.open()["state"]["saved"]["verdict"] == "corrected"
    assert (reviews / "Anna" / "review.json").is_file()
    assert not list(reviews.glob(".tmp-*"))


def test_a_review_that_was_saved_but_not_logged_counts(browser, desk_over, cohort):
    corrected(browser)
    browser.desk.close_all()
    log = cohort / "results" / "case-1" / "reviews" / ".Anna.log"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    assert states_of(log.parent.parent) == {"Anna": "open"}
    again = Browser(desk_over())
    assert again.open()["state"]["saved"]["verdict"] == "corrected"
    assert states_of(log.parent.parent) == {"Anna": "corrected"}


def test_a_saved_review_without_its_log_is_taken_up_with_its_masks(browser, desk_over, cohort):
    corrected(browser)
    session = f"/api/sessions/{browser.open(take_over=True)['session']}"
    lesions = browser.get(f"{session}/labels/lesions").data
    browser.desk.close_all()
    reviews = cohort / "results" / "case-1" / "reviews"
    (reviews / ".Anna.log").unlink()  # hidden files are easily left behind in a copy
    again = Browser(desk_over())
    opened = again.open()
    session = f"/api/sessions/{opened['session']}"
    assert opened["state"]["saved"]["verdict"] == "corrected"
    assert opened["state"]["saved"]["version"] == opened["state"]["version"] == 1
    assert opened["state"]["changed_slices"] == [10, 11, 12]
    assert again.get(f"{session}/labels/lesions").data == lesions
    undone = again.post(f"{session}/undo", {"version": 1}).json
    assert undone["changed_slices"] == []
    again.desk.close_all()
    once_more = Browser(desk_over()).open()
    assert (once_more["state"]["version"], once_more["state"]["redo"]) == (2, 1)


def test_a_review_without_its_log_is_not_taken_for_that_of_other_masks(browser, desk_over, cohort):
    corrected(browser)
    browser.desk.close_all()
    folder = cohort / "results" / "case-1" / "reviews"
    (folder / ".Anna.log").unlink()
    review = json.loads((folder / "Anna" / "review.json").read_text())
    review["masks_sha256"]["lesions"] = "0" * 64
    (folder / "Anna" / "review.json").write_text(json.dumps(review))
    again = Browser(desk_over())
    path = f"/api/cases/{again.case_id('case-1')}/open"
    assert again.post(path, {"reader": "Anna"}).code == "review-stale"


def test_a_review_of_another_reader_is_not_replaced_where_its_log_is_gone(
    browser, desk_over, cohort
):
    accepted(browser, reader="A/B")
    browser.desk.close_all()
    (cohort / "results" / "case-1" / "reviews" / ".A_B.log").unlink()
    again = Browser(desk_over())
    path = f"/api/cases/{again.case_id('case-1')}/open"
    assert again.post(path, {"reader": "A_B"}).code == "review-in-use"


def test_a_log_whose_records_mean_nothing_is_damaged(browser, desk_over, cohort):
    browser.open()
    browser.desk.close_all()
    log = Log(log_path(cohort / "results" / "case-1", "Anna"))
    log.append({"do": "something newer"})
    log.close()
    again = Browser(desk_over())
    path = f"/api/cases/{again.case_id('case-1')}/open"
    assert again.post(path, {"reader": "Anna"}).code == "review-damaged"


def test_masks_that_were_made_anew_are_another_case(browser, desk_over, cohort):
    corrected(browser)
    browser.desk.close_all()
    case = cohort / "results" / "case-1"
    shutil.copyfile(case / "reviews" / "Anna" / "lesions.nii.gz", case / "lesions.nii.gz")
    shutil.copyfile(case / "reviews" / "Anna" / "result.json", case / "result.json")
    again = Browser(desk_over())
    answer = again.post(f"/api/cases/{again.case_id('case-1')}/open", {"reader": "Anna"})
    assert answer.code == "review-stale"


def test_a_damaged_log_or_another_readers_folder_is_told(browser, desk_over, cohort):
    session = f"/api/sessions/{browser.open(reader='A/B')['session']}"
    assert browser.post(f"{session}/save", {"version": 0, "verdict": "accepted"}).status == 200
    browser.desk.close_all()
    again = Browser(desk_over())
    case = again.case_id("case-1")
    answer = again.post(f"/api/cases/{case}/open", {"reader": "A_B"})
    assert answer.code == "review-in-use"
