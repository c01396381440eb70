"""MetaImage files: values, places, and what is refused."""

import numpy as np
import pytest
from volumes_on_disk import ct, metaimage

from lungscore.errors import InputError
from lungscore.scan import read_scan
from lungscore.scan.metaimage import open_metaimage, read_metaimage_header


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
        place = stored.affine @ [3, 2, 1, 1]
    left, posterior, superior = -10 + 2 * 0.7, -20 + 1 * 0.9, -300 - 3 * 2
    np.testing.assert_allclose(place[:3], [-left, -posterior, superior])


def test_no_orientation_is_said_to_be_unknown(written):
    content = metaimage(ct(7)).replace(b"TransformMatrix = 1 0 0 0 1 0 0 0 1\n", b"")
    with open_metaimage(written(content=content)) as stored:
        assert not stored.oriented
        assert [notice.code for notice in stored.notices] == ["header-incomplete"]


@pytest.mark.parametrize("deflate", [False, True])
def test_a_file_that_ends_too_early_is_refused(written, deflate):
    content = metaimage(ct(7), deflate=deflate)
    assert rejected(written(content=content[:-100])) == "input-unreadable"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"ElementDataFile": "7.raw"}, "format-not-recognised"),
        ({"ElementNumberOfChannels": "3"}, "colour-image"),
        ({"ElementType": "MET_STRING"}, "not-hounsfield"),
        ({"NDims": "4"}, "volume-4d"),
        ({"NDims": "x"}, "geometry-invalid"),
        ({"DimSize": "8 6"}, "geometry-invalid"),
        ({"DimSize": "80000 60000 4000"}, "volume-too-large"),
        ({"ElementSpacing": "1 1 nan"}, "geometry-invalid"),
        ({"ElementSpacing": "1 1 1000"}, "spacing-out-of-range"),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "geometry-invalid"),
    ],
)
def test_a_header_that_cannot_be_is_refused(written, header, code):
    assert rejected(written(**header)) == code


@pytest.mark.parametrize("content", [b"", b"no header", b"A = 1\n" * 20_000, b"\x00" * 99])
def test_what_is_no_metaimage_is_refused(written, content):
    assert rejected(written(content=content)) == "input-unreadable"


def test_the_header_gives_further_keys_as_they_stand_there(written):
    header = read_metaimage_header(written(PatientAge="055Y", PatientSex="F"))
    assert (header["PatientAge"], header["PatientSex"]) == ("055Y", "F")


def test_a_scan_is_read_whatever_it_is_called(written, tmp_path):
    path = written(deflate=True)
    (tmp_path / "alone").mkdir()
    renamed = path.rename(tmp_path / "alone" / "scan.nii")
    for given in (renamed, renamed.parent):
        scan = read_scan(given)
        assert (scan.kind, scan.units) == ("metaimage", "hu")
        np.testing.assert_array_equal(scan.geometry.to_source(scan.values), ct(7))


def test_a_scan_without_directions_does_not_say_which_side_is_which(written):
    content = written().read_bytes().replace(b"TransformMatrix", b"TransformNothing")
    scan = read_scan(written(content=content))
    assert not scan.sides_known
    assert "header-incomplete" in {notice.code for notice in scan.notices}
