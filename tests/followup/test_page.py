"""The report of a comparison as a reader and a browser see it, and the folder it lies in."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lungscore.errors import UsageError
from lungscore.followup import Comparison
from lungscore.followup.comparison import compare_results
from lungscore.followup.outputs import OUTPUTS, write_comparison
from lungscore.report.outputs import write_outputs
from lungscore.version import RESEARCH_USE
from tests.report.pages import check_page
from tests.sampling import sampled

SLICE = {"units": "grey", "spacing": False, "sides": False, "depth": 1}
CASES = {
    "usual": ({}, {}),
    "masks alone": ({"masks_only": True}, {}),
    "grey levels": ({}, {"units": "grey", "spacing": False}),
    "unknown sides": ({"sides": False}, {"sides": False}),
    "two slices": (SLICE, SLICE),
    "a slice and a volume": (SLICE, {}),
}


def page_of(folder: Path) -> str:
    return (folder / "report.html").read_text("utf-8")


@pytest.mark.parametrize("case", sampled(CASES, every=3))
def test_every_pair_becomes_a_folder(make_follow_up, tmp_path, case):
    follow_up = make_follow_up(*CASES[case])
    folder = write_comparison(follow_up, tmp_path)
    assert folder == tmp_path / "first-to-second"
    assert {path.name for path in folder.iterdir()} == {Path(name).parts[0] for name in OUTPUTS}
    assert (folder / "figures" / "side_by_side.png").is_file()
    content = Comparison.model_validate_json((folder / "comparison.json").read_bytes())
    assert content == follow_up.comparison
    assert list(tmp_path.iterdir()) == [folder]
    text = page_of(folder)
    check_page(text)
    assert text.count(RESEARCH_USE) == 2
    assert not re.search(r"\bnan\b|None", re.sub(r'src="[^"]*"', "", text))


@pytest.mark.slow
def test_equal_follow_ups_give_equal_files(make_follow_up, tmp_path):
    first, second = (write_comparison(make_follow_up(), tmp_path / name) for name in "ab")
    for path in first.rglob("*.*"):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path.name


def test_the_page_says_whether_dates_were_read(make_follow_up, tmp_path):
    follow_up = make_follow_up()
    assert "no name or date is read" in page_of(write_comparison(follow_up, tmp_path / "without"))
    dated = replace(follow_up, comparison=follow_up.comparison.model_copy(update={"days": 12}))
    assert "no name is read" in page_of(write_comparison(dated, tmp_path / "with"))


def test_names_and_messages_are_escaped(make_follow_up, tmp_path):
    follow_up = make_follow_up()
    follow_up.comparison.later.warnings.append(
        follow_up.comparison.later.warnings[0].model_copy(update={"message": "<img src=x>"})
    )
    text = page_of(write_comparison(follow_up, tmp_path))
    assert "<img src=x" not in text
    assert "&lt;img src=x&gt;" in text


def test_what_stands_against_comparing_stands_before_the_numbers(make_follow_up, tmp_path):
    follow_up = make_follow_up(later={"units": "grey"})
    text = page_of(write_comparison(follow_up, tmp_path))
    assert text.index("units-differ") < text.index("<h2>Scores")


def test_what_holds_for_both_is_said_once(make_follow_up, tmp_path):
    codes = ("hu-split", "contrast")
    follow_up = make_follow_up({"codes": codes}, {"codes": codes[:1]})
    text = page_of(write_comparison(follow_up, tmp_path))
    assert text.count("About hu-split.") == 1
    assert re.search(r"<strong>Both:</strong> About hu-split\.</p>", text)
    assert re.search(r"<strong>Earlier:</strong> About contrast\.</p>", text)


def test_ranges_are_shown_where_they_are_known(make_follow_up, tmp_path):
    follow_up = make_follow_up()
    assert ">ranges<" not in page_of(write_comparison(follow_up, tmp_path / "without"))
    contents = [dict(case.result) for case in (follow_up.earlier, follow_up.later)]
    contents[0]["ranges"] = {"burden": {"infection_percent": [3.0, 5.0]}}
    contents[1]["ranges"] = {"burden": {"infection_percent": [0.0, 0.5]}}
    comparison = compare_results(*contents, name="x")
    object.__setattr__(follow_up, "comparison", comparison)
    text = page_of(write_comparison(follow_up, tmp_path / "with"))
    assert "<small>(3.0–5.0)</small>" in text
    assert re.search(r'<tr class="?beyond"?>\s*<td>opacity</td>', text)
    assert "The ranges do not overlap" in text


def test_an_existing_comparison_is_refused_and_kept(make_follow_up, tmp_path):
    follow_up = make_follow_up()
    folder = write_comparison(follow_up, tmp_path)
    with pytest.raises(UsageError) as refused:
        write_comparison(follow_up, tmp_path)
    assert refused.value.code == "output-exists"
    write_comparison(follow_up, tmp_path, overwrite=True)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.txt"):
        write_comparison(follow_up, tmp_path, overwrite=True)


def test_a_case_folder_is_never_replaced_by_a_comparison(make_analysis, make_follow_up, tmp_path):
    folder = write_outputs(make_analysis(name="first-to-second"), tmp_path)
    with pytest.raises(UsageError):
        write_comparison(make_follow_up(), tmp_path, overwrite=True)
    assert json.loads((folder / "result.json").read_text())["case"] == "first-to-second"


def test_nothing_half_written_stays(make_follow_up, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lungscore.followup.outputs.render_comparison", full)
    with pytest.raises(Exception, match="No disk space"):
        write_comparison(make_follow_up(), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_report_prints_on_one_page(make_follow_up, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no browser to print with")
    codes = ("hu-split", "approximate-regions", "thick-slices", "contrast", "truncated-scan")
    follow_up = make_follow_up({"codes": codes}, {"units": "grey", "masks_only": True})
    folder = write_comparison(follow_up, tmp_path)
    pdf = tmp_path / "page.pdf"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    command = [chromium, *options, f"--print-to-pdf={pdf}", (folder / "report.html").as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes())) == 1
