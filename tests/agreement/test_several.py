"""Three raters: matched by case, compared as a whole and in pairs, and written."""

import csv
import html
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lungscore.agreement import write_agreement
from lungscore.agreement.content import to_content
from lungscore.agreement.outputs import OUTPUTS, OUTPUTS_OF_SEVERAL
from lungscore.agreement.raters import compare_raters
from lungscore.agreement.ratings import Ratings
from lungscore.agreement.several import AgreementOfSeveral, compare_several
from lungscore.agreement.several_text import methods_of_several, text_table_of_several
from lungscore.errors import InputError, UsageError
from lungscore.result.numbers import MEASURES
from lungscore.statistics import bootstrap
from lungscore.statistics.agreement import icc_agreement, weighted_kappa
from lungscore.version import RESEARCH_USE, __version__
from tests.report.pages import check_page

NAMES = ("reader 1", "us <b>", "reader 3")
CHOSEN = ("infection_percent", "ct_ss", "mosmed", "RUL ctsi")


@pytest.fixture(scope="module", autouse=True)
def few_resamples() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "RESAMPLES", 300)
        yield


@pytest.fixture(scope="module")
def raters() -> list[Ratings]:
    """Three that see the same twelve cases; the third lacks one case and one value."""
    rng = np.random.default_rng(4)
    severity = rng.random(12)
    found = []
    for name in NAMES:
        values = {
            f"P{case:02}": {
                measure: float(
                    round(np.clip(severe + rng.normal(0, 0.1), 0, 1) * MEASURES[measure].highest)
                )
                for measure in CHOSEN
            }
            for case, severe in enumerate(severity)
        }
        found.append(Ratings(name, "table", values, CHOSEN))
    rest = {case: values for case, values in found[2].values.items() if case != "P11"}
    rest["P03"] = {**rest["P03"], "ct_ss": None}
    return [found[0], found[1], replace(found[2], values=rest, unknown=("age",))]


@pytest.fixture(scope="module")
def agreement(raters: list[Ratings]) -> AgreementOfSeveral:
    return compare_several(raters)


