import numpy as np

from lungscore.anatomy import find_lungs
from lungscore.anatomy.airways import find_airways
from tests.anatomy.chest import as_scan, body, ellipsoid

SPACING_MM = (2.0, 1.5, 1.5)
MIDLINE = 60.0


def chest_with_airways(slices=60):
    """Lumen (D, H, W): a narrow larynx, a wide trachea, a wider fork and two bronchi."""
    lumen = np.zeros((slices, 120, 120), bool)
    plane = (1, 120, 120)
    for z in range(slices):
        if z < 10:
            discs = [((60, 60), (3, 3))]
        elif z < 34:
            discs = [((60, 60), (7, 7))]
        elif z < 38:
            discs = [((60, 60), (7, 13))]
        else:
            out = 8 + (z - 38) * 0.8
            discs = [((60, 60 - out), (4, 5)), ((60, 60 + out), (4, 5))]
        for (row, column), radii in discs:
            lumen[z] |= ellipsoid(plane, (0, row, column), (1, *radii))[0]
    return lumen


def test_the_walk_goes_on_past_the_fork_of_a_trachea_that_is_narrow_at_its_top():
    lumen = chest_with_airways()
    airways = find_airways(lumen, ~lumen, SPACING_MM, midline=MIDLINE)
    np.testing.assert_array_equal(airways[:50], lumen[:50])


def test_thick_slices_keep_oblique_and_blurred_bronchi():
    lumen = chest_with_airways()[::4]
    blurred = lumen.copy()
    blurred[10:, :, 62:] = False  # only partly as dark as air
    for z in (10, 11, 12):
        columns = np.flatnonzero(lumen[z].any(axis=0))
        blurred[z, :, columns[-1] - 3 : columns[-1] - 1] = lumen[
            z, :, columns[-1] - 3 : columns[-1] - 1
        ]
    airways = find_airways(blurred, ~lumen, (8.0, 1.5, 1.5), midline=MIDLINE)
    np.testing.assert_array_equal(airways[:13], lumen[:13])


def test_gas_below_what_lies_between_the_lungs_is_bowel():
    values = body()
    for column in (28, 68):
        values[ellipsoid(values.shape, (24, 44, column), (18, 18, 12))] = -850
    bubble = ellipsoid(values.shape, (38, 40, 48), (4, 4, 5))
    values[bubble] = -900
    labels = find_lungs(as_scan(values)).labels
    assert not labels[bubble].any()
    assert (labels > 0).any()
