"""The CTs of covid-chestxray-dataset in its original layout, whole and damaged."""

import shutil

import pytest

from tests.datasets.layout_trees import (
    checked,
    codes,
    picture,
    prepared,
    replaced,
    text,
    told,
    truncated,
    volume,
)

NAME = "covid-chestxray"
ROWS = (
    "patientid,offset,sex,age,finding,view,modality,date,folder,filename,license,clinical_notes,",
    "2,0,M,65,Pneumonia/Viral/COVID-19,PA,X-ray,"
    '"January 22, 2020",images,xray-a.jpeg,,"tired, ill",',
    "2,3,M,65,Pneumonia/Viral/COVID-19,L,X-ray,2020,images,xray-b.jpeg,CC BY,,",
    "7,0,F,29,Pneumonia/Viral/SARS,Axial,CT,2004,images,sars-ct.png,,,",
    "8,1,M,50,Pneumonia/Viral/COVID-19,Axial,CT,2020,images,kjr-a.jpg,,,",
    "8,1,M,50,Pneumonia/Viral/COVID-19,Coronal,CT,2020,images,kjr-b.jpg,,,",
    "9,,,,Pneumonia/Viral/COVID-19,Axial,CT,2020,volumes,coronacases_org_001.nii.gz,Apache 2.0,,",
)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "covid-chestxray-dataset"
    text(root / "metadata.csv", *ROWS)
    for seed, name in enumerate(
        ("xray-a.jpeg", "xray-b.jpeg", "sars-ct.png", "kjr-a.jpg", "kjr-b.jpg")
    ):
        picture(root / "images" / name, seed)
    volume(root / "volumes/coronacases_org_001.nii.gz", 1)
    text(root / "volumes/DOWNLOAD.md", "https://academictorrents.com")
    text(root / "annotations/covid-severity-scores.csv", "filename,geographic_mean,opacity_mean")
    text(root / "scripts/utils.py", "pass")
    for page in ("README.md", "SCHEMA.md", "CONTRIBUTING.md"):
        text(root / page, "text")
    return root


def test_a_whole_one_is_complete_and_names_its_xrays(root):
    result = checked(NAME, root)
    assert result.complete
    assert told(NAME, root, "x-ray") == [
        ("images/xray-a.jpeg", "view PA"),
        ("images/xray-b.jpeg", "view L"),
    ]
    assert len(result.problems) == 2
    assert {count.name: count.found for count in result.counts} == {
        "X-rays in the table": 2,
        "CT slices in the table": 3,
        "CT volumes in the table": 1,
    }


def test_only_cts_are_in_the_manifest(root):
    rows = {row.case: row for row in prepared(NAME, root)}
    assert rows.keys() == {"sars-ct.png", "kjr-a.jpg", "kjr-b.jpg", "coronacases_org_001.nii.gz"}
    axial, coronal = rows["kjr-a.jpg"], rows["kjr-b.jpg"]
    assert (axial.slice_label, coronal.slice_label) == ("Axial", "Coronal")
    assert axial.patient == coronal.patient == "8"
    assert axial.group == coronal.group
    assert rows["sars-ct.png"].label == "Pneumonia/Viral/SARS"
    assert rows["coronacases_org_001.nii.gz"].kind == "volume"
    assert rows["coronacases_org_001.nii.gz"].slice_label is None


def test_an_xray_that_the_table_calls_ct_is_left_out(root):
    replaced(root / "metadata.csv", "COVID-19,PA,X-ray", "COVID-19,PA,CT")
    texts = dict(told(NAME, root, "x-ray"))
    assert texts["images/xray-a.jpeg"] == "the table calls it CT, but its view is PA"
    assert "xray-a.jpeg" not in {row.case for row in prepared(NAME, root)}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("modality", "kind of image", "table-columns"),
        ("Axial,CT,2004", "Axial,MRI,2004", "class-unknown"),
        ("Axial,CT,2004", "Oblique,CT,2004", "class-unknown"),
        ("2004,images", "2004,pictures", "class-unknown"),
        ("COVID-19,L,X-ray", "COVID-19,Axial,X-ray", "table-values"),
        ("7,0,F,29,Pneumonia/Viral/SARS", "7,0,F,29,", "table-values"),
        ("kjr-b.jpg", "kjr-a.jpg", "table-values"),
        ("Coronal,CT,2020,images,kjr-b.jpg,,,", "Coronal,CT,2020,images,kjr-b.jpg", "table-values"),
        (
            "8,1,M,50,Pneumonia/Viral/COVID-19,Axial",
            "7,1,M,50,Pneumonia/Viral/SARS,Axial",
            "duplicate-patient",
        ),
        (
            "8,1,M,50,Pneumonia/Viral/COVID-19,Axial",
            "7,1,F,29,Tuberculosis,Axial",
            "patient-in-two-classes",
        ),
    ],
)
def test_damage_in_the_table_is_told_once(root, old, new, code):
    replaced(root / "metadata.csv", old, new)
    assert codes(NAME, root)[code] == 1
    assert not checked(NAME, root).complete


def test_another_encoding_is_told(root):
    replaced(root / "metadata.csv", 'ill"', 'fièvre"', encoding="latin-1")
    assert codes(NAME, root)["table-encoding"] == 1


def test_a_missing_volume_is_told_where_to_get_it(root):
    (root / "volumes/coronacases_org_001.nii.gz").unlink()
    (root / "images/kjr-a.jpg").unlink()
    assert told(NAME, root, "file-missing") == [
        ("images/kjr-a.jpg", "metadata.csv names it"),
        (
            "volumes/coronacases_org_001.nii.gz",
            "metadata.csv names it; volumes/DOWNLOAD.md says where it is",
        ),
    ]


def test_missing_xrays_do_not_matter(root):
    (root / "images/xray-a.jpeg").unlink()
    assert checked(NAME, root).complete


def test_a_missing_folder_and_a_missing_table_are_told(root):
    shutil.rmtree(root / "volumes")
    counts = codes(NAME, root)
    assert counts == {"folder-missing": 1, "file-missing": 1, "x-ray": 2}
    (root / "metadata.csv").unlink()
    assert codes(NAME, root)["table-missing"] == 1


def test_damaged_images_and_images_without_a_row_are_named(root):
    truncated(root / "images/sars-ct.png")
    (root / "images/kjr-a.jpg").write_bytes(b"")
    picture(root / "images/stranger.png", 9)
    counts = codes(NAME, root)
    assert (counts["image-unreadable"], counts["image-empty"], counts["file-unknown"]) == (1, 1, 1)


def test_the_same_slice_of_two_patients_is_told(root):
    shutil.copy(root / "images/kjr-a.jpg", root / "images/sars-ct.png")
    assert codes(NAME, root)["duplicate-image"] == 1
