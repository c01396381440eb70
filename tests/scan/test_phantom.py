"""The phantom's truth is exact, its anatomy is where it belongs, and its files read back."""

from functools import cache
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from scipy import ndimage

from lungscore.cli import demo
from lungscore.errors import ResourceError, UsageError
from lungscore.labels import CONSOLIDATION, GGO, LEFT_LUNG, LOBE_ORDER, LOBES, RIGHT_LUNG
from lungscore.scan.phantom import Phantom, make_phantom
from lungscore.scan.phantom.lesions import FORMER_NAMES, PRESETS, PhantomLesion
from lungscore.scan.phantom.lungs import airways
from lungscore.scan.phantom.shapes import SmoothField
from lungscore.scan.write import write_dicom_series, write_nifti
from lungscore.severity.category import CATEGORIES
from tests.sampling import sampled

SMALL = (48, 96, 96)


@cache
def small(preset: str = "moderate", seed: int = 0) -> Phantom:
    return make_phantom(preset, seed=seed, shape=SMALL)


def one_lesion(lesion: PhantomLesion, **options: float) -> Phantom:
    return make_phantom("healthy", lesions=(lesion,), shape=SMALL, **options)


@pytest.mark.parametrize("preset", sampled(PRESETS, every=2))
def test_truth_is_counted_from_the_masks(preset: str) -> None:
    phantom = small(preset)
    truth, millilitre = phantom.truth, phantom.scan.voxel_ml
    assert truth["lungs_ml"] == pytest.approx((phantom.lungs > 0).sum() * millilitre)
    assert truth["infection_ml"] == pytest.approx((phantom.lesions > 0).sum() * millilitre)
    assert truth["ggo_ml"] == pytest.approx((phantom.lesions == GGO).sum() * millilitre)
    assert truth["infection_percent"] == pytest.approx(
        100 * truth["infection_ml"] / truth["lungs_ml"]
    )
    assert truth["ggo_percent"] + truth["consolidation_percent"] == pytest.approx(
        truth["infection_percent"]
    )
    by_lobe = [truth["lobes"][name]["volume_ml"] for name in LOBE_ORDER]
    assert sum(by_lobe) == pytest.approx(truth["lungs_ml"])
    for name, lobe in truth["lobes"].items():
        inside = phantom.lesions[phantom.lobes == LOBES[name]]
        expected = 100 * (inside > 0).mean() if inside.size else None
        assert lobe["infection_percent"] == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(2))
def test_lobes_partition_two_whole_lungs_of_plausible_size(seed: int) -> None:
    phantom = small("healthy", seed)
    assert np.array_equal(phantom.lobes > 0, phantom.lungs > 0)
    right = np.isin(phantom.lobes, [LOBES["RUL"], LOBES["RML"], LOBES["RLL"]])
    assert np.array_equal(right, phantom.lungs == RIGHT_LUNG)
    for side in (RIGHT_LUNG, LEFT_LUNG):
        assert ndimage.label(phantom.lungs == side)[1] == 1
    volumes = {name: phantom.truth["lobes"][name]["volume_ml"] for name in LOBE_ORDER}
    assert 2500 < phantom.truth["lungs_ml"] < 4500
    assert min(volumes, key=volumes.__getitem__) == "RML"


def test_sides_and_levels_are_anatomical() -> None:
    phantom = small("healthy")
    z, _, x = (
        {label: coordinates[phantom.lobes == label].mean() for label in LOBES.values()}
        for coordinates in np.indices(SMALL)
    )
    assert max(x[LOBES[name]] for name in ("RUL", "RML", "RLL")) < SMALL[2] / 2
    assert min(x[LOBES[name]] for name in ("LUL", "LLL")) > SMALL[2] / 2
    assert z[LOBES["RUL"]] < z[LOBES["RML"]] < z[LOBES["RLL"]]
    assert z[LOBES["LUL"]] < z[LOBES["LLL"]]


def test_heart_lies_to_the_left_and_in_front_of_the_spine() -> None:
    phantom = make_phantom("healthy", shape=SMALL, noise_hu=0)
    rows = phantom.scan.values[27, 30:60, 30:66]  # the heart's level, between the lungs
    tissue = (rows > 30) & (rows < 55) & (phantom.lungs[27, 30:60, 30:66] == 0)
    assert np.argwhere(tissue)[:, 1].mean() + 30 > SMALL[2] / 2 + 2


def test_tissues_have_their_hounsfield_units() -> None:
    phantom = make_phantom("healthy", shape=(56, 128, 128))
    values = phantom.scan.values
    deep = ndimage.binary_erosion(phantom.lungs > 0, iterations=3)
    assert -900 < np.median(values[deep]) < -840
    assert np.median(values[:, :8, :]) == pytest.approx(-1000, abs=10)
    assert (values > 300).mean() > 0.003  # cortical bone
    soft = (values > -150) & (values < 150)
    assert 0.1 < soft.mean() < 0.6
    back = np.indices(values.shape)[1] > np.argwhere(deep)[:, 1].mean()
    assert np.median(values[deep & back]) > np.median(values[deep & ~back]) + 8  # gravity


