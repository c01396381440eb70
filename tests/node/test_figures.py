"""What the committed results of the node's experiments say, and the page that shows them."""

import json
from pathlib import Path

import pytest

from node_faults import BEGIN, END, table

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "experiments" / "results"
PAGE = (ROOT / "docs" / "pacs.md").read_text("utf-8")


def measured(name: str) -> dict:
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"{path.name} was not measured")
    return json.loads(path.read_text())


def test_the_kills_lost_nothing() -> None:
    figures = measured("node-kills")["figures"]
    assert figures["kills"] == 50
    assert figures["faults"] == []
    twice = figures["objects_that_came_more_than_once"]
    assert twice == 0
    whom = figures["killed"]
    assert (
        f"{figures['kills']} kills ({whom['node']} of the node, {whom['group']} of all, "
        f"{whom['worker']} of a worker): no fault; {figures['studies']} studies, "
        f"{figures['objects_in_archive']} objects, {twice} sent twice"
    ) in PAGE


def test_the_senders_lost_nothing() -> None:
    figures = measured("node-senders")["figures"]
    assert (figures["senders"], figures["associations"]) == (8, 200)
    assert figures["images_taken"] == figures["images"]
    assert figures["objects_in_archive"] == figures["objects_expected"]
    twice = figures["objects_that_came_more_than_once"]
    assert twice == 0
    idle, peak = (
        f"{figures[when]['resident_mib']:.0f} MiB and {figures[when]['open_files']} open files"
        for when in ("idle", "peak")
    )
    assert (
        f"{figures['images']} images and {figures['objects_expected']} objects, all there, "
        f"{twice} sent twice; idle {idle}, at most {peak}"
    ) in PAGE


def test_memory_and_open_files_stay_flat() -> None:
    figures = measured("node-endurance")["figures"]
    assert figures["studies"] == 500
    looks = {look["studies"]: look for look in figures["looks"]}
    first, last = looks[10], looks[500]
    for name in ("node_mib", "worker_mib"):
        assert last[name] < 1.1 * first[name]
    for name in ("node_files", "worker_files"):
        assert last[name] <= first[name] + 2
    node, worker = (
        f"{first[f'{name}_mib']:.0f} and {last[f'{name}_mib']:.0f} MiB, "
        f"{first[f'{name}_files']} and {last[f'{name}_files']} files"
        for name in ("node", "worker")
    )
    assert f"after 10 and after 500: node {node}; worker {worker}" in PAGE


def test_every_fault_ends_as_it_should_and_the_page_lists_it() -> None:
    content = measured("node-faults")
    figures = content["figures"]
    assert figures["as_they_should"] == figures["faults"] == len(content["faults"]) > 20
    assert figures["a_study_goes_through_afterwards"]
    assert f"{figures['faults']} faults, all end as they should" in PAGE
    assert f"{BEGIN}\n\n{table(content['faults'])}\n{END}" in PAGE
