"""Other programs find no error in the objects, and read the same masks and numbers from them."""

import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from lungscore.inference import Segmenter
from lungscore.pacs.write import ObjectSettings, write_objects
from tests.pacs.reader import labels_at, voxels_of
from tests.pacs.series import analysed, repaired

pytestmark = pytest.mark.ci

highdicom = pytest.importorskip(
    "highdicom", reason="highdicom is not here: pip install lungscore[dicom]"
)
PIXELMED = Path("/usr/share/java/pixelmed.jar")
#: Newer Java limits the XPath expressions of a style sheet, which the validator's exceed.
LIMITS = [f"-Djdk.xml.{name}=0" for name in ("xpathExprGrpLimit", "xpathExprOpLimit")]
LIMITS.append("-Djdk.xml.xpathTotalOpLimit=0")

#: Warnings of dciodvfy that are no fault of an object: it does not know the private scheme, which
#: every object declares; and a study without date or number is the source's.
KNOWN = ("99LUNGSCORE", "needed to build DICOMDIR - Study")

Made = Callable[[str], tuple[Path, Path]]


def needs(program: str, package: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not here: apt-get install {package}")
    return path


@pytest.fixture(scope="module", params=["oblique", "feet-first", "P002"])
def case(
    request: pytest.FixtureRequest,
    made: Made,
    segmenter: Segmenter,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Path]:
    """A folder of results, and that of its objects."""
    folder = tmp_path_factory.mktemp("objects")
    if request.param == "P002":
        data: Path = request.getfixturevalue("real_data")
        series = repaired(data / "covid-ct-md" / "P002", folder / "ct")
        results = analysed(series, folder / "out", segmenter, ranges=False)
    else:
        series, results = made(request.param)
    settings = ObjectSettings(regions=True)
    written = write_objects(
        results, series, folder / "dicom", settings=settings, moment=datetime(2026, 1, 2)
    )
    assert written.faults == ()
    return results, written.folder


def test_dciodvfy_finds_no_error(case: tuple[Path, Path]) -> None:
    program = needs("dciodvfy", "dicom3tools")
    for path in sorted(case[1].iterdir()):
        done = subprocess.run(
            [program, str(path)], capture_output=True, text=True, errors="replace"
        )
        lines = (done.stdout + done.stderr).splitlines()
        unexpected = [line for line in lines if re.match(r"\(0x|Error|Warning", line)]
        assert [line for line in unexpected if not any(map(line.count, KNOWN))] == [], path.name


def test_the_validator_of_structured_reports_finds_no_error(case: tuple[Path, Path]) -> None:
    program = needs("java", "default-jre-headless")
    if not PIXELMED.is_file():
        pytest.skip("pixelmed.jar is not here: apt-get install libpixelmed-java")
    validator = "com.pixelmed.validate.DicomSRValidator"
    command = [program, *LIMITS, "-cp", str(PIXELMED), validator, str(case[1] / "measurements.dcm")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = done.stdout + done.stderr
    assert "Found Root Template TID_1500 (MeasurementReport)" in said
    assert "IOD validation complete" in said
    assert [line for line in said.splitlines() if line.startswith("Error")] == []


def test_dcmtk_reads_the_numbers(case: tuple[Path, Path]) -> None:
    program = needs("dsrdump", "dcmtk")
    done = subprocess.run(
        [program, "+Pl", str(case[1] / "measurements.dcm")],
        capture_output=True,
        text=True,
        check=True,
    )
    text = (case[0] / "result.json").read_text("utf-8")
    volume = re.search(r'"volume_ml": ([0-9.]+)', text)
    assert volume is not None
    assert f'"Volume")="{float(volume[1])}" (mL' in done.stdout
    assert "Research use only" in done.stdout


def test_highdicom_reads_the_masks(case: tuple[Path, Path]) -> None:
    for kind in ("lungs", "lobes", "lesions", "regions"):
        instance = highdicom.seg.segread(case[1] / f"{kind}.dcm")
        mask = np.asarray(nib.load(case[0] / f"{kind}.nii.gz").dataobj)
        voxels = sum(int(frame.sum()) for frame in instance.pixel_array)
        assert voxels == np.count_nonzero(mask)
    report = highdicom.sr.srread(case[1] / "measurements.dcm")
    assert len(report.content.get_volumetric_roi_measurement_groups()) >= 8


def test_pydicom_alone_reads_the_masks(case: tuple[Path, Path]) -> None:
    for kind in ("lungs", "lobes", "lesions", "regions"):
        instance = pydicom.dcmread(case[1] / f"{kind}.dcm")
        mask = case[0] / f"{kind}.nii.gz"
        for voxels in voxels_of(instance).values():
            label = labels_at(mask, voxels[:1])[0]
            assert np.all(labels_at(mask, voxels) == label)
            assert len(voxels) == np.count_nonzero(np.asarray(nib.load(mask).dataobj) == label)


def test_the_pdf_can_be_drawn(case: tuple[Path, Path], tmp_path: Path) -> None:
    program = needs("pdftoppm", "poppler-utils")
    document = pydicom.dcmread(case[1] / "report.dcm")
    length = document.EncapsulatedDocumentLength
    (tmp_path / "report.pdf").write_bytes(document.EncapsulatedDocument[:length])
    subprocess.run(
        [program, "-r", "50", "-gray", str(tmp_path / "report.pdf"), str(tmp_path / "page")],
        check=True,
    )
    (page,) = tmp_path.glob("page*.pgm")
    from PIL import Image

    pixels = np.asarray(Image.open(page))
    assert (pixels < 128).mean() > 0.01  # there is something on it
    assert (pixels > 250).mean() > 0.5


def test_in_objects_of_a_source_with_invalid_uids_only_these_are_wrong(
    real_data: Path, segmenter: Segmenter, tmp_path: Path
) -> None:
    program = needs("dciodvfy", "dicom3tools")
    series = real_data / "covid-ct-md" / "P002"
    results = analysed(series, tmp_path / "out", segmenter, ranges=False)
    written = write_objects(results, series, tmp_path / "dicom")
    assert {fault.split(" is ")[0] for fault in written.faults} == {
        *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
    }
    image = pydicom.dcmread(next(series.iterdir()), stop_before_pixels=True)
    of_the_source = (str(image.StudyInstanceUID), str(image.SeriesInstanceUID))
    summary = "Error - Dicom dataset contains invalid data values for Value Representations"
    for path in sorted(written.folder.iterdir()):
        command = [program, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        lines = (done.stdout + done.stderr).splitlines()
        errors = [line for line in lines if line.startswith("Error") and line != summary]
        assert errors
        assert [line for line in errors if not any(map(line.count, of_the_source))] == []
