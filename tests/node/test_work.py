"""Studies are analysed once, again after the computer failed, and never from half their images."""

import json
from pathlib import Path
from typing import Any

import pytest

from lungscore.batch import Case, Outcome
from lungscore.errors import InputError, LungscoreError, ResourceError, UsageError
from lungscore.node import retention, work
from lungscore.node.intake import Intake
from lungscore.node.retention import adopt, clear_up, expire, purge
from lungscore.node.state import State
from lungscore.node.tables import FILE
from lungscore.node.watch import image_in
from lungscore.node.work import Work


def taken(parts: Any, series: list[Path]) -> str:
    """A complete study; its name."""
    for path in series:
        study = parts.intake.take(image_in(path, 2**20))
    parts.state.queue_quiet(1e12)
    return study


def analysing(parts: Any, error: LungscoreError | None = None, meanwhile: Any = None) -> Work:
    """Work whose analyses end as told."""

    def analyze(case: Case) -> Outcome:
        folder = parts.config.results / case.name
        if error is None:
            (folder / "dicom").mkdir(parents=True)
            (folder / "dicom" / "lungs.dcm").write_bytes(b"object")
        if meanwhile is not None:
            meanwhile()
        return Outcome(case.path, folder if error is None else None, error=error, case=case.name)

    return Work(parts.config, parts.state, parts.journal, analyze)


SHELF = [{"name": "shelf", "kind": "folder", "path": "shelf"}]


def test_a_study_is_analysed_and_its_objects_wait_to_be_sent(
    make_parts: Any, series: list[Path]
) -> None:
    parts = make_parts(destinations=SHELF)
    study = taken(parts, series)
    worker = analysing(parts)
    assert worker.one()
    assert not worker.one()
    (delivery,) = parts.state.deliveries("shelf", 1e12)
    assert parts.state.objects(delivery) == {"lungs.dcm": "waiting"}
    assert (parts.config.results / study).is_dir()


def test_without_destinations_a_study_is_done_with_its_analysis(
    parts: Any, series: list[Path]
) -> None:
    taken(parts, series)
    analysing(parts).one()
    assert parts.state.counts()["sent"] == 1


def test_a_study_that_cannot_be_analysed_is_a_dead_letter_without_identifiers(
    parts: Any, series: list[Path]
) -> None:
    study = taken(parts, series)
    error = InputError("slice-gap", "Slices of the series 1.2.840.113619.2.55.3 are missing")
    analysing(parts, error).one()
    letter = json.loads((parts.config.dead / study / "analysis-reason.json").read_text())
    assert letter["code"] == "slice-gap"
    assert "1.2.840" not in json.dumps(letter) + "".join(parts.lines)
    assert parts.state.studies()[0].code == "slice-gap"
    parts.state.retry(study, [], 50.0)
    analysing(parts).one()
    assert not (parts.config.dead / study).exists()
    assert parts.state.counts()["sent"] == 1


@pytest.mark.parametrize(
    "error", [ResourceError("disk-full", "full"), UsageError("output-exists", "it is there")]
)
def test_what_the_computer_failed_is_tried_again_a_few_times(
    make_parts: Any,
    series: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    error: LungscoreError,
) -> None:
    parts = make_parts(analysis={"attempts": 3})
    taken(parts, series)
    moment = 1e12
    monkeypatch.setattr(work.time, "time", lambda: moment)
    worker = analysing(parts, error)
    assert worker.one()
    assert not worker.one()
    moment += 10
    assert worker.one()
    moment += 10
    assert not worker.one()
    moment += 10
    assert worker.one()
    assert parts.state.studies()[0].state == "failed"


@pytest.mark.parametrize("error", [None, InputError("slice-gap", "a slice is missing")])
def test_a_study_that_changes_while_it_is_analysed_is_analysed_again(
    make_parts: Any, series: list[Path], error: LungscoreError | None
) -> None:
    parts = make_parts(destinations=SHELF)
    study = taken(parts, series[:2])
    late = image_in(series[2], 2**20)
    analysing(parts, error, lambda: parts.intake.take(late)).one()
    assert "study-changed" in parts.codes
    assert parts.state.counts()["received"] == 1
    assert not list(parts.config.results.iterdir())
    assert not list(parts.config.dead.iterdir())
    parts.state.queue_quiet(1e12)
    analysing(parts).one()
    assert [path.name for path in parts.config.results.iterdir()] == [f"{study}-2"]
    assert parts.state.counts()["done"] == 1


def test_what_a_killed_node_left_is_cleared_up_and_what_belongs_to_a_study_is_kept(
    make_parts: Any, series: list[Path]
) -> None:
    parts = make_parts(destinations=SHELF)
    study = taken(parts, series)
    analysing(parts).one()
    foreign = [
        parts.config.incoming / ".tmp-0123456789ab" / "x.dcm",
        parts.config.incoming / study / ".tmp-12-x.dcm",
        parts.config.incoming / ("a" * 24) / ".tmp-12-x.dcm",
        parts.config.results / f"{study}-2" / "result.json",
        parts.config.dead / ("c" * 24) / "analysis-reason.json",
    ]
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    kept = {path for path in parts.config.folder.rglob("*") if path.is_file()} - set(foreign)
    assert clear_up(parts.config, parts.state) == 5
    assert {path for path in parts.config.folder.rglob("*") if path.is_file()} == kept
    assert clear_up(parts.config, parts.state) == 0


