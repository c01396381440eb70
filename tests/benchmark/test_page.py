"""The verdicts and the page, from result files alone."""

import subprocess
import sys

import pytest

from lungscore.benchmark.comparisons import (
    compare,
    difference_text,
    primary,
    primary_verdict,
    second_verdict,
    secondary,
)
from lungscore.benchmark.page import write_pages
from lungscore.benchmark.results import read_result, read_results, results_folder
from lungscore.benchmark.rows import Benchmark, Claim, Row
from lungscore.benchmark.table_1 import answer
from lungscore.benchmark.training_page import convergence_blocks, unmeasured_starts
from lungscore.cli.main import call
from lungscore.errors import InputError
from lungscore.statistics import bootstrap, crossed
from tests.benchmark.tiny_benchmark import (
    REPOSITORY,
    ROWS,
    parts,
    result,
    slices,
    write,
    write_folder,
)

BENCHMARK = Benchmark.model_validate(ROWS)
SECOND = ("coach", "semi", "infection")


def verdicts(**dice):
    """Both verdicts on made-up results whose Dice is about what is given, row by row."""
    results = {row: result(row, value, seeds=(0, 1)) for row, value in dice.items()}
    return (
        primary_verdict(BENCHMARK, BENCHMARK.primary, primary(BENCHMARK, results), results),
        second_verdict(
            BENCHMARK, BENCHMARK.second, secondary(BENCHMARK, results).get(SECOND), results
        ),
    )


def test_pretraining_helps_where_the_interval_lies_above_0():
    first, _ = verdicts(coach=0.75, supervised=0.70)
    assert "coach against supervised: pre-training helps." in first
    assert "+0.050 [+0.050, +0.050]" in first
    assert "does not lie within ±0.02, the margin" in first
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


@pytest.mark.parametrize(
    ("high", "written"),
    [
        (-0.00028, "−0.0070 [−0.0140, −0.0003]"),
        (0.0, "−0.007 [−0.014, +0.000]"),
        (1e-9, "−0.007000 [−0.014000, +0.000000]"),
        (0.0006, "−0.007 [−0.014, +0.001]"),
    ],
)
def test_an_end_beside_0_is_not_rounded_to_it(high, written):
    assert difference_text({"mean": -0.007, "low": -0.014, "high": high, "n": 50}) == written


def test_a_verdict_without_results_says_so():
    first, second = verdicts(coach=0.7)
    assert "not answered yet" in first
    assert "Not answered yet" in second


def test_only_seeds_that_both_have_are_compared_and_fewer_than_planned_are_told():
    results = {"coach": result("coach", 0.7, seeds=(0, 1)), "supervised": result("supervised", 0.7)}
    comparison = primary(BENCHMARK, results)
    assert comparison.seeds == (0,)
    verdict = primary_verdict(BENCHMARK, BENCHMARK.primary, comparison, results)
    assert "One seed (0); 2 were planned." in verdict
    assert "over slices alone, not over trainings" in verdict
    assert "the chance of training left out" in verdict


def test_rows_without_a_common_seed_or_without_folds_are_not_compared():
    coach, supervised = result("coach", 0.7, seeds=(0,)), result("supervised", 0.7, seeds=(1,))
    both = {"coach": coach, "supervised": supervised}
    assert compare(both, "coach", "supervised", "infection") is None
    whole = result("supervised", 0.7, held_out=None)
    both = {"coach": coach, "supervised": whole}
    assert compare(both, "coach", "supervised", "infection") is None


def test_rows_of_fewer_folds_are_named_and_compared_on_the_slices_of_both(tmp_path):
    rows = [ROWS["rows"][0], ROWS["rows"][1] | {"folds": 1}, *ROWS["rows"][2:]]
    results = {"coach": result("coach", 0.7), "supervised": result("supervised", 0.6)}
    results["supervised"]["held_out"] = parts({"seed0": slices(0.6)[:4]}, "infection")
    assert compare(results, "coach", "supervised", "infection").difference["n"] == 4
    write(tmp_path, *results.values())
    for folder, said in ((write_folder(tmp_path / "fewer", rows=rows), True),
                         (write_folder(tmp_path / "all"), False)):  # fmt: skip
        write_pages(folder, tmp_path, tmp_path / "page.md", tmp_path / "README.md")
        text = (tmp_path / "page.md").read_text()
        assert ("these rows hold out 1 of the folds only: `supervised`." in text) == said


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


def test_an_interval_over_seeds_is_wider_where_trainings_disagree():
    """Of seeds that differ by as much as 0.1 nothing is shown, though 50 slices agree."""
    results = {"coach": result("coach", 0.72, seeds=(0, 1)), "supervised": None}
    results["supervised"] = result("supervised", 0.70, seeds=(0, 1))
    of_seeds = results["coach"]["held_out"]["infection"]["per_slice"]["dice"]
    for seed, shift in (("seed0", 0.05), ("seed1", -0.05)):
        of_seeds[seed] = [value + shift for value in of_seeds[seed]]
    comparison = primary(BENCHMARK, results)
    assert comparison.crossed.over_seeds
    assert comparison.difference["low"] < -0.02
    assert comparison.difference["high"] > 0.06
    verdict = primary_verdict(BENCHMARK, BENCHMARK.primary, comparison, results)
    assert "no difference was shown" in verdict
    assert "does not lie within ±0.02, the margin" in verdict
    assert "slices × 2 seeds)" in verdict


