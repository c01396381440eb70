"""Looking at a node and deciding, beside it."""

import json
from pathlib import Path
from typing import Any

import pytest

from lungscore.cli.main import call
from lungscore.errors import InputError, ResourceError
from lungscore.node.desk import overview
from lungscore.node.monitor import Monitor
from tests.node.test_work import analysing, taken


@pytest.fixture
def failed(parts: Any, series: list[Path]) -> tuple[Path, str]:
    """The settings of a node in which a study failed, and the study."""
    study = taken(parts, series)
    analysing(parts, InputError("slice-gap", "a slice is missing")).one()
    return parts.config.folder.parent / "node.yaml", study


def test_studies_are_listed(failed: tuple[Path, str], capsys: pytest.CaptureFixture) -> None:
    path, study = failed
    assert call(["node", "status", "--config", str(path)]) == 0
    assert f"{study}  failed        3 images" in (text := capsys.readouterr().out)
    assert "slice-gap" in text
    assert call(["node", "status", "--config", str(path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["studies"]["failed"] == 1
    assert answer["list"][0]["code"] == "slice-gap"


@pytest.mark.parametrize("everything", [True, False])
def test_failed_studies_are_tried_again(
    failed: tuple[Path, str], parts: Any, everything: bool
) -> None:
    path, study = failed
    given = ["--all"] if everything else [study]
    assert call(["node", "retry", "--config", str(path), *given]) == 0
    assert parts.state.counts()["queued"] == 1


def test_retry_needs_to_know_what(failed: tuple[Path, str]) -> None:
    assert call(["node", "retry", "--config", str(failed[0])]) == 2
    assert call(["node", "retry", "--config", str(failed[0]), "--all", "x"]) == 2


def test_what_ended_is_purged(failed: tuple[Path, str], parts: Any) -> None:
    path, study = failed
    assert call(["node", "purge", "--config", str(path), "--days", "1"]) == 0
    assert parts.state.counts()["failed"] == 1
    assert call(["node", "purge", "--config", str(path), "--days", "0"]) == 0
    assert parts.state.studies() == []
    assert not (parts.config.dead / study).exists()


def test_a_node_that_never_ran_has_nothing_to_list(tmp_path: Path) -> None:
    (tmp_path / "node.yaml").write_text("folder: state\n")
    assert call(["node", "status", "--config", str(tmp_path / "node.yaml")]) == 3
    assert call(["node"]) == 2


def test_a_missing_drop_folder_is_named(make_parts: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError) as missing:
        make_parts(watch=str(tmp_path / "drop"))
    assert missing.value.code == "input-not-found"
    assert "drop" in missing.value.found


def test_a_folder_that_cannot_be_made_is_changed_in_the_settings(
    make_parts: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ResourceError) as refused:
        make_parts(folder=str(tmp_path / "file" / "state"))
    assert "settings" in refused.value.message
    assert "-o" not in refused.value.message


def test_a_node_of_another_user_is_not_said_to_be_damaged(
    parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, stat = parts.config.folder, Path.stat

    def forbidden(path: Path, **options: Any) -> Any:
        if path.parent == folder:
            raise PermissionError(13, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", forbidden)
    with pytest.raises(ResourceError) as caught:
        overview(folder.parent / "node.yaml")
    assert caught.value.code == "output-not-writable"
    assert "user that the node runs as" in caught.value.message


def test_health_says_what_is_wrong(make_parts: Any) -> None:
    parts = make_parts(limits={"free_gib": 0, "waiting_studies": 1})
    stopped: list[str] = []
    monitor = Monitor(parts.config, parts.state, parts.journal, lambda: stopped)
    assert monitor.health()[0] == 200
    parts.state.receive("s", "i", "x", "c", 1.0)
    stopped.append("receive")
    status, answer = monitor.health()
    assert status == 503
    assert answer["troubles"] == ["receive has stopped", "the queue is full"]
    full = make_parts(limits={"free_gib": 1e9})
    monitor = Monitor(full.config, full.state, full.journal, list)
    assert monitor.health()[1]["troubles"] == ["the disk is full"]
