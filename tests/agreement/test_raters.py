"""Two raters matched by case, and what is said of the cases that do not match."""

import json

import pytest

from lungscore.agreement.content import to_content
from lungscore.agreement.raters import compare_raters
from lungscore.agreement.ratings import Ratings
from lungscore.errors import InputError
from lungscore.result.numbers import MEASURES


def rater(name: str, values: dict[str, dict], unknown: tuple[str, ...] = ()) -> Ratings:
    names = {measure for row in values.values() for measure in row}
    return Ratings(name, "table", values, tuple(m for m in MEASURES if m in names), unknown)


def column(name: str, measure: str, *values: float | None, first: int = 1) -> Ratings:
    return rater(name, {f"P{i}": {measure: value} for i, value in enumerate(values, start=first)})


def test_cases_are_matched_by_name_and_those_alone_are_told():
    a = column("reader", "ct_ss", 1, 2, 3, 4, 5)
    b = column("ours", "ct_ss", 3, 4, 4, 9, first=3)
    found = compare_raters(a, b)
    assert (found.cases, found.only_a, found.only_b) == (("P3", "P4", "P5"), ("P1", "P2"), ("P6",))
    (measure,) = found.measures
    assert measure.a.tolist() == [3, 4, 5]
    assert measure.b.tolist() == [3, 4, 4]
    assert measure.bland_altman.bias.value == pytest.approx(1 / 3)
    told = {notice.message for notice in found.notices if notice.code == "cases-unmatched"}
    assert "Left out: 2 cases only in reader: P1, P2." in told
    assert "Left out: 1 case only in ours: P6." in told


def test_missing_values_are_left_out_of_their_measure_and_counted():
    rows = [(1, 5), (2, None), (3, 7), (4, 8), (None, None)]
    a = rater("a", {f"P{i}": {"tss": x, "ctsi": y} for i, (x, y) in enumerate(rows)})
    b = rater("b", {f"P{i}": {"tss": 1.0, "ctsi": 5.0} for i in range(5)})
    found = compare_raters(a, b)
    content = to_content(found)["measures"]
    assert {name: m["n"] for name, m in content.items()} == {"tss": 4, "ctsi": 3}
    assert content["ctsi"]["missing"] == {"a": 2, "b": 0}
    (notice,) = [n for n in found.notices if n.code == "values-missing"]
    assert "tss 1, ctsi 2" in notice.message


def test_each_kind_of_measure_has_its_figures():
    values = {"infection_percent": 1.0, "ct_ss": 2, "mosmed": 1}
    a = rater("a", {f"P{i}": {k: v + i % 3 for k, v in values.items()} for i in range(6)})
    content = to_content(compare_raters(a, a))["measures"]
    given = {
        name: {key for key in ("icc_2_1", "kappa_linear", "exact_agreement", "spearman")
               if measure[key]["value"] is not None}
        for name, measure in content.items()
    }  # fmt: skip
    assert given == {
        "infection_percent": {"icc_2_1", "spearman"},
        "ct_ss": {"icc_2_1", "kappa_linear", "exact_agreement", "spearman"},
        "mosmed": {"kappa_linear", "exact_agreement", "spearman"},
    }
    for measure in content.values():
        for figure in measure.values():
            if isinstance(figure, dict) and "reason" in figure:
                assert (figure["low"] is None) == (figure["reason"] is not None)
    assert content["mosmed"]["confusion"] == [
        [0, 0, 0, 0, 0], [0, 2, 0, 0, 0], [0, 0, 2, 0, 0], [0, 0, 0, 2, 0], [0, 0, 0, 0, 0],
    ]  # fmt: skip


def test_a_measure_without_any_pair_is_there_with_its_reason():
    a = rater("a", {f"P{i}": {"pho": None, "po": float(i)} for i in range(4)})
    content = to_content(compare_raters(a, a))["measures"]["pho"]
    assert content["n"] == 0
    assert content["icc_2_1"] == {
        "value": None, "low": None, "high": None, "n": 0, "reason": "fewer than 3 pairs",
    }  # fmt: skip
    json.dumps(content, allow_nan=False)


def test_constant_ratings_give_null_and_json_without_nan():
    a, b = column("a", "ct_ss", 3, 3, 3, 3), column("b", "ct_ss", 3, 4, 3, 5)
    content = to_content(compare_raters(a, b))
    spearman = content["measures"]["ct_ss"]["spearman"]
    assert (spearman["value"], spearman["reason"][:9]) == (None, "one rater")
    json.dumps(content, allow_nan=False)


def test_few_cases_are_noted_and_many_are_not():
    few, many = (column("a", "ct_ss", *(i % 9 for i in range(n))) for n in (29, 30))
    assert [n.code for n in compare_raters(few, few).notices] == ["few-cases"]
    assert compare_raters(many, many).notices == ()


def test_raters_of_one_name_are_told_apart():
    a = column("out", "ct_ss", 1, 2, 3)
    found = compare_raters(a, a)
    assert (found.name_a, found.name_b) == ("out (A)", "out (B)")


def test_columns_without_meaning_are_named():
    a = rater("reader", {f"P{i}": {"ct_ss": i} for i in range(3)}, unknown=("age",))
    (notice,) = [n for n in compare_raters(a, a).notices if n.code == "columns-ignored"][:1]
    assert "age" in notice.message


def test_too_few_shared_cases_are_rejected_and_named():
    a, b = column("a", "ct_ss", *range(20)), column("b", "ct_ss", 1, 2, 3, first=19)
    with pytest.raises(InputError) as rejected:
        compare_raters(a, b)
    assert rejected.value.code == "too-few-cases"
    message = rejected.value.message
    assert "share 2 cases" in message
    assert "18 cases only in a: P1, P10" in message
    assert "and 8 more" in message
    assert "1 case only in b: P21" in message


def test_raters_without_a_common_measure_are_rejected():
    a, b = column("a", "ct_ss", 1, 2, 3), column("b", "tss", 1, 2, 3)
    with pytest.raises(InputError, match="a has ct_ss; b has tss") as rejected:
        compare_raters(a, b)
    assert rejected.value.code == "no-common-measure"
