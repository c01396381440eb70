"""The verdicts and the page, from result files alone."""

import subprocess
import sys

import pytest

from lungscore.benchmark.comparisons import (
    compare,
    primary,
    primary_verdict,
    second_verdict,
    secondary,
)
from lungscore.benchmark.page import write_pages
from lungscore.benchmark.results import read_result, results_folder
from lungscore.benchmark.rows import Benchmark
from lungscore.cli.main import call
from lungscore.errors import InputError
from lungscore.statistics import bootstrap
from tests.benchmark.tiny_benchmark import REPOSITORY, ROWS, result, slices, write, write_folder

BENCHMARK = Benchmark.model_validate(ROWS)
SECOND = ("coach", "semi", "infection")


def verdicts(**dice):
    """Both verdicts on made-up results whose Dice is about what is given, row by row."""
    results = {row: result(row, value, seeds=(0, 1)) for row, value in dice.items()}
    return (
        primary_verdict(BENCHMARK, primary(BENCHMARK, results)),
        second_verdict(BENCHMARK, secondary(BENCHMARK, results).get(SECOND)),
    )


def test_pretraining_helps_where_the_interval_lies_above_0():
    first, _ = verdicts(coach=0.75, supervised=0.70)
    assert "coach against supervised: pre-training helps." in first
    assert "+0.050 [+0.050, +0.050]" in first
    assert "10 of 10 slices" in first
    assert "Mean of 2 seeds (0, 1)." in first


def test_pretraining_hurts_where_it_lies_below_0():
    assert ": pre-training hurts." in verdicts(coach=0.65, supervised=0.70)[0]


def test_no_difference_is_shown_where_it_holds_0():
    assert ": no difference was shown." in verdicts(coach=0.70, supervised=0.70)[0]


@pytest.mark.parametrize(
    ("coach", "answer", "side"),
    [
        (0.80, "Close or better", "it is better"),
        (0.74, "Close or better", "Neither was shown to be better"),
        (0.72, "Close, but not as good", "semi is better"),
        (0.70, "Not shown", "semi is better"),
    ],
)
def test_close_or_better_is_what_lies_above_the_margin(coach, answer, side):
    verdict = verdicts(coach=coach, semi=0.74)[1]
    assert f"than semi? {answer}.**" in verdict
    assert side in verdict


def test_a_verdict_without_results_says_so():
    first, second = verdicts(coach=0.7)
    assert "not answered yet" in first
    assert "Not answered yet" in second


def test_only_seeds_that_both_have_are_compared_and_fewer_than_planned_are_told():
    results = {"coach": result("coach", 0.7, seeds=(0, 1)), "supervised": result("supervised", 0.7)}
    comparison = primary(BENCHMARK, results)
    assert comparison.seeds == (0,)
    assert "One seed (0); 2 were planned." in primary_verdict(BENCHMARK, comparison)


def test_rows_without_a_common_seed_or_without_folds_are_not_compared():
    coach, supervised = result("coach", 0.7, seeds=(0,)), result("supervised", 0.7, seeds=(1,))
    both = {"coach": coach, "supervised": supervised}
    assert compare(both, "coach", "supervised", "infection") is None
    whole = result("supervised", 0.7, held_out=None)
    both = {"coach": coach, "supervised": whole}
    assert compare(both, "coach", "supervised", "infection") is None


def test_seeds_are_averaged_before_slices_are_paired():
    results = {
        "coach": result("coach", 0.7, seeds=(0, 1)),
        "supervised": result("supervised", 0.6, seeds=(0, 1)),
    }
    means = [sum(row["dice"] for row in slices(0.7, seed=seed)) / 10 for seed in (0, 1)]
    comparison = primary(BENCHMARK, results)
    assert comparison.difference["n"] == 10
    assert comparison.means[0] == pytest.approx(sum(means) / 2)


def test_p_of_all_but_the_primary_comparison_are_corrected_together():
    made = {row: result(row, dice) for row, dice in
            {"coach": 0.7, "supervised": 0.6, "semi": 0.65}.items()}  # fmt: skip
    comparisons = secondary(BENCHMARK, made)
    assert set(comparisons) == {SECOND, ("semi", "supervised", "infection")}
    corrected = [comparison.p for comparison in comparisons.values()]
    assert corrected == pytest.approx([2 * 2 / 1024] * 2)
    assert primary(BENCHMARK, made).p == pytest.approx(2 / 1024)