def test_images_that_the_state_does_not_know_are_taken_at_the_start(
    make_parts: Any, series: list[Path]
) -> None:
    """After a killed store; or where the state was moved away, or is an old backup."""
    parts = make_parts(destinations=SHELF)
    study = taken(parts, series)
    analysing(parts).one()
    (parts.config.incoming / study / ("b" * 24 + ".dcm")).write_bytes(b"no image")
    parts.state.close()
    for path in parts.config.folder.glob("node.sqlite*"):
        path.unlink()
    state = State(parts.config.folder / FILE)
    intake = Intake(parts.config, parts.names, state, parts.journal)
    assert adopt(parts.config, state, intake) == len(series)
    clear_up(parts.config, state)
    assert [(row.study, row.state, row.images) for row in state.studies()] == [
        (study, "received", len(series))
    ]
    assert len(list((parts.config.incoming / study).iterdir())) == len(series)
    assert not list(parts.config.results.iterdir())
    assert adopt(parts.config, state, intake) == 0
    state.close()


def test_studies_are_removed_when_their_time_is_up(
    make_parts: Any, series: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = make_parts(retention={"days": 1})
    study = taken(parts, series)
    analysing(parts).one()
    expire(parts.config, parts.state, parts.journal)
    assert parts.state.counts()["sent"] == 1
    now = retention.time.time()
    monkeypatch.setattr(retention.time, "time", lambda: now + 90000)
    expire(parts.config, parts.state, parts.journal)
    assert parts.state.studies() == []
    assert not list(parts.config.incoming.iterdir()) + list(parts.config.results.iterdir())
    assert study in parts.lines[-1]


def test_purge_keeps_what_is_not_sent(make_parts: Any, series: list[Path]) -> None:
    parts = make_parts(destinations=SHELF)
    taken(parts, series)
    analysing(parts).one()
    assert purge(parts.config, parts.state, days=0, failed_days=0) == []
    assert parts.state.counts()["done"] == 1


def test_a_failure_that_nobody_foresaw_leaves_no_study_running(
    make_parts: Any, series: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = make_parts(destinations=SHELF)
    study = taken(parts, series)
    half = parts.config.results / study

    def analyze(case: Case) -> Outcome:
        half.mkdir(exist_ok=True)  # what a worker of a killed node left half written
        return Outcome(case.path, half, case=case.name)

    assert Work(parts.config, parts.state, parts.journal, analyze).one()
    assert "FileNotFoundError" in parts.lines[-1]
    assert parts.state.counts()["queued"] == 1
    now = work.time.time()
    monkeypatch.setattr(work.time, "time", lambda: now + 100)
    assert analysing(parts).one()
    assert parts.state.counts()["done"] == 1


def test_a_study_whose_end_cannot_be_noted_is_not_left_running(
    make_parts: Any, series: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = make_parts(destinations=SHELF)
    taken(parts, series)
    worker = analysing(parts)

    def full(*_: Any) -> bool:
        raise ResourceError("disk-full", "No disk space is left for node.sqlite")

    with monkeypatch.context() as patched:
        for name in ("finish", "postpone"):
            patched.setattr(parts.state, name, full)
        for _ in range(2):  # while the disk is full
            with pytest.raises(ResourceError):
                worker.one()
        assert parts.state.counts()["running"] == 1
    folder = next(parts.config.results.iterdir())
    monkeypatch.setattr(
        worker, "_analyze", lambda case: Outcome(case.path, folder, skipped=True, case=case.name)
    )
    (folder / "result.json").write_text("{}")
    assert worker.one()
    assert parts.state.counts()["done"] == 1


def test_a_study_is_not_analysed_without_images_that_were_lost(
    make_parts: Any, series: list[Path]
) -> None:
    parts = make_parts(destinations=SHELF, analysis={"attempts": 1})
    study = taken(parts, series)
    lost = sorted((parts.config.incoming / study).iterdir())[1]
    lost.unlink()
    asked = []
    assert analysing(parts, meanwhile=lambda: asked.append(1)).one()
    assert not asked
    letter = json.loads((parts.config.dead / study / "analysis-reason.json").read_text())
    assert letter["code"] == "node-damaged"
    taken(parts, series)  # sent again, it is whole
    assert lost.is_file()
    assert parts.state.retry(study, [], 50.0)
    assert analysing(parts).one()
    assert parts.state.counts()["done"] == 1


def test_an_image_that_comes_while_its_study_is_purged_is_kept(
    parts: Any, series: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = taken(parts, series)
    analysing(parts).one()
    images = [image_in(path, 2**20) for path in series]
    late = images[0]._replace(
        uid="1.2.3.1.77", content=images[0].content.replace(b"1.2.3.1.0\0", b"1.2.3.1.77")
    )
    receive = parts.state.receive

    def receive_after_purge(*given: Any) -> str | None:
        monkeypatch.setattr(parts.state, "receive", receive)
        assert purge(parts.config, parts.state, days=0, failed_days=0) == [study]
        return receive(*given)

    monkeypatch.setattr(parts.state, "receive", receive_after_purge)
    assert parts.intake.take(late) == study
    assert len(list((parts.config.incoming / study).iterdir())) == 1
    assert parts.state.studies()[0].images == 1
    assert [path.name for path in parts.config.incoming.iterdir()] == [study]