@pytest.fixture(scope="module")
def written(agreement: AgreementOfSeveral, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("several") / "out"
    return write_agreement(agreement, to_content(agreement), out)


def test_all_is_measured_over_the_cases_that_all_have(agreement: AgreementOfSeveral) -> None:
    assert len(agreement.cases) == 11
    assert agreement.not_shared == (("P11",), ("P11",), ())
    measures = {agreed.measure.name: agreed for agreed in agreement.measures}
    score = measures["ct_ss"]
    assert score.n == 10
    assert "P03" not in score.cases
    assert score.missing == (0, 0, 1)
    assert score.icc_2_1 == icc_agreement(score.values)
    by_pair = [
        weighted_kappa(score.values[:, i], score.values[:, j], highest=40, weights="quadratic")
        for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    assert score.kappa_quadratic.value == pytest.approx(np.mean([k.value for k in by_pair]))
    assert score.alpha.n == 12  # two values are enough
    assert measures["infection_percent"].kappa_quadratic.reason == "no score of classes"
    assert measures["mosmed"].icc_2_1.value is None


def test_a_pair_is_what_two_raters_are(
    agreement: AgreementOfSeveral, raters: list[Ratings]
) -> None:
    assert list(agreement.pairs) == [(0, 1), (0, 2), (1, 2)]
    alone = compare_raters(raters[0], raters[1])
    assert to_content(agreement.pairs[0, 1]) == to_content(alone)
    assert len(agreement.pairs[0, 1].cases) == 12
    assert len(agreement.pairs[1, 2].cases) == 11


def test_what_is_left_out_is_said(agreement: AgreementOfSeveral) -> None:
    notices = [(notice.code, notice.message) for notice in agreement.notices]
    assert ("cases-unmatched", "Not rated by all: 1 case of reader 1: P11.") in notices
    codes = [code for code, _ in notices]
    assert codes == [
        "few-cases",
        "cases-unmatched",
        "cases-unmatched",
        "values-missing",
        "columns-ignored",
    ]


def test_raters_of_one_name_are_told_apart(raters: list[Ratings]) -> None:
    alike = [replace(raters[0], name="reader"), replace(raters[1], name="reader"), raters[2]]
    names = compare_several(alike).names
    assert names == ("reader (A)", "reader (B)", "reader 3")


def test_too_few_cases_and_no_common_measure_are_refused(raters: list[Ratings]) -> None:
    few = replace(raters[2], values=dict(list(raters[2].values.items())[:2]))
    with pytest.raises(
        InputError, match=r"3 raters share 2 cases; .*reader 3 has 2 cases"
    ) as error:
        compare_several([*raters[:2], few])
    assert error.value.code == "too-few-cases"
    alone = Ratings("x", "table", {f"P{i:02}": {"tss": 1.0} for i in range(12)}, ("tss",))
    with pytest.raises(InputError, match="x has tss") as error:
        compare_several([*raters[:2], alone])
    assert error.value.code == "no-common-measure"


def test_the_json_has_every_key_of_two_raters_and_the_pairs(
    written: Path, agreement: AgreementOfSeveral
) -> None:
    content = json.loads((written / "agreement.json").read_text("utf-8"))
    two = json.loads((written / "pairs/a-b/agreement.json").read_text("utf-8"))
    assert content == json.loads(json.dumps(to_content(agreement)))
    assert content["schema"] == two["schema"] == "lungscore.agreement/1"
    assert content.keys() == two.keys()
    assert content["raters"].keys() == {"a", "b", "c"}
    assert content["cases"].keys() == {
        *("n", "names", "not_shared_a", "not_shared_b", "not_shared_c")
    }
    for name, measure in content["measures"].items():
        assert measure.keys() - two["measures"][name].keys() == {
            *("c", "krippendorff_alpha", "pairs")
        }
        assert measure["pairs"].keys() == {"a-b", "a-c", "b-c"}
        pair = measure["pairs"]["a-b"]
        assert pair == {key: two["measures"][name][key] for key in pair}


def test_the_folder_has_tables_and_a_folder_for_each_pair(
    written: Path, agreement: AgreementOfSeveral
) -> None:
    assert {path.name for path in written.iterdir()} == {
        Path(name).parts[0] for name in OUTPUTS_OF_SEVERAL
    }
    assert {path.name for path in (written / "pairs").iterdir()} == {"a-b", "a-c", "b-c"}
    for folder in (written / "pairs").iterdir():
        assert {path.name for path in folder.iterdir()} == {Path(name).parts[0] for name in OUTPUTS}
    rows = list(csv.DictReader(io.StringIO((written / "agreement.csv").read_text("utf-8"))))
    for row, agreed in zip(rows, agreement.measures, strict=True):
        assert (row["measure"], int(row["n"])) == (agreed.measure.name, agreed.n)
        alpha = agreed.alpha.value
        assert row["krippendorff_alpha"] == ("" if alpha is None else f"{round(alpha, 6):.10g}")
        assert {"mean_a", "mean_b", "mean_c"} <= row.keys()
    ratings = list(csv.DictReader(io.StringIO((written / "ratings.csv").read_text("utf-8"))))
    assert len(ratings) == sum(agreed.n for agreed in agreement.measures)
    assert {"CT-0", "CT-4"} & {row["c"] for row in ratings if row["measure"] == "mosmed"}


def test_every_link_of_the_page_leads_somewhere(written: Path) -> None:
    text = (written / "report.html").read_text("utf-8")
    check_page(re.sub(r' href="(?:pairs/|#)[^"]*"', "", text))
    assert "us &lt;b&gt;" in text
    assert "<b>" not in text
    assert text.count(RESEARCH_USE) >= 2
    links = set(re.findall(r'href="([^"]+)"', text))
    assert len([link for link in links if link.startswith("pairs/a-b/")]) >= 3
    for link in links:
        file, _, anchor = html.unescape(link).partition("#")
        target = (written / file).read_text("utf-8") if file else text
        assert not anchor or f'id="{anchor}"' in target, link


@pytest.mark.slow
def test_equal_agreements_of_several_give_equal_files(
    written: Path, agreement: AgreementOfSeveral, tmp_path: Path
) -> None:
    again = write_agreement(agreement, to_content(agreement), tmp_path / "again")
    for path in written.rglob("*.*"):
        if path.is_file():
            assert path.read_bytes() == (again / path.relative_to(written)).read_bytes()
    with pytest.raises(UsageError, match="already exists"):
        write_agreement(agreement, to_content(agreement), again)
    write_agreement(agreement, to_content(agreement), again, overwrite=True)


def test_the_screen_and_the_methods_say_what_was_computed(
    written: Path, agreement: AgreementOfSeveral
) -> None:
    lines = text_table_of_several(agreement).splitlines()
    assert lines[0].startswith("reader 1, us <b> and reader 3, 11 cases: ")
    for agreed in agreement.measures:
        assert any(line.startswith(f"  {agreed.measure.name} ") for line in lines)
    paragraph = methods_of_several(agreement)
    assert paragraph in html.unescape((written / "report.html").read_text("utf-8"))
    for words in (__version__, "Light 1971", "Krippendorff 2004", "3 raters", "11 cases"):
        assert words in paragraph
