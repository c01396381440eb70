"""MetaImage files: values, places, and what is refused."""

import os
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lungscore.errors import InputError
from lungscore.scan import inspect_input, read_scan
from lungscore.scan import metaimage as metaimage_module
from lungscore.scan.metaimage import MAX_HEADER, TYPES, open_metaimage, read_metaimage_header
from tests.datasets.volumes_on_disk import ct, metaimage, stated_place
from tests.scan.scan_builder import chest

#: A header and where SimpleITK 2.5.7 (TransformIndexToPhysicalPoint, LPS) puts the voxels
#: (0, 0, 0), (1, 0, 0), (0, 1, 0) and (0, 0, 1) of it. Spacing and Offset are the same for all.
PLACES = {
    "0.936293 0.312992 -0.159345 -0.289629 0.944703 0.153792 0.198669 -0.097843 0.97517": [
        (-10.5, 20.25, -300.0),
        (-9.750966, 20.500394, -300.127476),
        (-10.70274, 20.911292, -299.892346),
        (-10.102662, 20.054314, -298.04966),
    ],
    "0 1 0 0 0 -1 1 0 0": [
        (-10.5, 20.25, -300.0),
        (-10.5, 21.05, -300.0),
        (-10.5, 20.25, -300.7),
        (-8.5, 20.25, -300.0),
    ],
    "-1 0 0 0 1 0 0 0 -1": [
        (-10.5, 20.25, -300.0),
        (-11.3, 20.25, -300.0),
        (-10.5, 20.95, -300.0),
        (-10.5, 20.25, -302.0),
    ],
}


@pytest.fixture
def written(tmp_path):
    def write(*, content: bytes | None = None, **options) -> object:
        path = tmp_path / "7.mha"
        path.write_bytes(metaimage(ct(7), **options) if content is None else content)
        return path

    return write


def rejected(path) -> str:
    with pytest.raises(InputError) as caught, open_metaimage(path) as stored:
        list(stored.planes)
    return caught.value.code


@pytest.mark.parametrize("deflate", [False, True])
def test_values_come_plane_by_plane_in_the_files_own_order(written, deflate):
    with open_metaimage(written(deflate=deflate)) as stored:
        np.testing.assert_array_equal(np.stack(list(stored.planes), axis=-1), ct(7))
        assert stored.shape == ct(7).shape
        assert stored.oriented
        assert not stored.notices


def test_big_endian_and_other_number_types_are_read(written):
    values = ct(7).astype(">f4")
    with open_metaimage(
        written(content=metaimage(values, ElementType="MET_FLOAT", BinaryDataByteOrderMSB="True"))
    ) as stored:
        np.testing.assert_array_equal(np.stack(list(stored.planes), axis=-1), ct(7))


def test_the_affine_places_voxels_where_the_header_says(written):
    # The first axis runs towards the feet, the second to the left, the third to the back (LPS).
    path = written(TransformMatrix="0 0 -1 1 0 0 0 1 0", ElementSpacing="2 0.7 0.9")
    with open_metaimage(path) as stored:
        position = stored.affine @ [3, 2, 1, 1]
    left, posterior, superior = -10 + 2 * 0.7, -20 + 1 * 0.9, -300 - 3 * 2
    np.testing.assert_allclose(position[:3], [-left, -posterior, superior])


def test_no_orientation_is_said_to_be_unknown(written):
    content = metaimage(ct(7)).replace(b"TransformMatrix = 1 0 0 0 1 0 0 0 1\n", b"")
    with open_metaimage(written(content=content)) as stored:
        assert not stored.oriented
        assert [notice.code for notice in stored.notices] == ["header-incomplete"]


