"""Scores from masks alone are exact."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest

from lungscore import score
from lungscore.errors import InputError
from lungscore.labels import LOBE_ORDER
from lungscore.result import Result, to_result
from lungscore.scan.phantom import Phantom
from lungscore.scan.write import write_nifti
from tests.datasets.volumes_on_disk import metaimage, stated_place

AnyMask = dict[str, Path]


@pytest.fixture(scope="module")
def phantom(small_phantom: Callable[[str], Phantom]) -> Phantom:
    return small_phantom("moderate")


def save(path: Path, labels: np.ndarray, phantom: Phantom) -> Path:
    geometry = phantom.scan.geometry
    nib.save(nib.Nifti1Image(geometry.to_source(labels).copy(), geometry.affine), path)
    return path


@pytest.fixture
def masks(tmp_path: Path, phantom: Phantom) -> AnyMask:
    return {
        name: save(tmp_path / f"{name}.nii.gz", getattr(phantom, name), phantom)
        for name in ("lungs", "lobes", "lesions")
    }


def codes(masks: AnyMask, **more: Path) -> set[str]:
    return {notice.code for notice in score(**masks, **more).notices}  # type: ignore[arg-type]


def result_of(masks: AnyMask, **more: Path) -> Result:
    return to_result(score(**masks, **more))  # type: ignore[arg-type]


def test_percentages_and_volumes_are_those_of_the_masks(masks: AnyMask, phantom: Phantom) -> None:
    result, truth = result_of(masks), phantom.truth
    assert result.lungs.volume_ml == pytest.approx(truth["lungs_ml"], abs=1e-3)
    assert result.lungs.right_ml == pytest.approx(truth["right_ml"], abs=1e-3)
    assert result.burden.infection_ml == pytest.approx(truth["infection_ml"], abs=1e-3)
    for name in ("infection", "ggo", "consolidation", "left", "right"):
        scored = getattr(result.burden, f"{name}_percent")
        assert scored == pytest.approx(truth[f"{name}_percent"], abs=1e-4)
    assert result.scores.po == result.burden.infection_percent
    for lobe in LOBE_ORDER:
        scored, true = getattr(result.lobes, lobe), truth["lobes"][lobe]
        assert scored.volume_ml == pytest.approx(true["volume_ml"], abs=1e-3)
        assert scored.infection_percent == pytest.approx(true["infection_percent"], abs=1e-4)
        assert scored.ggo_percent == pytest.approx(true["ggo_percent"], abs=1e-4)


def test_given_lungs_that_are_cut_off_withhold_the_category(
    masks: AnyMask, tmp_path: Path, phantom: Phantom
) -> None:
    lungs = phantom.lungs.copy()
    lungs[:1] = lungs[len(lungs) // 2]
    result = result_of(masks | {"lungs": save(tmp_path / "cut.nii.gz", lungs, phantom)})
    assert result.severity.category is None
    assert "truncated-scan" in result.severity.withheld
    assert result.scores.po is not None
    assert "truncated-scan" not in codes(masks)


def test_given_lungs_that_were_drawn_in_some_slices_only_are_said_to_be(
    masks: AnyMask, tmp_path: Path, phantom: Phantom
) -> None:
    lungs = phantom.lungs.copy()
    lungs[1::2] = 0
    sparse = masks | {"lungs": save(tmp_path / "sparse.nii.gz", lungs, phantom)}
    notices = [n for n in score(**sparse).notices if n.code == "lungs-uneven"]  # type: ignore[arg-type]
    assert [n.message.split(" is much smaller")[0] for n in notices] == [
        "The right lung",
        "The left lung",
    ]
    assert "lungs-uneven" not in codes(masks)


def test_tss_is_the_sum_over_the_masks_own_lobes(masks: AnyMask, phantom: Phantom) -> None:
    points = 0
    for lobe in LOBE_ORDER:
        percent = phantom.truth["lobes"][lobe]["infection_percent"]
        points += sum(percent > edge for edge in (25, 50, 75)) + (percent >= 1)
    assert result_of(masks).scores.tss.total == points


def test_without_a_ct_what_needs_hounsfield_units_is_null(masks: AnyMask) -> None:
    result = result_of(masks)
    assert result.input.units is None
    assert result.scores.pho is None
    assert result.scores.lhos.total is None
    assert result.scores.lhos.reason
    assert all(getattr(result.lobes, lobe).scores.lhos is None for lobe in LOBE_ORDER)
    assert result.models == []
    assert result.engine is None
    assert {"no-ct", "user-lungs", "user-lobes"} <= codes(masks)


def test_with_the_ct_pho_is_what_is_infected_and_dense(
    tmp_path: Path, masks: AnyMask, phantom: Phantom
) -> None:
    write_nifti(phantom.scan, tmp_path / "ct.nii.gz")
    dense = (phantom.lesions > 0) & (phantom.lungs > 0) & (phantom.scan.values >= -200)
    expected = 100 * dense.sum() / (phantom.lungs > 0).sum()
    result = result_of(masks, ct=tmp_path / "ct.nii.gz")
    assert result.scores.pho == pytest.approx(expected, abs=1e-4)
    assert result.scores.lhos.total is not None
    assert result.input.units == "hu"
    assert result.case == "ct"
    assert "no-ct" not in codes(masks, ct=tmp_path / "ct.nii.gz")


def test_without_lobes_they_are_approximated_and_said_to_be(masks: AnyMask) -> None:
    del masks["lobes"]
    assert result_of(masks).scores.tss.total is not None
    assert "approximate-lobes" in codes(masks)


def test_lesions_outside_the_lungs_are_not_counted(
    tmp_path: Path, masks: AnyMask, phantom: Phantom
) -> None:
    spilled = phantom.lesions.copy()
    spilled[phantom.lungs == 0] = 2
    masks["lesions"] = save(tmp_path / "spilled.nii.gz", spilled, phantom)
    percent = phantom.truth["infection_percent"]
    assert result_of(masks).burden.infection_percent == pytest.approx(percent, abs=1e-4)


def test_lesions_that_the_lungs_leave_out_are_told_and_no_none_is_given(
    masks: AnyMask, tmp_path: Path, phantom: Phantom
) -> None:
    aerated = phantom.lungs * (phantom.lesions == 0)
    given = masks | {"lungs": save(tmp_path / "aerated.nii.gz", aerated, phantom)}
    result = result_of(given)
    assert result.burden.infection_percent == 0
    assert "lesions-outside" in codes(given)
    assert result.severity.category is None
    assert result.reliability.grade == "D"
    assert "lesions-outside" not in codes(masks)


def test_exchanged_sides_are_refused(masks: AnyMask, tmp_path: Path, phantom: Phantom) -> None:
    exchanged = np.array([0, 2, 1], np.uint8)[phantom.lungs]
    given = masks | {"lungs": save(tmp_path / "exchanged.nii.gz", exchanged, phantom)}
    with pytest.raises(InputError, match="label 1 lies to the left") as refused:
        score(**given)  # type: ignore[arg-type]
    assert refused.value.code == "mask-labels"


def test_masks_without_an_orientation_say_so(masks: AnyMask, tmp_path: Path) -> None:
    given = {}
    for kind, path in masks.items():
        image = nib.load(path)
        bare = nib.Nifti1Image(np.asanyarray(image.dataobj), None)
        bare.header.set_zooms(image.header.get_zooms())
        nib.save(bare, tmp_path / f"bare-{kind}.nii.gz")
        given[kind] = tmp_path / f"bare-{kind}.nii.gz"
    result = result_of(given)
    assert "unknown-orientation" in codes(given)
    assert result.severity.category is None


def test_no_lesion_is_zero_and_the_whole_lung_is_hundred(
    tmp_path: Path, masks: AnyMask, phantom: Phantom
) -> None:
    masks["lesions"] = save(tmp_path / "none.nii.gz", np.zeros_like(phantom.lungs), phantom)
    clean = result_of(masks)
    assert (clean.burden.infection_percent, clean.scores.mosmed) == (0, "CT-0")
    assert (clean.severity.category, clean.detection.infected) == ("none", False)
    whole = (phantom.lungs > 0).astype(np.uint8)
    masks["lesions"] = save(tmp_path / "all.nii.gz", whole, phantom)
    full = result_of(masks)
    assert full.burden.infection_percent == 100
    assert (full.scores.ct_ss.total, full.scores.tss.total, full.scores.ctsi.total) == (40, 20, 25)
    assert (full.scores.mosmed, full.severity.category) == ("CT-4", "severe")


def test_lobes_tell_the_sides_of_a_plain_lung_mask(
    tmp_path: Path, masks: AnyMask, phantom: Phantom
) -> None:
    known = result_of(masks)
    # A lobe mask with gaps: what lies in none goes with the nearest lobe.
    gaps = phantom.lobes.copy()
    gaps[:, ::9] = 0
    masks["lungs"] = save(tmp_path / "plain.nii.gz", (phantom.lungs > 0).astype("u1"), phantom)
    assert result_of(masks).lungs == known.lungs
    masks["lobes"] = save(tmp_path / "gaps.nii.gz", gaps, phantom)
    result = result_of(masks)
    assert result.input.sides_known
    assert result.lungs.left_ml == pytest.approx(known.lungs.left_ml, rel=1e-3)
    del masks["lobes"]
    assert result_of(masks).lungs.left_ml is None


def test_nrrd_masks_score_the_same(tmp_path: Path, masks: AnyMask, phantom: Phantom) -> None:
    affine = phantom.scan.geometry.affine
    header = {
        "space": "right-anterior-superior",
        "space directions": affine[:3, :3].T,
        "space origin": affine[:3, 3],
    }
    theirs = {}
    for name in masks:
        theirs[name] = tmp_path / f"{name}.nrrd"
        stored = phantom.scan.geometry.to_source(getattr(phantom, name))
        nrrd.write(str(theirs[name]), np.ascontiguousarray(stored), header)
    result, ours = result_of(theirs), result_of(masks)
    assert result.input.kind == "nrrd"
    assert (result.lungs, result.burden, result.scores) == (ours.lungs, ours.burden, ours.scores)


def test_metaimage_masks_and_ct_score_the_same(
    tmp_path: Path, masks: AnyMask, phantom: Phantom
) -> None:
    geometry = phantom.scan.geometry
    volumes = {name: (getattr(phantom, name), "MET_UCHAR") for name in masks}
    volumes["ct"] = (phantom.scan.values, "MET_SHORT")
    theirs = {}
    for name, (values, number) in volumes.items():
        header = {"ElementType": number, **stated_place(geometry.affine)}
        theirs[name] = tmp_path / f"{name}.mha"
        theirs[name].write_bytes(metaimage(geometry.to_source(values), **header))
    write_nifti(phantom.scan, tmp_path / "ct.nii.gz")
    result, ours = result_of(theirs), result_of(masks, ct=tmp_path / "ct.nii.gz")
    assert (result.input.kind, ours.input.kind) == ("metaimage", "nifti")
    changing = {"input": {"kind"}, "case": True}
    assert result.model_dump(exclude=changing) == ours.model_dump(exclude=changing)
    alone = result_of({name: theirs[name] for name in masks})
    assert alone.input.kind == "metaimage"
    assert alone.burden == ours.burden


# What a CT adds, and what can be given without one


def test_masks_alone_give_lesions_and_distribution_and_a_ct_adds_the_aeration(
    tmp_path: Path, masks: AnyMask, phantom: Phantom
) -> None:
    write_nifti(phantom.scan, tmp_path / "ct.nii.gz")
    alone, full = result_of(masks), result_of(masks, ct=tmp_path / "ct.nii.gz")
    assert (alone.lesions, alone.distribution) == (full.lesions, full.distribution)
    assert alone.aeration.reason == "no Hounsfield units are available"
    assert alone.lobes.RUL.well_aerated_percent is None
    lung = phantom.scan.values[phantom.lungs > 0]
    well = np.count_nonzero((lung >= -900) & (lung < -500))
    band = full.aeration.bands.well_aerated
    assert band.ml == pytest.approx(well * phantom.scan.voxel_ml, abs=1e-3)
    assert band.percent == pytest.approx(100 * well / lung.size, abs=1e-4)
    upper = phantom.scan.values[phantom.lobes == 3]
    percent = 100 * np.count_nonzero((upper >= -900) & (upper < -500)) / upper.size
    assert full.lobes.RUL.well_aerated_percent == pytest.approx(percent, abs=1e-4)
    assert full.lesions.count
    assert full.distribution.peripheral.infection_percent
    assert full.distribution.lobes_affected == 5


def test_peripheral_infection_is_found_to_be_peripheral(
    tmp_path: Path, masks: AnyMask, phantom: Phantom
) -> None:
    """Infection of the right lung's outermost columns, at its back, in its lowest slices."""
    lesions = np.zeros_like(phantom.lungs)
    slices = np.flatnonzero((phantom.lungs == 1).any(axis=(1, 2)))
    for z in slices[-4:-1]:
        for y in np.flatnonzero((phantom.lungs[z] == 1).any(axis=1))[-6:]:
            lesions[z, y, np.flatnonzero(phantom.lungs[z, y] == 1)[:2]] = 1
    masks["lesions"] = save(tmp_path / "outer.nii.gz", lesions, phantom)
    where = result_of(masks).distribution
    for share in (where.peripheral, where.posterior, where.lower):
        assert share.infection_percent == 100
        assert share.lung_percent is not None
        assert 0 < share.lung_percent < 100
    assert where.bilateral is False


