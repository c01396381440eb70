"""Which cases a reader is shown, in which order, and what the command needs to show them."""

import json
import shutil
import sys

import pytest

pytest.importorskip("starlette")

from lungscore.cli.main import call
from lungscore.errors import InputError
from lungscore.review.work_list import listed_cases, read_reading_list
from tests.review.asking import Browser, accepted


def test_the_least_reliable_and_worst_come_first(cohort):
    def rewrite(name: str, grade: str, percent: float) -> None:
        path = cohort / "results" / name / "result.json"
        content = json.loads(path.read_text())
        content["reliability"] = {"grade": grade, "reasons": []}
        content["burden"]["infection_percent"] = percent
        path.write_text(json.dumps(content))

    for name in ("case-2", "case-3"):
        shutil.copytree(cohort / "results" / "case-1", cohort / "results" / name)
    (cohort / "results" / "case-3" / "result.json").write_text("{}")
    for name, grade, percent in (("case-0", "A", 5.0), ("case-1", "D", 1.0), ("case-2", "D", 9.0)):
        rewrite(name, grade, percent)
    cases = listed_cases(cohort / "results")
    assert [case.name for case in cases] == ["case-2", "case-1", "case-0", "case-3"]
    assert cases[-1].error is not None


def test_one_case_is_a_list_of_one(cohort):
    assert [c.name for c in listed_cases(cohort / "results" / "case-1")] == ["case-1"]
    with pytest.raises(InputError, match="contains no results"):
        listed_cases(cohort / "scans")


@pytest.mark.usefixtures("small_reports")
def test_a_reading_list_says_who_reads_what_in_which_order(desk_over, cohort, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("case,reader\ncase-0,Anna\ncase-1,\nmissing,Anna\ncase-1,Ben\n")
    known = read_reading_list(path)
    assert known.readers == ("Anna", "Ben")
    browser = Browser(desk_over(reading_list=known))
    assert browser.get("/api/session").json["readers"] == ["Anna", "Ben"]
    of_anna = browser.get("/api/cases?reader=Anna").json
    assert [case["case"] for case in of_anna["cases"]] == ["case-0", "case-1"]
    assert [case["case"] for case in browser.get("/api/cases?reader=Ben").json["cases"]] == [
        "case-1"
    ]
    accepted(browser, "case-0")
    progress = browser.get("/api/cases?reader=Anna").json["progress"]
    assert (progress["total"], progress["done"]) == (2, 1)
    assert progress["readers"][0] == {"reader": "Anna", "total": 2, "done": 1, "open": 0}


def test_without_the_extra_the_command_says_what_to_install(cohort, monkeypatch, capsys):
    for name in [n for n in sys.modules if n.startswith("lungscore.review.server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert call(["review", str(cohort / "results"), "--no-browser"]) == 4
    assert "lungscore[review]" in capsys.readouterr().err


def test_a_server_for_others_must_be_told_its_name(cohort, capsys):
    assert call(["review", str(cohort / "results"), "--host", "0.0.0.0"]) == 2  # noqa: S104
    assert "--name" in capsys.readouterr().err


def test_a_place_of_scans_that_is_not_there_is_told_at_the_start(cohort, capsys):
    command = ["review", str(cohort / "results"), "--scans", str(cohort / "nothing")]
    assert call([*command, "--no-browser", "--port", "0"]) == 3
    assert "No such file or folder" in capsys.readouterr().err
