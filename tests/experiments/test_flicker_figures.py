"""The figures on gaps between slices, from masks known by hand."""

import numpy as np
import pytest

from flicker import GAPS, against, by_distance, figures, infected, together


def stack(column: str) -> np.ndarray:
    """Slices of two pixels, both # or neither, from the top down."""
    return np.repeat([mark == "#" for mark in column], 2).reshape(len(column), 1, 2)


def row(column: str, truth: str) -> dict:
    """What the script keeps of a phantom whose lesions are ``truth``."""
    slices = list(enumerate(np.float32(stack(column))))
    everywhere = np.ones((len(column), 1, 2), bool)
    masks = [infected(slices, everywhere, gap) for gap in GAPS]
    return {
        "slice_mm": 2.5,
        "single": figures(masks[0], everywhere),
        "filled": figures(masks[1], everywhere),
        "by_gap": [against(mask, masks[0], stack(truth)) for mask in masks],
    }


def test_figures_count_what_vanishes_and_name_the_slices_left_empty():
    found = row("##.##", "#####")
    assert (found["single"]["vanished"], found["single"]["gaps"]) == (2, [3])
    assert (found["filled"]["vanished"], found["filled"]["gaps"]) == (0, [])
    assert found["single"]["infected_percent"] == pytest.approx(80)


def test_volumes_without_positions_are_not_counted():
    rows = {"a": row("##.##", "#####"), "b": {**row("#.#.#", "#####"), "slice_mm": None}}
    summary = together(rows)
    assert summary["volumes"] == 1
    assert summary["single"]["vanished_share"] == pytest.approx(2 / 8)
    assert summary["filled"]["vanished_share"] == 0


def test_what_is_added_is_held_against_the_truth_and_what_was_false_before():
    # One slice filled rightly in the first, two wrongly in the second; one false before in each.
    rows = {"a": row("##.##.", "#.###."), "b": row("#..##..", "#...#..")}
    rows["c"] = row("##.##", "#####")
    unfilled, one, two, _ = by_distance(rows)
    assert (unfilled["dice"], unfilled["added_true"]) == (pytest.approx(2 * 9 / (11 + 11)), None)
    assert one["added_true"] == pytest.approx(1)
    assert one["false_percent_more"] == pytest.approx(0)
    assert two["added_true"] == pytest.approx(2 / 4)
    assert two["false_percent_more"] == pytest.approx(100)
    assert two["least_change"] == pytest.approx(2 * 2 / 7 - 2 * 2 / 5)
    assert one["most_change"] == pytest.approx(8 / 9 - 6 / 8)
