"""What the tables of a cohort hold beyond the measures, and what explains them."""

import csv
import json
import re
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lungscore.agreement.ratings import read_ratings
from lungscore.batch.columns import COLUMNS, columns
from lungscore.batch.dictionary import HEAD, dictionary_csv, variable
from lungscore.batch.drawings import case_text, histogram, scatter
from lungscore.batch.table import refuse_tables, write_cohort
from lungscore.batch.workbook import is_our_workbook
from lungscore.report.outputs import write_outputs
from lungscore.report.settings import ReportSettings
from tests.small_case import analysis_of_boxes


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cases, the first with ranges."""
    folder = tmp_path_factory.mktemp("cohort")
    for name, ranges in (("ward A__P1", True), ("=P2", False)):
        analysis = analysis_of_boxes(name=name, ranges=ranges)
        write_outputs(analysis, folder, settings=ReportSettings("small"))
    write_cohort(folder, ["ward A__P1", "=P2"], {})
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_ranges_regions_reliability_and_versions_stand_in_the_table(out: Path) -> None:
    first, second = rows(out / "cohort.csv")
    result = json.loads((out / "ward A__P1" / "result.json").read_text())
    ranges = result["ranges"]
    assert [float(first[f"infection_percent_{end}"]) for end in ("low", "high")] == list(
        ranges["burden"]["infection_percent"]
    )
    assert [int(first[f"ct_ss_{end}"]) for end in ("low", "high")] == ranges["scores"]["ct_ss"]
    assert [first["category_low"], first["category_high"]] == ranges["severity"]["category"]
    assert (
        float(first["RUL infection_percent_high"]) == ranges["lobes"]["RUL"]["infection_percent"][1]
    )
    regions = result["scores"]["ct_ss"]["regions"]
    for name, region in regions.items():
        assert float(first[f"{name} percent"]) == region["percent"]
        assert int(first[f"{name} score"]) == region["score"]
    assert first["reliability"] == result["reliability"]["grade"]
    run = json.loads((out / "ward A__P1" / "run.json").read_text())
    assert first["lungscore"] == run["lungscore"]
    assert (first["models"], first["engine"]) == ("infnet-resnet18 1.0", "openvino f32")
    assert second["infection_percent_low"] == ""
    assert second["case"] == "'=P2"


def test_parquet_has_the_same_columns_with_types(out: Path) -> None:
    table = pq.read_table(out / "cohort.parquet")
    assert tuple(table.schema.names) == COLUMNS
    assert str(table.schema.field("ct_ss_low").type) == "int32"
    assert str(table.schema.field("RUL apical percent").type) == "double"


def test_a_cohort_table_is_still_a_table_of_ratings(out: Path) -> None:
    ratings = read_ratings(out / "cohort.csv")
    assert set(ratings.values) == {"ward A__P1", "=P2"}
    assert not any("RUL" in column or column.endswith("_low") for column in ratings.unknown)


def test_the_dictionary_explains_every_column_as_redcap_takes_it(out: Path) -> None:
    lines = rows(out / "cohort-dictionary.csv")
    assert tuple(lines[0]) == HEAD
    assert [line["Field Note"] for line in lines] == [f"cohort.csv: {name}" for name in COLUMNS]
    names = [line["Variable / Field Name"] for line in lines]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in names)
    by_name = dict(zip(names, lines, strict=True))
    ct_ss = by_name["ct_ss"]
    assert ct_ss["Text Validation Type OR Show Slider Number"] == "integer"
    assert (ct_ss["Text Validation Min"], ct_ss["Text Validation Max"]) == ("0", "40")
    category = by_name["category_low"]
    assert category["Field Type"] == "radio"
    assert category["Choices, Calculations, OR Slider Labels"].startswith("none, none | mild, mild")
    assert all(line["Field Label"] for line in lines)
    assert variable("RUL infection_percent") == "rul_infection_percent"
    assert len(columns()) == len(COLUMNS)
    assert dictionary_csv() == dictionary_csv()


def test_the_workbook_has_the_table_and_no_formula(out: Path) -> None:
    pytest.importorskip("xlsxwriter")
    openpyxl = pytest.importorskip("openpyxl")
    assert is_our_workbook(out / "cohort.xlsx")
    head, first, second = openpyxl.load_workbook(out / "cohort.xlsx")["cohort"].iter_rows()
    assert tuple(cell.value for cell in head) == COLUMNS
    assert (second[0].value, second[0].data_type) == ("=P2", "s")
    assert first[COLUMNS.index("ct_ss")].value == 3
    before = (out / "cohort.xlsx").read_bytes()
    refuse_tables(out, resume=True)
    write_cohort(out, ["ward A__P1", "=P2"], {})
    assert (out / "cohort.xlsx").read_bytes() == before


def test_names_are_written_as_their_folders() -> None:
    assert case_text("ward A__P002") == "ward A / P002"


@pytest.mark.parametrize(
    ("percents", "bars", "first"),
    [
        ({0: 3, 2: 1}, 4, "0–1 %: 3"),
        ({0: 1, 19: 2}, 20, "0–1 %: 1"),
        ({3: 1, 30: 1}, 16, "0–2 %: 0"),
        ({99: 1}, 20, "0–5 %: 0"),
        ({}, 4, "0–1 %: 0"),
    ],
)
def test_the_histogram_fits_its_data(percents: dict[int, int], bars: int, first: str) -> None:
    drawn = str(histogram(percents))
    assert drawn.count("<rect") == bars
    assert first in drawn


def test_outliers_of_extent_and_score_are_named_and_every_point_is_a_link() -> None:
    cases = [{"case": f"P{i}", "infection_percent": float(i), "ct_ss": 2 * i} for i in range(1, 15)]
    cases.append({"case": "ward A__<odd>", "infection_percent": 7.5, "ct_ss": 38})
    drawn = str(scatter(cases, Path("cohort")))
    assert drawn.count("<a href=") == 15
    assert "&lt;odd&gt;</text>" in drawn
    assert ">P7</text>" not in drawn
    assert scatter(cases[:1], Path("cohort")) is None


def test_a_case_without_a_report_is_a_link_to_its_result(out: Path, tmp_path: Path) -> None:
    assert "ward%20A__P1/report.html" in (out / "cohort.html").read_text()
    analysis = analysis_of_boxes(name="P3", ranges=False)
    write_outputs(analysis, tmp_path, settings=ReportSettings("none"))
    write_cohort(tmp_path, ["P3"], {})
    page = (tmp_path / "cohort.html").read_text()
    assert 'href="P3/result.json"' in page
    assert "report.html" not in page


@pytest.mark.parametrize("name", ["phantom-many-patches-0", "W" * 80, "x" * 200])
@pytest.mark.parametrize("percent", [0.0, 49.0, 52.0, 99.0])
def test_a_long_name_in_the_plot_ends_within_it(name: str, percent: float) -> None:
    rows = [{"case": f"P{i}", "infection_percent": float(i), "ct_ss": 10} for i in range(100)]
    rows.append({"case": name, "infection_percent": percent, "ct_ss": 40})
    drawn = str(scatter(rows, Path("cohort")))
    label = re.search(
        r'<text x="([\d.]+)"[^>]*text-anchor="(start|end)"[^>]*>(…?[phxW][^<]*)<', drawn
    )
    assert label
    x, anchor, shown = float(label[1]), label[2], label[3]
    letters = len(shown) * (11.9 if "W" in name else 7.6)  # in DejaVu Sans: W, and other letters
    assert (x - letters >= 0) if anchor == "end" else (x + letters <= 420)
    assert name.endswith(shown.removeprefix("…"))
    assert shown == name or shown.startswith("…")
    if name.startswith("phantom"):
        assert shown == name


def test_a_name_at_the_bottom_of_the_plot_is_not_struck_through_by_the_axis() -> None:
    rows = [{"case": f"P{i}", "infection_percent": float(i), "ct_ss": 30} for i in range(1, 15)]
    rows.append({"case": "healthy", "infection_percent": 0.0, "ct_ss": 0})
    drawn = str(scatter(rows, Path("cohort")))
    label = re.search(r'y="([\d.]+)" [^>]*>healthy</text>', drawn)
    axis = re.search(r'y1="([\d.]+)" y2="[\d.]+" stroke="#4d5763"', drawn)
    assert label
    assert axis
    assert float(label[1]) < float(axis[1])


def test_the_numbers_below_the_plot_stand_where_they_belong() -> None:
    rows = [{"case": f"P{i}", "infection_percent": i * 35 / 9, "ct_ss": 10} for i in range(10)]
    drawn = str(scatter(rows, Path("cohort")))
    ticks = re.findall(r'<text x="([\d.]+)" y="224.0"[^>]*>(\d+)<', drawn)
    assert [int(number) for _, number in ticks] == [0, 10, 20, 30]
    steps = [float(x) for x, _ in ticks]
    assert max(b - a for a, b in pairwise(steps)) - min(b - a for a, b in pairwise(steps)) < 0.2
