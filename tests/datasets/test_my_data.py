"""A folder of one's own images and masks: what belongs together, what is wrong, the manifest."""

import numpy as np
import pytest

from lungscore.datasets.labelled_image import read_labelled_image
from lungscore.datasets.labelled_manifest import read_labelled
from lungscore.datasets.my_data import examine_folder, examine_manifest
from lungscore.datasets.prepare_my_data import check_my_data, prepare_my_data
from lungscore.errors import InputError, UsageError
from lungscore.scan.phantom import make_phantom
from lungscore.scan.write import write_dicom_series, write_nifti
from tests.conftest import SMALL, SMALL_MM
from tests.datasets.own_data import (
    INDEX,
    manifest,
    picture,
    save,
    save_mask,
    save_slice,
    save_volume,
)


@pytest.fixture(scope="module")
def phantom():
    return make_phantom("moderate", shape=SMALL, spacing_mm=SMALL_MM)


def told(examined) -> list[tuple[str, str]]:
    """(code, path) of every blocking problem."""
    return sorted((p.code, p.path) for p in examined.problems if p.blocking)


def cases(examined) -> dict[str, tuple[str, str | None]]:
    """case -> image and mask."""
    return {row.case: (row.image, row.mask) for row in examined.rows}


# Pairs


def test_images_find_their_masks_by_name_whatever_their_format(tmp_path, phantom):
    save_slice(tmp_path, "b", phantom)
    save_volume(tmp_path, "p1/a", phantom)
    write_dicom_series(phantom.scan, tmp_path / "images" / "series")
    save_mask(tmp_path / "masks" / "series.nii.gz", phantom.lesions, phantom)
    examined = examine_folder(tmp_path)
    assert told(examined) == []
    assert cases(examined) == {
        "b": ("images/b.png", "masks/b.png"),
        "p1-a": ("images/p1/a.nii.gz", "masks/p1/a.nii.gz"),
        "series": ("images/series", "masks/series.nii.gz"),
    }
    # A 2 in any mask of 0, 1 and 2 says what all of these mean; 255 is infection.
    labels = {row.case: row.labels for row in examined.rows}
    assert labels == {"b": "infection", "p1-a": "classes", "series": "classes"}


def test_masks_may_lie_beside_their_images(tmp_path, phantom):
    save(tmp_path / "x" / "a.png", picture(phantom))
    save(tmp_path / "x" / "a_mask.png", (phantom.lesions[INDEX] > 0).astype(np.uint8))
    save(tmp_path / "x" / "a_lungs.png", (phantom.lungs[INDEX] > 0).astype(np.uint8))
    examined = examine_folder(tmp_path)
    assert told(examined) == []
    (row,) = examined.rows
    assert (row.image, row.mask, row.lungs) == ("x/a.png", "x/a_mask.png", "x/a_lungs.png")
    assert row.labels == "infection"


def test_single_dicom_slices_have_masks_of_their_own(tmp_path, phantom):
    write_dicom_series(phantom.scan, tmp_path / "all")
    files = sorted((tmp_path / "all").iterdir())
    for index in (INDEX, INDEX + 1):
        path = tmp_path / "own" / "images" / "p" / f"{index}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[index].read_bytes())
        marked = (phantom.lesions[index] > 0).astype(np.uint8)
        save(tmp_path / "own" / "masks" / "p" / f"{index}.png", marked)
    examined = examine_folder(tmp_path / "own")
    assert told(examined) == []
    assert list(cases(examined)) == [f"p-{INDEX}", f"p-{INDEX + 1}"]
    image = read_labelled_image(examined.rows[0], (tmp_path / "own"))
    assert image.scan.units == "hu"
    np.testing.assert_array_equal(image.labels[0] > 0, phantom.lesions[INDEX] > 0)


def test_a_picture_of_a_dicom_slice_lies_as_its_pixels_do(tmp_path):
    tall = make_phantom("moderate", shape=(16, 110, 90), spacing_mm=(17.5, 3.3, 4.0))
    index = int((tall.lesions > 0).sum(axis=(1, 2)).argmax())
    write_dicom_series(tall.scan, tmp_path / "all")
    (tmp_path / "own").mkdir()
    source = sorted((tmp_path / "all").iterdir())[index]
    (tmp_path / "own" / "a.dcm").write_bytes(source.read_bytes())
    save(tmp_path / "own" / "a_mask.png", (tall.lesions[index] > 0).astype(np.uint8))
    (row,) = examine_folder(tmp_path / "own").rows
    image = read_labelled_image(row, tmp_path / "own")
    np.testing.assert_array_equal(image.labels[0] > 0, tall.lesions[index] > 0)


