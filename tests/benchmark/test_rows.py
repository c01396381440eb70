"""rows.yaml, and the experiments that it names."""

import pytest

from lungscore.benchmark.compute import slices_seen, slices_together
from lungscore.benchmark.plan import before, in_order, runs_of
from lungscore.benchmark.rows import load_rows
from lungscore.errors import InputError, UsageError
from lungscore.learning.experiment_file import load_experiment, referred_file
from tests.benchmark.tiny_benchmark import REPOSITORY, ROWS, write_folder

FILES = sorted(path for path in REPOSITORY.glob("*.yaml") if path.stem != "rows")


def references(path):
    config = load_experiment(path)
    named = (config.network.start, config.data.priors, config.data.pseudo_labels)
    return [referred_file(reference, path) for reference in named if reference is not None]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_experiment_loads_is_named_after_itself_and_builds_on_what_exists(path):
    assert load_experiment(path).name == path.stem
    assert all(reference.is_file() for reference in references(path))


def test_every_network_of_the_repository_is_a_row_or_serves_one():
    rows = {row.name for row in load_rows(REPOSITORY).rows}
    served = {reference.stem for path in FILES for reference in references(path)}
    left = [load_experiment(path) for path in FILES if path.stem not in rows | served]
    # Pre-training and pseudo-labelling are steps, which may stand for themselves.
    left = [row for row in left if row.pretraining is None and row.pseudo_labelling is None]
    assert [row.name for row in left] == ["base", "long"]


def test_every_row_of_the_repository_has_an_experiment_of_its_target():
    for row in load_rows(REPOSITORY).rows:
        assert load_experiment(REPOSITORY / f"{row.name}.yaml").target == row.target, row.name


def test_the_primary_comparison_has_three_seeds_and_five_folds_of_each():
    benchmark = load_rows(REPOSITORY)
    for name in (benchmark.primary.row, benchmark.primary.against):
        assert len(runs_of(benchmark.row(name), REPOSITORY)) == 15
    assert (benchmark.primary.margin, benchmark.second.margin) == (0.02, 0.03)
    assert benchmark.primary.row == "coach-50-eq3-long"


def test_every_seed_of_the_two_questions_has_a_pretraining_and_a_teacher_of_its_own():
    benchmark = load_rows(REPOSITORY)
    for name in ("coach-50-eq3-long", "random-50-eq3-long", "semi-inf-net-long"):
        for run in runs_of(benchmark.row(name), REPOSITORY):
            assert {step.config.training.seed for step in before(run)} == {run.config.training.seed}


def compute(name):
    run = runs_of(load_rows(REPOSITORY).row(name), REPOSITORY)[0]
    return slices_seen(run.config), slices_together(before(run))


def test_supervised_at_equal_compute_sees_as_many_slices_as_the_coach_row_in_all():
    assert compute("coach-50-eq3-long") == (4800, 9600)
    assert compute("supervised-equal-compute") == (14400, 0)
    # Without a coach half of the pre-training's passes are gone.
    assert compute("random-50-eq3-long") == (4800, 4800)


def test_the_compute_of_semi_inf_net_holds_its_teacher():
    labels, stage = 8 * 160, 1200
    assert compute("semi-inf-net") == (1200, compute("supervised")[0] + labels + stage)


def test_the_published_recipe_counts_its_three_sizes_and_its_untrained_coach():
    config = load_experiment(REPOSITORY / "res2net-50.yaml")
    assert slices_seen(config) == 3 * 99 * 48
    config = load_experiment(REPOSITORY / "coach-50-paper-pretraining.yaml")
    # A batch to measure in each of three random epochs, then as many as the network has.
    assert slices_seen(config) == 12 * 200 + 3 * 8 + 9 * 200
    for task in ("rotation-50", "clusters-50", "masked-50"):
        assert slices_seen(load_experiment(REPOSITORY / f"{task}-pretraining.yaml")) == 2400
    assert compute("inpainting-beside") == (2 * compute("supervised")[0], 0)
    ours = load_experiment(REPOSITORY / "coach-50-ours-pretraining.yaml")
    assert slices_seen(ours) == 12 * (200 + 6 * 8)


