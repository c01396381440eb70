"""Public real scans read as they should; they are found through LUNGSCORE_DATA."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lungscore.errors import InputError
from lungscore.scan import Scan, inspect_input, read_scan
from lungscore.scan.slices import read_slice_image, shows_whole_body

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def p002(real_data: Path) -> Scan:
    return read_scan(real_data / "covid-ct-md" / "P002")


def liver_is_left_in_the_image(scan: Scan) -> bool:
    """Low in the chest the right half (low columns) holds the liver, the left the stomach's gas."""
    low = scan.values[int(0.9 * scan.shape[0])].astype(int)
    rows, columns = np.nonzero(low > -300)
    middle = int(np.median(columns))
    inside = low[rows.min() : rows.max(), columns.min() : columns.max()]
    middle -= columns.min()
    return np.mean(inside[:, :middle] > 0) > np.mean(inside[:, middle:] > 0)


def spine_is_at_the_bottom(scan: Scan) -> bool:
    """Bone in the middle third of the columns lies in the lower half of the body."""
    values = scan.values[scan.shape[0] // 2]
    width = values.shape[1]
    body_rows = np.nonzero((values > -300).any(axis=1))[0]
    bone_rows = np.nonzero(values[:, width // 3 : -width // 3] > 200)[0]
    return np.median(bone_rows) > (body_rows[0] + body_rows[-1]) / 2


@pytest.mark.parametrize(
    ("name", "shape", "spacing_mm"),
    [
        ("covid-ct-md/P002", (133, 512, 512), (2.0, 0.603515625, 0.603515625)),
        pytest.param(
            *("covid-ct-md/normal002", (167, 512, 512), (2.0, 0.75, 0.75)), marks=pytest.mark.slow
        ),
        ("lung-pet-ct-dx", (30, 512, 512), (8.0, 0.646484375, 0.646484375)),
        ("chest-imaging-platform/ct-64.nrrd", (79, 64, 64), (3.98734, 4.171872, 4.171872)),
    ],
)
@pytest.mark.slow
def test_volumes_stand_upright(
    real_data: Path, name: str, shape: tuple[int, ...], spacing_mm: tuple[float, ...]
) -> None:
    scan = read_scan(real_data / name)
    assert scan.shape == shape
    assert scan.spacing_mm == pytest.approx(spacing_mm, rel=1e-5)
    assert scan.units == "hu"
    assert scan.sides_known
    assert np.all(np.diff(scan.positions_mm) < 0)
    assert spine_is_at_the_bottom(scan)
    assert liver_is_left_in_the_image(scan)
    assert "hu-implausible" not in {notice.code for notice in scan.notices}


def test_two_sparse_slices_are_read(real_data: Path) -> None:
    scan = read_scan(real_data / "lungmask-testdata")
    assert scan.shape == (2, 512, 512)
    assert {notice.code for notice in scan.notices} == {"header-incomplete", "slices-repeated"}


def test_two_patients_in_one_folder_are_rejected(real_data: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_scan(real_data / "covid-ct-md")
    assert caught.value.code == "mixed-patients"


@pytest.mark.parametrize(
    "turn",
    [
        lambda a: (a, np.eye(4)),
        lambda a: (a[::-1, :, ::-1], np.diag([-1.0, 1, -1, 1])),
    ],
)
@pytest.mark.slow
def test_p002_as_nifti_in_two_orientations_is_the_same(
    p002: Scan, tmp_path: Path, turn: Callable
) -> None:
    source = p002.geometry.to_source(p002.values)
    turned, flips = turn(source)
    flips[:3, 3] = [
        (n - 1) if f < 0 else 0 for n, f in zip(source.shape, np.diag(flips), strict=False)
    ]
    image = nib.Nifti1Image(np.asfortranarray(turned), p002.geometry.affine @ flips)
    nib.save(image, tmp_path / "P002.nii")
    scan = read_scan(tmp_path / "P002.nii")
    np.testing.assert_array_equal(scan.values, p002.values)
    np.testing.assert_allclose(
        scan.geometry.canonical_affine, p002.geometry.canonical_affine, atol=1e-3
    )


@pytest.mark.slow
def test_jpeg_volume_runs_from_apex_to_base(real_data: Path) -> None:
    scan = read_scan(real_data / "ictcf-volume-jpg")
    assert (scan.kind, scan.units, scan.shape) == ("slices", "grey", (50, 512, 512))
    assert scan.sides_known


@pytest.mark.slow
def test_sides_of_lone_slices(real_data: Path) -> None:
    crops = sorted((real_data / "covid-semiseg").glob("*/LungInfection-*/**/Imgs/*.jpg"))
    crops = [path for path in crops if "Pseudo" not in str(path)]
    assert crops
    assert not any(shows_whole_body(read_slice_image(path)) for path in crops)
    volume = sorted((real_data / "ictcf-volume-jpg").glob("*.jpg"))
    assert all(shows_whole_body(read_slice_image(path)) for path in volume)
    slices = [read_slice_image(p) for p in sorted((real_data / "medseg-slices/images").glob("*"))]
    # Slices whose field of view ends within the body do not show that they are whole.
    assert sum(map(shows_whole_body, slices)) >= len(slices) / 4
    assert not any(shows_whole_body(np.ascontiguousarray(image.T)) for image in slices[:1])


def test_inspect_shows_no_text_of_the_header(real_data: Path) -> None:
    report = inspect_input(real_data / "lung-pet-ct-dx")
    assert "Thorax" not in str(report)
    assert report["series"][0]["chosen"]
    assert [notice["code"] for notice in report["notices"]] == ["thick-slices"]
