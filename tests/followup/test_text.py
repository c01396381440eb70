"""A follow-up in words."""

import re
from typing import Any

import pytest

from lungscore.followup import Change, Comparison
from lungscore.followup.comparison import compare_results
from lungscore.followup.text import (
    change_text,
    headline,
    range_text,
    ranges_text,
    second_line,
    text_comparison,
    value_text,
)
from lungscore.result import Warning_
from lungscore.version import RESEARCH_USE


def change(earlier: Any, later: Any, unit: str = "percent", **more: Any) -> Change:
    step = None if None in (earlier, later) or unit == "class" else later - earlier
    direction = None if step is None else "more" if step > 0 else "less" if step < 0 else "same"
    content = {
        "title": "t",
        "unit": unit,
        "earlier": earlier,
        "later": later,
        "change": step,
        "direction": direction,
        "earlier_range": None,
        "later_range": None,
        "beyond_range": None,
        "reason": "no lungs" if step is None else None,
    }
    return Change(**(content | more))


def with_changes(comparison: Comparison, **changes: Change) -> Comparison:
    """``comparison`` with other changes, by the last part of their paths."""
    known = dict(comparison.changes)
    for name, new in changes.items():
        (path,) = (
            p for p in known if p in (f"burden.{name}", f"severity.{name}", f"scores.{name}")
        )
        known[path] = new
    return comparison.model_copy(update={"changes": known})


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (change(18.3, 7.1), "−11.2"),
        (change(7.1, 18.3), "+11.2"),
        (change(7.1, 7.1), "0"),
        (change(880.0, 310.0, "ml"), "−570 ml"),
        (change(4.0, 5.5, "ml"), "+1.5 ml"),
        (change(24, 18, "points"), "−6"),
        (change("severe", "mild", "class", change=-2, direction="less"), "−2 steps"),
        (change("none", "mild", "class", change=1, direction="more"), "+1 step"),
        (change(None, 7.1), "–"),
    ],
)
def test_a_change_is_signed_and_has_its_unit(given: Change, text: str) -> None:
    assert change_text(given) == text


def test_a_value_that_is_not_there_is_a_dash() -> None:
    assert value_text(None, "percent") == "–"
    assert value_text(0.01, "percent") == "< 0.1 %"
    assert value_text("CT-1", "class") == "CT-1"


@pytest.mark.parametrize(
    ("pair", "unit", "text"),
    [
        (None, "percent", ""),
        ((15.0, 21.44), "percent", "15.0–21.4"),
        ((22, 26), "points", "22–26"),
        ((7, 7), "points", "7"),
        ((996.0, 1246.2), "ml", "996–1 246"),
        (("CT-0", "CT-1"), "class", "CT-0–CT-1"),
    ],
)
def test_a_range_is_written_shortly(pair: Any, unit: str, text: str) -> None:
    assert range_text(pair, unit) == text


def test_what_the_ranges_say() -> None:
    assert ranges_text(change(18.3, 7.1)) == ""
    assert ranges_text(change(18.3, 7.1, beyond_range=True)) == "apart"
    assert ranges_text(change(18.3, 7.1, beyond_range=False)) == "overlap"


def test_the_headline_says_what_changed(make_follow_up) -> None:
    comparison = make_follow_up().comparison
    given = {"infection_percent": change(18.3, 7.1), "infection_ml": change(880.0, 310.0, "ml")}
    fell = with_changes(comparison, **given)
    assert headline(fell) == (
        "Opacity fell from 18.3 % to 7.1 % of the lungs (−11.2 percentage points), "
        "from 880 ml to 310 ml."
    )
    rose = with_changes(comparison, **given | {"infection_percent": change(7.1, 18.3)})
    assert headline(rose).startswith("Opacity rose from 7.1 % to 18.3 % of the lungs (+11.2 ")
    stayed = with_changes(comparison, **given | {"infection_percent": change(7.1, 7.1)})
    assert headline(stayed).startswith("Opacity remained at 7.1 % of the lungs, from")
    unknown = with_changes(comparison, **given | {"infection_percent": change(None, 7.1)})
    assert headline(unknown) == "The change of opacity is unknown (no lungs)."
    dry = with_changes(comparison, **given | {"infection_ml": change(None, None, "ml")})
    assert headline(dry).endswith("points).")


