"""The figures of docs/pacs.md are those of the committed results."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "pacs.md").read_text("utf-8")


def figures(name: str) -> dict:
    path = ROOT / "experiments" / "results" / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"{path.name} was not measured")
    return json.loads(path.read_text())["figures"]


def row(named: str) -> str:
    match = re.search(rf"^\| [^|]*`{re.escape(named)}` \| (.+) \|$", TEXT, re.M)
    assert match, named
    return match[1]


def test_the_kills_are_those_that_were_measured() -> None:
    measured, text = figures("node-kills"), row("experiments/node_kills.py")
    assert measured["faults"] == []
    assert f"{measured['kills']} kills" in text
    assert f"{measured['studies']} studies" in text
    assert f"{measured['objects_in_archive']} objects" in text
    assert measured["objects_that_came_more_than_once"] == 0


def test_the_senders_are_those_that_were_measured() -> None:
    measured, text = figures("node-senders"), row("experiments/node_load.py senders")
    assert measured["images_taken"] == measured["images"]
    assert measured["objects_in_archive"] == measured["objects_expected"]
    assert measured["objects_that_came_more_than_once"] == 0
    assert f"{measured['associations']} associations of {measured['senders']} senders" in text
    assert f"{measured['peak']['resident_mib']:.0f} MiB" in text


def test_the_endurance_is_that_which_was_measured() -> None:
    measured, text = figures("node-endurance"), row("experiments/node_load.py endurance")
    first, last = measured["looks"][0], measured["looks"][-1]
    assert f"{measured['studies']} studies" in text
    for name in ("node_mib", "worker_mib"):
        assert f"{first[name]:.0f} MiB" in text
        assert f"{last[name]:.0f} MiB" in text
        assert last[name] < 1.1 * first[name]
    assert last["node_files"] <= first["node_files"] + 2
