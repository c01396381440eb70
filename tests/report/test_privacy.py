"""Whatever a DICOM header says about a patient, none of it reaches an output."""

import gzip
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
from pydicom import datadict

from lungscore.anatomy.lungs import Lungs
from lungscore.batch.table import write_cohort
from lungscore.inference.lesions import Lesions
from lungscore.report.outputs import write_outputs
from lungscore.report.settings import ReportSettings
from lungscore.report.text import text_table
from lungscore.result import Analysis
from lungscore.scan import Geometry, Scan, read_scan
from lungscore.scan.write import write_dicom_series
from lungscore.severity import Segmentation, measure

CANARY = "CANARY"
# Keyword of every text field that hospitals fill with names, numbers and free text.
FIELDS = """PatientName PatientID PatientBirthName PatientMotherBirthName OtherPatientNames
PatientAddress PatientTelephoneNumbers PatientComments PatientInsurancePlanCodeSequence
ReferringPhysicianName PerformingPhysicianName OperatorsName NameOfPhysiciansReadingStudy
RequestingPhysician InstitutionName InstitutionAddress InstitutionalDepartmentName StationName
StudyDescription SeriesDescription ProtocolName StudyID AccessionNumber AdmissionID
RequestedProcedureDescription RequestedProcedureID PerformedProcedureStepDescription
AdditionalPatientHistory ReasonForStudy ImageComments DerivationDescription Occupation
EthnicGroup MilitaryRank BranchOfService PatientReligiousPreference Allergies MedicalAlerts
DeviceSerialNumber ScheduledPerformingPhysicianName ContrastBolusAgent""".split()


def chest(depth: int) -> Scan:
    values = np.full((depth, 64, 96), 40, dtype=np.int16)
    values[:, 12:52, 8:40] = values[:, 12:52, 56:88] = -850
    values[:, :2] = values[:, -2:] = -1000
    geometry = Geometry((96, 64, depth), np.diag([-3.0, -3.0, 8.0, 1.0]))
    return Scan(values, "hu", geometry, geometry.spacing_mm, True, "phantom", "chest")


def mark(folder: Path) -> int:
    """Fill every field of every file with a canary of its own; how many fields took one."""
    marked = set()
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        dataset = pydicom.dcmread(path)
        for field in FIELDS:
            if datadict.dictionary_VR(field) != "SQ":
                setattr(dataset, field, f"{CANARY}{FIELDS.index(field)}")
                marked.add(field)
        dataset.StudyInstanceUID = "1.2.3"
        block = dataset.private_block(0x0011, f"{CANARY} MAKER", create=True)
        block.add_new(1, "LO", f"{CANARY}PRIVATE")
        dataset.save_as(path)
    return len(marked)


def test_nothing_of_a_dicom_header_reaches_any_output(tmp_path):
    source = tmp_path / "source"
    write_dicom_series(chest(30), source / "a")
    write_dicom_series(chest(12), source / "b")
    assert mark(source) >= 35
    scan = replace(read_scan(source), name="case")
    lungs = np.zeros(scan.shape, dtype=np.uint8)
    lungs[:, 12:52, 8:40], lungs[:, 12:52, 56:88] = 1, 2
    lesions = (lungs == 2).astype(np.uint8)
    severity = measure(
        Segmentation(lungs, lesions, dense=scan.values >= -200, voxel_ml=scan.voxel_ml)
    )
    notices = (*scan.notices, *severity.notices)
    analysis = Analysis(
        scan, Lungs(lungs, True), Lesions(lesions, (), None), None, None, severity, notices, {}
    )
    folder = write_outputs(analysis, tmp_path / "out")
    shutil.rmtree(source)
    assert CANARY not in text_table(analysis)
    for path in tmp_path.rglob("*"):
        assert CANARY not in path.name
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".gz":
                content += gzip.decompress(content)
            assert CANARY.encode() not in content, path.name
    assert (folder / "report.html").exists()


def test_identifiers_are_written_when_asked_for_and_only_those(tmp_path):
    source = tmp_path / "source"
    write_dicom_series(chest(30), source)
    mark(source)
    scan = replace(read_scan(source), name="case")
    lungs = np.zeros(scan.shape, dtype=np.uint8)
    lungs[:, 12:52, 8:40], lungs[:, 12:52, 56:88] = 1, 2
    lesions = (lungs == 2).astype(np.uint8)
    severity = measure(Segmentation(lungs, lesions, voxel_ml=scan.voxel_ml))
    analysis = Analysis(
        scan, Lungs(lungs, True), Lesions(lesions, (), None), None, None, severity, (), {}
    )
    folder = write_outputs(analysis, tmp_path / "out", settings=ReportSettings(identifiers=True))
    stored = json.loads((folder / "identifiers.json").read_text())
    number, description = (
        f"{CANARY}{FIELDS.index(field)}" for field in ("AccessionNumber", "SeriesDescription")
    )
    assert stored["study_uid"] == "1.2.3"
    assert (stored["accession_number"], stored["series_description"]) == (number, description)
    page = (folder / "report.html").read_text("utf-8")
    assert f"{description} · analysed" in page
    canaries = set(re.findall(f"{CANARY}[0-9]*", page + json.dumps(stored)))
    assert canaries == {number, description}
    assert CANARY not in (folder / "result.json").read_text("utf-8")
    write_cohort(tmp_path / "out", ["case"], {})
    table = (tmp_path / "out" / "cohort.csv").read_text("utf-8")
    assert set(re.findall(f"{CANARY}[0-9]*", table)) == {number}
