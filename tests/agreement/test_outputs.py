"""What is written of an agreement, from results that the report itself wrote."""

import csv
import html
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lungscore.agreement import text_table, write_agreement
from lungscore.agreement.content import to_content
from lungscore.agreement.outputs import OUTPUTS
from lungscore.agreement.raters import Agreement, compare_raters
from lungscore.agreement.ratings import Ratings, read_ratings
from lungscore.agreement.text import methods_text
from lungscore.errors import UsageError
from lungscore.result import to_result
from lungscore.result.numbers import MEASURES
from lungscore.version import RESEARCH_USE, __version__
from tests.report.pages import check_page


def made_up(name: str, measures: tuple[str, ...], *, cases=("P1", "P2", "P3", "=4+1", "P5")):
    rng = np.random.default_rng(len(name))
    values = {
        case: {m: float(rng.integers(0, MEASURES[m].highest % 100_000 or 5) % 5) for m in measures}
        for case in cases
    }
    return Ratings(name, "table", values, measures)


@pytest.fixture(scope="module")
def agreement() -> Agreement:
    measures = ("infection_percent", "ct_ss", "mosmed", "RUL infection_percent", "RUL ctsi")
    return compare_raters(made_up("reader", measures), made_up("us <b>", measures))


@pytest.fixture(scope="module")
def written(agreement: Agreement, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("agreement") / "out"
    return write_agreement(agreement, to_content(agreement), out)


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))


def test_the_folder_holds_figures_tables_and_report(written):
    assert {path.name for path in written.iterdir()} == {Path(name).parts[0] for name in OUTPUTS}
    assert {path.name for path in (written / "figures").iterdir()} == {
        "infection_percent.png",
        "ct_ss.png",
        "mosmed.png",
        "lobes_infection_percent.png",
        "lobes_ctsi.png",
    }
    for path in (written / "figures").iterdir():
        with Image.open(path) as image:
            assert min(image.size) > 300
            assert len(image.convert("RGB").getcolors(10**6)) > 20


def test_json_and_table_say_the_same(written, agreement):
    content = json.loads((written / "agreement.json").read_text("utf-8"))
    assert content == json.loads(json.dumps(to_content(agreement)))
    assert content["schema"] == "lungscore.agreement/1"
    for row in rows(written / "agreement.csv"):
        measure = content["measures"][row["measure"]]
        assert int(row["n"]) == measure["n"]
        figures = {"bias": measure["bland_altman"]["bias"]}
        figures |= {key: measure[key] for key in ("icc_2_1", "kappa_quadratic", "spearman")}
        for name, figure in figures.items():
            for column, end in ((name, "value"), (f"{name}_low", "low"), (f"{name}_high", "high")):
                assert row[column] == ("" if figure[end] is None else f"{figure[end]:.10g}")


def test_pairs_are_listed_and_no_spreadsheet_runs_them(written, agreement):
    pairs = rows(written / "pairs.csv")
    assert len(pairs) == sum(each.n for each in agreement.measures)
    assert "'=4+1" in {row["case"] for row in pairs}
    assert not any(cell.startswith(("=", "+", "@")) for row in pairs for cell in row.values())
    first = agreement.measures[0]
    told = [float(row["difference"]) for row in pairs if row["measure"] == first.measure.name]
    assert told == pytest.approx((first.a - first.b).tolist())
    assert {row["a"] for row in pairs if row["measure"] == "mosmed"} <= {
        f"CT-{i}" for i in range(5)
    }


def test_the_page_is_well_formed_escaped_and_loads_nothing(written):
    text = (written / "report.html").read_text("utf-8")
    check_page(text)
    assert "us &lt;b&gt;" in text
    assert "<b>" not in text
    assert text.count(RESEARCH_USE) >= 2


def test_the_page_shows_every_measure_and_notice(written, agreement):
    text = (written / "report.html").read_text("utf-8")
    for each in agreement.measures:
        assert each.measure.title in text
    assert "few-cases" in text
    assert text.count("<img ") == 5


@pytest.mark.slow
def test_equal_agreements_give_equal_files(written, agreement, tmp_path):
    again = write_agreement(agreement, to_content(agreement), tmp_path / "again")
    for path in written.rglob("*.*"):
        assert path.read_bytes() == (again / path.relative_to(written)).read_bytes()


