"""What leaves: no name of a file below the input, no formula, no text in place of a UID."""

import csv
import io
import json
import shutil
import zipfile
from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image

from lungscore.cli.main import call
from lungscore.datasets.manifest import COLUMNS, Row, read_rows, write_rows
from lungscore.errors import InputError
from lungscore.files import csv_text, plain_cell, text_cell
from lungscore.result.case_tables import read_table
from lungscore.scan.inspection import inspect_input
from lungscore.scan.phantom import make_phantom
from lungscore.scan.read import read_scan
from lungscore.scan.write import write_dicom_series
from tests.sampling import sampled

PATIENT = "DOE JANE 19700101"
SHAPE, SPACING = (12, 32, 32), (20.0, 4.5, 4.5)


@pytest.fixture(scope="module")
def phantom() -> object:
    return make_phantom("mild", shape=SHAPE, spacing_mm=SPACING).scan


@pytest.fixture
def series(tmp_path: Path, phantom: object) -> Path:
    """Slices that bear the patient's name."""
    folder = tmp_path / "examination"
    write_dicom_series(phantom, folder)
    for path in sorted(folder.iterdir()):
        path.rename(folder / f"{PATIENT} {path.name}")
    return folder


def packed(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as target:
        for member in folder.iterdir():
            target.write(member, member.name)
    return path


def edited(path: Path, **values: object) -> None:
    dataset = pydicom.dcmread(path)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)


def faulty(folder: Path, fault: str) -> None:
    first = min(folder.iterdir())
    content = first.read_bytes()
    if fault == "copied":
        shutil.copy(first, folder / f"{PATIENT} copy.dcm")
    elif fault == "cut off":
        first.write_bytes(content[:-100])
    elif fault == "cut off in the header":
        first.write_bytes(content[:600])
    elif fault == "unknown syntax":
        syntax = b"1.2.840.10008.1.2.1\0"
        first.write_bytes(content.replace(syntax, b"DOE^JANE^19700101^^ ", 1))
    elif fault == "no number":
        edited(first, RescaleSlope=0)
    elif fault == "another image":
        edited(first, SOPInstanceUID="1.2.3", RescaleIntercept=-1000)
        shutil.copy(first, folder / f"{PATIENT} other.dcm")
        edited(first, SOPInstanceUID="1.2.4", RescaleIntercept=-1024)
    elif fault == "a picture":
        for path in folder.iterdir():
            path.unlink()
        for size in (40, 44):
            grey = (np.arange(size * size) % 200).reshape(size, size).astype(np.uint8)
            Image.fromarray(grey).save(folder / f"{PATIENT} {size}.png")


FAULTS = (
    *("copied", "cut off", "cut off in the header", "unknown syntax", "no number"),
    *("another image", "a picture"),
)


@pytest.mark.parametrize(("fault", "zipped"), sampled(product(FAULTS, [False, True]), every=3))
def test_names_of_slices_stay_inside(
    series: Path, fault: str, zipped: bool, capfd: pytest.CaptureFixture
) -> None:
    faulty(series, fault)
    path = packed(series) if zipped else series
    call(["inspect", str(path), "--json"])
    call(["inspect", str(path)])
    shown = capfd.readouterr()
    assert "DOE" not in shown.out + shown.err
    assert "1970" not in shown.out + shown.err
    said = json.dumps(inspect_input(path))
    assert fault == "unknown syntax" or f"of {len(list(series.iterdir()))}" in said


@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
def test_the_name_of_a_volume_in_a_folder_stays_inside(tmp_path: Path, zipped: bool) -> None:
    folder = tmp_path / "examination"
    folder.mkdir()
    values = np.zeros((8, 8, 8), np.int16)
    nib.save(nib.Nifti1Image(values, np.eye(4)), folder / f"{PATIENT}.nii")
    with pytest.raises(InputError) as caught:
        read_scan(packed(folder) if zipped else folder)
    assert caught.value.code == "constant-image"
    assert "DOE" not in caught.value.message
    assert "examination" in caught.value.found


def test_the_path_that_was_typed_keeps_its_name(series: Path) -> None:
    path = min(series.iterdir())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError) as caught:
        read_scan(path)
    assert path.name in caught.value.found


def test_text_in_place_of_a_series_uid_is_replaced(series: Path) -> None:
    for path in series.iterdir():
        edited(path, SeriesInstanceUID="DOE^JANE")
    report = inspect_input(series)
    uid = report["series"][0]["series_uid"]
    assert "DOE" not in json.dumps(report)
    assert uid.startswith("2.25.")
    assert read_scan(series, series=uid).series_uid == uid


CELLS = ["=1+1", "+2+3", "-1+1", "@SUM(1)", "\tx", "\rx", "'=1+1", "''@x", "'plain", "plain", ""]


@pytest.mark.parametrize("cell", CELLS)
def test_no_cell_is_a_formula_and_reading_gives_it_back(cell: str) -> None:
    written = str(text_cell(cell))
    assert not written or written[0] not in "=+-@\t\r"
    assert plain_cell(written) == cell
    rows = list(csv.reader(io.StringIO(csv_text(["a"], [[cell], [-3.5], ["-3.5"]]))))
    assert [row[0] for row in rows[2:]] == ["-3.5", "-3.5"]  # numbers stay numbers


def test_manifests_and_tables_give_names_back(tmp_path: Path) -> None:
    rows = [
        Row(cell, cell, "test", None, None, "s", "volume", f"{cell}.nii", None, "0", None)
        for cell in CELLS[:4]
    ]
    write_rows(rows, tmp_path / "manifest.csv")
    assert list(read_rows(tmp_path / "manifest.csv")) == rows
    lines = (tmp_path / "manifest.csv").read_text().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert all(line.startswith("'") for line in lines[1:])
    (tmp_path / "table.csv").write_text(
        csv_text(["case", "ct_ss"], [[cell, 4] for cell in CELLS[:4]])
    )
    assert [row[1] for row in read_table(tmp_path / "table.csv").rows] == CELLS[:4]


@pytest.mark.slow
def test_names_that_begin_like_formulas_in_the_tables_of_a_cohort(
    tmp_path: Path, phantom_file: Path, stand_in_model: Path
) -> None:
    folder = tmp_path / "cohort"
    folder.mkdir()
    for name in ("=1+1", "+2+3", "@SUM(1)"):
        (folder / f"{name}.nii.gz").write_bytes(b"broken")
    shutil.copy(phantom_file, folder / "=good.nii.gz")
    out = tmp_path / "out"
    given = [str(folder), "-o", str(out), "--model", str(stand_in_model), "--no-ranges"]
    assert call(["analyze", *given]) == 3
    for table in ("cohort.csv", "failures.csv"):
        with open(out / table, newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if cell[:1] in "=+@" and cell]
    assert "'=good,analysed" in (out / "cohort.csv").read_text()
