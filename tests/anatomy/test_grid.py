import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from skimage.filters import threshold_otsu

from lungscore.anatomy.closing import close_ball, fill_slices
from lungscore.anatomy.grid import Grid
from lungscore.anatomy.levels import otsu
from tests.anatomy.chest import dice, ellipsoid


@pytest.mark.parametrize("shape", [(7, 10, 13), (8, 12, 12), (1, 5, 3)])
def test_block_means_equal_a_plain_loop(shape):
    values = np.random.default_rng(0).integers(-1000, 400, shape).astype(np.int16)
    grid = Grid(shape, (2, 3, 4), (2.0, 3.0, 4.0))
    coarse = grid.reduce(values, floor=-900)
    for z, y, x in np.ndindex(coarse.shape):
        block = values[2 * z : 2 * z + 2, 3 * y : 3 * y + 3, 4 * x : 4 * x + 4].clip(-900)
        assert abs(coarse[z, y, x] - block.mean()) <= 0.51


@pytest.mark.parametrize("of", [None, 1, 2])
def test_fractions_of_blocks_equal_a_plain_loop(of):
    labels = np.random.default_rng(0).integers(0, 3, (7, 10, 13)).astype(np.uint8)
    labels[4:] = 0
    grid = Grid(labels.shape, (2, 3, 4), (2.0, 3.0, 4.0))
    mask = labels > 0 if of is None else labels == of
    coarse = grid.fraction(labels, of)
    for z, y, x in np.ndindex(coarse.shape):
        block = mask[2 * z : 2 * z + 2, 3 * y : 3 * y + 3, 4 * x : 4 * x + 4]
        assert coarse[z, y, x] == pytest.approx(block.mean(), abs=0.00501)


