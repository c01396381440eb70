"""What stands against comparing two results is said, and nothing else is."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from lungscore.followup.cautions import cautions

Content = dict[str, Any]


def codes(earlier: Content, later: Content, *versions: str | None) -> list[str]:
    notices = cautions(earlier, later, versions or (None, None))  # type: ignore[arg-type]
    return [notice.code for notice in notices]


def test_two_like_examinations_have_none(earlier: Content, later: Content) -> None:
    assert codes(earlier, later, "0.1", "0.1") == []


def grey(content: Content) -> None:
    content["input"]["units"] = "grey"


def withheld(content: Content) -> None:
    content["severity"].update(category=None, basis="withheld: reason")


def truncated(content: Content) -> None:
    content["warnings"].append({"code": "truncated-scan", "message": "cut off"})


def own_lungs(content: Content) -> None:
    content["warnings"].append({"code": "user-lungs", "message": "given"})


def found_lobes(content: Content) -> None:
    content["warnings"] = [w for w in content["warnings"] if w["code"] != "user-lobes"]


def other_model(content: Content) -> None:
    content["models"][0]["sha256"] = "cd" * 32


def no_model(content: Content) -> None:
    content.update(models=[], engine=None)


def other_precision(content: Content) -> None:
    content["engine"]["precision"] = "bf16"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (grey, "units-differ"),
        (withheld, "severity-withheld"),
        (truncated, "truncated-scan"),
        (own_lungs, "masks-differ"),
        (found_lobes, "masks-differ"),
        (other_model, "methods-differ"),
        (no_model, "methods-differ"),
        (other_precision, "methods-differ"),
    ],
)
@pytest.mark.parametrize("side", ["earlier", "later"])
def test_each_difference_has_its_notice(
    earlier: Content, later: Content, change: Callable[[Content], None], code: str, side: str
) -> None:
    change({"earlier": earlier, "later": later}[side])
    (notice,) = cautions(earlier, later)
    assert notice.code == code
    if code not in ("methods-differ", "masks-differ"):
        assert f"The {side} scan" in notice.message


@pytest.mark.parametrize(
    ("before", "after", "noted"),
    [(4000, 4600, False), (4000, 4601, True), (4000, 3400, False), (4000, 3399, True)],
)
def test_another_depth_of_breath_is_noted(
    earlier: Content, later: Content, before: float, after: float, noted: bool
) -> None:
    earlier["lungs"]["volume_ml"], later["lungs"]["volume_ml"] = before, after
    notices = cautions(earlier, later)
    assert [notice.code for notice in notices] == ["lung-volume-changed"] * noted
    if noted:
        assert ("(+15 %)" if after > before else "(−15 %)") in notices[0].message


@pytest.mark.parametrize("volume", [None, 0.0])
def test_unknown_volumes_are_not_compared(
    earlier: Content, later: Content, volume: float | None
) -> None:
    earlier["lungs"]["volume_ml"] = volume
    assert codes(earlier, later) == []


@pytest.mark.parametrize(
    ("before", "after", "noted"),
    [(1.25, 5, True), (5, 1.25, True), (5, 2.5, True), (1, 1.9, False), (0.5, 1.25, False)],
)
def test_very_different_slice_distances_are_noted(
    earlier: Content, later: Content, before: float, after: float, noted: bool
) -> None:
    earlier["input"]["spacing_mm"][0], later["input"]["spacing_mm"][0] = before, after
    assert codes(earlier, later) == ["slice-spacing-differs"] * noted


def test_versions_are_compared_where_both_are_known(earlier: Content, later: Content) -> None:
    assert codes(earlier, later, "0.1", "0.2") == ["methods-differ"]
    assert codes(earlier, later, "0.1", None) == []


def test_the_same_result_twice_is_noted(earlier: Content) -> None:
    renamed = copy.deepcopy(earlier) | {"case": "Another name"}
    assert codes(earlier, renamed) == ["identical-inputs"]


def test_one_series_measured_twice_is_noted(earlier: Content, later: Content) -> None:
    earlier["input"]["series_uid"] = later["input"]["series_uid"] = "1.2.3"
    assert codes(earlier, later) == ["identical-inputs"]
    later["input"]["series_uid"] = "1.2.4"
    assert codes(earlier, later) == []


def test_masks_alone_have_no_units_that_could_differ(earlier: Content, later: Content) -> None:
    later["input"]["units"] = None
    assert codes(earlier, later) == []
