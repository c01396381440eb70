"""The objects of a case: whole or not there, the same for the same result, and silent on names."""

import json
import shutil
import sys
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset

from lungscore.cli.main import call
from lungscore.errors import LungscoreError
from lungscore.inference import Segmenter
from lungscore.pacs.write import ObjectSettings, write_objects
from lungscore.scan.phantom import Phantom
from tests.pacs.series import analysed, write_phantom

pytest.importorskip("highdicom", reason="highdicom is not here: pip install lungscore[dicom]")

MOMENT = datetime(2026, 1, 2, 3, 4, 5)
FILES = {
    *("both-lungs.dcm", "lungs.dcm", "lobes.dcm", "lesions.dcm", "measurements.dcm", "report.dcm"),
    *(f"picture-{number:02d}.dcm" for number in range(1, 6)),
}
#: What may differ between two runs, and does between two moments.
DATES = {
    *("ContentDate", "ContentTime", "SeriesDate", "SeriesTime", "ContributionDateTime"),
    *("InstanceCreationDate", "InstanceCreationTime"),
    *("DateOfSecondaryCapture", "TimeOfSecondaryCapture"),
}
Made = Callable[[str], tuple[Path, Path]]


@pytest.fixture
def case(made: Made, tmp_path: Path) -> tuple[Path, Path]:
    """Series and folder of results, to be spoiled."""
    series, folder = made("axial")
    return (
        Path(shutil.copytree(series, tmp_path / "series")),
        Path(shutil.copytree(folder, tmp_path / "case")),
    )


def code_of(case: Path, series: Path) -> str:
    """The code with which writing fails; nothing is left behind."""
    before = sorted(case.rglob("*"))
    with pytest.raises(LungscoreError) as failure:
        write_objects(case, series, case / "dicom")
    assert sorted(case.rglob("*")) == before
    return failure.value.code


# The command


