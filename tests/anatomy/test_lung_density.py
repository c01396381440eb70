"""Lung that is too dense to be free of opacity."""

import numpy as np
import pytest

from lungscore.anatomy.lung_density import dense_thirds
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG
from tests.anatomy.chest import phantom


def chest() -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[float, float, float]]:
    case = phantom("healthy")
    return case.scan.values.copy(), case.lungs, case.lesions.copy(), case.scan.spacing_mm


@pytest.mark.parametrize("preset", ["healthy", "moderate", "severe", "dense"])
def test_lung_outside_the_opacity_is_as_dark_as_lung(preset: str) -> None:
    case = phantom(preset)
    assert not list(dense_thirds(case.scan.values, case.lungs, case.lesions, case.scan.spacing_mm))


def test_a_lung_that_is_grey_as_a_whole_is_told_with_its_thirds() -> None:
    values, lungs, lesions, spacing_mm = chest()
    values[lungs == RIGHT_LUNG] += 250
    (notice,) = dense_thirds(values, lungs, lesions, spacing_mm)
    assert notice.code == "lung-density"
    for third in ("upper", "middle", "lower"):
        assert f"right lung, {third} third: −6" in notice.message
    assert "left lung" not in notice.message
    lesions[lungs == RIGHT_LUNG] = 1  # found: nothing is left to be told
    assert not list(dense_thirds(values, lungs, lesions, spacing_mm))


def test_both_lungs_are_told_where_they_are_too_dense_to_be_breathed_out() -> None:
    values, lungs, lesions, spacing_mm = chest()
    values[lungs > 0] += 130
    assert not list(dense_thirds(values, lungs, lesions, spacing_mm))
    lower = np.zeros(lungs.shape, bool)
    lower[len(lower) // 2 :] = True
    values[(lungs > 0) & lower] += 130
    (notice,) = dense_thirds(values, lungs, lesions, spacing_mm)
    assert "right lung, lower third" in notice.message
    assert "left lung, lower third" in notice.message
    assert "upper" not in notice.message


def test_a_lung_beside_an_emphysematous_one_is_not_dense() -> None:
    values, lungs, lesions, spacing_mm = chest()
    values[lungs == LEFT_LUNG] -= 110
    assert not list(dense_thirds(values, lungs, lesions, spacing_mm))
    assert not list(dense_thirds(values, np.zeros_like(lungs), lesions, spacing_mm))
