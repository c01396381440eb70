"""Manifests written and read, and what is said of damaged ones."""

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lungscore.datasets import manifest as manifest_module
from lungscore.datasets.check import check
from lungscore.datasets.manifest import COLUMNS, Row, check_format, read_rows, write_rows
from lungscore.datasets.prepare import prepare
from lungscore.errors import InputError, ResourceError, UsageError
from tests.datasets.made_dataset import made, make_tree

SUFFIXES = (".csv", ".parquet")

ROW = Row(
    case="case",
    patient="patient",
    group="train",
    label="mild",
    slice_label="lesion",
    source="made",
    kind="slice",
    path="a/b.png",
    mask="a/m.png",
    sha256="0" * 64,
    mask_sha256="1" * 64,
)


def rejected(path: Path, code: str = "manifest-invalid") -> str:
    """The message with which reading is refused."""
    with pytest.raises(InputError) as caught:
        list(read_rows(path))
    assert caught.value.code == code
    return caught.value.message


def lines(path: Path, *rows: str, header: str = ",".join(COLUMNS)) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


# There and back


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "text", ["a, b", 'say "a"', "a\nb", "a\r\nb", "Пациент 肺 ü", " a ", "'a'", "=1+1", "a;b\tc"]
)
def test_whatever_stands_in_a_name_comes_back(tmp_path, suffix, text):
    row = replace(ROW, case=text, patient=text, path=f"{text}/b.png", mask=f"{text}/m.png")
    path = tmp_path / f"m{suffix}"
    assert write_rows([row, ROW], path) == {"train": 2}
    assert list(read_rows(path)) == [row, ROW]


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(
        st.builds(
            Row,
            case=texts,
            patient=st.none() | texts,
            group=st.sampled_from(["train", "validation", "test"]),
            label=st.none() | texts,
            slice_label=st.none() | texts,
            source=texts,
            kind=st.sampled_from(["slice", "volume", "dicom"]),
            path=texts,
            mask=st.none() | texts,
            sha256=texts,
            mask_sha256=st.none() | texts,
        ),
        max_size=4,
    )
)
def test_any_rows_come_back(tmp_path_factory, rows):
    for suffix in SUFFIXES:
        path = tmp_path_factory.mktemp("rows") / f"m{suffix}"
        write_rows(rows, path)
        assert list(read_rows(path)) == rows


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_not_known_stays_unknown(tmp_path, suffix):
    row = replace(ROW, patient=None, label=None, slice_label=None, mask=None, mask_sha256=None)
    write_rows([row], tmp_path / f"m{suffix}")
    assert list(read_rows(tmp_path / f"m{suffix}")) == [row]
    assert row.unit == "case"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_more_rows_than_are_held_at_once_keep_their_order(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(manifest_module, "BATCH", 3)
    rows = [replace(ROW, case=str(i), group=("train", "test")[i % 2]) for i in range(10)]
    path = tmp_path / f"m{suffix}"
    assert write_rows(iter(rows), path) == {"train": 5, "test": 5}
    assert list(read_rows(path)) == rows


def test_rows_are_written_while_they_are_made(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest_module, "BATCH", 3)
    sizes = []

    def rows():
        for i in range(10):
            sizes.append((tmp_path / "m.csv").stat().st_size)
            yield replace(ROW, case=str(i))

    write_rows(rows(), tmp_path / "m.csv")
    assert len(list(read_rows(tmp_path / "m.csv"))) == 10
    assert sizes[-1] >= sizes[0]


def test_columns_of_other_programs_are_left_alone(tmp_path):
    write_rows([ROW], tmp_path / "m.csv")
    header, row = (tmp_path / "m.csv").read_text().splitlines()
    lines(tmp_path / "m.csv", f"7,{row}", header=f"index,{header}")
    assert list(read_rows(tmp_path / "m.csv")) == [ROW]


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    write_rows([ROW], tmp_path / "m.csv")
    content = (tmp_path / "m.csv").read_bytes()
    (tmp_path / "m.csv").write_bytes(b"\xef\xbb\xbf" + content)
    assert list(read_rows(tmp_path / "m.csv")) == [ROW]


# Paths


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_paths_hold_when_manifest_and_data_move_together(tmp_path, suffix):
    here, there = tmp_path / "here", tmp_path / "there"
    root = make_tree(here / "data" / "made")
    manifest = here / "manifests" / f"m{suffix}"
    prepare(made(), root, manifest)
    paths = [row.path for row in read_rows(manifest)]
    assert paths[0] == "../data/made/mild/p0/s1/0.png"
    shutil.move(here, there)
    moved = there / "manifests" / f"m{suffix}"
    assert all((moved.parent / path).is_file() for path in paths)
    assert check(made(), there / "data" / "made", against=moved).complete


def test_paths_are_relative_to_the_manifest_s_folder_also_by_a_link(tmp_path):
    root = make_tree(tmp_path / "disk" / "made")
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    prepare(made(), tmp_path / "link", tmp_path / "m.csv")
    assert next(iter(read_rows(tmp_path / "m.csv"))).path == "disk/made/mild/p0/s1/0.png"


# Damage


@pytest.mark.parametrize("name", ["m.txt", "m", "m.parquet.gz", "m.xlsx"])
def test_the_name_says_the_format(tmp_path, name):
    for refused in (check_format, lambda path: list(read_rows(path))):
        with pytest.raises(UsageError, match=r"\.parquet or \.csv"):
            refused(tmp_path / name)


def test_the_case_of_the_name_does_not_matter(tmp_path):
    write_rows([ROW], tmp_path / "M.CSV")
    assert list(read_rows(tmp_path / "M.CSV")) == [ROW]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_manifest_that_is_not_there(tmp_path, suffix):
    assert f"m{suffix}" in rejected(tmp_path / f"m{suffix}", "input-not-found")


@pytest.mark.parametrize("kept", [0, 3, 100, -10])
def test_a_damaged_parquet_file(tmp_path, kept):
    path = tmp_path / "m.parquet"
    write_rows([replace(ROW, case=str(i)) for i in range(99)], path)
    path.write_bytes(path.read_bytes()[:kept])
    assert "no Parquet file" in rejected(path)


def test_a_parquet_file_with_damaged_pages(tmp_path):
    path = tmp_path / "m.parquet"
    write_rows([replace(ROW, case=str(i)) for i in range(999)], path)
    content = bytearray(path.read_bytes())
    content[10:400] = bytes(390)
    path.write_bytes(content)
    assert "no Parquet file" in rejected(path)


@pytest.mark.parametrize("content", [b"case,\xff\xfe\n", b'case,"a\n', b"case\0,patient\n"])
def test_a_csv_that_is_none(tmp_path, content):
    header = ",".join(COLUMNS).encode() + b"\n"
    (tmp_path / "m.csv").write_bytes(header + content)
    rejected(tmp_path / "m.csv")


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_column_is_named(tmp_path, name, suffix):
    path = tmp_path / f"m{suffix}"
    kept = [column for column in COLUMNS if column != name]
    if suffix == ".csv":
        lines(path, header=",".join(kept))
    else:
        pq.write_table(pa.table({column: ["x"] for column in kept}), path)
    assert f"no column {name}" in rejected(path)


def test_a_row_of_another_length_is_named(tmp_path):
    write_rows([ROW], tmp_path / "m.csv")
    good = (tmp_path / "m.csv").read_text().splitlines()[1]
    for wrong in (good + ",x", good.rpartition(",")[0]):
        assert "row 2 " in rejected(lines(tmp_path / "m.csv", good, wrong))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"case": ""}, "row 2 has no case"),
        ({"sha256": ""}, "row 2 has no sha256"),
        ({"path": ""}, "row 2 has no path"),
        ({"group": "training"}, "row 2: group is 'training'"),
        ({"kind": "picture"}, "row 2: kind is 'picture'"),
    ],
)
def test_a_wrong_value_is_named_with_its_row(tmp_path, suffix, change, told):
    path = tmp_path / f"m{suffix}"
    write_rows([ROW, replace(ROW, **change)], path)
    assert told in rejected(path)


def test_a_parquet_column_of_numbers_is_named(tmp_path):
    values = {name: [getattr(ROW, name)] for name in COLUMNS} | {"patient": [7]}
    pq.write_table(pa.table(values), tmp_path / "m.parquet")
    assert "row 1: patient is 7; expected text" in rejected(tmp_path / "m.parquet")


def test_without_pyarrow_csv_is_offered(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ResourceError, match=r"\.csv") as caught:
        write_rows([ROW], tmp_path / "m.parquet")
    assert caught.value.code == "library-missing"
    write_rows([ROW], tmp_path / "m.csv")
