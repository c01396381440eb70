"""The case folder: whole or not at all, and nothing in it that the user did not choose."""

import errno
import gzip
import json
import os
import platform
import sys
from datetime import date
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lungscore.errors import ResourceError, UsageError
from lungscore.report import outputs
from lungscore.report.case_folder import OUTPUTS, refuse_existing
from lungscore.report.outputs import write_outputs
from lungscore.report.pdf import weasyprint
from lungscore.report.settings import ReportSettings
from lungscore.scan.scan import Geometry
from lungscore.scan.write import nifti_bytes


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_case_holds_masks_results_report_and_figures(make_analysis, tmp_path):
    folder = write_outputs(make_analysis(name="P1"), tmp_path)
    assert folder == tmp_path / "P1"
    assert files(folder) == {
        "result.json",
        "run.json",
        "report.html",
        "lungs.nii.gz",
        "lobes.nii.gz",
        "regions.nii.gz",
        "lesions.nii.gz",
        "figures/slices.png",
        "figures/coronal.png",
        "figures/sagittal.png",
        "figures/infection_by_slice.png",
    }
    asked_for = {"report.pdf", "identifiers.json", "fhir.json"}
    assert files(folder) == {name for name in OUTPUTS - asked_for if not name.startswith("dicom/")}
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    "case",
    [
        {"units": "grey", "spacing": False, "sides": False, "depth": 1},
        {"units": "grey", "spacing": False, "depth": 2},
        {"sides": False},
        {"masks_only": True},
        {"infected": False},
        {"codes": ("truncated-scan",)},
    ],
)
def test_cases_that_lack_something_are_written_too(make_analysis, tmp_path, case):
    folder = write_outputs(make_analysis(**case), tmp_path)
    page = (folder / "report.html").read_text("utf-8")
    assert "Research use only" in page
    assert ("lobes.nii.gz" in files(folder)) == case.get("sides", True)


def test_equal_analyses_give_equal_files(make_analysis, tmp_path):
    first = write_outputs(make_analysis(), tmp_path / "a")
    second = write_outputs(make_analysis(), tmp_path / "b")
    for name in files(first) - {"run.json"}:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


AXES = [(axes, signs) for axes in ((0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)) for signs in (1, -1)]


@pytest.mark.parametrize(("axes", "sign"), AXES)
def test_masks_come_back_in_the_sources_own_geometry(axes, sign):
    affine = np.eye(4)
    affine[:3, :3] = np.diag([sign * 0.7, -0.8, 2.5])[:, axes]
    affine[:3, 3] = (10, -20, 30)
    source = np.random.default_rng(1).integers(0, 21, (4, 5, 6)).astype(np.uint8)
    geometry = Geometry(source.shape, affine)
    content = nifti_bytes(geometry.to_canonical(source), geometry)
    image = nib.Nifti1Image.from_bytes(gzip.decompress(content))
    assert image.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(image.dataobj), source)
    for stored, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
        assert code == 1
        assert np.allclose(stored, affine, atol=1e-5)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_existing_output_is_refused_and_kept(make_analysis, tmp_path):
    folder = write_outputs(make_analysis(), tmp_path)
    before = (folder / "run.json").read_bytes()
    with pytest.raises(UsageError) as refused:
        write_outputs(make_analysis(), tmp_path)
    assert refused.value.code == "output-exists"
    assert str(tmp_path) not in refused.value.message
    assert (folder / "run.json").read_bytes() == before


def test_overwrite_replaces_the_whole_folder(make_analysis, tmp_path):
    write_outputs(make_analysis(), tmp_path)
    folder = write_outputs(make_analysis(sides=False), tmp_path, overwrite=True)
    assert "lobes.nii.gz" not in files(folder)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    "foreign",
    [
        *("IM0001.dcm", "notes.txt", "dicom/IM0001.dcm", "figures/for the paper.png"),
        *("figures/slides/slices.png", "dicom/.hidden"),
    ],
)
def test_overwrite_never_deletes_what_lungscore_did_not_write(make_analysis, tmp_path, foreign):
    folder = write_outputs(make_analysis(), tmp_path)
    (folder / foreign).parent.mkdir(exist_ok=True)
    (folder / foreign).write_text("mine")
    with pytest.raises(UsageError, match=foreign):
        write_outputs(make_analysis(), tmp_path, overwrite=True)
    assert (folder / foreign).read_text() == "mine"


def test_overwrite_keeps_empty_folders_and_links_of_others(make_analysis, tmp_path):
    folder = write_outputs(make_analysis(), tmp_path)
    (folder / "dicom").mkdir()  # ours, and without worth
    write_outputs(make_analysis(), tmp_path, overwrite=True)
    (folder / "for the paper").mkdir()
    with pytest.raises(UsageError, match="for the paper"):
        write_outputs(make_analysis(), tmp_path, overwrite=True)
    (folder / "for the paper").rmdir()
    (folder / "slides").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="slides"):
        write_outputs(make_analysis(), tmp_path, overwrite=True)


def test_overwrite_follows_no_link(make_analysis, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "case").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError):
        write_outputs(make_analysis(), tmp_path, overwrite=True)


