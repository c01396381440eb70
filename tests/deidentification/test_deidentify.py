"""Follow-ups stay together, options keep what they say, and what may show a name is refused."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset

from lungscore.analysis import analyze
from lungscore.cli.main import call
from lungscore.deidentification.folder import deidentify
from lungscore.deidentification.identity import Key, random_key, read_key
from lungscore.deidentification.rules import Options
from lungscore.errors import InputError, UsageError
from lungscore.inference import Segmenter
from lungscore.result import to_result
from lungscore.scan.phantom import Phantom
from tests.pacs.series import write_phantom
from tests.scan.scan_builder import write_series

KEY = Key(b"k" * 32)


def written(folder: Path, day: str = "20200102", **values: Any) -> Path:
    """A series of two images of one patient."""

    def edit(index: int, dataset: FileDataset) -> None:
        dataset.PatientID, dataset.StudyDate, dataset.StudyTime = "P-1", day, "030405"
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    write_series(folder, np.zeros((2, 6, 6), np.int16), edit=edit)
    return folder


def only(folder: Path) -> pydicom.Dataset:
    return pydicom.dcmread(sorted(folder.rglob("*.dcm"))[0])


BASIC = Options()


def cleaned(folder: Path, out: Path, options: Options = BASIC, key: Key = KEY) -> Any:
    deidentify(folder, out, key, options)
    return only(out)


def test_under_one_key_a_follow_up_has_the_same_patient_and_the_same_interval(
    tmp_path: Path,
) -> None:
    options = Options(retain_dates=True)
    first = cleaned(written(tmp_path / "a", "20200102"), tmp_path / "A", options)
    later = cleaned(written(tmp_path / "b", "20200109"), tmp_path / "B", options)
    assert first.PatientID == later.PatientID != "P-1"
    days = [np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}") for d in (first.StudyDate, later.StudyDate)]
    assert days[1] - days[0] == np.timedelta64(7, "D")
    assert first.StudyDate != "20200102"
    assert first.StudyTime == "030405"
    assert first.StudyInstanceUID != later.StudyInstanceUID
    assert first.LongitudinalTemporalInformationModified == "MODIFIED"
    other = cleaned(tmp_path / "a", tmp_path / "C", options, random_key())
    assert other.PatientID != first.PatientID
    assert other.StudyInstanceUID != first.StudyInstanceUID


def test_images_of_a_series_stay_together_and_refer_to_each_other(tmp_path: Path) -> None:
    deidentify(written(tmp_path / "in"), tmp_path / "out", KEY, Options())
    images = [pydicom.dcmread(path) for path in sorted((tmp_path / "out").rglob("*.dcm"))]
    assert len({image.SeriesInstanceUID for image in images}) == 1
    assert len({image.SOPInstanceUID for image in images}) == 2
    for image in images:
        assert image.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID
        assert image.SOPInstanceUID.is_valid


def test_without_options_neither_dates_nor_device_nor_person_stay(tmp_path: Path) -> None:
    known = {"Manufacturer": "Maker", "DeviceSerialNumber": "S-1", "ConvolutionKernel": "odd one"}
    person = {"PatientSex": "F", "PatientAge": "093Y", "PatientWeight": "81.5"}
    source = written(tmp_path / "in", **known, **person)
    basic = cleaned(source, tmp_path / "basic")
    assert basic.StudyDate == basic.StudyTime == basic.PatientSex == basic.Manufacturer == ""
    assert not {"DeviceSerialNumber", "ConvolutionKernel", "PatientAge", "PatientWeight"} & set(
        basic.dir()
    )
    device = cleaned(source, tmp_path / "device", Options(retain_device=True))
    assert {name: device[name].value for name in known} == known
    who = cleaned(source, tmp_path / "who", Options(retain_characteristics=True))
    assert (who.PatientSex, who.PatientAge, who.PatientWeight) == ("F", "090Y", 81.5)
    codes = [item.CodeValue for item in who.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113111", "113108"]


def test_a_kernel_that_makers_use_stays(tmp_path: Path) -> None:
    image = cleaned(written(tmp_path / "in", ConvolutionKernel="B30f"), tmp_path / "out")
    assert image.ConvolutionKernel == "B30f"


@pytest.mark.parametrize(
    ("values", "options", "code"),
    [
        ({"BurnedInAnnotation": "YES"}, Options(), "pixels-identifying"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, Options(), "pixels-identifying"),
        ({"ConversionType": "WSD"}, Options(), "pixels-identifying"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, Options(), "pixels-identifying"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN_SAVE"]}, Options(), "pixels-identifying"),
        ({"ImageType": "SCREENSHOT"}, Options(), "pixels-identifying"),
        (
            {"ImageType": ["DERIVED", "SECONDARY", "OTHER", "CT_SOM5 PROT"]},
            Options(),
            "pixels-identifying",
        ),
        ({"SamplesPerPixel": 3}, Options(), "pixels-identifying"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, Options(), "pixels-identifying"),
        (
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.34"},
            Options(allow_captures=True, allow_burned_in=True),
            "pixels-identifying",
        ),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4"}, Options(), "wrong-modality"),
    ],
)
def test_pixels_that_may_show_a_name_are_refused(
    tmp_path: Path, values: dict[str, Any], options: Options, code: str
) -> None:
    with pytest.raises(InputError) as caught:
        deidentify(written(tmp_path / "in", **values), tmp_path / "out", KEY, options)
    assert caught.value.code == code
    assert not (tmp_path / "out").exists()


def test_they_are_taken_where_that_is_asked_for(tmp_path: Path) -> None:
    burned = written(tmp_path / "burned", BurnedInAnnotation="YES")
    assert cleaned(burned, tmp_path / "a", Options(allow_burned_in=True)).Rows == 6
    coloured = written(tmp_path / "coloured", PhotometricInterpretation="RGB")
    assert cleaned(coloured, tmp_path / "c", Options(allow_captures=True)).Rows == 6
    capture = written(tmp_path / "capture", SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    assert cleaned(capture, tmp_path / "b", Options(allow_captures=True)).Rows == 6


def test_a_refused_image_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    source = written(tmp_path / "in")
    written(source / "more", BurnedInAnnotation="YES")
    arguments = ["deidentify", str(source), "-o", str(tmp_path / "out"), "--json"]
    assert call([*arguments, "--key", str(tmp_path / "key")]) == 3
    output = capsys.readouterr()
    assert '"images": 2' in output.out
    assert output.out.count("pixels-identifying") == 2
    assert "file 3 of 4" in output.err
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert call(arguments) == 2  # the output is there


def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("password")
    with pytest.raises(InputError) as caught:
        read_key(tmp_path / "key")
    assert caught.value.code == "input-unreadable"


def test_an_output_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError):
        deidentify(written(tmp_path / "in"), tmp_path / "out", KEY, Options())


def test_an_image_without_identifiers_gets_some(tmp_path: Path) -> None:
    source = written(tmp_path / "in", SOPInstanceUID="", StudyInstanceUID="not-a-uid")
    deidentify(source, tmp_path / "out", KEY, Options())
    images = [pydicom.dcmread(path) for path in (tmp_path / "out").rglob("*.dcm")]
    assert len({image.SOPInstanceUID for image in images}) == 2
    assert all(image.StudyInstanceUID.is_valid for image in images)


def without(*keywords: str) -> Any:
    """An edit that leaves elements out."""

    def edit(index: int, dataset: FileDataset) -> None:
        for keyword in keywords:
            delattr(dataset, keyword)

    return edit


def test_images_without_a_study_stay_together(tmp_path: Path) -> None:
    source = tmp_path / "in"
    edit = without("StudyInstanceUID")
    write_series(source / "a", np.zeros((2, 6, 6), np.int16), series_uid="1.2.3", edit=edit)
    write_series(source / "b", np.zeros((1, 6, 6), np.int16), series_uid="1.2.3", edit=edit)
    write_series(source / "b", np.zeros((1, 6, 6), np.int16), prefix="other", edit=edit)
    write_series(source / "c", np.zeros((1, 6, 6), np.int16), edit=edit)
    done = deidentify(source, tmp_path / "out", KEY, Options())
    images = [pydicom.dcmread(path) for path in (tmp_path / "out").rglob("*.dcm")]
    assert (done.images, len(done.studies), len({i.SeriesInstanceUID for i in images})) == (5, 2, 3)
    again = deidentify(source, tmp_path / "again", KEY, Options())
    assert again.studies == done.studies


def test_equal_places_in_two_inputs_do_not_share_names(tmp_path: Path) -> None:
    nothing = without("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID")
    names: list[set[str]] = []
    for number in range(2):
        values = np.full((2, 6, 6), number, np.int16)
        write_series(tmp_path / f"in{number}", values, edit=nothing)
        deidentify(tmp_path / f"in{number}", tmp_path / f"out{number}", KEY, Options())
        images = [pydicom.dcmread(path) for path in (tmp_path / f"out{number}").rglob("*.dcm")]
        keywords = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID")
        names.append({str(image[keyword].value) for image in images for keyword in keywords})
        assert len(names[-1]) == 2 + 3  # two images of one series, study and patient
    assert not names[0] & names[1]


@pytest.mark.parametrize(
    ("keyword", "representation", "value", "signed", "kept"),
    [
        ("PixelPaddingValue", "US", 63536, 1, -2000),
        ("PixelPaddingValue", "SS", -2000, 0, 63536),
        ("SmallestImagePixelValue", "SS", -1000, 0, 64536),
        ("CTDIvol", "LO", ["12.5", "13"], 0, [12.5, 13]),
        ("CTDIvol", "UT", "12,5", 0, 12.5),
        ("RescaleIntercept", "LO", "-1024", 0, -1024),
        ("PixelSpacing", "LO", ["0,7", "0,8"], 0, [0.7, 0.8]),
        ("InstanceNumber", "LO", ["1", "x"], 0, None),
        ("InstanceNumber", "DS", "1.5", 0, None),
        ("AcquisitionNumber", "DS", "1e11", 0, None),
        ("FloatPixelPaddingValue", "FD", 1e300, 0, None),
        ("PixelPaddingRangeLimit", "SL", 100_000, 0, None),
    ],
)
def test_numbers_in_another_representation_are_kept_or_left_out(
    tmp_path: Path, keyword: str, representation: str, value: Any, signed: int, kept: Any
) -> None:
    source = written(tmp_path / "in", PixelRepresentation=signed)
    for path in source.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.add_new(keyword, representation, value)
        pydicom.dcmwrite(path, dataset, enforce_file_format=False)
    assert cleaned(source, tmp_path / "out").get(keyword) == kept


def test_a_decimal_comma_is_read_as_the_analysis_reads_it(tmp_path: Path) -> None:
    source = written(tmp_path / "in", PixelSpacing=["1.7", "1.8"])
    for path in source.iterdir():
        path.write_bytes(path.read_bytes().replace(b"1.7\\1.8", b"1,7\\1,8"))
    assert cleaned(source, tmp_path / "out").PixelSpacing == [1.7, 1.8]


def test_an_image_that_cannot_be_written_is_refused_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_as = pydicom.Dataset.save_as

    def failing(dataset: pydicom.Dataset, *arguments: Any, **options: Any) -> None:
        if dataset.InstanceNumber == 1:
            raise OSError("a number that does not fit")
        save_as(dataset, *arguments, **options)

    monkeypatch.setattr(pydicom.Dataset, "save_as", failing)
    done = deidentify(written(tmp_path / "in"), tmp_path / "out", KEY, Options())
    assert [error.code for error in done.refused] == ["not-analysable"]
    assert done.images == 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("DERIVED SECONDARY PROJECTION_IMAGE", "DERIVED SECONDARY PROJECTION_IMAGE"),
        ("DERIVED SECONDARY MNIP", "DERIVED SECONDARY MNIP"),
        ("DERIVED SECONDARY Smith CT_SOM5/MIP", "DERIVED SECONDARY MIP"),
        ("DERIVED SECONDARY MAX_IP", "DERIVED SECONDARY MAXIP"),
        ("SMITH SMITH RAYSUM", "OTHER OTHER RAYSUM"),
        ("ORIGINAL PRIMARY AXIAL SMITH", "ORIGINAL PRIMARY AXIAL"),
    ],
)
def test_an_image_type_says_still_what_is_shown(tmp_path: Path, given: str, kept: str) -> None:
    words = [word.replace("_", " ") for word in given.split()]
    image = cleaned(written(tmp_path / "in", ImageType=words), tmp_path / "out")
    assert list(image.ImageType) == [word.replace("_", " ") for word in kept.split()]


def test_the_device_stays_in_its_own_script(tmp_path: Path) -> None:
    source = written(tmp_path / "in", SpecificCharacterSet="ISO_IR 192", StationName="撮影室")
    image = cleaned(source, tmp_path / "out", Options(retain_device=True))
    assert image.StationName == "撮影室"


@pytest.mark.parametrize("padding", [None, -32768])
@pytest.mark.parametrize("compressed", [False, True])
def test_signed_numbers_of_one_bit_more_than_is_stated_stay(
    tmp_path: Path, padding: int | None, compressed: bool
) -> None:
    """2500 HU in 12 bits with a sign would be -1596."""
    values = np.linspace(-1024, 3071, 256, dtype=np.int16).reshape(16, 16)
    source = tmp_path / "in"
    (path,) = write_series(source, np.zeros((1, 16, 16), np.int16))
    dataset = pydicom.dcmread(path)
    dataset.PixelRepresentation, dataset.RescaleIntercept = 1, 0
    if padding is not None:
        values[0] = padding
        dataset.add_new("PixelPaddingValue", "US", padding % 2**16)
    dataset.PixelData, dataset.BitsStored, dataset.HighBit = values.tobytes(), 16, 15
    if compressed:
        dataset.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    dataset.BitsStored, dataset.HighBit = 12, 11
    pydicom.dcmwrite(path, dataset, enforce_file_format=False)
    image = cleaned(source, tmp_path / "out")
    assert np.array_equal(np.frombuffer(image.PixelData, "<i2").reshape(16, 16), values)
    assert (image.BitsStored, image.HighBit) == (13, 12)


def test_compressed_pixels_come_out_plain(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (path,) = write_series(tmp_path / "plain", np.zeros((1, 16, 16), np.int16))
    dataset = pydicom.dcmread(path)
    before = dataset.pixel_array
    dataset.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    dataset.save_as(source / "x.dcm")
    image = cleaned(source, tmp_path / "out")
    assert image.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert np.array_equal(image.pixel_array, before)


@pytest.mark.parametrize("high", [11, 13, 15])
@pytest.mark.parametrize("compressed", [False, True])
def test_drawings_beside_the_bits_of_an_image_are_cleared(
    tmp_path: Path, high: int, compressed: bool
) -> None:
    values = np.arange(256, dtype=np.uint16).reshape(16, 16) * 13 + 7
    drawing = 0xFFFF ^ (0xFFF << (high - 11))
    source = tmp_path / "in"
    (path,) = write_series(source, np.zeros((1, 16, 16), np.int16))
    dataset = pydicom.dcmread(path)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 0
    dataset.PixelData = (values << (high - 11) | drawing).tobytes()
    if compressed:
        dataset.compress(pydicom.uid.JPEGLSLossless, generate_instance_uid=False)
    dataset.BitsStored, dataset.HighBit = 12, high
    dataset.save_as(path)
    image = cleaned(source, tmp_path / "out")
    assert image.HighBit == 11
    assert np.array_equal(np.frombuffer(image.PixelData, "<u2").reshape(16, 16), values)


def test_damaged_files_are_refused_by_code(tmp_path: Path) -> None:
    source = written(tmp_path / "in")
    paths = sorted(source.iterdir())
    paths[0].write_bytes(paths[0].read_bytes()[:-40])
    done = deidentify(source, tmp_path / "out", KEY, Options())
    assert [error.code for error in done.refused] == ["dicom-truncated"]
    assert done.images == 1


def test_an_image_of_unknown_size_is_refused(tmp_path: Path) -> None:
    source = written(tmp_path / "in")
    write_series(source / "more", np.zeros((1, 6, 6), np.int16), edit=without("Rows"))
    done = deidentify(source, tmp_path / "out", KEY, Options())
    assert [error.code for error in done.refused] == ["dicom-unreadable"]
    assert done.images == 2


def test_results_do_not_change(
    tmp_path: Path, small_phantom: Callable[[str], Phantom], segmenter: Segmenter
) -> None:
    series = write_phantom(tmp_path / "ct", small_phantom("moderate"))
    deidentify(series, tmp_path / "out", KEY, Options())
    before, after = (
        to_result(analyze(path, segmenter=segmenter, ranges=False, name="case"))
        for path in (series, tmp_path / "out")
    )
    for part in ("lungs", "burden", "scores", "severity", "lobes"):
        assert getattr(before, part) == getattr(after, part)
    assert before.input.voxels_sha256 == after.input.voxels_sha256
