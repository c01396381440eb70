"""What is saved of a review, and what comes of it: readers, ratings, training data."""

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
from lungscore.review.opened_case import ScanFinder, open_case
from lungscore.review.session import Session
from tests.review.asking import Browser, accepted, corrected

pytestmark = pytest.mark.usefixtures("small_reports")


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
