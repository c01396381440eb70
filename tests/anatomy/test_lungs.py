import nibabel
import numpy as np
import pytest
from nibabel import orientations

from lungscore.anatomy import find_lungs, size_notices
from lungscore.errors import InputError
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG
from lungscore.scan import read_scan
from tests.anatomy.chest import as_scan, body, dice, ellipsoid, found, phantom, windowed

RIGHT, LEFT = ((24, 40, 28), (18, 20, 12)), ((24, 40, 68), (18, 20, 12))


def with_lungs(*lungs, hu=-850):
    values = body()
    for centre, radii in lungs:
        values[ellipsoid(values.shape, centre, radii)] = hu
    return values


def codes(lungs):
    return [notice.code for notice in lungs.notices]


@pytest.mark.parametrize("preset", ["healthy", "mild"])
def test_both_lungs_of_a_phantom_are_found(preset):
    case = phantom(preset)
    lungs = found(preset)
    assert lungs.labels.dtype == np.uint8
    assert lungs.sides_known
    assert lungs.notices == ()
    for side in (RIGHT_LUNG, LEFT_LUNG):
        assert dice(lungs.labels == side, case.lungs == side) > 0.97


def test_windowed_grey_levels_give_nearly_the_same_lungs():
    case = phantom("healthy")
    lungs = find_lungs(as_scan(windowed(case.scan.values), None))
    for side in (RIGHT_LUNG, LEFT_LUNG):
        assert dice(lungs.labels == side, case.lungs == side) > 0.95


@pytest.mark.slow
def test_mirrored_scan_has_its_sides_swapped():
    case = phantom("mild")
    straight = found("mild").labels
    mirrored = as_scan(case.scan.values[:, :, ::-1].copy(), case.scan.spacing_mm)
    swapped = find_lungs(mirrored).labels[:, :, ::-1]
    for side, other in ((RIGHT_LUNG, LEFT_LUNG), (LEFT_LUNG, RIGHT_LUNG)):
        assert dice(straight == side, swapped == other) > 0.99


@pytest.mark.parametrize("axes", ["LPI", "RAS", "SAL", "PIR"])
def test_right_and_left_are_the_patients_however_the_scan_is_stored(axes, tmp_path):
    scan = phantom("one-lung").scan  # the right one
    image = nibabel.Nifti1Image(scan.geometry.to_source(scan.values), scan.geometry.affine)
    stored = orientations.axcodes2ornt(axes)
    image = image.as_reoriented(
        orientations.ornt_transform(orientations.io_orientation(image.affine), stored)
    )
    nibabel.save(image, tmp_path / "chest.nii")
    read = read_scan(tmp_path / "chest.nii")
    labels = find_lungs(read).labels
    np.testing.assert_array_equal(labels, found("one-lung").labels)
    places = np.argwhere(read.geometry.to_source(labels) == RIGHT_LUNG)
    assert set(np.unique(labels)) == {0, RIGHT_LUNG}
    assert nibabel.affines.apply_affine(read.geometry.affine, places).mean(axis=0)[0] > 20  # RAS


def test_trachea_and_stomach_gas_are_not_lung():
    case = phantom("healthy")
    labels = found("healthy").labels
    air = (case.scan.values < -930) & (case.lungs == 0)
    air[:, :20] = air[:, -40:] = False  # outside the body
    air[:, :, :20] = air[:, :, -20:] = False
    assert air.sum() > 500
    assert (labels[air] > 0).mean() < 0.05


def test_padding_far_below_air_changes_nothing():
    values = with_lungs(RIGHT, LEFT)
    padded = values.copy()
    padded[:, :5] = -3024
    np.testing.assert_array_equal(
        find_lungs(as_scan(values)).labels, find_lungs(as_scan(padded)).labels
    )


def test_lungs_that_touch_in_front_are_told_apart():
    right, left = ((24, 40, 30), (18, 20, 19)), ((24, 40, 66), (18, 20, 19))
    values = with_lungs(right, left)
    lungs = find_lungs(as_scan(values))
    half = np.arange(values.shape[2]) < 48
    air = ellipsoid(values.shape, *right) | ellipsoid(values.shape, *left)
    assert dice(lungs.labels == RIGHT_LUNG, air & half) > 0.97
    assert dice(lungs.labels == LEFT_LUNG, air & ~half) > 0.97


def test_vessels_inside_and_a_nodule_at_the_pleura_belong_to_the_lung():
    values = with_lungs(RIGHT, LEFT)
    values[24, 40, 20:36] = 40  # a vessel
    values[23:26, 39:42, 77:80] = 40  # a nodule that touches the pleura
    labels = find_lungs(as_scan(values)).labels
    assert (labels[24, 40, 20:36] == RIGHT_LUNG).all()
    assert (labels[23:26, 39:42, 77:79] == LEFT_LUNG).mean() > 0.9


@pytest.mark.parametrize(("lung", "side"), [(RIGHT, RIGHT_LUNG), (LEFT, LEFT_LUNG)])
def test_one_lung_is_noticed_and_no_second_invented(lung, side):
    lungs = find_lungs(as_scan(with_lungs(lung)))
    assert "one-lung" in codes(lungs)
    assert set(np.unique(lungs.labels)) == {0, side}


