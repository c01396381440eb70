"""The change of every number, its direction, and what ranges say of it."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lungscore.followup.comparison import Comparison, change_of, compare_results
from lungscore.result.numbers import COMPARED, Number, value_at

PERCENT = Number("burden.infection_percent", "infected", "percent")
TOTAL = Number("scores.ct_ss.total", "CT-SS", "points", "scores.ct_ss.reason")
MOSMED = next(number for number in COMPARED if number.path == "scores.mosmed")
CATEGORY = next(number for number in COMPARED if number.path == "severity.category")

#: Numbers of result.json that do not measure the patient, or not as a whole.
NOT_COMPARED = {"input", "slices", "detection", "ranges"}
CONSTANTS = {"max", "cutoff", "from_hu", "to_hu", "speck_below_ml"}


def paths(content: dict[str, Any], above: str = "") -> Iterator[str]:
    """The paths of all numbers, and of the two classes."""
    for key, value in content.items():
        path = f"{above}{key}"
        if isinstance(value, dict):
            yield from paths(value, f"{path}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield path
        elif path in ("scores.mosmed", "severity.category"):
            yield path


def test_every_number_of_a_result_is_compared(earlier: dict[str, Any]) -> None:
    measured = {key: value for key, value in earlier.items() if key not in NOT_COMPARED}
    expected = {path for path in paths(measured) if path.split(".")[-1] not in CONSTANTS}
    assert {number.path for number in COMPARED} == expected
    assert len({number.path for number in COMPARED}) == len(COMPARED)


def test_a_change_is_later_minus_earlier(earlier: dict[str, Any], later: dict[str, Any]) -> None:
    changes = compare_results(earlier, later, name="x").changes
    for path, change in changes.items():
        before, after = value_at(earlier, path), value_at(later, path)
        assert (change.earlier, change.later) == (before, after)
        assert change.reason is None
        if isinstance(before, str):
            continue
        assert change.change == pytest.approx(after - before, abs=1e-9)
        assert (change.direction == "more") == (change.change > 0.05 * (change.unit != "points"))
    assert changes["burden.infection_percent"].direction == "less"
    assert changes["scores.ct_ss.total"].direction == "less"


def test_classes_change_in_steps(earlier: dict[str, Any], later: dict[str, Any]) -> None:
    earlier["scores"]["mosmed"], later["scores"]["mosmed"] = "CT-3", "CT-1"
    earlier["severity"]["category"], later["severity"]["category"] = "mild", "severe"
    grade, category = (change_of(number, earlier, later) for number in (MOSMED, CATEGORY))
    assert (grade.earlier, grade.later, grade.change, grade.direction) == (
        "CT-3",
        "CT-1",
        -2,
        "less",
    )
    assert (category.change, category.direction) == (2, "more")


@pytest.mark.parametrize(
    ("before", "after", "change", "direction"),
    [
        (18.3, 7.1, -11.2, "less"),
        (7.1, 18.3, 11.2, "more"),
        (5.0, 5.0, 0.0, "same"),
        (5.0, 5.049, 0.049, "same"),
        (5.0, 5.051, 0.051, "more"),
        (0.0, 0.0, 0.0, "same"),
    ],
)
def test_a_change_that_rounds_to_nothing_is_none(
    before: float, after: float, change: float, direction: str
) -> None:
    contents = [{"burden": {"infection_percent": value}} for value in (before, after)]
    result = change_of(PERCENT, *contents)
    assert (result.change, result.direction) == (change, direction)


@settings(max_examples=60, deadline=None)
@given(before=st.floats(0, 100), after=st.floats(0, 100))
def test_swapping_the_two_turns_every_change_round(before: float, after: float) -> None:
    contents = [{"burden": {"infection_percent": round(value, 4)}} for value in (before, after)]
    there, back = change_of(PERCENT, *contents), change_of(PERCENT, *contents[::-1])
    assert there.change == -back.change  # type: ignore[operator]
    assert math.copysign(1, there.change) > 0 or there.change  # no negative zero
    turned = {"more": "less", "less": "more", "same": "same"}
    assert back.direction == turned[there.direction]  # type: ignore[index]


def test_a_null_stays_null_and_says_why(earlier: dict[str, Any], later: dict[str, Any]) -> None:
    later["scores"]["ct_ss"].update(total=None, reason="no region mask is available")
    change = change_of(TOTAL, earlier, later)
    assert (change.earlier, change.later) == (earlier["scores"]["ct_ss"]["total"], None)
    assert (change.change, change.direction, change.beyond_range) == (None, None, None)
    assert change.reason == "later: no region mask is available"


def test_the_reason_of_each_kind_of_null(earlier: dict[str, Any], later: dict[str, Any]) -> None:
    earlier["lungs"]["volume_ml"] = earlier["input"]["spacing_mm"] = None
    later["scores"]["pho"], later["scores"]["lhos"]["reason"] = (
        None,
        "no Hounsfield units are available",
    )
    later["severity"].update(category=None, basis="withheld: one slice")
    later["burden"]["left_percent"] = None
    del later["lobes"]["RML"]["scores"]["lhos"]
    changes = compare_results(earlier, later, name="x").changes
    assert changes["lungs.volume_ml"].reason == "earlier: no voxel size is known"
    assert changes["scores.pho"].reason == "later: no Hounsfield units are available"
    assert changes["severity.category"].reason == "later: withheld: one slice"
    assert changes["burden.left_percent"].reason == "later: it could not be computed"
    assert changes["lobes.RML.scores.lhos"].reason == "later: the result does not have this number"


def ranges(**pairs: Any) -> dict[str, Any]:
    return {
        "burden": {"infection_percent": pairs["infection"]},
        "scores": {"ct_ss": pairs["ct_ss"]},
    }


@pytest.mark.parametrize(
    ("before", "after", "beyond"),
    [
        ([15.0, 21.0], [5.0, 9.0], True),
        ([5.0, 9.0], [15.0, 21.0], True),
        ([15.0, 21.0], [9.0, 15.1], False),
        ([15.0, 21.0], [9.0, 15.0], False),
        ([0.0, 30.0], [5.0, 9.0], False),
        ([7.0, 7.0], [7.0, 7.0], False),
        ([15.0, 21.0], None, None),
        (None, None, None),
        ([21.0, 15.0], [5.0, 9.0], None),
        ([15.0], [5.0, 9.0], None),
        ("15-21", [5.0, 9.0], None),
    ],
)
def test_a_change_is_beyond_the_range_where_ranges_do_not_overlap(
    earlier: dict[str, Any],
    later: dict[str, Any],
    before: Any,
    after: Any,
    beyond: bool | None,
) -> None:
    earlier["ranges"], later["ranges"] = (ranges(infection=v, ct_ss=None) for v in (before, after))
    assert change_of(PERCENT, earlier, later).beyond_range is beyond


def test_the_range_of_a_total_stands_under_its_score(
    earlier: dict[str, Any], later: dict[str, Any]
) -> None:
    earlier["ranges"] = ranges(infection=None, ct_ss=[22, 26])
    later["ranges"] = ranges(infection=None, ct_ss=[9, 14])
    change = change_of(TOTAL, earlier, later)
    assert (change.earlier_range, change.later_range) == ((22, 26), (9, 14))
    assert change.beyond_range is True


def test_ranges_of_regions_and_zones_are_compared(
    earlier: dict[str, Any], later: dict[str, Any]
) -> None:
    for content, pair in ((earlier, [90.0, 99.0]), (later, [0.0, 1.0])):
        content["ranges"] = {"regions": {"RUL apical": pair}, "zones": {"left lower": pair}}
    changes = compare_results(earlier, later, name="x").changes
    assert changes["scores.ct_ss.regions.RUL apical.percent"].beyond_range is True
    assert changes["scores.zones.zones.left lower.percent"].beyond_range is True
    assert changes["scores.ct_ss.regions.RUL anterior.percent"].beyond_range is None
    assert changes["scores.ct_ss.regions.RUL apical.score"].beyond_range is None


def test_ranges_of_classes_are_compared_by_their_order(
    earlier: dict[str, Any], later: dict[str, Any]
) -> None:
    earlier["ranges"] = {"severity": {"category": ["moderate", "severe"]}, "scores": {}}
    later["ranges"] = {"severity": {"category": ["none", "mild"]}, "scores": {}}
    assert change_of(CATEGORY, earlier, later).beyond_range is True
    later["ranges"]["severity"]["category"] = ["mild", "moderate"]
    assert change_of(CATEGORY, earlier, later).beyond_range is False
    assert change_of(MOSMED, earlier, later).beyond_range is None


@pytest.mark.parametrize("nothing", [None, {}, [], "none"])
def test_results_without_ranges_are_compared_too(
    earlier: dict[str, Any], later: dict[str, Any], nothing: Any
) -> None:
    earlier["ranges"] = nothing
    changes = compare_results(earlier, later, name="x").changes.values()
    assert {change.beyond_range for change in changes} == {None}


def test_comparison_json_is_valid_and_always_the_same(
    earlier: dict[str, Any], later: dict[str, Any]
) -> None:
    first, second = (compare_results(earlier, later, name="a-to-b").to_json() for _ in range(2))
    assert first == second
    content = json.loads(first)
    assert content["schema"] == "lungscore.comparison/1"
    assert set(content) == {"schema", "case", "earlier", "later", "warnings", "changes", "days"}
    assert list(content["changes"]) == [number.path for number in COMPARED]
    assert Comparison.model_validate(content).to_json() == first