@pytest.mark.parametrize(
    ("of_steps", "said"),
    [((0, 1), "slices × 2 seeds × 2 pre-trainings"), ((0,), "one pre-training for all")],
)
def test_a_verdict_says_what_its_interval_is_over_and_whether_the_floor_was_beaten(of_steps, said):
    curves = {"random_mask_error": [0.5, 0.3], "random_mask_floor": [0.4, 0.35]}
    steps = [
        {"experiment": "pretraining", "fold": 0, "seed": seed, "weights_sha256": "x",
         "inpainting": curves} for seed in of_steps
    ]  # fmt: skip
    results = {
        "coach": result("coach", 0.75, seeds=(0, 1), steps=steps),
        "supervised": result("supervised", 0.70, seeds=(0, 1)),
    }
    verdict = primary_verdict(BENCHMARK, BENCHMARK.primary, primary(BENCHMARK, results), results)
    assert said in verdict
    assert "learned more than plain Laplace filling" in verdict
    assert "error under random masks 0.300, Laplace 0.350" in verdict
    assert "coach 1200 + 2400" in verdict
    curves["random_mask_floor"][-1] = 0.25
    verdict = primary_verdict(BENCHMARK, BENCHMARK.primary, primary(BENCHMARK, results), results)
    assert "did not beat plain Laplace filling" in verdict


CLAIM = Claim(text="Better?", rows=("a", "b"), against="base", published=((4.0, 5.0), 8.0))


def losses(**rows):
    """Results whose test losses are those given, with a little spread between slices."""
    return {name: result(name, value, seeds=(0,)) for name, value in rows.items()}


@pytest.mark.parametrize(
    ("rows", "less_by", "word"),
    [
        ({"a": 0.7, "b": 0.6}, 0.0, "Yes."),
        ({"a": 1.2, "b": 1.3}, 0.0, "No."),
        ({"a": 0.7, "b": 1.3}, 0.0, "In 1 of 2 rows that were run."),
        ({"a": 0.7, "b": 0.6}, 0.5, "No."),
        ({"a": 0.3, "b": 0.4}, 0.5, "Yes."),
        ({"a": 0.7}, 0.0, "Yes, so far."),
        ({}, 0.0, "Not answered yet."),
    ],
)
def test_a_claim_is_answered_from_the_losses_that_were_measured(rows, less_by, word):
    text = answer(CLAIM.model_copy(update={"less_by": less_by}), losses(base=1.0, **rows))
    assert text.startswith(f"**Better? {word}**")
    assert "In the paper's own table the loss changes by −50.0 %, −37.5 %." in text
    assert ("Not run: `b`" in text) is (set(rows) == {"a"})


def test_a_result_under_the_former_name_of_a_row_counts_until_there_is_one_under_its_own(tmp_path):
    row = Row(name="ours", group="a", label="ours", formerly="coach")
    write(tmp_path, result("coach", 0.6))
    assert read_results(tmp_path, [row])["ours"]["row"] == "coach"
    write(tmp_path, result("ours", 0.7))
    assert read_results(tmp_path, [row])["ours"]["row"] == "ours"


def test_rows_from_other_weights_than_the_measured_ones_are_named():
    step = {"experiment": "supervised", "fold": 0, "seed": 0, "weights_sha256": "supervised00"}
    results = {"supervised": result("supervised", 0.7), "semi": result("semi", 0.7, steps=[step])}
    assert "from the measured weights" in unmeasured_starts(results)
    step["weights_sha256"] = "others"
    assert "`semi` (from `supervised`)" in unmeasured_starts(results)


def test_convergence_is_answered_by_the_last_step(tmp_path):
    rows = [*ROWS["rows"], {"name": "more", "group": "a", "label": "more"}]
    benchmark = Benchmark.model_validate(
        ROWS | {"rows": rows, "convergence": ["supervised", "more"]}
    )
    made = {"supervised": result("supervised", 0.7)}
    assert "Not answered yet" in "".join(convergence_blocks(benchmark, made))
    made["more"] = result("more", 0.702)
    assert "Yes: the last step" in "".join(convergence_blocks(benchmark, made))
    made["more"] = result("more", 0.72)
    assert "No: the last step" in "".join(convergence_blocks(benchmark, made))


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
    assert "| Inf-Net | 0.708 | – | not run | – | 7.95 | – | – | – | – | 1.17 |" in text
    loss = result("coach", 0.75, seeds=(0, 1))["held_out"]["infection"]["figures"]["test_loss"]
    assert f"| Self-super | {loss['mean']:.3f} | 0.708 | " in text
    assert "| 1200 + 2400 |" in row
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
    assert read_result(folder, "coach")["config"]["training"]["weight_decay"] == 1e-6
    figure = read_result(folder, "coach")["held_out"]["infection"]["figures"]["dice"]["mean"]
    assert figure == round(figure, 4)
    assert len(text.splitlines()) < 300


def test_the_page_in_the_repository_is_what_its_result_files_give(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 10_000)
    monkeypatch.setattr(crossed, "RESAMPLES", 10_000)
    root = REPOSITORY.parents[1]
    page, readme = tmp_path / "page.md", tmp_path / "README.md"
    readme.write_text((root / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    write_pages(REPOSITORY, results_folder(REPOSITORY), page, readme)
    hint = "run: lungscore benchmark table experiments/benchmark"
    assert page.read_text("utf-8") == (root / "docs" / "benchmarks.md").read_text("utf-8"), hint
    assert readme.read_text("utf-8") == (root / "README.md").read_text("utf-8"), hint
