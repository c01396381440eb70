"""Reading NRRD: spaces, encodings, and headers that lie."""

import gzip
from pathlib import Path

import nrrd
import numpy as np
import pytest

from lungscore.scan import read_scan
from tests.scan.nifti_builder import ORIENTATIONS, canonical_affine, stored
from tests.scan.reading import rejection
from tests.scan.scan_builder import chest


def write_nrrd(path: Path, values: np.ndarray, *, space: str, encoding: str = "gzip") -> Path:
    source, affine = stored(values, ORIENTATIONS[5])
    signs = {"left-posterior-superior": (-1, -1, 1), "RAS": (1, 1, 1), "LAS": (-1, 1, 1)}[space]
    header = {
        "space": space,
        "space directions": (np.diag(signs) @ affine[:3, :3]).T,
        "space origin": np.array(signs) * affine[:3, 3],
        "encoding": encoding,
    }
    nrrd.write(str(path), source, header)
    return path


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
@pytest.mark.parametrize("space", ["left-posterior-superior", "RAS", "LAS"])
def test_nrrd_of_every_space_and_encoding(tmp_path: Path, space: str, encoding: str) -> None:
    values = chest()
    scan = read_scan(write_nrrd(tmp_path / "scan.nrrd", values, space=space, encoding=encoding))
    np.testing.assert_array_equal(scan.values, values)
    np.testing.assert_allclose(scan.geometry.canonical_affine, canonical_affine(), atol=1e-6)
    assert scan.kind == "nrrd"


def test_nrrd_without_a_space_leaves_the_sides_open(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "scan.nrrd"), chest(), {"spacings": [0.8, 0.7, 2.0]})
    assert not read_scan(tmp_path / "scan.nrrd").sides_known


def test_nrrd_without_any_geometry_is_rejected(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "scan.nrrd"), chest())
    assert rejection(tmp_path / "scan.nrrd").code == "geometry-invalid"


def test_nrrd_of_four_axes_is_rejected(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "scan.nrrd"), chest()[..., None].repeat(2, -1))
    assert rejection(tmp_path / "scan.nrrd").code == "volume-4d"


def test_nrrd_whose_data_lie_elsewhere_is_rejected(tmp_path: Path) -> None:
    header = "NRRD0004\ntype: short\ndimension: 3\nsizes: 2 2 2\nencoding: raw\n"
    (tmp_path / "scan.nrrd").write_text(header + "data file: ../../etc/passwd\n\n")
    assert rejection(tmp_path / "scan.nrrd").code == "format-not-recognised"


@pytest.mark.parametrize("sizes", ["30000 30000 30000", "900 900 900", "0 5 5", "9 9 9"])
@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_nrrd_with_forged_sizes_is_rejected(tmp_path: Path, sizes: str, encoding: str) -> None:
    header = (
        f"NRRD0004\ntype: short\ndimension: 3\nspace: RAS\nsizes: {sizes}\nendian: little\n"
        f"space directions: (1,0,0) (0,1,0) (0,0,1)\nencoding: {encoding}\n\n"
    )
    (tmp_path / "scan.nrrd").write_bytes(header.encode() + gzip.compress(bytes(300)))
    assert rejection(tmp_path / "scan.nrrd").code in (
        "volume-too-large",
        "geometry-invalid",
        "input-unreadable",
    )


def test_damaged_nrrd_header_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "scan.nrrd").write_bytes(b"NRRD0004\ntype: sh\xff\xfe\nsizes: a b\n\n")
    assert rejection(tmp_path / "scan.nrrd").code == "input-unreadable"


@pytest.mark.parametrize("encoding", ["gzip", "bzip2"])
def test_a_wrong_checksum_is_noticed(tmp_path: Path, encoding: str) -> None:
    path = write_nrrd(
        tmp_path / "scan.nrrd", chest(), space="left-posterior-superior", encoding=encoding
    )
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # of the checksum itself: the voxels are whole
    path.write_bytes(bytes(content))
    assert rejection(path).code == "input-unreadable"


def test_a_header_alone_is_told_whether_its_last_line_is_blank_or_not(tmp_path: Path) -> None:
    lines = ["NRRD0004", "type: short", "dimension: 3", "sizes: 2 2 2", "encoding: raw"]
    for end in ("\n\n", "\n", ""):
        path = tmp_path / "scan.nhdr"
        path.write_text("\n".join([*lines, "data file: scan.raw"]) + end)
        assert rejection(path).code == "format-not-recognised"


def test_directions_in_no_space_of_a_patient_still_say_the_voxel_size(tmp_path: Path) -> None:
    path = write_nrrd(tmp_path / "scan.nrrd", chest(), space="left-posterior-superior")
    known = read_scan(path)
    content = path.read_bytes().replace(
        b"space: left-posterior-superior", b"space: 3D-right-handed"
    )
    path.write_bytes(content)
    scan = read_scan(path)
    assert "header-incomplete" in {notice.code for notice in scan.notices}
    assert sorted(scan.spacing_mm) == pytest.approx(sorted(known.spacing_mm))