def test_the_headline_of_two_slices_does_not_speak_of_the_lungs(make_follow_up) -> None:
    slice_ = {"units": "grey", "spacing": False, "sides": False, "depth": 1}
    assert "of the lung in the slice" in headline(make_follow_up(slice_, slice_).comparison)


def test_the_second_line_says_category_cut_off_and_ranges(make_follow_up) -> None:
    comparison = make_follow_up().comparison
    given = {
        "category": change("severe", "mild", "class", change=-2),
        "ct_ss.total": change(24, 18, "points"),
        "infection_percent": change(18.3, 7.1, beyond_range=True),
    }
    text = second_line(with_changes(comparison, **given))
    assert text.startswith("Severity: severe → mild. CT-SS: 24 → 18 of 40, across the cut-off")
    assert text.endswith("do not overlap: the change exceeds them.")
    given["infection_percent"] = change(18.3, 7.1, beyond_range=False)
    given["category"] = change("mild", "mild", "class", change=0)
    given["ct_ss.total"] = change(12, 18, "points")
    text = second_line(with_changes(comparison, **given))
    assert text.startswith("Severity: mild, unchanged. CT-SS: 12 → 18 of 40. ")
    assert text.endswith("overlap: the change may be due to measurement.")


def test_the_table_holds_every_score_lobe_and_warning(make_follow_up) -> None:
    follow_up = make_follow_up(later={"masks_only": True})
    text = text_comparison(follow_up.comparison)
    assert text.startswith(f"first → second: {RESEARCH_USE}")
    for word in (
        "CT-SS",
        "CTSI",
        "TSS",
        "LSS",
        "MosMed",
        "six-zone score",
        "RUL opacity",
        "LLL opacity",
    ):
        assert word in text
    assert re.search(r"not comparable +LHOS \(0–20\), PHO", text)
    assert "! methods-differ: " in text
    assert re.search(r"warnings of the later: .*no-ct", text)
    assert not re.search(r"[ \t]+$", text, re.MULTILINE)
    assert "ranges" not in text.splitlines()[4]


def test_a_change_within_the_ranges_or_by_another_method_is_none_beyond_measurement(
    make_follow_up,
) -> None:
    comparison = make_follow_up().comparison
    overlapping = change(18.3, 7.1, beyond_range=False)
    text = headline(with_changes(comparison, infection_percent=overlapping))
    assert text.startswith("No change beyond measurement: opacity of 18.3 % and 7.1 % of the lungs")
    apart = with_changes(comparison, infection_percent=change(18.3, 7.1, beyond_range=True))
    assert headline(apart).startswith("Opacity fell")
    otherwise = Warning_(code="methods-differ", message="Another model.")
    by_another = apart.model_copy(update={"warnings": [otherwise]})
    assert headline(by_another).startswith("No change beyond measurement")


def test_the_range_of_a_category_has_no_hole() -> None:
    assert range_text(("mild", "severe"), "class") == "mild or severe"
    assert range_text(("CT-1", "CT-3"), "class") == "CT-1–CT-3"


def test_the_days_between_are_said_where_both_dates_were_asked_for(earlier, later) -> None:
    for dates, days, text in (
        (("20200301", "20200313"), 12, "The later scan was made 12 days after the earlier one."),
        (("20200301", "20200302"), 1, "The later scan was made 1 day after the earlier one."),
        (("20200313", "20200301"), -12, "12 days before the earlier"),
        (("20200313", None), None, ""),
        (("20200313", "March"), None, ""),
    ):
        comparison = compare_results(earlier, later, name="x", dates=dates)
        assert comparison.days == days
        assert (text or "Severity") in second_line(comparison)
        assert ("day" in second_line(comparison)) == bool(text)