def test_blocks_are_repeated_at_their_voxels_alone():
    grid = Grid((5, 7, 9), (2, 3, 4), (2.0, 3.0, 4.0))
    coarse = np.arange(np.prod(grid.blocks)).reshape(grid.blocks)
    whole = grid.repeat(coarse, (slice(0, 5), slice(0, 7), slice(0, 9)))
    for z, y, x in np.ndindex(whole.shape):
        assert whole[z, y, x] == coarse[z // 2, y // 3, x // 4]
    box = slice(1, 4), slice(2, 7), slice(3, 8)
    np.testing.assert_array_equal(grid.repeat(coarse, box), whole[box])


@given(arrays.arrays(bool, (2, 7, 8)))
def test_holes_are_filled_as_scipy_fills_them(mask):
    expected = np.stack([ndimage.binary_fill_holes(plane) for plane in mask])
    np.testing.assert_array_equal(fill_slices(mask), expected)


def dome(shape=(24, 40, 40), *, size=12.0):
    """A lung with a dome that rises into it from below, and the dome."""
    z, y, x = np.ogrid[tuple(slice(0, length) for length in shape)]
    lung = ((y - 20) / 18) ** 2 + ((x - 20) / 18) ** 2 + 0 * z < 1
    rising = ((y - 20) / size) ** 2 + ((x - 20) / size) ** 2 + ((z - 24) / 8) ** 2 < 1
    return lung & ~rising, lung & rising


def test_domes_of_the_diaphragm_stay_open_and_vessels_are_filled():
    lung, liver = dome()
    lung[3:20, 4:7, 19:22] = False  # a vessel
    lung[-1, :, :20] = False  # below, the ring of lung is open
    filled = fill_slices(lung, spacing_mm=(5.0, 2.0, 2.0))
    assert filled[3:20, 4:7, 19:22].all()
    tissue = np.count_nonzero(filled & liver) / np.count_nonzero(liver)
    assert tissue < 0.05  # its tip is as small as a vessel
    assert not (filled & liver)[19:].any()
    assert (fill_slices(lung) & liver).sum() > 0.9 * liver[:-1].sum()


def test_in_a_lung_that_the_scan_cuts_off_above_domes_stay_open_high_up():
    z, y, x = np.ogrid[:12, :40, :40]
    rising = ((y - 20) / 12) ** 2 + ((x - 20) / 12) ** 2 + ((z - 12) / 11) ** 2 < 1
    lung = (((y - 20) / 18) ** 2 + ((x - 20) / 18) ** 2 < 1) & ~rising
    lung[-1, :, :20] = False
    spacing_mm = (5.0, 2.0, 2.0)
    assert not fill_slices(lung, spacing_mm=spacing_mm)[3:, 20, 20].any()
    # Where the tip is seen, the same slices are the upper half, and the hole is a mass.
    tip = ellipsoid((12, 40, 40), (12, 20, 20), (12, 18, 18))
    whole = np.concatenate([tip[::2], lung, lung[-1:], lung[-1:]])
    filled = fill_slices(whole, spacing_mm=spacing_mm)
    assert filled[9, 20, 20]
    assert not filled[14, 20, 20]


def test_large_holes_that_lung_closes_below_are_filled():
    z, y, x = np.ogrid[:24, :40, :40]
    lung = ((y - 20) / 18) ** 2 + ((x - 20) / 18) ** 2 + 0 * z < 1
    mass = ((y - 20) / 9) ** 2 + ((x - 20) / 9) ** 2 + ((z - 17) / 4) ** 2 < 1
    assert fill_slices(lung & ~mass, spacing_mm=(5.0, 2.0, 2.0))[lung].all()


def test_enlarged_mask_keeps_shape_and_place():
    shape = (20, 60, 64)
    mask = ellipsoid(shape, (10, 30, 33), (8, 22, 18))
    grid = Grid.over(shape, (2.0, 1.0, 1.0), block_mm=4.0)
    assert grid.factors == (2, 4, 4)
    everything = tuple(slice(0, size) for size in shape)
    back = grid.enlarge(grid.fraction(mask) >= 0.5, everything)
    assert dice(back, mask) > 0.92


def test_enlarged_cut_out_equals_the_enlarged_whole():
    coarse = np.random.default_rng(1).random((4, 6, 5)) > 0.5
    grid = Grid((8, 18, 15), (2, 3, 3), (1.0, 1.0, 1.0))
    whole = grid.enlarge(coarse, (slice(0, 8), slice(0, 18), slice(0, 15)))
    cut = (slice(1, 3), slice(0, 6), slice(0, 5))
    part = grid.enlarge(coarse[cut], grid.box_of(cut), first=(1, 0, 0))
    np.testing.assert_array_equal(part, whole[2:6])


def test_closing_fills_a_narrow_gap_and_leaves_a_wide_one():
    mask = np.ones((9, 30, 60), bool)
    mask[:, :, 20:23] = mask[:, :, 40:52] = False
    closed = close_ball(mask, (1.0, 1.0, 1.0), radius_mm=3.0)
    assert closed[:, 5:-5, 20:23].all()
    assert not closed[:, :, 44:48].any()


def test_otsu_agrees_with_scikit_image():
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.normal(60, 12, 3000), rng.normal(200, 15, 2000)])
    values = values.clip(0, 255).astype(np.uint8)
    # scikit-image returns the last value of the lower class.
    assert otsu(np.bincount(values, minlength=256)) == threshold_otsu(values) + 1


@pytest.mark.parametrize("factors", [(1, 1, 1), (2, 2, 3), (1, 4, 5), (3, 7, 6)])
def test_enlarged_outlines_are_those_of_linear_interpolation(factors):
    shape = (5, 33, 26)
    grid = Grid(shape, factors, (1.0, 1.0, 1.0))
    coarse = np.random.default_rng(24).random(grid.blocks) < 0.5
    enlarged = grid.enlarge(coarse, tuple(slice(0, size) for size in shape))

    def between(values, axis):
        factor, size = factors[axis], shape[axis]
        centres = np.arange(grid.blocks[axis]) * factor + (factor - 1) / 2
        return np.apply_along_axis(
            lambda line: np.interp(np.arange(size), centres, line), axis, values
        )

    for z, plane in enumerate(enlarged):
        block = coarse[z // factors[0] : z // factors[0] + 1].astype(float)
        assert (plane == (between(between(block, 1), 2)[0] > 0.5)).all()
