"""Slices side by side: equal levels, one scale."""

import numpy as np
import pytest

from lungscore.followup.case import case_of
from lungscore.followup.charts import height_chart, height_curve, lobe_chart
from lungscore.followup.pictures import matched_levels, pairs, side_by_side, slice_at


def lungs_width(picture) -> int:
    """Columns between the outer borders of the lungs' contours, in pixels."""
    columns = np.flatnonzero((np.asarray(picture.contours) > 0).any(axis=0))
    return int(columns[-1] - columns[0] + 1)


def test_five_levels_from_apex_to_base(make_follow_up) -> None:
    shown = pairs(make_follow_up())
    assert len(shown) == 5
    levels = [pair.level for pair in shown]
    assert levels == sorted(levels)
    assert 0 < levels[0] < levels[-1] < 1


def test_levels_are_parts_of_each_scans_own_lung_height(make_analysis) -> None:
    thin, thick = (case_of(make_analysis(depth=depth)) for depth in (60, 12))
    thin.lungs[:10] = 0  # another field of view: air above the lungs
    for level in (0.1, 0.5, 0.9):
        assert slice_at(thick, level) == int(12 * level)
        assert slice_at(thin, level) == 10 + int(50 * level)
    assert slice_at(thick, 1.0) == 11


def test_the_worst_slice_of_either_examination_is_shown(make_analysis) -> None:
    earlier, later = (case_of(make_analysis(depth=60, infected=i)) for i in (False, True))
    later.lesions[:] = 0
    later.lesions[37, 10:34, 36:54] = 1
    for cases in ((earlier, later), (later, earlier)):
        levels = matched_levels(*cases)
        assert 37 in [slice_at(later, level) for level in levels]
        assert len(levels) == 5


def test_both_are_drawn_at_one_scale_in_equal_frames(make_follow_up) -> None:
    small = {"affine": np.diag([-4.0, -4.0, 10.0, 1.0])}
    for pair in pairs(make_follow_up(later=small)):
        assert pair.earlier.image.size == pair.later.image.size == pair.later.contours.size
        ratio = lungs_width(pair.later) / lungs_width(pair.earlier)
        assert ratio == pytest.approx(4 / 5, abs=0.01)


def test_without_a_voxel_size_each_fills_its_frame(make_follow_up) -> None:
    grey = {"units": "grey", "spacing": False}
    for pair in pairs(make_follow_up(later=grey)):
        assert lungs_width(pair.earlier) == pytest.approx(lungs_width(pair.later), rel=0.15)


def test_masks_alone_are_drawn_as_grey_lungs(make_follow_up) -> None:
    pair = pairs(make_follow_up(later={"masks_only": True}))[2]
    assert set(np.unique(pair.later.image)) != set(np.unique(pair.earlier.image))
    assert np.count_nonzero(np.asarray(pair.later.image) == 70) > 1000


def test_fewer_slices_give_fewer_levels(make_follow_up) -> None:
    slice_ = {"units": "grey", "spacing": False, "sides": False, "depth": 1}
    assert len(pairs(make_follow_up(later=slice_))) == 1
    assert len(pairs(make_follow_up({"depth": 3}, {"depth": 30}))) == 3


def test_no_lungs_no_pictures(make_follow_up) -> None:
    follow_up = make_follow_up()
    follow_up.later.lungs[:] = 0
    assert pairs(follow_up) == []


def test_sides_that_do_not_lie_as_lettered_are_not_lettered(make_follow_up) -> None:
    usual, turned = make_follow_up(), make_follow_up()
    labels = turned.earlier.lungs
    labels[labels > 0] = 3 - labels[labels > 0]
    first, second = (pairs(follow_up)[2].earlier.image.tobytes() for follow_up in (usual, turned))
    assert first != second


def test_one_sheet_holds_all_pictures(make_follow_up) -> None:
    shown = pairs(make_follow_up())
    width, height = shown[0].earlier.image.size
    assert side_by_side(shown).size == (5 * width, 3 * height)


# Charts


def test_the_curve_runs_over_the_slices_with_lung(make_analysis) -> None:
    case = case_of(make_analysis(depth=10))
    case.result["slices"][0]["infection_percent"] = None
    case.result["slices"][4]["infection_percent"] = None
    levels, percents = height_curve(case)
    np.testing.assert_allclose(levels, (np.arange(9) + 0.5) / 9)
    assert np.isnan(percents[3])  # unknown, not 0
    assert percents[-1] == case.result["slices"][9]["infection_percent"]


def test_charts_are_drawn_where_there_is_something_to_draw(make_follow_up) -> None:
    whole = make_follow_up()
    assert (height_chart(whole) or b"").startswith(b"\x89PNG")
    assert (lobe_chart(whole.comparison) or b"").startswith(b"\x89PNG")
    slice_ = {"units": "grey", "spacing": False, "sides": False, "depth": 1}
    assert height_chart(make_follow_up(later=slice_)) is None
    assert lobe_chart(make_follow_up(slice_, slice_).comparison) is None
    assert lobe_chart(make_follow_up(later=slice_).comparison) is not None