def test_trachea_is_air_and_no_lung() -> None:
    phantom = make_phantom("healthy", shape=(112, 128, 128), noise_hu=0)
    values = phantom.scan.values
    above = values[8, 40:80, 56:72]
    assert above.min() < -950
    dark = (values[8:45] < -900) & (phantom.lungs[8:45] == 0)
    labels, _ = ndimage.label(dark[:, 40:80, 48:80])
    trachea = labels == np.bincount(labels[labels > 0]).argmax()
    assert trachea.any(axis=(1, 2)).all()
    assert airways()


@pytest.mark.parametrize(("kind", "low", "high"), [("ggo", -650, -450), ("consolidation", -50, 40)])
def test_lesions_have_the_density_of_their_kind(kind: str, low: float, high: float) -> None:
    lesion = PhantomLesion(kind, "RLL", axes_mm=(40, 40, 40))  # type: ignore[arg-type]
    phantom = make_phantom("healthy", lesions=(lesion,), shape=(56, 128, 128))
    label = GGO if kind == "ggo" else CONSOLIDATION
    core = ndimage.binary_erosion(phantom.lesions == label, iterations=2)
    assert core.sum() > 100
    assert low <= np.median(phantom.scan.values[core]) <= high


@pytest.mark.parametrize("lobe", sampled(LOBE_ORDER, every=3))
def test_a_lesion_stays_in_its_lobe(lobe: str) -> None:
    phantom = one_lesion(PhantomLesion("ggo", lobe))
    assert phantom.truth["lesions_ml"][0] > 5
    assert set(np.unique(phantom.lobes[phantom.lesions > 0])) == {LOBES[lobe]}
    assert phantom.truth["infection_ml"] == pytest.approx(phantom.truth["lesions_ml"][0])


def test_a_pleural_lesion_touches_the_pleura() -> None:
    phantom = one_lesion(PhantomLesion("consolidation", "RLL", (0.5, 1.0, 0.4)))
    rim = ndimage.binary_dilation(phantom.lungs == 0)
    assert ((phantom.lesions == CONSOLIDATION) & rim).sum() > 10


@pytest.mark.parametrize("fraction", [0.1, 1 / 3, 0.75])
def test_a_lesion_fills_the_part_of_its_lobe_asked_for(fraction: float) -> None:
    phantom = one_lesion(PhantomLesion("consolidation", "LLL", lobe_fraction=fraction))
    percent = phantom.truth["lobes"]["LLL"]["consolidation_percent"]
    assert percent == pytest.approx(100 * fraction, abs=3)


@pytest.mark.parametrize("seed", sampled(range(2), every=2))
@pytest.mark.slow
def test_presets_are_ordered_by_severity(seed: int) -> None:
    percents = [
        small(preset, seed).truth["infection_percent"]
        for preset in ("healthy", "mild", "moderate", "severe")
    ]
    assert percents[0] == 0
    assert percents[3] > 30
    assert all(2 * low < high for low, high in pairwise(percents))


def test_dense_preset_consolidates_a_third_of_a_lobe() -> None:
    lobes = small("dense").truth["lobes"]
    assert lobes["RLL"]["consolidation_percent"] == pytest.approx(100 / 3, abs=3)
    assert lobes["LLL"]["infection_percent"] == 0


def test_one_lung_preset_has_no_left_lung() -> None:
    phantom = small("one-lung")
    assert set(np.unique(phantom.lungs)) == {0, RIGHT_LUNG}
    assert phantom.truth["left_ml"] == 0
    assert phantom.truth["left_percent"] is None
    assert phantom.truth["lobes"]["LUL"]["infection_percent"] is None
    beside = phantom.scan.values[22, 35:55, 75]  # where the left lung would be
    assert np.median(beside) > -100


def test_a_seed_gives_the_same_phantom() -> None:
    first, second = make_phantom(seed=5, shape=SMALL), make_phantom(seed=5, shape=SMALL)
    assert np.array_equal(first.scan.values, second.scan.values)
    assert np.array_equal(first.lesions, second.lesions)
    assert first.truth == second.truth


@pytest.mark.slow
def test_seeds_differ_in_anatomy_and_lesions() -> None:
    first, second = small(seed=0), small(seed=1)
    assert first.truth["lungs_ml"] != second.truth["lungs_ml"]
    assert not np.array_equal(first.lesions, second.lesions)


@pytest.mark.slow
def test_resolution_does_not_change_the_patient() -> None:
    fine, coarse = make_phantom(shape=(84, 144, 144)).truth, small().truth
    assert fine["lungs_ml"] == pytest.approx(coarse["lungs_ml"], rel=0.03)
    assert fine["infection_percent"] == pytest.approx(coarse["infection_percent"], abs=1)


