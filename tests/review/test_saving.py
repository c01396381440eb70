"""What is saved of a review, and what comes of it: resumed work, readers, training data."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette")

from lungscore import score
from lungscore.agreement.ratings import read_ratings
from lungscore.cli.main import call
from lungscore.datasets.labelled_manifest import read_labelled
from lungscore.errors import UsageError
from lungscore.report.outputs import write_outputs
from lungscore.result import to_result
from lungscore.result.numbers import NUMBERS
from lungscore.review import saving
from lungscore.review.log import Log, log_path
from lungscore.review.opened_case import ScanFinder, open_case
from lungscore.review.session import Session
from lungscore.review.work_list import states_of
from tests.review.asking import Browser, accepted

pytestmark = pytest.mark.usefixtures("small_reports")


@pytest.fixture
def browser(desk_over) -> Browser:
    return Browser(desk_over())


def corrected(browser: Browser, name: str = "case-1", reader: str = "Anna") -> dict:
    """A review in which a slice of lesions was cleared, and what the server said of saving it."""
    session = f"/api/sessions/{browser.open(name, reader)['session']}"
    body = {"version": 0, "tool": "clear", "layer": "lesions", "slices": [10, 12]}
    version = browser.post(f"{session}/edits", body).json["version"]
    browser.post(f"{session}/alive", {"active": 12.5, "viewed": [3, 4, 999, -1]})
    answer = browser.post(
        f"{session}/save", {"version": version, "verdict": "corrected", "comment": "vessels\nhere"}
    )
    assert answer.status == 200, answer.body
    return answer.json


def test_a_saved_review_says_who_when_what_and_what_came_of_it(browser, cohort):
    answer = corrected(browser)
    folder = cohort / "results" / "case-1" / answer["folder"]
    review = json.loads((folder / "review.json").read_text())
    assert (review["reader"], review["verdict"]) == ("Anna", "corrected")
    assert review["comment"] == "vessels\nhere"
    assert review["seconds"] == 12.5
    assert review["viewed"] == [3, 4]
    assert review["slices"] == {"lesions": [10, 11, 12], "lungs": [], "lobes": []}
    assert review["voxels"]["lesions"]["removed"] > 0
    assert review["tools"] == {"clear": 1}
    assert [entry["path"] for entry in review["numbers"]] == [n.path for n in NUMBERS.values()]
    result = json.loads((folder / "result.json").read_text())
    assert result["method"] == "reviewed by Anna"
    for entry in review["numbers"]:
        assert entry["after"] == NUMBERS_BY_PATH[entry["path"]].value(result)
        assert entry["after"] == answer["numbers"][entry["path"]]


NUMBERS_BY_PATH = {number.path: number for number in NUMBERS.values()}


def test_its_numbers_are_those_of_lungscore_score(browser, cohort):
    answer = corrected(browser)
    folder = cohort / "results" / "case-1" / answer["folder"]
    masks = {kind: folder / f"{kind}.nii.gz" for kind in ("lungs", "lesions", "lobes")}
    again = to_result(score(**masks, ct=cohort / "scans" / "case-1.nii.gz", name="case-1"))
    stored = json.loads((folder / "result.json").read_text())
    del stored["method"]
    assert stored == json.loads(again.to_json())


def test_saving_again_keeps_whatever_else_is_in_the_folder(browser, cohort):
    folder = cohort / "results" / "case-1" / corrected(browser)["folder"]
    (folder / "dicom").mkdir()
    files = {
        "my notes.txt": "mine",
        "figures/own.png": "mine",
        "dicom/report.dcm": "VERIFIED",
        "dicom/note.txt": "mine, too",
        "report.pdf": "of the earlier verdict",
    }
    (folder / "figures").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "link").symlink_to("dicom")
    (folder / "empty").mkdir()
    (folder / "report.html").write_text("of the earlier verdict; this time there is none")
    asides = []
    for verdict in ("rejected", "corrected"):
        opened = browser.open(take_over=True)
        session = f"/api/sessions/{opened['session']}"
        body = {"version": opened["state"]["version"], "verdict": verdict}
        asides.append(browser.post(f"{session}/save", body).json["aside"])
        assert json.loads((folder / "review.json").read_text())["verdict"] == verdict
    objects, document = asides[0]
    assert re.fullmatch(r"dicom-before-\d{8}T\d{6}Z", objects)
    assert re.fullmatch(r"report-before-\d{8}T\d{6}Z\.pdf", document)
    assert asides[1] == []
    assert not (folder / "dicom").exists()
    assert not (folder / "report.pdf").exists()
    assert not (folder / "report.html").exists()
    assert (folder / "link").readlink() == Path("dicom")
    assert (folder / "empty").is_dir()
    for name, text in files.items():
        kept = name.replace("dicom/", f"{objects}/").replace("report.pdf", document)
        assert (folder / kept).read_text() == text


def test_what_was_made_of_two_verdicts_within_a_second_is_all_kept(tmp_path):
    earlier, at = tmp_path / "earlier", "2026-01-02T03:04:05+00:00"
    earlier.mkdir()
    for number, name in enumerate(["report-before-20260102T030405Z.pdf", "report.pdf"]):
        (earlier / name).write_text(f"report {number}")
    (tmp_path / "new").mkdir()
    aside = saving._carry_over(earlier, tmp_path / "new", at)
    assert aside == ("report-before-20260102T030405Z-1.pdf",)
    kept = sorted(path.read_text() for path in (tmp_path / "new").iterdir())
    assert kept == ["report 0", "report 1"]


def test_a_review_that_cannot_be_carried_over_stays_as_it_was(browser, cohort, monkeypatch):
    folder = cohort / "results" / "case-1" / corrected(browser)["folder"]
    (folder / "my notes.txt").write_text("mine")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    opened = browser.open(take_over=True)
    session = f"/api/sessions/{opened['session']}"
    body = {"version": opened["state"]["version"], "verdict": "rejected"}
    assert browser.post(f"{session}/save", body).code == "disk-full"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_original_is_never_touched(browser, cohort):
    case = cohort / "results" / "case-1"
    before = {path: path.read_bytes() for path in sorted(case.iterdir())}
    corrected(browser)
    assert {path: path.read_bytes() for path in before} == before
    assert {path.name for path in case.iterdir()} - {path.name for path in before} == {"reviews"}


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


def test_analyze_does_not_replace_a_case_with_reviews(browser, cohort):
    corrected(browser)
    results = cohort / "results"
    case = open_case(results / "case-1", ScanFinder([cohort / "scans"], results))
    browser.desk.close_all()
    session = Session(case, "Anna")
    with pytest.raises(UsageError, match="reviews, which would be lost"):
        write_outputs(session.analysis(), results, overwrite=True)
    session.close()


def test_without_its_ct_a_case_opens_with_masks_alone(desk_over, cohort):
    browser = Browser(desk_over(scans=False))
    opened = browser.open()
    assert not opened["case"]["has_ct"]
    assert "--scans" in opened["case"]["no_ct_reason"]
    assert opened["state"]["numbers"][NUMBERS["pho"].path] is None
    session = f"/api/sessions/{opened['session']}"
    assert browser.get(f"{session}/ct/0").status == 404
    body = {"version": 0, "tool": "keep_hu", "scope": "all"}
    assert browser.post(f"{session}/edits", body).status == 422


def test_a_scan_that_is_not_the_one_that_was_analysed_is_not_shown(browser, cohort, desk_over):
    scans = cohort / "scans"
    shutil.copyfile(scans / "case-0.nii.gz", scans / "case-1.nii.gz")
    opened = Browser(desk_over()).open()
    assert not opened["case"]["has_ct"]
    assert "not the one that was analysed" in opened["case"]["no_ct_reason"]


@pytest.mark.parametrize("one_case", [False, True])
def test_a_scan_beside_its_results_is_found_as_in_the_demo(cohort, one_case):
    results = cohort / "results"
    shutil.copyfile(cohort / "scans" / "case-1.nii.gz", results / "case-1.nii.gz")
    shutil.rmtree(results / "case-0")
    find = ScanFinder([], results / "case-1" if one_case else results)
    assert open_case(results / "case-1", find).has_ct


def test_a_scan_of_another_name_is_found_where_it_is_the_only_one(cohort):
    (cohort / "scans" / "case-0.nii.gz").unlink()
    (cohort / "scans" / "case-1.nii.gz").rename(cohort / "scans" / "other.nii.gz")
    find = ScanFinder([cohort / "scans"], cohort / "results")
    assert open_case(cohort / "results" / "case-1", find).has_ct
    assert not open_case(cohort / "results" / "case-0", find).has_ct


def test_the_ct_comes_in_blocks(browser, cohort):
    opened = browser.open()
    case, session = opened["case"], f"/api/sessions/{opened['session']}"
    blocks = [
        np.frombuffer(browser.get(f"{session}/ct/{n}").data, "<i2")
        for n in range(case["ct"]["blocks"])
    ]
    values = np.concatenate(blocks).reshape(case["shape"])
    scan = open_case(
        cohort / "results" / "case-1", ScanFinder([cohort / "scans"], cohort / "results")
    ).scan
    assert np.array_equal(values, scan.values)
    assert browser.get(f"{session}/ct/{len(blocks)}").status == 404
    assert browser.get(f"{session}/labels/regions").status == 404


def test_two_readers_are_seen_side_by_side(browser):
    corrected(browser)
    accepted(browser, reader="Ben")
    case = browser.case_id("case-1")
    reviews = browser.get(f"/api/cases/{case}/reviews?reader=Anna").json["reviews"]
    assert [review["reader"] for review in reviews] == [None, "Anna", "Ben"]
    a, b = reviews[1]["id"], reviews[2]["id"]
    compared = browser.get(f"/api/cases/{case}/compare?a={a}&b={b}").json
    assert (compared["a"]["reader"], compared["b"]["verdict"]) == ("Anna", "accepted")
    assert 0 < compared["dice"]["lesions"] < 1
    assert compared["dice"]["lungs"] == 1
    cleared = {z: (only_b, both) for z, _, only_b, both in compared["slices"]}
    assert cleared[11][0] > 0
    assert cleared[11][1] == 0
    stored = browser.get(f"/api/cases/{case}/reviews/{b}/labels/lesions").data
    original = browser.get(f"/api/cases/{case}/reviews/original/labels/lesions").data
    assert stored == original


def test_ratings_are_a_table_that_agree_reads(browser, cohort, tmp_path):
    corrected(browser)
    accepted(browser, "case-0")
    accepted(browser, reader="Ben")
    assert call(["review", str(cohort / "results"), "--ratings", str(tmp_path / "ratings")]) == 0
    anna, ben = (read_ratings(tmp_path / "ratings" / f"{who}.csv") for who in ("Anna", "Ben"))
    assert (set(anna.values), set(ben.values)) == ({"case-0", "case-1"}, {"case-1"})
    result = json.loads((cohort / "results/case-1/result.json").read_text())
    assert ben.values["case-1"]["infection_percent"] == NUMBERS["infection_percent"].value(result)
    table = browser.get("/api/ratings?reader=Ben").data.decode()
    assert table == (tmp_path / "ratings" / "Ben.csv").read_bytes().decode()
    assert call(["review", str(cohort / "results"), "--ratings", str(tmp_path / "ratings")]) == 2


def test_reviews_are_training_data(browser, cohort, tmp_path):
    corrected(browser)
    accepted(browser, "case-0", "Ben")
    session = f"/api/sessions/{browser.open('case-0', 'Cleo')['session']}"
    assert browser.post(f"{session}/save", {"version": 0, "verdict": "rejected"}).status == 200
    results, dataset = str(cohort / "results"), tmp_path / "dataset"
    command = ["review", results, "--scans", str(cohort / "scans"), "--export", str(dataset)]
    assert call(command) == 0
    rows = {row.case: row for row in read_labelled(dataset / "manifest.csv")}
    assert set(rows) == {"case-0", "case-1"}
    row = rows["case-1"]
    assert row.labels == "classes"
    assert (dataset / row.image).resolve() == (cohort / "scans" / "case-1.nii.gz").resolve()
    mask = (dataset / row.mask).read_bytes()
    assert mask == (cohort / "results/case-1/reviews/Anna/lesions.nii.gz").read_bytes()
    assert row.source == "reviewed by Anna"
    assert call(["data", "check", "my-data", str(dataset / "manifest.csv")]) == 0
    assert call(command) == 2
    assert call([*command, "--overwrite", "--reader", "Ben"]) == 0
    assert [row.case for row in read_labelled(dataset / "manifest.csv")] == ["case-0"]


def test_an_export_needs_reviews_and_scans(browser, cohort, tmp_path, capsys):
    results, dataset = str(cohort / "results"), str(tmp_path / "dataset")
    assert call(["review", results, "--export", dataset]) == 3
    assert "review-missing" in capsys.readouterr().err
    accepted(browser)
    assert call(["review", results, "--export", dataset]) == 3
    assert "--scans" in capsys.readouterr().err
    assert not (tmp_path / "dataset").exists()