# Storage


@pytest.mark.parametrize("axes", ["RAS", "LPI", "SAR", "PIL", "ASL", "IRP"])
def test_the_same_body_stored_along_other_axes_gives_the_same_numbers(
    tmp_path: Path, masks: AnyMask, phantom: Phantom, axes: str
) -> None:
    write_nifti(phantom.scan, tmp_path / "ct.nii.gz")
    files = {**masks, "ct": tmp_path / "ct.nii.gz"}
    expected = result_of(files)
    (tmp_path / axes).mkdir()
    for name, path in files.items():
        image = nib.load(path)
        stored = nib.orientations.io_orientation(image.affine)
        turn = nib.orientations.ornt_transform(stored, nib.orientations.axcodes2ornt(axes))
        files[name] = tmp_path / axes / path.name
        nib.save(image.as_reoriented(turn), files[name])
    turned = result_of(files)
    assert nib.aff2axcodes(nib.load(files["ct"]).affine) == tuple(axes)
    assert turned.model_dump(exclude={"slices"}) == expected.model_dump(exclude={"slices"})
    for first, second in zip(turned.slices, expected.slices, strict=True):
        assert first.position_mm == pytest.approx(second.position_mm, abs=1e-3)
        assert first.infection_percent == second.infection_percent


# A lobe mask that does not cover the lungs


