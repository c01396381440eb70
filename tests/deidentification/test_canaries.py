"""No canary survives, in any value representation, at any place."""

import re
from pathlib import Path

import numpy as np
import pydicom
import pytest

from lungscore.deidentification.folder import TABLE, deidentify
from lungscore.deidentification.identity import Key
from lungscore.deidentification.rules import IMAGES, Options
from tests.deidentification.canaries import PUBLIC, image_of_canaries

#: Always the same: the digits of a random name could be those of a canary by chance.
KEY = Key(b"c" * 32)
OPTIONS = {
    "basic": Options(),
    "dates": Options(retain_dates=True),
    "all": Options(True, False, True, True, True),
}


@pytest.fixture(scope="module", params=OPTIONS)
def cleaned(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[bytes], Path]:
    folder = tmp_path_factory.mktemp("canaries")
    (folder / "in").mkdir()
    canaries = image_of_canaries(folder / "in" / "CANARYFILE.dcm")
    assert len(canaries) >= 60
    deidentify(folder / "in", folder / "out", KEY, OPTIONS[request.param])
    return canaries, folder / "out"


def images_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.dcm"))


def test_every_representation_has_its_canaries(tmp_path: Path) -> None:
    canaries = image_of_canaries(tmp_path / "x.dcm")
    content = (tmp_path / "x.dcm").read_bytes()
    assert all(canary in content for canary in canaries)
    assert all(pydicom.datadict.tag_for_keyword(name) for name in PUBLIC.values())
    known = {"SQ"} | set(PUBLIC)
    assert known == {vr.value for vr in pydicom.valuerep.STANDARD_VR}


def test_no_canary_survives(cleaned: tuple[list[bytes], Path]) -> None:
    canaries, out = cleaned
    (path,) = images_in(out)
    content = path.read_bytes()
    # Numbers of two bytes could stand anywhere by chance: they are looked for as values, below.
    left = [canary for canary in canaries if len(canary) > 2 and canary in content]
    dataset = pydicom.dcmread(path)
    asked = {str(dataset.get(keyword)).encode() for keyword in ("PatientAge", "PatientWeight")}
    assert {canary for canary in left if canary + b".0" not in asked} <= asked
    assert b"CANARY" not in content.upper()
    assert b"77777" not in content


def test_nothing_private_unknown_or_short_survives(cleaned: tuple[list[bytes], Path]) -> None:
    dataset = pydicom.dcmread(images_in(cleaned[1])[0])
    for element in dataset.iterall():
        if element.tag.is_private:
            assert (element.tag.group, element.value) in {(0x19, "GEMS_ACQU_01"), (0x19, 25.5)}
        elif element.VR in ("US", "SS", "UL", "SL"):
            assert element.value not in range(7700, 7999), element.name
        assert element.tag.group not in range(0x5000, 0x6100)
    assert set(dataset.preamble) == {0}
    kept = {"FileMetaInformationGroupLength", "FileMetaInformationVersion", "TransferSyntaxUID"}
    kept |= {"MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID"}
    kept |= {"ImplementationClassUID", "ImplementationVersionName"}
    assert {element.keyword for element in dataset.file_meta} == kept


def test_the_image_itself_survives(cleaned: tuple[list[bytes], Path]) -> None:
    dataset = pydicom.dcmread(images_in(cleaned[1])[0])
    assert np.array_equal(dataset.pixel_array.ravel(), np.arange(16) + 1000)
    assert dataset.PixelSpacing == [0.5, 0.5]
    assert dataset.ImagePositionPatient == [1, 2, 3]
    assert dataset.SliceThickness == 1.25
    assert list(dataset.ImageType) == ["ORIGINAL", "PRIMARY", "AXIAL"]
    assert dataset.SOPClassUID in IMAGES
    assert dataset.PatientIdentityRemoved == "YES"


def test_file_names_and_the_table_tell_nothing(cleaned: tuple[list[bytes], Path]) -> None:
    _, out = cleaned
    names = " ".join(path.relative_to(out).as_posix() for path in out.rglob("*"))
    assert "CANARY" not in names
    text = (out / TABLE).read_text()
    assert not re.search("CANARY|77777|1913", text)
    assert '"(0010,0010)",PatientName,replaced,1' in text
    assert '"(0018,1FFE)",unknown,removed,1' in text
    assert "private,removed" in text