def test_a_full_disk_leaves_nothing_and_keeps_the_old(make_analysis, tmp_path, monkeypatch):
    folder = write_outputs(make_analysis(), tmp_path)
    before = {name: (folder / name).read_bytes() for name in files(folder)}

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("lungscore.report.outputs._write_report", full)
    with pytest.raises(ResourceError) as failed:
        write_outputs(make_analysis(), tmp_path, overwrite=True)
    assert failed.value.code == "disk-full"
    assert list(tmp_path.iterdir()) == [folder]
    assert {name: (folder / name).read_bytes() for name in files(folder)} == before


def test_an_interrupted_write_leaves_nothing(make_analysis, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("lungscore.report.outputs._write_report", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_outputs(make_analysis(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_output_folder_that_is_a_file_is_not_writable(make_analysis, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ResourceError) as failed:
        write_outputs(make_analysis(), tmp_path / "out")
    assert failed.value.code == "output-not-writable"


def test_a_failed_swap_puts_the_old_folder_back(make_analysis, tmp_path, monkeypatch):
    folder = write_outputs(make_analysis(), tmp_path)
    rename, calls = os.rename, []

    def failing(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError(errno.EACCES, "Permission denied")
        rename(source, target)

    monkeypatch.setattr("lungscore.report.case_folder.os.rename", failing)
    with pytest.raises(ResourceError, match="Permission denied"):
        write_outputs(make_analysis(), tmp_path, overwrite=True)
    assert list(tmp_path.iterdir()) == [folder]
    assert "report.html" in files(folder)


def test_a_folder_that_appears_meanwhile_is_kept(make_analysis, tmp_path, monkeypatch):
    write_report = outputs._write_report

    def slow(analysis, folder, settings):
        write_report(analysis, folder, settings)
        (tmp_path / "case").mkdir()
        (tmp_path / "case" / "result.json").write_text("another run")

    monkeypatch.setattr("lungscore.report.outputs._write_report", slow)
    with pytest.raises(UsageError) as failed:
        write_outputs(make_analysis(), tmp_path)
    assert failed.value.code == "output-exists"
    assert (tmp_path / "case" / "result.json").read_text() == "another run"


@pytest.mark.parametrize("name", ["../../etc", "/abs", "..", "", "-rf", "CON", "lpt1.txt", "a\nb"])
def test_dangerous_names_are_made_harmless(name, tmp_path):
    folder = refuse_existing(tmp_path, name)
    assert folder.parent == tmp_path
    folder.mkdir()


def test_run_json_says_how_and_not_who(make_analysis, tmp_path):
    folder = write_outputs(make_analysis(), tmp_path)
    text = (folder / "run.json").read_text("utf-8")
    record = json.loads(text)
    assert record["seconds"]["read"] == 0.25
    assert record["seconds"]["write"] > 0
    assert record["libraries"]["numpy"] == np.__version__
    for private in (str(Path.home()), str(tmp_path), platform.node()):
        assert private not in text


def test_nothing_of_the_patient_reaches_any_output(make_analysis, tmp_path):
    """What a scan carries besides its name and UIDs is never written."""
    analysis = make_analysis()
    canary = "CANARY^DOE"
    object.__setattr__(
        analysis.scan, "left_out", ({"description": canary, "patient": canary, "slices": 3},)
    )
    folder = write_outputs(analysis, tmp_path)
    for path in folder.rglob("*"):
        if path.is_file():
            assert canary.encode() not in path.read_bytes(), path.name


def test_without_a_report_masks_and_numbers_are_written_alone(make_analysis, tmp_path):
    folder = write_outputs(make_analysis(), tmp_path, settings=ReportSettings("none"))
    assert files(folder) == {
        "result.json",
        "run.json",
        "lungs.nii.gz",
        "lobes.nii.gz",
        "regions.nii.gz",
        "lesions.nii.gz",
    }


def test_drawing_a_pdf_leaves_cut_off_pictures_refused():
    from PIL import ImageFile

    try:
        weasyprint()
    except ResourceError as error:
        pytest.skip(str(error))
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_the_small_report_has_no_script_and_is_smaller(make_analysis, tmp_path):
    sizes = {}
    for size in ("full", "small"):
        folder = write_outputs(make_analysis(), tmp_path / size, settings=ReportSettings(size))
        sizes[size] = (folder / "report.html").stat().st_size
        assert ("<script" in (folder / "report.html").read_text("utf-8")) == (size == "full")
    assert sizes["small"] < sizes["full"]


def test_a_pdf_has_the_same_pages_and_loads_nothing(make_analysis, tmp_path):
    try:
        weasyprint()
    except ResourceError as missing:
        pytest.skip(missing.message)
    folder = write_outputs(make_analysis(), tmp_path, settings=ReportSettings("full", pdf=True))
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(Exception, match=r"http|protocol|allowed"):
        weasyprint().URLFetcher(allowed_protocols=["data"]).fetch("http://localhost/a.png")


def test_a_pdf_without_weasyprint_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(ResourceError, match=r"lungscore\[pdf\]") as missing:
        weasyprint()
    assert missing.value.code == "library-missing"


def test_a_pdf_of_no_report_is_refused():
    with pytest.raises(UsageError, match="exclude each other"):
        ReportSettings("none", pdf=True)


def test_the_date_of_the_analysis_is_in_run_json(make_analysis, tmp_path):
    folder = write_outputs(make_analysis(), tmp_path)
    day = json.loads((folder / "run.json").read_text())["date"]
    assert date.fromisoformat(day)
    assert f"analysed {day}" in (folder / "report.html").read_text("utf-8")