@pytest.mark.parametrize(
    ("slices", "noticed", "withheld"), [(0, False, False), (2, True, False), (8, True, True)]
)
def test_lobes_that_leave_out_part_of_the_lungs_are_said_to(
    tmp_path: Path, masks: AnyMask, phantom: Phantom, slices: int, noticed: bool, withheld: bool
) -> None:
    """Each lobe is cut below, so that all five are still there."""
    lobes = phantom.lobes.copy()
    lungs = np.flatnonzero(lobes.any(axis=(1, 2)))
    lobes[lungs[-1] + 1 - slices :] = 0
    lobes[:, :, 1::2][:, :, : 0 if slices < 8 else None] = 0
    masks["lobes"] = save(tmp_path / "part.nii.gz", lobes, phantom)
    analysis = score(**masks)  # type: ignore[arg-type]
    result = to_result(analysis)
    messages = [n.message for n in analysis.notices if n.code == "lobes-incomplete"]
    covered = 100 * np.count_nonzero(lobes) / np.count_nonzero(phantom.lungs)
    assert len(messages) == noticed
    if noticed:
        assert f"Only {covered:.1f} % of the lungs lie in a lobe" in messages[0]
    assert ("lobes-incomplete" in result.severity.withheld) == withheld
    assert (result.severity.category is None) == withheld
    # What rests on no lobe is as before.
    percent = phantom.truth["infection_percent"]
    assert result.burden.infection_percent == pytest.approx(percent, abs=1e-4)
    assert result.detection.infected is True