@pytest.mark.parametrize("directions", PLACES)
def test_voxels_lie_where_itk_puts_them(written, directions):
    path = written(
        TransformMatrix=directions,
        Offset="-10.5 20.25 -300",
        CenterOfRotation="5 6 7",
        ElementSpacing="0.8 0.7 2",
    )
    with open_metaimage(path) as stored:
        indices = np.array([(0, 0, 0, 1), (1, 0, 0, 1), (0, 1, 0, 1), (0, 0, 1, 1)])
        places = (stored.affine @ indices.T)[:3].T
    np.testing.assert_allclose(places * [-1, -1, 1], PLACES[directions], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "synonym"),
    [
        ("Offset", "Position"),
        ("Offset", "Origin"),
        ("TransformMatrix", "Orientation"),
        ("TransformMatrix", "Rotation"),
        ("ElementSpacing", "ElementSize"),
    ],
)
def test_a_synonym_places_voxels_alike(written, name, synonym):
    content = metaimage(ct(7), TransformMatrix="0 1 0 0 0 -1 1 0 0", ElementSpacing="1 2 3")
    with open_metaimage(written(content=content)) as stored:
        affine = stored.affine
    renamed = content.replace(f"\n{name} =".encode(), f"\n{synonym} =".encode())
    with open_metaimage(written(content=renamed)) as stored:
        assert stored.oriented
        np.testing.assert_array_equal(stored.affine, affine)


def test_a_voxel_may_be_smaller_than_its_distance_to_the_next(written):
    with open_metaimage(written(ElementSize="0.5 0.5 5")) as stored:
        np.testing.assert_allclose(np.diag(stored.affine), [-0.8, -0.8, 8, 1])


# Number types, as SimpleITK reads them


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_number_type_in_both_byte_orders(written, name, order):
    values = np.abs(ct(7) // 10).astype(order + TYPES[name])
    header = {"ElementType": name, "BinaryDataByteOrderMSB": str(order == ">")}
    with open_metaimage(written(content=metaimage(values, **header))) as stored:
        np.testing.assert_array_equal(np.stack(list(stored.planes), axis=-1), values)


@pytest.mark.parametrize("true", ["True", "true", "T", "1"])
def test_the_older_key_of_the_byte_order_counts_where_it_stands_alone(written, true):
    content = metaimage(ct(7).astype(">i2"))
    content = content.replace(
        b"BinaryDataByteOrderMSB = False", f"ElementByteOrderMSB = {true}".encode()
    )
    with open_metaimage(written(content=content)) as stored:
        np.testing.assert_array_equal(np.stack(list(stored.planes), axis=-1), ct(7))


# As the input of an analysis


def write_chest(folder: Path, *, beside: str = "", deflate: bool = True) -> Path:
    """The chest of ``scan_builder`` along the axes of a usual file; its data may lie beside it."""
    affine = np.array([[-0.8, 0, 0, 15], [0, -0.7, 0, -3], [0, 0, -2, 120], [0, 0, 0, 1.0]])
    header = stated_place(affine) | ({"ElementDataFile": beside} if beside else {})
    content = metaimage(chest().T, deflate=deflate, **header)
    path = folder / ("scan.mhd" if beside else "scan.mha")
    if beside:
        end = content.index(b"ElementDataFile")
        end = content.index(b"\n", end) + 1
        path.write_bytes(content[:end])
        (folder / beside).write_bytes(content[end:])
    else:
        path.write_bytes(content)
    return path


def refused(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        read_scan(path)
    assert str(path.parent) not in caught.value.message
    return caught.value


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("beside", ["", "scan.raw", "Müller 7.zraw"])
def test_a_scan_with_its_data_attached_or_beside_it(tmp_path, deflate, beside):
    scan = read_scan(write_chest(tmp_path, beside=beside, deflate=deflate))
    np.testing.assert_array_equal(scan.values, chest())
    assert (scan.kind, scan.units, scan.sides_known) == ("metaimage", "hu", True)
    assert scan.spacing_mm == pytest.approx((2.0, 0.7, 0.8))
    assert scan.name == "scan"
    assert not scan.notices


@pytest.mark.parametrize("start", [b"NDims = 3\nObjectType = Image\n", b"ObjectType=Image\r\n"])
def test_content_counts_and_not_the_name(tmp_path, start):
    content = write_chest(tmp_path).read_bytes().partition(b"BinaryData =")
    header = start + b"NDims = 3\n" + content[1] + content[2]
    (tmp_path / "scan.nii.gz").write_bytes(header)
    np.testing.assert_array_equal(read_scan(tmp_path / "scan.nii.gz").values, chest())


def test_other_objects_of_the_format_are_no_image(written):
    assert refused(written(ObjectType="Tube")).code == "format-not-recognised"


def test_without_an_orientation_the_sides_are_not_known(tmp_path):
    path = write_chest(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"TransformMatrix", b"Comment"))
    scan = read_scan(path)
    assert not scan.sides_known
    assert {"header-incomplete", "unknown-orientation"} <= {n.code for n in scan.notices}


def test_the_data_beside_a_header_are_no_other_file(tmp_path):
    path = write_chest(tmp_path, beside="scan.raw", deflate=False)
    assert not read_scan(tmp_path).notices
    assert inspect_input(path)["files"] == {"used": 2, "ignored": 0, "unreadable": 0}
    (tmp_path / "notes.txt").write_text("x")
    assert [notice.code for notice in read_scan(tmp_path).notices] == ["files-ignored"]
    write_chest(tmp_path)
    assert refused(tmp_path).code == "several-inputs"


def test_header_and_data_come_out_of_a_zip(tmp_path):
    path = write_chest(tmp_path, beside="scan.raw")
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        archive.write(path, "in/scan.mhd")
        archive.write(tmp_path / "scan.raw", "in/scan.raw")
    np.testing.assert_array_equal(read_scan(tmp_path / "scan.zip").values, chest())


# Where the data may lie


@pytest.mark.parametrize(
    "name",
    [
        *("../7.raw", "sub/7.raw", "/etc/passwd", "..\\7.raw", "C:7.raw", "C:\\7.raw", ".", ".."),
        *("", "7.raw\0", "LIST", "LIST 2", "7.%03d.raw 1 4 1", "//host/7.raw", "7.mhd"),
    ],
)
def test_data_elsewhere_or_in_many_files_are_refused(tmp_path, name):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "in", tmp_path / "in" / "sub"):
        (folder / "7.raw").write_bytes(ct(7).tobytes(order="F"))
    path = tmp_path / "in" / "7.mhd"
    path.write_bytes(metaimage(ct(7) * 0, deflate=False, ElementDataFile=name))
    assert refused(path).code == "format-not-recognised"
    assert inspect_input(path)["kind"] == "metaimage"