def test_what_could_belong_to_two_is_refused(tmp_path, phantom):
    save_slice(tmp_path, "a", phantom)
    save(tmp_path / "images" / "a.jpg", picture(phantom))
    save_slice(tmp_path, "b", phantom, INDEX + 1)
    save_mask(tmp_path / "masks" / "b.nii.gz", phantom.lesions, phantom)
    examined = examine_folder(tmp_path)
    assert told(examined) == [
        ("pair-ambiguous", "images/a.jpg"),
        ("pair-ambiguous", "images/b.png"),
    ]
    assert examined.rows == []


def test_a_series_with_a_mask_and_a_slice_of_it_with_another_are_refused(tmp_path, phantom):
    write_dicom_series(phantom.scan, tmp_path / "images" / "s")
    save_mask(tmp_path / "masks" / "s.nii.gz", phantom.lesions, phantom)
    save(tmp_path / "masks" / "s" / "0003.png", (phantom.lesions[2] > 0).astype(np.uint8))
    assert told(examine_folder(tmp_path)) == [("pair-ambiguous", "images/s")]


def test_orphans_are_told_on_both_sides(tmp_path, phantom):
    save_slice(tmp_path, "a", phantom)
    save(tmp_path / "images" / "b.png", picture(phantom, 5))
    save(tmp_path / "masks" / "c.png", picture(phantom, 6))
    (tmp_path / "notes.txt").write_text("x")
    examined = examine_folder(tmp_path)
    assert told(examined) == [("file-missing", "images/b.png"), ("file-missing", "masks/c.png")]
    assert ("file-unknown", "notes.txt") in [(p.code, p.path) for p in examined.problems]


# What is wrong with a pair


def test_every_fault_of_a_mask_is_told_with_its_image(tmp_path, phantom):
    marked = (phantom.lesions[INDEX] > 0).astype(np.uint8)
    for number, mask in enumerate(
        (marked[:, :-1], 0 * marked, marked * 3, np.stack([marked * 9, marked, marked], -1))
    ):
        save(tmp_path / "images" / f"{number}.png", picture(phantom, number + 6))
        save(tmp_path / "masks" / f"{number}.png", mask)
    save(tmp_path / "images" / "4.png", picture(phantom, 11))
    (tmp_path / "masks" / "4.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    (tmp_path / "images" / "5.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    save(tmp_path / "masks" / "5.png", marked)
    assert told(examine_folder(tmp_path)) == [
        ("image-unreadable", "images/4.png"),
        ("image-unreadable", "images/5.png"),
        ("label-values", "images/2.png"),
        ("label-values", "images/3.png"),
        ("mask-empty", "images/1.png"),
        ("mask-geometry", "images/0.png"),
    ]


def test_a_mask_of_another_spacing_is_refused(tmp_path, phantom):
    write_nifti(phantom.scan, tmp_path / "images" / "a.nii.gz")
    coarser = make_phantom("moderate", shape=SMALL, spacing_mm=(10.0, 3.75, 3.75))
    save_mask(tmp_path / "masks" / "a.nii.gz", phantom.lesions, coarser)
    assert told(examine_folder(tmp_path)) == [("mask-geometry", "images/a.nii.gz")]


def test_a_volume_of_infection_alone_has_no_classes(tmp_path, phantom):
    write_nifti(phantom.scan, tmp_path / "images" / "a.nii.gz")
    save_mask(tmp_path / "masks" / "a.nii.gz", phantom.lesions > 0, phantom)
    (row,) = examine_folder(tmp_path).rows
    assert row.labels == "infection"


# cases.csv


def table(root, text: str) -> None:
    (root / "cases.csv").write_text(text)


def test_the_table_says_what_files_cannot(tmp_path, phantom):
    save_slice(tmp_path, "a", phantom)
    save(tmp_path / "images" / "b.png", picture(phantom, 5))
    save_volume(tmp_path, "v", phantom)
    table(
        tmp_path,
        "image,patient,group,negative,first_slice,last_slice,weight,source,case\n"
        "images/a.png,p,test,,,,,site 2,one\n"
        "images/b.png,q,,yes,,,,,\n"
        "images/v.nii.gz,r,train,,2,13,2.5,,\n",
    )
    examined = examine_folder(tmp_path)
    assert told(examined) == []
    a, b, v = sorted(examined.rows, key=lambda row: row.image)
    assert (a.case, a.patient, a.group, a.source) == ("one", "p", "test", "site 2")
    assert (b.case, b.negative, b.mask) == ("b", True, None)
    assert (v.first_slice, v.last_slice, v.weight, v.group) == (2, 13, 2.5, "train")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("image,paitent\nimages/a.png,p\n", "table-columns"),
        ("file,patient\nimages/a.png,p\n", "table-columns"),
        ("image,patient\nimages/a.png,p\nimages/a.png,q\n", "table-values"),
        ("image,patient\nimages/c.png,p\n", "file-missing"),
        ("image,negative\nimages/a.png,yes\n", "label-values"),
        ("image,weight\nimages/a.png,-1\n", "table-values"),
        ("image,last_slice\nimages/a.png,1\n", "table-values"),
        (
            "image,patient,group\nimages/a.png,p,train\nimages/b.png,p,test\n",
            "patient-on-both-sides",
        ),
    ],
)
def test_a_wrong_table_is_told(tmp_path, phantom, text, code):
    save_slice(tmp_path, "a", phantom)
    save_slice(tmp_path, "b", phantom, INDEX + 1)
    table(tmp_path, text)
    assert code in [problem for problem, _ in told(examine_folder(tmp_path))]