def test_rows_of_table_1_and_their_controls_differ_in_pretraining_alone():
    for lines in load_rows(REPOSITORY).table_1.values():
        for line in lines:
            for name, control in (
                (line.single, line.single_control),
                (line.multi, line.multi_control),
            ):
                if control is not None:
                    configs = [load_experiment(REPOSITORY / f"{n}.yaml") for n in (name, control)]
                    assert configs[0].augmentation == configs[1].augmentation
                    assert configs[0].training == configs[1].training
                    assert configs[0].network.start != configs[1].network.start


def test_a_coach_and_its_control_differ_in_who_chooses_the_masks_alone():
    for coach, control in (
        ("coach-50-eq3-pretraining", "random-50-eq3-pretraining"),
        ("coach-50-eq3-long-pretraining", "random-50-eq3-long-pretraining"),
        ("coach-1650-pretraining", "random-1650-pretraining"),
    ):
        first, second = (load_experiment(REPOSITORY / f"{n}.yaml") for n in (coach, control))
        assert first.pretraining.variant == second.pretraining.variant == "eq3"
        masked = first.pretraining.model_copy(update={"masks": "random"})
        assert masked == second.pretraining
        assert first.training == second.training
        assert first.network == second.network


def test_no_pretraining_of_the_repository_sees_a_label():
    for path in FILES:
        config = load_experiment(path)
        if config.pretraining is not None:
            assert config.network.start is None
            assert config.data.pseudo_labels is None


def test_rows_differ_from_the_primary_ones_by_what_they_are_named_after():
    config = {name: load_experiment(REPOSITORY / f"{name}.yaml") for name in
              ("supervised", "coach-50-ours", "random-50", "coach-50-ours-5")}  # fmt: skip
    for name in ("coach-50-ours", "random-50"):
        assert config[name].training == config["supervised"].training
        assert config[name].augmentation == config["supervised"].augmentation
        assert config[name].data == config["supervised"].data
    assert config["coach-50-ours-5"].network == config["coach-50-ours"].network


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows": [*ROWS["rows"], ROWS["rows"][0]]}, "twice: coach"),
        ({"primary": {"row": "coach", "against": "nothing", "margin": 0.1}}, "no row: nothing"),
        ({"groups": {"a": "One network"}}, "no group: c"),
        ({"second": {"row": "coach", "against": "semi", "margin": 0}}, "second.margin"),
        ({"primary": {"row": "coach", "against": "semi"}}, "primary.margin"),
        ({"convergence": ["nowhere"]}, "no row: nowhere"),
        ({"stages": {2: {"title": "late", "hours": 1}}}, "no stage: 1"),
        ({"tables": {}}, "tables"),
    ],
)
def test_wrong_rows_are_refused_with_what_is_wrong(tmp_path, change, said):
    with pytest.raises(InputError, match="config-invalid|" + said) as caught:
        load_rows(write_folder(tmp_path / "tiny", **change))
    assert caught.value.code == "config-invalid"
    assert said in caught.value.message


def test_a_folder_without_rows_and_rows_that_are_no_yaml_are_refused(tmp_path):
    with pytest.raises(InputError) as caught:
        load_rows(tmp_path)
    assert caught.value.code == "input-not-found"
    (tmp_path / "rows.yaml").write_text("rows: [")
    with pytest.raises(InputError) as caught:
        load_rows(tmp_path)
    assert caught.value.code == "config-invalid"


def test_an_unknown_row_is_answered_with_those_there_are(tmp_path):
    with pytest.raises(UsageError, match="supervised"):
        load_rows(write_folder(tmp_path / "tiny")).row("nothing")


def test_a_row_and_its_experiment_have_one_target(tmp_path):
    row = {"name": "coach", "group": "a", "label": "coach", "target": "lesions"}
    folder = write_folder(tmp_path / "tiny", rows=[row, *ROWS["rows"][1:]])
    with pytest.raises(InputError, match="has the target lesions"):
        runs_of(load_rows(folder).row("coach"), folder)


def test_all_runs_of_the_repository_stand_after_what_they_build_on():
    benchmark = load_rows(REPOSITORY)
    names = [
        run.name
        for run in in_order(runs_of(row, REPOSITORY)[0] for row in reversed(benchmark.rows))
    ]
    assert len(set(names)) == len(names)
    assert names.index("coach-50-ours-pretraining/fold0-seed0") < names.index(
        "coach-50-ours/fold0-seed0"
    )
    for fold in range(5):
        before = names.index(f"supervised/fold{fold}-seed0")
        assert before < names.index("lesions-supervised/fold0-seed0")