def test_the_command_writes_beside_the_result(
    case: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    series, folder = case
    assert call(["dicom", str(folder), "--source", str(series)]) == 0
    assert {file.name for file in (folder / "dicom").iterdir()} == FILES
    said = capsys.readouterr()
    assert "lesions.dcm" in said.out
    assert "Müller" not in said.out + said.err
    # Unasked, nothing is replaced; asked, a folder of objects is.
    assert call(["dicom", str(folder), "--source", str(series)]) == 2
    assert "output-exists" in capsys.readouterr().err


@pytest.mark.slow
def test_analyze_writes_the_objects_of_a_zip_too(
    tmp_path: Path, made: Made, stand_in_model: Path
) -> None:
    series, _ = made("axial")
    archive = shutil.make_archive(str(tmp_path / "chest"), "zip", series)
    command = ["analyze", archive, "-o", str(tmp_path / "out"), "--model", str(stand_in_model)]
    command += ["--dicom", "--regions", "--no-ranges"]
    assert call(command) == 0
    written = {file.name for file in (tmp_path / "out" / "chest" / "dicom").iterdir()}
    assert written == FILES | {"regions.dcm"}
    # Resumed: what is missing is added.
    shutil.rmtree(tmp_path / "out" / "chest" / "dicom")
    assert call([*command, "--resume"]) == 0
    assert (tmp_path / "out" / "chest" / "dicom" / "regions.dcm").is_file()


def test_analyze_refuses_what_has_no_series_before_the_work(
    phantom_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["analyze", str(phantom_file), "-o", str(tmp_path / "out"), "--dicom"]) == 3
    assert "source-not-dicom" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_options_of_objects_need_objects(phantom_file: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    assert call(["analyze", str(phantom_file), "-o", out, "--etiology", "covid-19"]) == 2


def test_a_missing_library_is_said_before_the_work(
    case: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    series, folder = case
    monkeypatch.setitem(sys.modules, "highdicom", None)
    out = folder.parent / "out"
    for command in (
        ["dicom", str(folder), "--source", str(series)],
        ["analyze", str(series), "-o", str(out), "--dicom"],
    ):
        assert call(command) == 4
        assert 'pip install "lungscore[dicom]"' in capsys.readouterr().err
    assert not out.exists()


# What cannot be written


def test_objects_of_another_study_are_not_replaced(
    case: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    series, folder = case
    objects = folder / "dicom"
    objects.mkdir()
    (objects / "lobes.dcm").write_bytes(b"damaged")
    shutil.copy(next(series.iterdir()), objects / "lungs.dcm")
    command = ["dicom", str(folder), "--source", str(series), "--overwrite"]
    other = pydicom.dcmread(objects / "lungs.dcm")
    other.StudyInstanceUID = "1.2.3"
    other.save_as(objects / "lungs.dcm")
    assert call(command) == 2
    assert "objects of another study" in capsys.readouterr().err
    assert {path.name for path in objects.iterdir()} == {"lobes.dcm", "lungs.dcm"}
    (objects / "lungs.dcm").unlink()
    assert call(command) == 0
    assert {path.name for path in objects.iterdir()} == FILES


def test_a_result_of_nifti_has_no_series(case: tuple[Path, Path]) -> None:
    series, folder = case
    edit_result(folder, kind="nifti", series_uid=None)
    assert code_of(folder, series) == "source-not-dicom"


def edit_result(folder: Path, **values: object) -> None:
    path = folder / "result.json"
    content = json.loads(path.read_text("utf-8"))
    content["input"] |= values
    path.write_text(json.dumps(content), "utf-8")


def test_another_series_is_not_the_source(
    case: tuple[Path, Path], tmp_path: Path, small_phantom: Callable[[str], Phantom]
) -> None:
    _, folder = case
    stranger = write_phantom(tmp_path / "stranger", small_phantom("moderate"))
    assert code_of(folder, stranger) == "source-missing"
    assert code_of(folder, folder / "lungs.nii.gz") == "source-missing"
    assert code_of(folder, tmp_path / "gone") == "input-not-found"


def test_a_changed_voxel_is_noticed(case: tuple[Path, Path]) -> None:
    series, folder = case
    path = sorted(series.iterdir())[5]
    file = pydicom.dcmread(path)
    pixels = file.pixel_array.copy()
    pixels[40, 40] += 1
    file.PixelData = pixels.tobytes()
    file.save_as(path)
    assert code_of(folder, series) == "source-changed"


@pytest.mark.parametrize(("number", "code"), [(0, "source-changed"), (7, "slice-gap")])
def test_a_missing_instance_is_noticed(case: tuple[Path, Path], number: int, code: str) -> None:
    series, folder = case
    sorted(series.iterdir())[number].unlink()
    assert code_of(folder, series) == code


def test_masks_of_another_geometry_are_refused(case: tuple[Path, Path]) -> None:
    series, folder = case
    image = nib.load(folder / "lobes.nii.gz")
    moved = image.affine.copy()
    moved[0, 3] += 3.0
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), moved), folder / "lobes.nii.gz")
    assert code_of(folder, series) == "mask-geometry"


def test_edited_masks_are_refused(case: tuple[Path, Path]) -> None:
    series, folder = case
    image = nib.load(folder / "lesions.nii.gz")
    labels = np.asarray(image.dataobj).copy()
    labels[:48] = 0
    nib.save(nib.Nifti1Image(labels, image.affine), folder / "lesions.nii.gz")
    assert code_of(folder, series) == "case-damaged"


@pytest.mark.slow
def test_images_of_no_study_or_of_one_name_cannot_be_referred_to(
    tmp_path: Path,
    small_phantom: Callable[[str], Phantom],
    segmenter: Segmenter,
    stand_in_model: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def no_study(index: int, dataset: FileDataset) -> None:
        dataset.StudyInstanceUID = ""

    def same_name(index: int, dataset: FileDataset) -> None:
        dataset.SOPInstanceUID = "1.2.3"

    series = write_phantom(tmp_path / "ct", small_phantom("moderate"), edit=no_study)
    out = tmp_path / "out"
    command = ["analyze", str(series), "-o", str(out), "--model", str(stand_in_model), "--dicom"]
    assert call(command) == 3
    said = capsys.readouterr().err
    assert "source-unusable" in said
    assert "StudyInstanceUID is missing or empty in 16 of 16 images" in said
    assert not out.exists()  # before the analysis
    series = write_phantom(tmp_path / "same", small_phantom("moderate"), edit=same_name)
    assert code_of(analysed(series, out, segmenter), series) == "source-unusable"


@pytest.mark.slow
def test_missing_identifiers_of_images_are_named_and_replaced_by_others(
    tmp_path: Path, small_phantom: Callable[[str], Phantom], segmenter: Segmenter
) -> None:
    def spoil(index: int, dataset: FileDataset) -> None:
        dataset.SOPInstanceUID = dataset.FrameOfReferenceUID = ""
        del dataset.SliceThickness

    series = write_phantom(tmp_path / "ct", small_phantom("moderate"), edit=spoil)
    folder = analysed(series, tmp_path / "out", segmenter)
    written = write_objects(folder, series, tmp_path / "dicom", moment=MOMENT)
    assert {fault.split(" is ")[0] for fault in written.faults} == {
        *("SOPInstanceUID", "FrameOfReferenceUID", "SliceThickness")
    }
    lungs, lesions = (
        pydicom.dcmread(written.folder / f"{kind}.dcm") for kind in ("lungs", "lesions")
    )
    assert lungs.FrameOfReferenceUID == lesions.FrameOfReferenceUID
    (images,) = lungs.ReferencedSeriesSequence
    uids = {item.ReferencedSOPInstanceUID for item in images.ReferencedInstanceSequence}
    assert len(uids) == 16
    assert all(uid.startswith("2.25.") for uid in uids)


def test_what_nobody_foresaw_in_a_header_is_a_rejection(
    case: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise ValueError("canary")

    series, folder = case
    monkeypatch.setattr("lungscore.pacs.write.segmentation", fail)
    assert code_of(folder, series) == "not-analysable"


# What is in them


def elements(file: Dataset, where: str = "") -> dict[str, object]:
    """Every element with its path."""
    values: dict[str, object] = {}
    for element in file:
        name = f"{where}{element.keyword or element.tag}"
        if element.VR == "SQ":
            for number, item in enumerate(element.value):
                values |= elements(item, f"{name}[{number}].")
        else:
            values[name] = element.value
    return values


@pytest.mark.slow
def test_equal_results_give_equal_bytes_but_for_the_stated_dates(
    made: Made, tmp_path: Path
) -> None:
    series, folder = made("feet-first")
    moments = {"first": MOMENT, "again": MOMENT, "later": datetime(2027, 5, 6, 7, 8, 9)}
    for name, moment in moments.items():
        write_objects(folder, series, tmp_path / name, moment=moment)
    for name in FILES:
        first, again, later = ((tmp_path / n / name).read_bytes() for n in moments)
        assert first == again
        before, after = (elements(pydicom.dcmread(BytesIO(data))) for data in (first, later))
        assert before.keys() == after.keys()
        different = {key.split(".")[-1] for key in before if before[key] != after[key]}
        assert different <= DATES


def test_every_object_is_of_the_patient_and_for_research(
    made: Made, tmp_path: Path, small_phantom: Callable[[str], Phantom]
) -> None:
    series, folder = made("prone")
    write_objects(folder, series, tmp_path / "dicom", moment=MOMENT)
    source = pydicom.dcmread(next(series.iterdir()))
    files = [pydicom.dcmread(path) for path in (tmp_path / "dicom").iterdir()]
    for file in files:
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID"):
            assert file[keyword].value == source[keyword].value
        assert "research use only" in file.SeriesDescription
        assert file.SeriesInstanceUID != source.SeriesInstanceUID
    assert len({file.SOPInstanceUID for file in files}) == len(files)
    series_of_kinds = {(file.SeriesInstanceUID, file.Modality, file.SeriesNumber) for file in files}
    assert len({uid for uid, _, _ in series_of_kinds}) == len(series_of_kinds)


def test_key_images_refer_to_the_slices_that_they_show(made: Made, tmp_path: Path) -> None:
    series, folder = made("feet-first")
    write_objects(folder, series, tmp_path / "dicom", moment=MOMENT)
    heights = {
        (file := pydicom.dcmread(path)).SOPInstanceUID: file.ImagePositionPatient[2]
        for path in series.iterdir()
    }
    ordered = sorted(heights, key=heights.__getitem__, reverse=True)
    for number in range(2, 6):
        picture = pydicom.dcmread(tmp_path / "dicom" / f"picture-{number:02d}.dcm")
        (image,) = picture.SourceImageSequence
        shown = ordered.index(image.ReferencedSOPInstanceUID) + 1
        assert picture.ImageComments.startswith(f"Slice {shown} of {len(ordered)}.")
        assert picture.pixel_array.shape[2] == 3


@pytest.mark.slow
def test_the_report_is_that_of_the_case_or_else_a_page_of_its_numbers(
    case: tuple[Path, Path], tmp_path: Path
) -> None:
    series, folder = case
    write_objects(folder, series, tmp_path / "page", moment=MOMENT)
    page = pydicom.dcmread(tmp_path / "page" / "report.dcm")
    assert page.EncapsulatedDocument.startswith(b"%PDF")
    assert page.MIMETypeOfEncapsulatedDocument == "application/pdf"
    (folder / "report.pdf").write_bytes(b"%PDF-1.7 full report.")
    write_objects(folder, series, tmp_path / "full", moment=MOMENT)
    full = pydicom.dcmread(tmp_path / "full" / "report.dcm")
    length = full.EncapsulatedDocumentLength
    assert full.EncapsulatedDocument[:length] == b"%PDF-1.7 full report."


@pytest.mark.slow
def test_what_the_series_says_of_the_patient_is_kept_in_utf_8(
    tmp_path: Path, small_phantom: Callable[[str], Phantom], segmenter: Segmenter
) -> None:
    def describe(index: int, dataset: FileDataset) -> None:
        dataset.SpecificCharacterSet = "GB18030"
        dataset.PatientName, dataset.StudyDescription = "Zhang^San=张^三", "胸部"
        dataset.PatientIdentityRemoved = "YES"
        method = Dataset()
        method.CodeValue, method.CodingSchemeDesignator = "113100", "DCM"
        method.CodeMeaning = "Basic Application Confidentiality Profile"
        dataset.DeidentificationMethodCodeSequence = [method]

    series = write_phantom(tmp_path / "ct", small_phantom("moderate"), edit=describe)
    folder = analysed(series, tmp_path / "out", segmenter)
    written = write_objects(folder, series, tmp_path / "dicom")
    assert written.faults == ()
    for path in written.folder.iterdir():
        file = pydicom.dcmread(path)
        assert file.SpecificCharacterSet == "ISO_IR 192"
        assert file.PatientName == "Zhang^San=张^三"
        assert file.StudyDescription == "胸部"
        assert file.DeidentificationMethodCodeSequence[0].CodeValue == "113100"


def test_libraries_do_not_quote_the_patient(
    tmp_path: Path,
    small_phantom: Callable[[str], Phantom],
    segmenter: Segmenter,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    def spoil(index: int, dataset: FileDataset) -> None:
        dataset.PatientName = "Canary"  # no components, of which highdicom warns
        dataset.PatientBirthDate = "canary"

    series = write_phantom(tmp_path / "ct", small_phantom("moderate"), edit=spoil)
    recwarn.clear()
    folder = analysed(series, tmp_path / "out", segmenter)
    settings = ObjectSettings(etiology="covid-19")
    written = write_objects(folder, series, tmp_path / "dicom", settings=settings)
    said = capfd.readouterr()
    text = said.out + said.err + " ".join(str(entry.message) for entry in recwarn)
    assert "canary" not in (text + " ".join(written.faults)).casefold()
    report = pydicom.dcmread(written.folder / "measurements.dcm")
    assert report.PatientName == "Canary"
    assert "840539006" in str(report)
