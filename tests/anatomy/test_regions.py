import numpy as np
import pytest
from chest import phantom
from hypothesis import given, settings
from hypothesis import strategies as st
from test_lobes import two_lungs

from lungscore.anatomy import divide_regions, find_lobes
from lungscore.labels import LOBES, REGIONS

UNIT = (1.0, 1.0, 1.0)
NUMBERS = {name: number for number, (name, _) in enumerate(REGIONS, start=1)}


def assert_regions_partition(regions, lobes):
    for number, (_, lobe) in enumerate(REGIONS, start=1):
        inside = lobes[regions == number]
        assert len(inside) > 0
        assert (inside == LOBES[lobe]).all()
    np.testing.assert_array_equal(regions > 0, lobes > 0)


def middles(regions):
    """The mean (z, y, x) of each region by its name."""
    return {name: np.argwhere(regions == n).mean(axis=0) for name, n in NUMBERS.items()}


@settings(max_examples=25, deadline=None)
@given(radii=st.tuples(st.floats(8, 17), st.floats(8, 18), st.floats(6, 11)))
def test_regions_partition_the_lobes(radii):
    lobes = find_lobes(two_lungs(right=radii, left=radii), UNIT)
    assert_regions_partition(divide_regions(lobes, UNIT), lobes)


def test_regions_of_the_phantoms_lobes_partition_them():
    case = phantom("healthy")
    assert_regions_partition(divide_regions(case.lobes, case.scan.spacing_mm), case.lobes)


def test_regions_lie_where_their_names_say():
    case = phantom("healthy")
    at = middles(divide_regions(case.lobes, case.scan.spacing_mm))
    up, back, left = 0, 1, 2
    for lobe in ("RUL", "LUL"):
        assert at[f"{lobe} apical"][up] < at[f"{lobe} anterior"][up]
        assert at[f"{lobe} apical"][up] < at[f"{lobe} posterior"][up]
        assert at[f"{lobe} anterior"][back] < at[f"{lobe} posterior"][back]
    assert at["RML lateral"][left] < at["RML medial"][left]
    assert at["LUL superior lingular"][up] < at["LUL inferior lingular"][up]
    assert at["LUL anterior"][up] < at["LUL superior lingular"][up]
    for lobe in ("RLL", "LLL"):
        base = [name for name in at if name.startswith(lobe) and name.endswith("basal")]
        assert all(at[f"{lobe} superior"][up] < at[name][up] for name in base)
        assert at[f"{lobe} anterior basal"][back] < at[f"{lobe} posterior basal"][back]
    assert at["RLL lateral basal"][left] < at["RLL medial basal"][left]
    assert at["LLL medial basal"][left] < at["LLL lateral basal"][left]


def test_mirrored_lower_lobes_swap_sides():
    lobes = np.zeros((20, 20, 40), np.uint8)
    lobes[2:18, 2:18, 3:17] = LOBES["RLL"]
    mirrored = np.where(lobes[:, :, ::-1] > 0, LOBES["LLL"], 0).astype(np.uint8)
    right, left = divide_regions(lobes, UNIT), divide_regions(mirrored, UNIT)[:, :, ::-1]
    parts = ("superior", "medial basal", "anterior basal", "lateral basal", "posterior basal")
    for part in parts:
        np.testing.assert_array_equal(
            right == NUMBERS[f"RLL {part}"], left == NUMBERS[f"LLL {part}"]
        )


def test_missing_lobes_have_no_regions():
    lobes = np.zeros((12, 12, 12), np.uint8)
    lobes[1:11, 1:11, 1:11] = LOBES["RML"]
    regions = divide_regions(lobes, UNIT)
    assert set(np.unique(regions)) == {0, NUMBERS["RML lateral"], NUMBERS["RML medial"]}
    assert not divide_regions(np.zeros_like(lobes), None).any()


@pytest.mark.data
def test_regions_of_manual_lobe_masks_are_complete(real_data):
    import nrrd

    table = np.zeros(512, np.uint8)
    table[[4, 5, 6, 7, 8]] = [LOBES[name] for name in ("RUL", "RML", "RLL", "LUL", "LLL")]
    for path in sorted((real_data / "luna16-lobes").glob("*.nrrd"))[:2]:
        values, _ = nrrd.read(str(path))
        lobes = table[values[::3, ::3, ::2] & 511].transpose(2, 1, 0)[::-1]
        assert_regions_partition(divide_regions(lobes, (2.5, 2.0, 2.0)), lobes)