def test_phantom_without_a_left_lung_has_one_lung():
    lungs = found("one-lung")
    assert "one-lung" in codes(lungs)
    assert not (lungs.labels == LEFT_LUNG).any()


def test_scan_that_begins_inside_the_lungs_is_noticed():
    values = with_lungs(RIGHT, LEFT)[20:]
    lungs = find_lungs(as_scan(values))
    assert "truncated-scan" in codes(lungs)
    assert "the first slice still shows" in lungs.notices[0].message


@pytest.mark.parametrize("end", [0, -1])
@pytest.mark.parametrize(("area", "cut"), [(0, False), (50, False), (51, True), (1000, True)])
def test_lungs_cut_off_by_more_than_a_twentieth_of_their_area_are_noticed(end, area, cut):
    labels = np.zeros((10, 40, 50), np.uint8)
    labels[1:-1, :20] = 1  # 1000 pixels
    labels[end].ravel()[:area] = 1
    noticed = [notice.code for notice in size_notices(as_scan(labels.astype(np.int16)), labels)]
    assert ("truncated-scan" in noticed) is cut


@pytest.mark.parametrize("blank", [1, 3])
@pytest.mark.parametrize("end", ["first", "last"])
def test_blank_slices_do_not_hide_that_lungs_are_cut_off(blank, end):
    values = with_lungs(RIGHT, LEFT)
    whole = find_lungs(as_scan(values)).labels
    middle = len(values) // 2
    cut = values[middle:] if end == "first" else values[:middle]
    labels = whole[middle:] if end == "first" else whole[:middle]
    padding = ((blank, 0) if end == "first" else (0, blank), (0, 0), (0, 0))
    scan = as_scan(np.pad(cut, padding, constant_values=-1024))
    noticed = size_notices(scan, np.pad(labels, padding))
    assert any(f"the {end} slice still shows" in notice.message for notice in noticed)


def test_whole_scan_is_not_called_truncated():
    assert "truncated-scan" not in codes(find_lungs(as_scan(with_lungs(RIGHT, LEFT))))


def test_small_lungs_are_noticed():
    small = [(centre, (10, 9, 7)) for centre, _ in (RIGHT, LEFT)]
    lungs = find_lungs(as_scan(with_lungs(*small)))
    assert "lung-volume" in codes(lungs)


@pytest.mark.parametrize(
    "values",
    [
        np.full((8, 32, 32), -1000, np.int16),
        np.full((8, 32, 32), 40, np.int16),
        np.full((1, 64, 64), 90, np.uint8),
        body(),
    ],
    ids=["air", "tissue", "grey", "abdomen"],
)
def test_scan_without_lungs_is_rejected(values):
    spacing = None if values.dtype == np.uint8 else (5.0, 4.0, 4.0)
    with pytest.raises(InputError) as caught:
        find_lungs(as_scan(values, spacing))
    assert caught.value.code == "no-lungs"
    assert "chest" in caught.value.message


def test_bowel_gas_alone_is_no_lung():
    values = body()
    rng = np.random.default_rng(0)
    gas = ellipsoid(values.shape, (24, 30, 50), (6, 8, 12))
    values[gas] = -995 + rng.normal(0, 15, gas.sum())
    with pytest.raises(InputError, match="aerated lung"):
        find_lungs(as_scan(values))


def test_one_slice_has_both_lungs_without_the_trachea():
    case = phantom("healthy")
    for index in np.quantile(np.flatnonzero(case.lungs.any((1, 2))), (0.3, 0.5)).astype(int):
        scan = as_scan(case.scan.values[index : index + 1], case.scan.spacing_mm)
        labels = find_lungs(scan).labels
        assert dice(labels[0] > 0, case.lungs[index] > 0) > 0.95


def test_transposed_lung_box_crop_is_served_without_sides():
    case = phantom("healthy")
    index = int(np.argmax(case.lungs.astype(bool).sum((1, 2))))
    rows, columns = (np.flatnonzero(case.lungs[index].any(axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    crop = windowed(case.scan.values[index][box].T)[None]
    lungs = find_lungs(as_scan(crop, None, sides_known=False))
    assert not lungs.sides_known
    assert set(np.unique(lungs.labels)) == {0, 1}
    assert dice(lungs.labels[0] > 0, case.lungs[index][box].T > 0) > 0.93


@pytest.mark.data
def test_lungs_agree_with_the_labels_of_a_coarse_chest_ct(real_data):
    import nrrd

    folder = real_data / "chest-imaging-platform"
    values, header = nrrd.read(str(folder / "ct-64.nrrd"))
    truth, _ = nrrd.read(str(folder / "lm-64.nrrd"))
    # Both are stored left–posterior–superior: x, y, z.
    to_canonical = (slice(None, None, -1),)
    values = values.transpose(2, 1, 0)[to_canonical].astype(np.int16)
    truth = truth.transpose(2, 1, 0)[to_canonical] & 255
    spacing = tuple(float(np.linalg.norm(v)) for v in header["space directions"][::-1])
    labels = find_lungs(as_scan(values, spacing)).labels
    assert dice(labels == RIGHT_LUNG, np.isin(truth, (12, 13, 14))) > 0.97
    assert dice(labels == LEFT_LUNG, np.isin(truth, (9, 10, 11))) > 0.97