def test_data_that_are_not_there_are_missed_without_telling_their_name(tmp_path):
    path = write_chest(tmp_path, beside="canary.raw")
    (tmp_path / "canary.raw").unlink()
    error = refused(path)
    assert error.code == "input-unreadable"
    assert "canary" not in f"{error.message}{error.expected}{error.hint}"


@pytest.mark.parametrize("name", ["sub", "pipe", "x" * 300, "loop"])
def test_data_that_are_no_ordinary_file_are_refused_without_waiting(tmp_path, name):
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "7.mhd").write_bytes(metaimage(ct(7), ElementDataFile=name))
    assert refused(tmp_path / "7.mhd").code == "input-unreadable"


def test_data_that_may_not_be_read(tmp_path, monkeypatch):
    path = write_chest(tmp_path, beside="scan.raw")

    def refuse(file: Path, mode: str):
        if file.name == "scan.raw":
            raise PermissionError(13, "Permission denied")
        return open(file, mode)

    monkeypatch.setattr(metaimage_module, "open", refuse, raising=False)
    assert refused(path).code == "input-unreadable"


# Files that end elsewhere than their header says


def test_a_raw_file_that_ends_too_early_is_refused(written):
    content = metaimage(ct(7), deflate=False)
    assert rejected(written(content=content[:-1])) == "volume-too-large"


@pytest.mark.parametrize("lost", [1, 4, 5, 100])
def test_a_deflated_file_that_ends_too_early_is_refused(written, lost):
    assert rejected(written(content=metaimage(ct(7))[:-lost])) == "input-unreadable"


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize(
    "header", [{"DimSize": "8 6 3"}, {"DimSize": "4 6 4"}, {"ElementType": "MET_CHAR"}]
)
def test_a_header_that_promises_too_little_is_refused(written, deflate, header):
    assert rejected(written(deflate=deflate, **header)) == "input-unreadable"


@pytest.mark.parametrize("offset", [-1, -40, 2])
def test_a_changed_byte_of_deflated_data_is_noticed(written, offset):
    content = bytearray(metaimage(ct(7)))
    start = content.index(b"LOCAL\n") + len(b"LOCAL\n")
    content[offset if offset < 0 else start + offset] ^= 0xFF
    assert rejected(written(content=bytes(content))) == "input-unreadable"


