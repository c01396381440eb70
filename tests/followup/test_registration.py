"""Lungs of two examinations brought to one place: turned and shifted, and found again."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from lungscore.followup import compare
from lungscore.followup.case import Case, case_of
from lungscore.followup.pictures import MOST_RESIDUAL_MM, pairs
from lungscore.followup.registration import FARTHEST_MM, register, resampled_plane
from tests.followup.conftest import analysis_of


@pytest.fixture(scope="module")
def case(small_phantom) -> Case:
    return case_of(analysis_of(small_phantom("moderate")))


def turned(case: Case, degrees: float, shift_mm: tuple[float, float, float]) -> Case:
    """The patient turned about the long axis and shifted, as another examination sees him."""
    spacing = np.array(case.spacing_mm)
    angle = np.deg2rad(degrees)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    centre = np.array(case.lungs.shape) * spacing / 2
    # From the new voxel back to the old one.
    back = turn.T
    offset = centre - back @ (centre + np.array(shift_mm))
    matrix = np.diag(1 / spacing) @ back @ np.diag(spacing)

    def moved(array: np.ndarray, order: int) -> np.ndarray:
        lowest = array.min()
        return affine_transform(array, matrix, offset / spacing, order=order, cval=lowest)

    return replace(
        case,
        lungs=moved(case.lungs, 0),
        lesions=moved(case.lesions, 0),
        values=moved(case.values, 1),
    )


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_few_thin_slices_are_brought_to_one_place_or_to_none(case, depth) -> None:
    where = slice(8, 8 + depth)
    thin = replace(
        case,
        lungs=case.lungs[where],
        lesions=case.lesions[where],
        values=case.values[where],
        result={"input": {"spacing_mm": [0.3, *case.spacing_mm[1:]]}},
    )
    transform = register(thin, thin)
    assert transform is None or transform.residual_mm < 1
    specks = np.zeros_like(thin.lungs)
    specks[0, [10, 60], [10, 61]] = 1
    fine = {"input": {"spacing_mm": [0.3, 0.5, 0.5]}}
    assert register(replace(thin, lungs=specks, result=fine), thin) is None


@pytest.mark.parametrize(
    ("degrees", "shift_mm"),
    [(0, (0, 0, 0)), (0, (17.5, 8, -11)), (8, (0, 6, 4)), (-6, (17.5, 0, 9))],
)
def test_a_patient_who_lies_differently_is_found_again(case, degrees, shift_mm) -> None:
    later = turned(case, degrees, shift_mm)
    transform = register(case, later)
    assert transform.residual_mm < 3
    inside = np.argwhere(case.lungs > 0)[::97] * np.array(case.spacing_mm)
    angle = np.deg2rad(degrees)
    centre = np.array(case.lungs.shape) * np.array(case.spacing_mm) / 2
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    expected = (inside - centre) @ turn.T + centre + np.array(shift_mm)
    # Slices of 17.5 mm say little of the height.
    error = np.abs(transform(inside) - expected).mean(axis=0)
    assert error[0] < 6
    assert error[1:].max() < 3


def test_what_did_not_change_is_no_difference(case) -> None:
    later = turned(case, 8, (0, 6, 4))
    transform = register(case, later)
    z = int((case.lesions > 0).sum(axis=(1, 2)).argmax())
    where = (z, slice(0, case.lungs.shape[1]), slice(0, case.lungs.shape[2]))
    _, lungs, lesions = resampled_plane(transform, case, later, where)
    for resampled, there in ((lungs > 0, case.lungs[z] > 0), (lesions > 0, case.lesions[z] > 0)):
        dice = 2 * (resampled & there).sum() / (resampled.sum() + there.sum())
        assert dice > 0.8


def test_new_and_gone_opacity_is_drawn_apart(small_phantom) -> None:
    severe, mild = (analysis_of(small_phantom(preset)) for preset in ("severe", "mild"))
    shown = pairs(compare(severe, mild))
    assert all(pair.difference is not None for pair in shown)
    kinds = set().union(*(np.unique(np.asarray(pair.difference.contours)) for pair in shown))
    assert 3 in kinds  # what has gone
    gone = [float(pair.difference.caption.split("gone ")[1].split()[0]) for pair in shown]
    new = [float(pair.difference.caption.split()[1]) for pair in shown]
    assert sum(gone) > sum(new)


def test_without_voxel_sizes_or_likeness_the_levels_are_those_of_the_height(case, make_analysis):
    grey = case_of(make_analysis(units="grey", spacing=False))
    assert register(case, grey) is None
    boxes = case_of(make_analysis(affine=np.diag([-9.0, -9.0, 10.0, 1.0])))
    assert MOST_RESIDUAL_MM < register(case, boxes).residual_mm <= FARTHEST_MM
