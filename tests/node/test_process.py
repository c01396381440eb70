"""The node as a process: it starts, stops, is killed, and is one of a kind."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

import node_faults
from lungscore.cli.main import call
from node_kills import run
from node_load import senders
from node_parties import Archive, Node, Sender, wait_until, write_studies
from ports import LOCAL

pytestmark = pytest.mark.ci


def test_a_node_that_is_killed_loses_nothing_and_sends_nothing_twice(tmp_path: Path) -> None:
    kills, counts, wrong = run(tmp_path, count=6, kills=5, seed=1)
    assert wrong == []
    assert len(kills) == 5
    assert counts["images_kept"] == 6 * 16 - 1


def test_many_senders_at_once_lose_nothing(tmp_path: Path) -> None:
    figures = senders(tmp_path, count=2, associations=8)
    assert figures["images_taken"] == figures["images"] == 128
    assert figures["objects_in_archive"] == figures["objects_expected"]
    assert figures["objects_that_came_more_than_once"] == 0


def test_faults_end_as_they_should_and_the_node_goes_on(tmp_path: Path) -> None:
    rows, goes_on = node_faults.run(tmp_path)
    assert [row["what"] for row in rows if not row["as_it_should"]] == []
    assert goes_on


def test_a_node_tells_its_state_and_nothing_of_a_patient(tmp_path: Path) -> None:
    (study,) = write_studies(tmp_path / "ct", 1)
    archive = Archive(tmp_path / "archive")
    destinations = [archive.as_destination()]
    with archive.running(), Node(tmp_path / "n", stub=True, destinations=destinations) as node:
        Sender(node.port).send_surely(study)
        wait_until(lambda: node.ended(1))
        address = f"http://{LOCAL}:{node.monitored}"
        with urlopen(f"{address}/health", timeout=30) as answer:  # noqa: S310
            health = json.load(answer)
        with urlopen(f"{address}/metrics", timeout=30) as answer:  # noqa: S310
            metrics = answer.read().decode()
        again = [sys.executable, "-m", "lungscore", "node", "--config", str(node.config)]
        second = subprocess.run(again, capture_output=True, text=True)
        assert second.returncode == 4
        assert "[node-running]" in second.stderr
        assert node.stop() == 130
    assert health["status"] == "ok"
    assert health["studies"]["sent"] == 1
    assert 'lungscore_node_images_total{outcome="taken"} 16' in metrics
    told = metrics + node.log.read_text() + json.dumps(health)
    base = b"".join(path.read_bytes() for path in node.folder.glob("node.sqlite*"))
    names = " ".join(str(path.relative_to(node.folder)) for path in node.folder.rglob("*"))
    for secret in ("PHANTOM", "1.2.826", "SENDER"):
        assert secret not in told + names
        assert secret.encode() not in base


def test_a_drop_folder_needs_no_network(tmp_path: Path) -> None:
    write_studies(tmp_path / "drop", 1)
    shelf = {"name": "shelf", "kind": "folder", "path": str(tmp_path / "shelf")}
    node = Node(tmp_path / "n", stub=True, watch=str(tmp_path / "drop"), destinations=[shelf])
    with node:
        wait_until(lambda: node.ended(1))
    assert len(list((tmp_path / "shelf").glob("*/*.dcm"))) == 6
    assert not [path for path in (tmp_path / "drop").rglob("*") if path.is_file()]
    assert call(["node", "status", "--config", str(node.config)]) == 0