@pytest.mark.parametrize("deflate", [False, True])
def test_a_header_that_promises_more_than_the_file_can_hold_takes_no_memory(written, deflate):
    path = written(deflate=deflate, DimSize="1024 1024 1024", ElementType="MET_DOUBLE")
    tracemalloc.start()
    code = rejected(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert code == "volume-too-large"
    assert peak < 1e6


def test_a_plane_that_no_ct_has_is_refused_before_it_is_inflated(written):
    """Deflate can hold what is promised here, so that only the plane's size tells the bomb."""
    zeros = np.zeros((8192, 4096, 1), np.uint8)
    path = written(content=metaimage(zeros, ElementType="MET_UCHAR"))
    assert path.stat().st_size < 2**16
    assert rejected(path) == "volume-too-large"


def test_any_changed_byte_gives_a_scan_or_a_code(tmp_path):
    content = write_chest(tmp_path).read_bytes()
    header = content.index(b"LOCAL\n") + 6
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(content)
        damaged[rng.integers(0, header)] = rng.integers(0, 256)
        (tmp_path / "scan.mha").write_bytes(bytes(damaged))
        inspect_input(tmp_path / "scan.mha")  # anything but a code would be raised


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"ElementDataFile": "7.raw"}, "input-unreadable"),
        ({"BinaryData": "False"}, "format-not-recognised"),
        ({"HeaderSize": "4"}, "format-not-recognised"),
        ({"HeaderSize": "-1"}, "format-not-recognised"),
        ({"ElementToIntensityFunctionSlope": "2"}, "not-hounsfield"),
        ({"ElementToIntensityFunctionOffset": "-1024"}, "not-hounsfield"),
        ({"ElementNumberOfChannels": "3"}, "colour-image"),
        ({"ElementType": "MET_STRING"}, "not-hounsfield"),
        ({"NDims": "4"}, "volume-4d"),
        ({"NDims": "x"}, "geometry-invalid"),
        ({"NDims": "2"}, "geometry-invalid"),
        ({"DimSize": "8 6"}, "geometry-invalid"),
        ({"DimSize": "8 6 4.5"}, "geometry-invalid"),
        ({"DimSize": "8 6 -4"}, "geometry-invalid"),
        ({"DimSize": "8 6 0"}, "geometry-invalid"),
        ({"DimSize": f"8 6 {10**40}"}, "volume-too-large"),
        ({"DimSize": "80000 60000 4000"}, "volume-too-large"),
        ({"ElementSpacing": "1 1 nan"}, "geometry-invalid"),
        ({"ElementSpacing": "1 1 0"}, "geometry-invalid"),
        ({"ElementSpacing": "1 1"}, "geometry-invalid"),
        ({"ElementSpacing": "1 1 1000"}, "spacing-out-of-range"),
        ({"Offset": "1 2"}, "geometry-invalid"),
        ({"Offset": "1 2 x"}, "geometry-invalid"),
        ({"Origin": "1 2 3"}, "geometry-invalid"),  # Offset says something else
        ({"Rotation": "0 1 0 1 0 0 0 0 1"}, "geometry-invalid"),
        ({"TransformMatrix": "1 0 0 0 1 0"}, "geometry-invalid"),
        ({"TransformMatrix": "2 0 0 0 2 0 0 0 2"}, "geometry-invalid"),
        ({"TransformMatrix": "0 0 0 0 1 0 0 0 1"}, "geometry-invalid"),
        ({"TransformMatrix": "1 0 0 0 1 0 0 0.1 0.995"}, "gantry-tilt"),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "geometry-invalid"),
    ],
)
def test_a_header_that_cannot_be_is_refused(written, header, code):
    assert rejected(written(**header)) == code


@pytest.mark.parametrize(
    "content",
    [b"", b"no header", b"A = 1\n" * 20_000, b"A = " + b"1" * 2 * MAX_HEADER, b"\x00" * 99],
)
def test_what_is_no_metaimage_is_refused(written, content):
    assert rejected(written(content=content)) == "input-unreadable"


def test_the_header_gives_further_keys_as_they_stand_there(written):
    header = read_metaimage_header(written(PatientAge="055Y", PatientSex="F"))
    assert (header["PatientAge"], header["PatientSex"]) == ("055Y", "F")