# What is refused


@pytest.mark.parametrize("name", ["lesions", "lobes"])
def test_masks_of_two_geometries_are_rejected(
    tmp_path: Path, masks: AnyMask, phantom: Phantom, name: str
) -> None:
    affine = phantom.scan.geometry.affine.copy()
    affine[0, 3] += 4
    stored = phantom.scan.geometry.to_source(getattr(phantom, name)).copy()
    nib.save(nib.Nifti1Image(stored, affine), masks[name])
    with pytest.raises(InputError) as caught:
        score(**masks)  # type: ignore[arg-type]
    assert caught.value.code == "mask-geometry"
    assert "4.00 mm" in caught.value.found


def test_lungs_of_another_ct_are_rejected(
    tmp_path: Path, masks: AnyMask, small_phantom: Callable[[str], Phantom], phantom: Phantom
) -> None:
    path = tmp_path / "ct.nii.gz"
    values = phantom.scan.geometry.to_source(phantom.scan.values)[..., :10]
    nib.save(nib.Nifti1Image(values.copy(), phantom.scan.geometry.affine), path)
    with pytest.raises(InputError) as caught:
        score(**masks, ct=path)  # type: ignore[arg-type]
    assert caught.value.code == "mask-geometry"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [("lungs", 0, "no-lungs"), ("lungs", 7, "mask-labels"), ("lesions", 3, "mask-labels")],
)
def test_masks_of_one_wrong_value_are_rejected(
    masks: AnyMask, phantom: Phantom, name: str, value: int, code: str
) -> None:
    save(masks[name], np.full_like(phantom.lungs, value), phantom)
    with pytest.raises(InputError) as caught:
        score(**masks)  # type: ignore[arg-type]
    assert caught.value.code == code
