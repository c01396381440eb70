"""Tables and folders of results as ratings: read right, or rejected with what was found."""

import json
import unicodedata
from pathlib import Path

import pytest

from lungscore.agreement.ratings import read_ratings
from lungscore.errors import InputError
from lungscore.result.numbers import MEASURES, parse
from lungscore.severity import EDGES

TABLE = "case,infection_percent,ct_ss,mosmed,category,RUL ctsi\n"


def table(tmp_path: Path, text: str | bytes, name: str = "reader 1.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_table_is_read(tmp_path):
    found = read_ratings(table(tmp_path, f"{TABLE}P1,12.5,7,CT-1,mild,3\nP2,,0,0,none,null\n"))
    assert (found.name, found.kind, found.unknown) == ("reader 1", "table", ())
    assert found.measures == tuple(m for m in MEASURES if m in TABLE.strip().split(","))
    assert found.values == {
        "P1": {"infection_percent": 12.5, "ct_ss": 7, "mosmed": 1, "category": 1, "RUL ctsi": 3},
        "P2": {"infection_percent": None, "ct_ss": 0, "mosmed": 0, "category": 0, "RUL ctsi": None},
    }


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffcase,infection_percent,ct_ss\nP1,12.5,7\nP2,3.25,\n",
        "case;infection_percent;ct_ss\nP1;12,5;7\nP2;3,25;NA\n",
        "case;infection_percent;ct_ss\r\nP1;12.5;7\r\nP2;3.25;n/a\r\n\r\n",
        "Case\tInfection_Percent\tCT_SS\nP1\t12,5\t7\nP2\t3,25\t\n",
        '"case","infection_percent","ct_ss"\n"P1","1.25e1","7.0"\n" P2 ","3.25",""\n',
        "case,infection_percent,ct_ss,,\nP1,12.5,7,,\n,,,,\nP2,3.25,,,\n",
        'case,comment,infection_percent,ct_ss\nP1,"one, two",12.5,7\nP2,=1+1,3.25,\n',
    ],
)
def test_what_spreadsheets_write_is_read_alike(tmp_path, text):
    found = read_ratings(table(tmp_path, text))
    assert found.values == {
        "P1": {"infection_percent": 12.5, "ct_ss": 7},
        "P2": {"infection_percent": 3.25, "ct_ss": None},
    }


def test_columns_that_name_no_measure_are_told(tmp_path):
    found = read_ratings(table(tmp_path, "case,age,ct_ss,note\nP1,40,3,\n"))
    assert found.measures == ("ct_ss",)
    assert found.unknown == ("age", "note")


def test_one_name_in_two_forms_of_unicode_is_one_case(tmp_path):
    decomposed = unicodedata.normalize("NFD", "Zoë")
    assert list(read_ratings(table(tmp_path, f"case,ct_ss\n{decomposed},3\n")).values) == ["Zoë"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "it is empty"),
        ("case,ct_ss\n", "holds no case"),
        ("patient,ct_ss\nP1,3\n", "the first column is named 'patient'"),
        ("case,shoe size\nP1,43\n", "no column names a measure, only shoe size"),
        ("case,ct_ss,ct_ss\nP1,3,3\n", "two columns are named 'ct_ss'"),
        ("case,ct_ss,CT_SS\nP1,3,3\n", "two columns are the same measure"),
        ("case,ct_ss,,tss\nP1,3,3,3\n", "column 3 has no name"),
        ("case,ct_ss\nP1,3\nP1,4\n", "line 3: the case P1 occurred before"),
        ("case,ct_ss\n,3\n", "line 2: the case has no name"),
        ("case,ct_ss\nP1,three\n", "ct_ss of case P1 is 'three'. Expected: a whole number"),
        ("case,ct_ss\nP1,nan\n", "ct_ss of case P1 is 'nan'"),
        ("case,ct_ss\nP1,41\n", "'41'. Expected: a whole number from 0 to 40"),
        ("case,ct_ss\nP1,2.5\n", "'2.5'"),
        ("case,infection_percent\nP1,100.5\n", "Expected: a percent from 0 to 100"),
        ("case,infection_percent\nP1,-1\n", "'-1'"),
        ("case,infection_percent\nP1,inf\n", "'inf'"),
        ("case,infection_percent\nP1,12 %\n", "'12 %'"),
        ("case,infection_percent\nP1,1_0\n", "'1_0'"),
        ("case,infection_ml\nP1,1e300\n", "Expected: millilitres"),
        ("case,mosmed\nP1,CT-5\n", "'CT-5'. Expected: CT-0 … CT-4"),
        ("case,category\nP1,heavy\n", "'heavy'. Expected: none | mild | moderate | severe"),
        ("case,category\nP1,2\n", "'2'. Expected: none"),
        ("case,infection_percent\nP1,12,5\n", "line 2 has 3 cells, the first line 2"),
        ("case,infection_percent,ct_ss\nP1,12.5\n", "line 2 has 2 cells"),
        ('case,infection_percent\nP1,"12,5"\n', "has a comma in a table that commas separate"),
        ("case;infection_percent\nP1;12,5\nP2;1.25\n", "percent: '12,5', and line 3"),
        ('case,ct_ss\nP1,"3\n', "is not CSV"),
        (b"case,ct_ss\nJos\xe9,3\n", "not UTF-8 text"),
        ("case,ct_ss\nP1,3\n".encode("utf-16"), "not UTF-8 text"),
        (b"\x1f\x8b\x08\x00\x00", "not UTF-8 text"),
    ],
)  # fmt: skip
def test_a_table_with_something_wrong_is_rejected(tmp_path, text, found):
    with pytest.raises(InputError) as rejected:
        read_ratings(table(tmp_path, text))
    assert rejected.value.code == "table-invalid"
    assert found in rejected.value.message
    assert rejected.value.message.startswith("reader 1.csv")