@pytest.mark.slow
def test_an_existing_folder_is_refused_and_replaced_when_asked(written, agreement, tmp_path):
    content = to_content(agreement)
    folder = write_agreement(agreement, content, tmp_path / "out")
    with pytest.raises(UsageError) as refused:
        write_agreement(agreement, content, folder)
    assert refused.value.code == "output-exists"
    write_agreement(agreement, content, folder, overwrite=True)
    (folder / "P1").mkdir()
    with pytest.raises(UsageError, match="P1"):
        write_agreement(agreement, content, folder, overwrite=True)
    (folder / "P1").rmdir()
    (folder / "figures" / "for the paper.tif").write_text("mine")
    with pytest.raises(UsageError, match="for the paper"):
        write_agreement(agreement, content, folder, overwrite=True)
    assert list(tmp_path.iterdir()) == [folder]


def test_an_empty_folder_is_filled(agreement, tmp_path):
    (tmp_path / "out").mkdir()
    folder = write_agreement(agreement, to_content(agreement), tmp_path / "out")
    assert (folder / "agreement.json").is_file()


def test_ratings_that_never_differ_are_drawn_and_explained(tmp_path):
    values = {f"P{i}": {"ct_ss": 3.0, "mosmed": 1.0, "po": None, "pho": 0.0} for i in range(4)}
    rater = Ratings("reader $a_b^{$ 大学", "table", values, ("ct_ss", "po", "pho", "mosmed"))
    agreement = compare_raters(rater, rater)
    folder = write_agreement(agreement, to_content(agreement), tmp_path / "out")
    text = (folder / "report.html").read_text("utf-8")
    assert "No κ: all values of both raters are the same." in text
    assert "No case has values from both raters for: PO." in text
    assert "nan" not in text_table(agreement)


def test_the_text_table_has_a_line_for_every_measure(agreement):
    lines = text_table(agreement).splitlines()
    assert RESEARCH_USE in lines[0]
    for each in agreement.measures:
        (line,) = [one for one in lines if one.startswith(f"  {each.measure.name} ")]
        assert str(each.n) in line
    assert any("few-cases" in line for line in lines)


def test_every_measure_stands_in_a_real_result(make_analysis, tmp_path):
    for name, case in (("a", {}), ("b", {"sides": False}), ("c", {"units": "grey", "depth": 1})):
        folder = tmp_path / name
        folder.mkdir()
        result = to_result(make_analysis(name=name, **case)).to_json()
        (folder / "result.json").write_bytes(result)
    found = read_ratings(tmp_path)
    assert set(found.values) == {"a", "b", "c"}
    assert None not in found.values["a"].values()
    assert found.values["c"]["ct_ss"] is None


def test_outliers_are_listed_with_links_to_their_reports(tmp_path):
    """Twenty cases that differ by 0 or 1, and one by 60."""
    ratings = []
    for name, far in (("network", 70.0), ("reader", 10.0)):
        values = {f"P{i:02}": {"infection_percent": 10.0 + (i % 2)} for i in range(20)}
        values["far & off"] = {"infection_percent": far}
        ratings.append(Ratings(name, "table", values, ("infection_percent",)))
    report = tmp_path / "results" / "far & off" / "report.html"
    ratings[0] = replace(ratings[0], reports={"far & off": report})
    agreement = compare_raters(*ratings)
    assert [case for case, _ in agreement.measures[0].outliers] == ["far & off"]
    folder = write_agreement(agreement, to_content(agreement), tmp_path / "out")
    text = (folder / "report.html").read_text("utf-8")
    assert "Beyond the limits: far &amp; off (60.00)" in text
    assert '<a href="../results/far%20%26%20off/report.html">network</a>' in text


def test_a_methods_paragraph_says_what_was_computed(written, agreement):
    text = (written / "report.html").read_text("utf-8")
    paragraph = methods_text(agreement)
    assert paragraph in html.unescape(text)
    for words in (__version__, "Bland and Altman 1986", "seed", f"{len(agreement.cases)} cases"):
        assert words in paragraph
