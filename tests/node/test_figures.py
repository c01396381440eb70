"""What the committed results of the node's experiments say: nothing was lost or sent twice."""

import json
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[2] / "experiments" / "results"


def figures(name: str) -> dict:
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"{path.name} was not measured")
    return json.loads(path.read_text())["figures"]


def test_the_kills_lost_nothing() -> None:
    measured = figures("node-kills")
    assert measured["kills"] == 50
    assert measured["faults"] == []
    assert measured["objects_that_came_more_than_once"] == 0


def test_the_senders_lost_nothing() -> None:
    measured = figures("node-senders")
    assert (measured["senders"], measured["associations"]) == (8, 200)
    assert measured["images_taken"] == measured["images"]
    assert measured["objects_in_archive"] == measured["objects_expected"]
    assert measured["objects_that_came_more_than_once"] == 0


def test_memory_and_open_files_stay_flat() -> None:
    measured = figures("node-endurance")
    assert measured["studies"] == 500
    first, last = measured["looks"][0], measured["looks"][-1]
    for name in ("node_mib", "worker_mib"):
        assert last[name] < 1.1 * first[name]
    for name in ("node_files", "worker_files"):
        assert last[name] <= first[name] + 2