def test_a_field_of_view_can_be_given() -> None:
    phantom = make_phantom(shape=(20, 64, 64), spacing_mm=(5.0, 5.0, 5.0))
    assert phantom.scan.spacing_mm == phantom.scan.geometry.spacing_mm == (5.0, 5.0, 5.0)
    assert phantom.lungs[0].any()  # 100 mm are less than the lungs: a truncated scan


def test_an_unknown_preset_is_rejected() -> None:
    with pytest.raises(UsageError, match="healthy") as caught:
        make_phantom("ill")
    assert caught.value.code == "usage"


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "cyst", "lobe": "RUL"},
        {"kind": "ggo", "lobe": "XXL"},
        {"kind": "ggo", "lobe": "RUL", "axes_mm": (0, 1, 1)},
        {"kind": "ggo", "lobe": "RUL", "lobe_fraction": 1.5},
    ],
)
def test_a_wrong_lesion_is_rejected(wrong: dict) -> None:
    with pytest.raises(ValueError, match="not"):
        PhantomLesion(**wrong)


def test_a_lesion_in_a_missing_lobe_is_rejected() -> None:
    with pytest.raises(ValueError, match="no LUL"):
        make_phantom("one-lung", lesions=(PhantomLesion("ggo", "LUL"),), shape=SMALL)


def test_smooth_fields_are_the_same_at_every_resolution() -> None:
    field = SmoothField(np.random.default_rng(0), 15.0)

    def axes(step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        line = np.arange(0, 200, step, dtype=np.float32)
        return line[:, None, None], line[None, :, None], line[None, None, :]

    fine = field(axes(2))
    assert fine.std() == pytest.approx(1, abs=0.12)
    assert np.allclose(fine[::2, ::2, ::2], field(axes(4)), atol=1e-4)


def test_nifti_reads_back_in_place(tmp_path: Path) -> None:
    scan = small().scan
    write_nifti(scan, tmp_path / "phantom.nii.gz")
    image = nib.load(tmp_path / "phantom.nii.gz")
    assert image.get_data_dtype() == np.int16
    assert np.allclose(image.affine, scan.geometry.affine)
    read = scan.geometry.to_canonical(np.asanyarray(image.dataobj))
    assert np.array_equal(read, scan.values)
    assert [path.name for path in tmp_path.iterdir()] == ["phantom.nii.gz"]


def test_dicom_series_reads_back_in_place(tmp_path: Path) -> None:
    scan = small().scan
    series = write_dicom_series(scan, tmp_path / "series")
    files = [pydicom.dcmread(path) for path in sorted((tmp_path / "series").iterdir())]
    assert len(files) == SMALL[0]
    assert {file.SeriesInstanceUID for file in files} == {series}
    assert len({file.SOPInstanceUID for file in files}) == SMALL[0]
    assert all(file.SOPInstanceUID.is_valid and file.Modality == "CT" for file in files)
    levels = [float(file.ImagePositionPatient[2]) for file in files]
    assert np.allclose(levels, scan.positions_mm, atol=1e-3)
    read = np.stack([file.pixel_array.astype(np.int16) - 1024 for file in files])
    assert np.array_equal(read, scan.values)
    corner = scan.geometry.canonical_affine @ (0, 0, 0, 1)
    assert np.allclose(files[0].ImagePositionPatient, corner[:3] * (-1, -1, 1), atol=1e-3)
    assert str(files[0].PatientName) == "PHANTOM"


def test_dicom_series_is_the_same_for_the_same_scan(tmp_path: Path) -> None:
    scan = make_phantom("healthy", shape=(6, 32, 32)).scan
    for name in ("a", "b"):
        write_dicom_series(scan, tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_dicom_series_never_overwrites(tmp_path: Path) -> None:
    scan = make_phantom("healthy", shape=(6, 32, 32)).scan
    with pytest.raises(ResourceError) as caught:
        write_dicom_series(scan, tmp_path)
    assert caught.value.code == "output-exists"


@pytest.mark.parametrize(("former", "preset"), sampled(FORMER_NAMES.items(), every=3))
def test_a_former_name_makes_the_same_phantom_and_keeps_its_case_name(
    former: str, preset: str
) -> None:
    shape = (8, 32, 32)
    old, new = make_phantom(former, shape=shape), make_phantom(preset, shape=shape)
    np.testing.assert_array_equal(old.scan.values, new.scan.values)
    assert (old.scan.name, new.scan.name) == (f"phantom-{former}-0", f"phantom-{preset}-0")


def test_no_preset_is_named_after_a_severity_and_the_demo_offers_all() -> None:
    assert not set(PRESETS) & set(CATEGORIES)
    assert demo.PRESETS == PRESETS
