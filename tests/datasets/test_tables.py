"""Tables as they are published, and every way in which one may not be usable."""

import pytest

from lungscore.datasets.tables import read_table
from lungscore.datasets.visit import Visit

COLUMNS = ("Patient ID", "label")


@pytest.fixture
def read(tmp_path):
    """(what a table of this content yields, (code, found) of every problem)."""

    def read(content: str | bytes, **options):
        content = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "t.csv").write_bytes(content)
        visit = Visit(tmp_path)
        rows = list(read_table(visit, "t.csv", COLUMNS, **options))
        visit.leftovers()
        assert {problem.path for problem in visit.problems} <= {"t.csv"}
        return rows, [(problem.code, problem.found) for problem in visit.problems]

    return read


ONE = [(2, {"Patient ID": "7", "label": "mild"})]


@pytest.mark.parametrize(
    "content",
    [
        "Patient ID,label\n7,mild\n",
        "patient_id,LABEL\r\n7,mild\r\n",
        " PatientID , Label \n 7 , mild \n\n,\n",
        "﻿Patient ID,label\n7,mild",
        '"Patient ID","label"\n"7","mild"\n',
        "patient-id,label\n7,mild\n",
    ],
)
def test_columns_are_found_whatever_their_case_and_cells_are_stripped(read, content):
    assert read(content) == (ONE, [])


def test_other_columns_and_another_order_do_no_harm(read):
    rows, problems = read("age,label,Patient ID\n50,mild,7\n")
    assert rows == [(2, {"age": "50", "label": "mild", "Patient ID": "7"})]
    assert problems == []


def test_a_renamed_column_is_told_with_the_nearest(read):
    rows, problems = read("Patient IDs,label\n7,mild\n")
    assert rows == []
    assert problems == [
        ("table-columns", "it has no column 'Patient ID'; the nearest is 'Patient IDs'")
    ]


def test_every_missing_column_is_told(read):
    rows, problems = read("age\n50\n")
    assert rows == []
    assert problems == [
        ("table-columns", "it has no column 'Patient ID'"),
        ("table-columns", "it has no column 'label'"),
    ]


@pytest.mark.parametrize("content", ["", "\n", "Patient ID;label\n7;mild\n"])
def test_a_table_without_the_columns_is_told(read, content):
    rows, problems = read(content)
    assert (rows, [code for code, _ in problems]) == ([], ["table-columns", "table-columns"])


def test_of_columns_of_one_name_the_first_counts(read):
    rows, problems = read("Patient ID,label,label,Label\n7,mild,severe,other\n")
    assert (rows[0][1]["Patient ID"], rows[0][1]["label"]) == ("7", "mild")
    assert sorted(rows[0][1].values()) == ["7", "mild", "other", "severe"]
    assert problems == []


@pytest.mark.parametrize("row", ["8", "8,mild,more"])
def test_a_row_of_another_length_is_told_and_left_out(read, row):
    rows, problems = read(f"Patient ID,label\n7,mild\n{row}\n9,mild\n")
    assert [line for line, _ in rows] == [2, 4]
    assert [code for code, _ in problems] == ["table-values"]
    assert "line 3 has" in problems[0][1]


def test_lines_are_those_of_the_file(read):
    rows, _ = read('Patient ID,label\n7,"mi\nld"\n\n8,mild\n')
    assert [(line, cells["Patient ID"]) for line, cells in rows] == [(3, "7"), (5, "8")]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "gbk"])
def test_another_encoding_is_told_and_nothing_is_guessed(read, encoding):
    content = "Patient ID,label\n7,é肺\n".encode(encoding, "replace")
    rows, problems = read(content)
    assert (rows, problems) == ([], [("table-encoding", "it is not in utf-8-sig")])


def test_the_encodings_of_a_dataset_are_tried_in_turn(read):
    content = "Patient ID,label\n7,肺\n".encode("gb18030")
    rows, problems = read(content, encodings=("utf-8-sig", "gb18030"))
    assert (rows[0][1]["label"], problems) == ("肺", [])


@pytest.mark.parametrize("content", ['Patient ID,label\n7,"mild\n', 'Patient ID,label\n7,"a"b\n'])
def test_what_is_no_csv_is_told(read, content):
    rows, problems = read(content)
    assert rows == []
    assert [code for code, _ in problems] == ["table-values"]


def test_a_nul_is_told(read):
    _, problems = read("Patient ID,label\n7,mi\0ld\n")
    assert [code for code, _ in problems] == ["table-values"]


def test_a_missing_table_is_told_unless_it_may_be_missing(tmp_path):
    visit = Visit(tmp_path)
    assert list(read_table(visit, "t.csv", COLUMNS, optional=True)) == []
    assert visit.problems == []
    assert list(read_table(visit, "t.csv", COLUMNS)) == []
    assert [(p.code, p.path) for p in visit.problems] == [("table-missing", "t.csv")]
