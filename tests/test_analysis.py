"""From a path to an analysis, with a stand-in for the network."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from nibabel import orientations
from PIL import Image

from lungscore import Analysis, analyze
from lungscore.errors import InputError
from lungscore.inference import Segmenter, load_bundle
from lungscore.report.outputs import write_outputs
from lungscore.result import Result, to_result
from lungscore.scan.phantom import Phantom, make_phantom
from lungscore.scan.write import write_dicom_series, write_nifti
from tests.analyses import codes, never, numbers
from tests.datasets.volumes_on_disk import metaimage, stated_place
from tests.sampling import sampled

Phantoms = Callable[[str], Phantom]


def turn(source: Path, target: Path, axes: str) -> Path:
    """The same image stored along other axes."""
    image = nib.load(source)
    there = orientations.ornt_transform(
        orientations.io_orientation(image.affine), orientations.axcodes2ornt(axes)
    )
    nib.save(image.as_reoriented(there), target)
    return target


def render(phantom: Phantom, folder: Path, *, chosen: slice = slice(None)) -> Path:
    """8-bit PNG slices of a phantom in a lung window, superior first."""
    folder.mkdir()
    grey = np.clip((phantom.scan.values.astype(np.float32) + 1350) / 1500, 0, 1) * 255
    for index, image in enumerate(grey[chosen].round().astype(np.uint8)):
        Image.fromarray(image).save(folder / f"slice {index + 1}.png")
    return folder


@pytest.fixture(scope="module")
def analysis(phantom_file: Path, segmenter: Segmenter) -> Analysis:
    return analyze(phantom_file, segmenter=segmenter)


# One scan in many forms


def test_a_phantom_is_analysed_whole(analysis: Analysis, small_phantom: Phantoms) -> None:
    truth = small_phantom("moderate").truth
    result = to_result(analysis)
    assert Result.model_validate_json(result.to_json()) == result
    assert result.case == "chest"
    assert result.lungs.volume_ml == pytest.approx(truth["lungs_ml"], rel=0.15)
    assert result.scores.ct_ss.total is not None
    assert len(result.scores.ct_ss.regions) == 20
    assert result.scores.tss.total is not None
    assert result.scores.pho is not None
    assert result.severity.category is not None
    assert [model.name for model in result.models] == ["stand-in", "lungs"]
    assert result.engine is not None
    assert result.engine.precision == "f32"


def test_every_stage_is_timed_and_no_notice_stands_twice(analysis: Analysis) -> None:
    stages = {"read", "lungs", "load model", "lesions", "regions", "ranges", "scores"}
    assert set(analysis.times) == stages
    assert all(seconds >= 0 for seconds in analysis.times.values())
    assert len(set(analysis.notices)) == len(analysis.notices)


def test_percent_of_ggo_and_consolidation_add_up(analysis: Analysis) -> None:
    burden = to_result(analysis).burden
    assert None not in (burden.ggo_percent, burden.consolidation_percent)
    parts = (burden.ggo_percent or 0) + (burden.consolidation_percent or 0)
    assert parts == pytest.approx(burden.infection_percent, abs=2e-4)


def test_a_metaimage_gives_the_same_result_and_its_own_masks(
    tmp_path: Path, small_phantom: Phantoms, segmenter: Segmenter, analysis: Analysis
) -> None:
    scan = small_phantom("moderate").scan
    source = scan.geometry.to_source(scan.values)
    path = tmp_path / "chest.mha"
    path.write_bytes(metaimage(source, **stated_place(scan.geometry.affine)))
    analysed = analyze(path, segmenter=segmenter)
    ours, theirs = (to_result(case).model_dump() for case in (analysed, analysis))
    assert ours["input"].pop("kind") == "metaimage"
    assert theirs["input"].pop("kind") == "nifti"
    assert ours == theirs
    mask = nib.load(write_outputs(analysed, tmp_path / "out") / "lungs.nii.gz")
    assert mask.shape == source.shape
    np.testing.assert_allclose(mask.affine, scan.geometry.affine, atol=1e-4)


@pytest.mark.parametrize("axes", sampled(["RPI", "PSR"], every=2))
def test_another_orientation_gives_the_same_numbers_and_its_own_masks(
    tmp_path: Path, phantom_file: Path, segmenter: Segmenter, analysis: Analysis, axes: str
) -> None:
    source = turn(phantom_file, tmp_path / "chest.nii.gz", axes)
    analysed = analyze(source, segmenter=segmenter)
    assert numbers(analysed) == numbers(analysis)
    folder = write_outputs(analysed, tmp_path / "out")
    image = nib.load(source)
    for name in ("lungs", "lobes", "regions", "lesions"):
        mask = nib.load(folder / f"{name}.nii.gz")
        assert mask.shape == image.shape
        np.testing.assert_allclose(mask.affine, image.affine, atol=1e-4)
        assert mask.get_data_dtype() == np.uint8
    # Where the mask says lung, the file holds lung.
    lungs = np.asarray(nib.load(folder / "lungs.nii.gz").dataobj)
    values = np.asarray(image.dataobj)
    assert np.median(values[lungs > 0]) < -700
    assert np.median(values[lungs == 0]) > -1024


def test_dicom_and_a_zip_of_it_give_the_numbers_of_nifti(
    tmp_path: Path,
    small_phantom: Phantoms,
    segmenter: Segmenter,
    analysis: Analysis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    uid = write_dicom_series(small_phantom("moderate").scan, tmp_path / "series")
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "series")
    for path in (tmp_path / "series", Path(archive)):
        analysed = analyze(path, segmenter=segmenter)
        assert numbers(analysed) == numbers(analysis)
        assert to_result(analysed).input.series_uid == uid
    assert list(temporary.iterdir()) == []


def test_a_blank_slice_is_rejected_or_counts_as_missing(
    tmp_path: Path, small_phantom: Phantoms, segmenter: Segmenter
) -> None:
    folder = tmp_path / "series"
    write_dicom_series(small_phantom("moderate").scan, folder)
    blank = sorted(folder.iterdir())[small_phantom("moderate").scan.shape[0] // 2]
    dataset = pydicom.dcmread(blank)
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(blank)
    with pytest.raises(InputError) as caught:
        analyze(folder, segmenter=segmenter)
    assert caught.value.code == "slices-faulty"
    result = to_result(analyze(folder, segmenter=segmenter, allow_gaps=True, ranges=False))
    assert result.severity.category is None
    assert "slices-replaced" in result.severity.withheld


def test_slices_that_were_not_copied_at_the_end_are_null_and_the_scan_is_cut_off(
    tmp_path: Path, small_phantom: Phantoms, segmenter: Segmenter
) -> None:
    scan = small_phantom("moderate").scan
    values = scan.values.copy()
    values[len(values) // 2 :] = -1024
    write_nifti(replace(scan, values=values), tmp_path / "chest.nii.gz")
    result = to_result(analyze(tmp_path / "chest.nii.gz", segmenter=segmenter, ranges=False))
    assert len(result.slices) == len(values)
    assert result.slices[-1].infection_percent is None
    assert {"slices-blank", "truncated-scan"} <= {warning.code for warning in result.warnings}
    assert "truncated-scan" in result.severity.withheld


def test_the_same_input_gives_the_same_bytes_on_any_number_of_threads(
    phantom_file: Path, stand_in_model: Path, analysis: Analysis
) -> None:
    again = Segmenter(load_bundle(stand_in_model), threads=2)
    analysed = analyze(phantom_file, segmenter=again)
    assert to_result(analysed).to_json() == to_result(analysis).to_json()
    np.testing.assert_array_equal(analysed.lesions.labels, analysis.lesions.labels)


# Ranges


def test_a_range_stands_beside_the_numbers_and_holds_them(analysis: Analysis) -> None:
    result = to_result(analysis)
    assert result.ranges is not None
    assert result.ranges.alternatives == 9
    low, high = result.ranges.burden.infection_percent or (None, None)
    assert low < result.burden.infection_percent < high  # type: ignore[operator]
    least, most = result.ranges.scores.ct_ss or (None, None)
    assert least <= result.scores.ct_ss.total <= most  # type: ignore[operator]


def test_without_ranges_every_number_is_the_same(
    phantom_file: Path, segmenter: Segmenter, analysis: Analysis
) -> None:
    plain = analyze(phantom_file, segmenter=segmenter, ranges=False)
    assert to_result(plain).ranges is None
    assert numbers(plain) == numbers(analysis)
    np.testing.assert_array_equal(plain.lesions.labels, analysis.lesions.labels)


# Other lungs


def test_one_lung_leaves_the_other_null(
    tmp_path: Path, small_phantom: Phantoms, segmenter: Segmenter
) -> None:
    write_nifti(small_phantom("one-lung").scan, tmp_path / "one.nii.gz")
    analysed = analyze(tmp_path / "one.nii.gz", segmenter=segmenter)
    result = to_result(analysed)
    assert "one-lung" in codes(analysed)
    assert not result.lungs.left_ml
    assert result.burden.left_percent is None
    assert result.lobes.LUL.infection_percent is None
    assert result.scores.tss.total is None
    assert result.scores.tss.reason
    assert result.severity.category is None


def test_dense_disease_belongs_to_the_lung(
    tmp_path: Path, small_phantom: Phantoms, segmenter: Segmenter
) -> None:
    phantom = small_phantom("dense")
    write_nifti(phantom.scan, tmp_path / "dense.nii.gz")
    analysed = analyze(tmp_path / "dense.nii.gz", segmenter=segmenter)
    consolidated = phantom.lesions == 2
    assert (analysed.lungs.labels[consolidated] > 0).mean() > 0.8
    assert (analysed.lesions.labels[consolidated] == 2).mean() > 0.7
    assert "lungs-from-lesions" in codes(analysed)


def test_a_scan_without_lungs_is_rejected_before_a_model_is_loaded(tmp_path: Path) -> None:
    _, y, x = np.indices((20, 60, 60)) - 30
    values = np.where(y**2 + x**2 < 25**2, 40, -1000).astype(np.int16)
    values += np.random.default_rng(0).integers(-10, 10, values.shape).astype(np.int16)
    nib.save(nib.Nifti1Image(values.T, np.diag([-5.0, -5.0, 5.0, 1])), tmp_path / "water.nii")
    with pytest.raises(InputError) as caught:
        analyze(tmp_path / "water.nii", segmenter=never)
    assert caught.value.code == "no-lungs"


# 8-bit slices


def test_a_folder_of_slices_has_percentages_but_no_millilitres(
    tmp_path: Path, small_phantom: Phantoms, segmenter: Segmenter, analysis: Analysis
) -> None:
    folder = render(small_phantom("moderate"), tmp_path / "slices")
    analysed = analyze(folder, segmenter=segmenter)
    result = to_result(analysed)
    assert result.input.kind == "slices"
    assert result.input.units == "grey"
    assert result.input.spacing_mm is None
    assert result.lungs.volume_ml is None
    assert result.burden.infection_ml is None
    assert result.scores.pho is None
    assert result.scores.lhos.total is None
    assert result.scores.lhos.reason
    in_hu = to_result(analysis).burden.infection_percent
    assert result.burden.infection_percent == pytest.approx(in_hu, abs=3)
    assert result.scores.ct_ss.total is not None
    assert all(s.position_mm is None for s in result.slices)
    assert {"approximate-8bit", "no-spacing"} <= set(codes(analysed))


def test_a_few_slices_of_unknown_distance_have_no_lobes(
    tmp_path: Path, small_phantom: Phantoms, segmenter: Segmenter
) -> None:
    folder = render(small_phantom("moderate"), tmp_path / "slices", chosen=slice(7, 9))
    result = to_result(analyze(folder, segmenter=segmenter, ranges=False))
    assert result.burden.infection_percent is not None
    assert result.scores.ct_ss.total is None
    assert result.scores.tss.total is None


def test_a_fact_about_the_input_is_noted_once(
    tmp_path: Path, small_phantom: Phantoms, segmenter: Segmenter
) -> None:
    folder = render(small_phantom("moderate"), tmp_path / "slices", chosen=slice(7, 8))
    analysed = analyze(folder / "slice 1.png", segmenter=segmenter)
    for code in ("approximate-8bit", "no-spacing", "single-slice"):
        assert codes(analysed).count(code) == 1


def test_one_slice_has_percentages_and_no_scores_of_a_volume(
    tmp_path: Path, small_phantom: Phantoms, segmenter: Segmenter
) -> None:
    folder = render(small_phantom("moderate"), tmp_path / "slices", chosen=slice(7, 8))
    result = to_result(analyze(folder / "slice 1.png", segmenter=segmenter))
    assert result.input.kind == "slice"
    assert result.burden.infection_percent is not None
    assert len(result.slices) == 1
    for score in (result.scores.ct_ss, result.scores.tss, result.scores.ctsi, result.scores.zones):
        assert score.total is None
        assert score.reason
    assert result.scores.po is None
    assert result.scores.mosmed is None
    assert result.severity.category is None
    assert "single-slice" in result.severity.withheld


def test_a_few_slices_have_no_lobes(
    phantom_file: Path, segmenter: Segmenter, tmp_path: Path
) -> None:
    image = nib.load(phantom_file)
    middle = image.shape[2] // 2
    few = tmp_path / "few.nii.gz"
    nib.save(image.slicer[:, :, middle : middle + 4], few)
    result = numbers(analyze(few, segmenter=segmenter))
    assert result["scores"]["tss"]["total"] is None
    assert result["lobes"]["RUL"]["infection_percent"] is None
    assert result["burden"]["infection_percent"] is not None
    assert result["severity"]["category"] is None


def test_coarse_pixels_withhold_the_category(segmenter: Segmenter, tmp_path: Path) -> None:
    path = tmp_path / "coarse.nii.gz"
    write_nifti(make_phantom(shape=(60, 80, 80)).scan, path)
    analysis = analyze(path, segmenter=segmenter)
    assert "coarse-pixels" in codes(analysis)
    assert analysis.severity.category is None
    assert "coarse-pixels" in analysis.severity.withheld
