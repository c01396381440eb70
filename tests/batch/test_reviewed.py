"""The page of a cohort says who reviewed which case, and how."""

import json
import re
import shutil
from pathlib import Path

from lungscore.batch.table import refresh_page, write_cohort
from lungscore.errors import InputError
from lungscore.report.outputs import write_outputs
from lungscore.report.settings import ReportSettings
from tests.small_case import analysis_of_boxes


def cohort(folder: Path) -> None:
    for name in ("a", "b"):
        settings = ReportSettings("none")
        write_outputs(analysis_of_boxes(name=name), folder, settings=settings)
    write_cohort(folder, ["a", "b", "c"], {"c": InputError("input-empty", "It is empty")})


def reviewed(case: Path, reader: str, verdict: str) -> None:
    folder = case / "reviews" / reader
    folder.mkdir(parents=True)
    content = {"schema": "lungscore.review/1", "reader": f"<{reader}>", "verdict": verdict}
    (folder / "review.json").write_text(json.dumps({**content, "comment": "", "at": "2026"}))


def test_the_page_shows_reviews_once_there_are_some(tmp_path):
    cohort(tmp_path)
    before = (tmp_path / "cohort.html").read_text("utf-8")
    assert "reviewed" not in before
    assert refresh_page(tmp_path)
    assert (tmp_path / "cohort.html").read_text("utf-8") == before
    reviewed(tmp_path / "a", "Anna", "accepted")
    reviewed(tmp_path / "a", "Ben", "corrected")
    (tmp_path / "b" / "reviews" / "Cleo").mkdir(parents=True)
    (tmp_path / "b" / "reviews" / "Cleo" / "review.json").write_text("{}")
    assert refresh_page(tmp_path)
    page = (tmp_path / "cohort.html").read_text("utf-8")
    assert "accepted (&lt;Anna&gt;), corrected (&lt;Ben&gt;)" in page
    assert len(re.findall("corrected", page)) == 1
    assert "input-empty" in page


def test_what_is_no_cohort_of_ours_is_left_alone(tmp_path):
    assert not refresh_page(tmp_path)
    cohort(tmp_path)
    shutil.copyfile(tmp_path / "cohort.csv", tmp_path / "cohort.html")
    assert not refresh_page(tmp_path)
    assert (tmp_path / "cohort.html").read_bytes() == (tmp_path / "cohort.csv").read_bytes()