def test_patients_without_a_group_are_split_by_patient(tmp_path, phantom):
    lines = ["image,patient"]
    for number in range(8):
        save_slice(tmp_path, f"{number}", phantom, 4 + number)
        lines.append(f"images/{number}.png,patient {number // 4}")
    table(tmp_path, "\n".join(lines))
    groups = {}
    for row in examine_folder(tmp_path).rows:
        groups.setdefault(row.patient, set()).add(row.group)
    assert all(len(sides) == 1 for sides in groups.values())
    assert set().union(*groups.values()) <= {"train", "test"}


# The manifest


def test_prepare_writes_a_manifest_that_moves_with_its_data(tmp_path, phantom):
    save_slice(tmp_path / "own", "a", phantom)
    path = tmp_path / "manifests" / "mine.csv"
    prepared = prepare_my_data(tmp_path / "own", path)
    assert sum(prepared.groups.values()) == 1
    (row,) = read_labelled(path)
    assert (row.image, row.mask) == ("../own/images/a.png", "../own/masks/a.png")
    assert read_labelled_image(row, path.parent).labels.any()
    assert check_my_data(path).complete
    with pytest.raises(UsageError, match="exists"):
        prepare_my_data(tmp_path / "own", path)
    prepare_my_data(tmp_path / "own", path, overwrite=True)


def test_prepare_writes_nothing_where_anything_is_wrong_unless_asked(tmp_path, phantom):
    save_slice(tmp_path / "own", "a", phantom)
    save(tmp_path / "own" / "images" / "b.png", picture(phantom, 5))
    path = tmp_path / "own" / "mine.csv"
    with pytest.raises(InputError, match="file-missing") as caught:
        prepare_my_data(tmp_path / "own", path)
    assert caught.value.code == "dataset-faulty"
    assert sorted(p.name for p in (tmp_path / "own").iterdir()) == ["images", "masks"]
    prepare_my_data(tmp_path / "own", path, partial=True)
    assert len(read_labelled(path)) == 1
    assert "images/b.png" in (tmp_path / "own" / "mine.left-out.csv").read_text()
    # What it wrote into the folder is no data.
    assert not any("mine" in p.path for p in examine_folder_again(tmp_path / "own").problems)


def examine_folder_again(root):
    ignored = root / "mine.csv", root / "mine.left-out.csv"
    return examine_folder(root, ignored=ignored)


def test_nothing_usable_and_another_format_are_refused(tmp_path, phantom):
    save(tmp_path / "images" / "b.png", picture(phantom, 5))
    with pytest.raises(InputError) as caught:
        prepare_my_data(tmp_path, tmp_path / "m.csv", partial=True)
    assert caught.value.code == "dataset-incomplete"
    with pytest.raises(UsageError, match=r"\.csv"):
        prepare_my_data(tmp_path, tmp_path / "m.parquet")


def test_a_manifest_is_checked_file_by_file(tmp_path, phantom):
    save_slice(tmp_path, "0", phantom)
    save_slice(tmp_path, "1", phantom, INDEX + 1)
    path = manifest(
        tmp_path / "m.csv",
        {"image": "images/0.png"},
        {"image": "images/1.png"},
        {"image": "images/2.png"},
        {"group": "x"},
    )
    save(tmp_path / "images" / "1.png", picture(phantom, 4))
    examined = examine_manifest(path)
    assert [row.case for row in examined.rows] == ["case-0"]
    assert told(examined) == [
        ("content-changed", "images/1.png"),
        ("file-missing", "images/2.png"),
        ("table-values", "row 4"),
    ]
    assert not check_my_data(path).complete
