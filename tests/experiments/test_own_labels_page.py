"""docs/training.md shows what its result files say, and commands that exist."""

import json
import shlex
from pathlib import Path

import pytest
import typer.main

import how_many_cases
import own_labels_walk
from generated_blocks import block_of, write_block
from lungscore.cli.commands import app
from lungscore.learning.experiment_file import load_experiment

PAGE = own_labels_walk.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", own_labels_walk.STEPS)
def test_the_walk_is_what_its_commands_printed(name):
    steps = json.loads(own_labels_walk.RESULT.read_text(encoding="utf-8"))["steps"]
    assert block_of(PAGE, name) == own_labels_walk.text_of(steps[name])
    assert steps[name]["command"] == own_labels_walk._AGAIN.sub("", own_labels_walk.STEPS[name])


@pytest.mark.parametrize("name", own_labels_walk.STEPS)
def test_every_option_of_the_walk_is_known(name):
    words = shlex.split(own_labels_walk.STEPS[name])[1:]
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= known


def test_the_curve_is_that_of_its_result_file():
    result = json.loads(how_many_cases.RESULT.read_text(encoding="utf-8"))
    assert block_of(PAGE, "how-many-cases") == how_many_cases.table_of(result)


def test_the_experiment_of_the_walk_fine_tunes_what_ships():
    config = load_experiment(Path(how_many_cases.HERE) / "my-data.yaml")
    assert config.network.start is not None
    assert config.network.start.bundle == "infection"
    assert config.data.infected == ("my-data",)


def test_a_block_is_replaced_and_a_missing_one_is_told(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x: begin -->\n\nold\n\n<!-- x: end -->\nb\n")
    write_block(page, "x", "new \\1")
    assert page.read_text() == "a\n<!-- x: begin -->\n\nnew \\1\n\n<!-- x: end -->\nb\n"
    with pytest.raises(ValueError, match="0 blocks"):
        write_block(page, "y", "new")