def test_decimal_signs_of_columns_that_are_not_read_do_not_matter(tmp_path):
    text = "case;infection_percent;software\nP1;12,5;1.2\nP2;3,5;1.3\n"
    values = read_ratings(table(tmp_path, text)).values
    assert [row["infection_percent"] for row in values.values()] == [12.5, 3.5]


def test_a_table_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("lungscore.result.case_tables.MAX_BYTES", 4)
    with pytest.raises(InputError, match="larger than"):
        read_ratings(table(tmp_path, "case,ct_ss\nP1,3\n"))


def test_nothing_and_an_empty_folder_are_rejected(tmp_path):
    with pytest.raises(InputError) as rejected:
        read_ratings(tmp_path / "nothing.csv")
    assert rejected.value.code == "input-not-found"
    with pytest.raises(InputError) as rejected:
        read_ratings(tmp_path)
    assert rejected.value.code == "input-empty"


def test_scores_have_the_ranges_of_the_table_of_edges():
    highest = {name: m.highest for name, m in MEASURES.items() if m.kind == "total"}
    assert highest == {"ct_ss": 40, "tss": 20, "ctsi": 25, "lss": 20, "lhos": 20, "zones": 24}
    assert MEASURES["LLL ctsi"].highest == len(EDGES["ctsi"]) == 5
    assert parse(MEASURES["mosmed"], "ct-4") == parse(MEASURES["mosmed"], "4") == 4


# Folders


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three results with every field that is compared, and no other."""
    for number in range(3):
        content: dict = {"schema": "lungscore.result/1", "case": f"P{number}"}
        for measure in MEASURES.values():
            place = content
            for key in measure.keys[:-1]:
                place = place.setdefault(key, {})
            value = measure.classes[number] if measure.name in ("mosmed", "category") else number
            place[measure.keys[-1]] = value
        folder = tmp_path / "out" / f"P{number}"
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(content))
    return tmp_path / "out"


def test_a_folder_of_results_is_read(results):
    (results / ".tmp-1").mkdir()
    (results / "notes.txt").write_text("not a case")
    found = read_ratings(results, name="ours")
    assert (found.name, found.kind, found.measures) == ("ours", "results", tuple(MEASURES))
    assert list(found.values) == ["P0", "P1", "P2"]
    assert set(found.values["P2"].values()) == {2}


def test_one_case_is_a_folder_of_one(results):
    assert list(read_ratings(results / "P1").values) == ["P1"]


def change(folder: Path, **fields) -> None:
    path = folder / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize(
    ("fields", "code", "found"),
    [
        ({"schema": "lungscore.result/2"}, "schema-mismatch", "'lungscore.result/2'"),
        ({"case": 3}, "case-damaged", "names no case"),
        ({"case": "P2"}, "case-damaged", "Two folders of out contain the case P2"),
        ({"lungs": {}}, "case-damaged", "it has no lungs.volume_ml"),
        ({"severity": {"category": "bad"}}, "case-damaged", "severity.category is 'bad'"),
        ({"severity": {"category": True}}, "case-damaged", "severity.category is 'True'"),
        ({"burden": {"infection_percent": float("nan")}}, "case-damaged", "it holds NaN"),
    ],
)
def test_a_damaged_result_is_rejected(results, fields, code, found):
    change(results / "P1", **fields)
    with pytest.raises(InputError) as rejected:
        read_ratings(results)
    assert rejected.value.code == code
    assert found in rejected.value.message


@pytest.mark.parametrize("content", ["", "[]", '{"schema": ', "[" * 100_000])
def test_what_is_no_result_is_rejected(results, content):
    (results / "P1" / "result.json").write_text(content)
    with pytest.raises(InputError, match=r"P1/result\.json"):
        read_ratings(results)


def test_a_value_that_could_not_be_computed_is_missing(results):
    change(results / "P1", severity={"category": None})
    assert read_ratings(results).values["P1"]["category"] is None