@pytest.fixture
def project(tmp_path):
    """A small project: the folder of the comparison, results of some rows, a README with marks."""
    folder = write_folder(tmp_path / "experiments" / "tiny")
    readme = "before\n<!-- verdicts:begin -->\nformer\n<!-- verdicts:end -->\nafter\n"
    (tmp_path / "README.md").write_text(readme)
    write(
        results_folder(folder),
        result("coach", 0.75, seeds=(0, 1)),
        result("supervised", 0.70, seeds=(0, 1), test=None),
        result("lesions", 0.5, target="lesions"),
    )
    return tmp_path


def table(project):
    assert call(["benchmark", "table", str(project / "experiments" / "tiny")]) == 0
    return (project / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def test_the_page_tells_verdicts_figures_and_what_was_not_run_with_its_command(project, capsys):
    text = table(project)
    assert text.index("pre-training helps") < text.index("## Out of fold")
    assert "Not answered yet" in text
    row = next(line for line in text.splitlines() if line.startswith("| `coach` |"))
    assert "| 2 | 0." in row
    assert "| 1.5 + 0.5 |" in row
    assert "| semi-supervised (`semi`) | not run |" in text
    assert "takes days. `lungscore benchmark run experiments/tiny --only large`" in text
    assert "the test slices were not measured. `lungscore benchmark run" in text
    assert "lesions 1 of 2" in text
    assert "| Inf-Net | 0.708 | not run | 7.95 | – | – | 1.17 |" in text
    assert "NaN" not in text
    assert "None" not in text
    assert "Page: " in capsys.readouterr().out


def test_the_same_results_give_the_same_page_and_readme(project):
    first = table(project), (project / "README.md").read_text()
    assert (table(project), (project / "README.md").read_text()) == first
    assert first[1].startswith("before\n<!-- verdicts:begin -->\n- **Does pre-training help?")
    assert first[1].endswith("<!-- verdicts:end -->\nafter\n")
    assert "former" not in first[1]


def test_released_maps_of_peers_stand_beside_with_the_figures_that_they_have(project):
    rows = [{key: row[key] for key in ("name", "dice", "infected_fraction", "true_fraction")}
            for row in slices(0.6)]  # fmt: skip
    rows[0] |= {"true_fraction": 0, "dice": None}
    path = project / "experiments" / "results" / "peer-ggo-Other.json"
    path.write_text(str({"figures": {"slices": rows}}).replace("'", '"').replace("None", "null"))
    line = next(row for row in table(project).splitlines() if "Other" in row)
    assert line.startswith("| Other (released maps) | 0.6")
    assert ", n = 8 |" in line


@pytest.mark.slow
def test_a_table_needs_no_torch(project):
    code = (
        "import sys; from lungscore.cli.main import call; "
        f"call(['benchmark', 'table', {str(project / 'experiments' / 'tiny')!r}]); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_result_file_that_is_none_is_named(project):
    folder = results_folder(project / "experiments" / "tiny")
    (folder / "semi.json").write_text("{")
    with pytest.raises(InputError, match=r"semi\.json") as caught:
        read_result(folder, "semi")
    assert caught.value.code == "input-unreadable"


def test_result_files_round_figures_but_not_the_experiment_and_hold_no_nan(project):
    folder = results_folder(project / "experiments" / "tiny")
    text = (folder / "coach.json").read_text()
    assert "NaN" not in text
    assert read_result(folder, "coach")["config"] == {"training": {"weight_decay": 1e-6}}
    figure = read_result(folder, "coach")["held_out"]["infection"]["figures"]["dice"]["mean"]
    assert figure == round(figure, 4)
    assert len(text.splitlines()) < 300


def test_the_page_in_the_repository_is_what_its_result_files_give(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 10_000)
    root = REPOSITORY.parents[1]
    page, readme = tmp_path / "page.md", tmp_path / "README.md"
    readme.write_text((root / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    write_pages(REPOSITORY, results_folder(REPOSITORY), page, readme)
    hint = "run: lungscore benchmark table experiments/benchmark"
    assert page.read_text("utf-8") == (root / "docs" / "benchmarks.md").read_text("utf-8"), hint
    assert readme.read_text("utf-8") == (root / "README.md").read_text("utf-8"), hint
