"""The grade of a scan: every edge of the rule table in docs/severity.md."""

import re
from pathlib import Path

import pytest

from lungscore.errors import NOTICES, STANDING, Notice
from lungscore.severity import GRADE_MEANS, GRADES, WITHHOLDING, reliability
from lungscore.severity.category import UNTRUSTED
from lungscore.severity.reliability import DOUBTFUL, UNOBJECTIONABLE, grade_of


def grade(*codes, category="mild", withheld=()):
    judged = reliability(category, withheld, codes)
    return judged.grade, judged.reasons


def test_nothing_to_object_to_is_a():
    assert grade() == ("A", ())
    assert grade(*sorted(UNOBJECTIONABLE)) == ("A", ())


@pytest.mark.parametrize("code", sorted(set(NOTICES) - UNOBJECTIONABLE - DOUBTFUL))
def test_any_other_notice_is_something_to_look_at(code):
    if code == "severity-withheld":
        pytest.skip("comes with a withheld category alone")
    assert grade(code) == ("B", (code,))


@pytest.mark.parametrize("code", sorted(DOUBTFUL))
def test_a_doubtful_number_is_c(code):
    assert grade(code) == ("C", (code,))


@pytest.mark.parametrize("code", [*WITHHOLDING, *UNTRUSTED])
def test_a_withheld_category_is_d_whatever_withholds_it(code):
    codes = (code, "severity-withheld")
    assert grade(*codes, category=None, withheld=(code,)) == ("D", (code,))


def test_without_a_category_no_scan_is_better_than_d():
    assert grade(category=None) == ("D", ())
    assert grade("contrast", category=None) == ("D", ("contrast",))


def test_a_gap_between_infected_slices_is_something_to_look_at_and_no_doubtful_number():
    assert grade("infection-gap") == ("B", ("infection-gap",))


def test_reasons_stand_worst_first_once_and_in_order():
    codes = ("contrast", "lungs-uneven", "hu-split", "thick-slices", "contrast", "truncated-scan")
    assert grade(*codes) == ("C", ("lungs-uneven", "contrast", "thick-slices", "truncated-scan"))
    assert grade(*codes, category=None, withheld=("truncated-scan",)) == (
        "D",
        ("truncated-scan", "lungs-uneven", "contrast", "thick-slices"),
    )


def test_the_worst_notice_decides():
    assert [grade("contrast", "one-lung")[0], grade("contrast")[0]] == ["C", "B"]
    assert [grade_of("hu-split"), grade_of("contrast"), grade_of("one-lung")] == ["A", "B", "C"]
    assert grade_of("contrast", withheld=("contrast",)) == "D"


def test_every_code_of_the_rules_is_a_notice_and_in_one_of_them():
    assert UNOBJECTIONABLE <= set(NOTICES)
    assert DOUBTFUL <= set(NOTICES)
    assert not UNOBJECTIONABLE & DOUBTFUL
    assert set(GRADE_MEANS) == set(GRADES)


def test_a_notice_is_standing_or_particular():
    assert {code for code in NOTICES if Notice(code, "Text.").kind == "standing"} == STANDING
    assert STANDING <= UNOBJECTIONABLE


def test_the_documented_table_is_the_rule():
    text = (Path(__file__).parents[2] / "docs" / "severity.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| \*\*([A-D])\*\* \| (.+) \|$", text, re.M))
    assert set(rows) == set(GRADES)
    for grade, meaning in GRADE_MEANS.items():
        assert len(meaning) > 10
        assert rows[grade].startswith(meaning)
    assert set(re.findall(r"`([a-z0-9-]+)`", rows["A"])) == UNOBJECTIONABLE
    assert set(re.findall(r"`([a-z0-9-]+)`", rows["C"])) == DOUBTFUL
