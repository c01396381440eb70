"""A send counts when it is confirmed; nothing is sent twice, and nothing is given up unsaid."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from lungscore.node import send
from lungscore.node.config import read_config
from lungscore.node.desk import retry_studies
from lungscore.node.names import case_of
from lungscore.node.node import run_node
from lungscore.node.retention import purge
from lungscore.node.send import Sender, give_up_unknown
from node_parties import Archive


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive").running() as running:
        yield running


def finished(
    parts: Any, *, study: str = "s" * 24, objects: int = 3, now: float | None = None
) -> list[str]:
    """A study that was analysed, with so many objects to send; their UIDs."""
    parts.state.receive(study, "i", "x", "c", 10.0)
    claim = parts.claimed()
    folder = parts.config.results / case_of(claim.study, claim.revision) / "dicom"
    folder.mkdir(parents=True)
    uids = [f"1.2.3.{ord(study[0])}.{number}" for number in range(objects)]
    for number, uid in enumerate(uids):
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, uid
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.9"
        dataset.PatientName = "Canary^Yellow"
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = uid
        dataset.save_as(folder / f"picture-{number:02d}.dcm", enforce_file_format=True)
    names = sorted(path.name for path in folder.iterdir())
    destinations = [destination.name for destination in parts.config.destinations]
    assert parts.state.finish(claim, names, destinations, now or time.time())
    return uids


def senders(parts: Any) -> list[Sender]:
    return [
        Sender(parts.config, destination, parts.state, parts.journal)
        for destination in parts.config.destinations
    ]


def make_due(parts: Any) -> None:
    """Let the pause before the next attempt be over."""
    parts.state._base.execute("UPDATE deliveries SET due=0")


def test_objects_arrive_as_they_are(make_parts: Any, archive: Archive) -> None:
    parts = make_parts(destinations=[archive.as_destination()])
    uids = finished(parts)
    (sender,) = senders(parts)
    assert sender.all_due() == 1
    assert archive.stores == dict.fromkeys(uids, 1)
    assert parts.state.counts()["sent"] == 1
    assert sender.all_due() == 0
    sent = pydicom.dcmread(archive.folder / f"{uids[0]}.dcm")
    assert sent.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert sent == pydicom.dcmread(next(parts.config.results.rglob("picture-00.dcm")))
    assert "Canary" not in "".join(parts.lines)


def test_a_folder_is_a_destination(make_parts: Any, tmp_path: Path) -> None:
    destination = {"name": "shelf", "kind": "folder", "path": str(tmp_path / "shelf")}
    parts = make_parts(destinations=[destination])
    finished(parts)
    senders(parts)[0].all_due()
    (source,) = parts.config.results.iterdir()
    for path in (source / "dicom").iterdir():
        copy = tmp_path / "shelf" / source.name / path.name
        assert copy.read_bytes() == path.read_bytes()


def test_what_a_destination_refuses_is_tried_again_later_and_alone(
    make_parts: Any, archive: Archive
) -> None:
    parts = make_parts(destinations=[archive.as_destination()])
    uids = finished(parts)
    archive.answer = lambda uid: 0xA700 if uid == uids[1] else 0
    (sender,) = senders(parts)
    sender.all_due()
    assert parts.codes == ["archive-failed"]
    assert parts.state.counts()["done"] == 1
    assert sender.all_due() == 0  # not before its pause is over
    archive.answer = lambda uid: 0
    make_due(parts)
    sender.all_due()
    assert archive.stores == {uids[0]: 1, uids[1]: 2, uids[2]: 1}
    assert parts.state.counts()["sent"] == 1


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007, 0x0111])
def test_warnings_and_what_is_there_already_count_as_stored(
    make_parts: Any, archive: Archive, status: int
) -> None:
    parts = make_parts(destinations=[archive.as_destination()])
    finished(parts)
    archive.answer = lambda uid: status
    senders(parts)[0].all_due()
    assert parts.state.counts()["sent"] == 1


def test_an_object_that_may_have_arrived_is_asked_for_and_not_sent_again(
    make_parts: Any, archive: Archive
) -> None:
    parts = make_parts(destinations=[archive.as_destination()])
    uids = finished(parts)
    archive.answer = lambda uid: None if uid == uids[1] else 0  # stored, and never confirmed
    (sender,) = senders(parts)
    sender.all_due()
    (delivery,) = parts.state.deliveries("archive", 1e12)
    assert sorted(parts.state.objects(delivery).values()) == ["sending", "sent", "waiting"]
    archive.answer = lambda uid: 0
    make_due(parts)
    sender.all_due()
    assert archive.stores == dict.fromkeys(uids, 1)
    assert parts.state.counts()["sent"] == 1


def test_an_object_on_its_way_when_the_node_was_killed_is_sent_if_it_is_not_there(
    make_parts: Any, archive: Archive
) -> None:
    parts = make_parts(destinations=[archive.as_destination()])
    uids = finished(parts)
    (delivery,) = parts.state.deliveries("archive", 1e12)
    parts.state.mark(delivery, "picture-01.dcm", "sending")
    senders(parts)[0].all_due()
    assert archive.stores == dict.fromkeys(uids, 1)


def test_a_destination_that_is_down_gets_a_dead_letter_at_last(
    make_parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, shelf = Archive(tmp_path / "nowhere"), tmp_path / "shelf"
    destinations = [
        dead.as_destination(),
        {"name": "shelf", "kind": "folder", "path": str(shelf)},
    ]
    parts = make_parts(destinations=destinations, retry={"give_up_h": 1})
    finished(parts, now=20.0)
    moment = 20.0
    monkeypatch.setattr(send.time, "time", lambda: moment)
    sender, other = senders(parts)
    pauses = []
    for _ in range(12):
        sender.all_due()
        (due,) = parts.state._rows("SELECT due FROM deliveries WHERE destination='archive'")
        pauses.append(due[0] - moment)
        moment = max(moment, due[0])
        if parts.state.counts()["failed"]:
            break
    assert pauses[:4] == [10.0, 20.0, 40.0, 80.0]
    assert max(pauses) <= 1800
    letter = json.loads((parts.config.dead / ("s" * 24) / "archive-reason.json").read_text())
    assert (letter["code"], letter["what"]) == ("archive-failed", "archive")
    other.all_due()  # the other destination is not given up
    assert (shelf / ("s" * 24)).is_dir()
    assert parts.state.counts()["failed"] == 1
    with dead.running():
        assert parts.state.retry("s" * 24, ["archive", "shelf"], moment)
        sender.all_due()
    assert parts.state.counts()["sent"] == 1
    assert not (parts.config.dead / ("s" * 24)).exists()  # the letter has come true


def test_results_for_a_destination_that_was_renamed_are_given_up_and_can_be_sent_anew(
    make_parts: Any, tmp_path: Path
) -> None:
    shelf = {"name": "old-shelf", "kind": "folder", "path": str(tmp_path / "shelf")}
    parts = make_parts(destinations=[shelf])
    finished(parts)
    path = parts.config.folder.parent / "node.yaml"
    path.write_text(path.read_text("utf-8").replace("old-shelf", "shelf"), "utf-8")
    parts.config = read_config(path)
    for _ in range(2):  # as at two starts
        give_up_unknown(parts.config, parts.state, parts.journal)
    assert parts.codes == ["destination-unknown"]
    (row,) = parts.state.studies("failed")
    assert row.code == "destination-unknown"
    letters = parts.config.dead / row.study
    assert json.loads((letters / "old-shelf-reason.json").read_text())["what"] == "old-shelf"
    assert retry_studies(path, None) == [row.study]
    assert not list(letters.glob("*"))
    senders(parts)[0].all_due()
    assert parts.state.counts()["sent"] == 1
    assert len(list((tmp_path / "shelf" / row.study).iterdir())) == 3


def test_results_for_a_destination_that_was_removed_are_not_kept_for_ever(
    make_parts: Any, tmp_path: Path
) -> None:
    shelf = {"name": "shelf", "kind": "folder", "path": str(tmp_path / "shelf")}
    parts = make_parts(destinations=[shelf])
    finished(parts)
    config = parts.config.model_copy(update={"destinations": ()})
    give_up_unknown(config, parts.state, parts.journal)
    assert purge(config, parts.state, days=0, failed_days=0) == ["s" * 24]


def test_a_node_that_starts_gives_up_what_is_addressed_to_nobody(
    make_parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # the node takes it over
    shelf = {"name": "shelf", "kind": "folder", "path": str(tmp_path / "shelf")}
    parts = make_parts(destinations=[shelf])
    finished(parts)
    (tmp_path / "drop").mkdir()
    update = {"destinations": (), "listen": None, "watch": tmp_path / "drop"}
    stop = threading.Event()
    stop.set()
    run_node(parts.config.model_copy(update=update), stop, tell=parts.lines.append)
    assert parts.codes == ["destination-unknown"]
    assert parts.state.counts()["failed"] == 1


def test_a_delivery_that_fails_unforeseen_keeps_nothing_back(
    make_parts: Any, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = make_parts(destinations=[archive.as_destination()])
    finished(parts)
    uids = finished(parts, study="t" * 24)
    (sender,) = senders(parts)
    objects = parts.state.objects

    def broken(delivery: Any) -> Any:
        return 1 / 0 if delivery.study[0] == "s" else objects(delivery)

    monkeypatch.setattr(parts.state, "objects", broken)
    assert sender.all_due() == 2
    assert sum(archive.stores.values()) == len(uids)
    assert parts.codes == ["internal", "internal"]  # the failure, and that it is tried again
    (waiting,) = parts.state.deliveries("archive", 1e12)
    assert (waiting.study, waiting.attempts) == ("s" * 24, 1)


def test_a_destination_with_an_unknown_name_is_tried_again_later(
    make_parts: Any, archive: Archive
) -> None:
    unknown = archive.as_destination() | {"address": "archive.invalid"}
    parts = make_parts(destinations=[unknown])
    finished(parts)
    assert senders(parts)[0].all_due() == 1
    assert parts.codes == ["archive-failed"]


def test_an_object_is_not_sent_again_while_the_destination_does_not_say_whether_it_is_there(
    make_parts: Any, archive: Archive
) -> None:
    parts = make_parts(destinations=[archive.as_destination()])
    uids = finished(parts, objects=1)
    archive.answer = lambda uid: None  # stored, and never confirmed
    (sender,) = senders(parts)
    sender.all_due()
    archive.answer, archive.silent = lambda uid: 0, True
    make_due(parts)
    sender.all_due()
    assert archive.stores == dict.fromkeys(uids, 1)
    archive.silent = False
    make_due(parts)
    sender.all_due()
    assert archive.stores == dict.fromkeys(uids, 1)
    assert parts.state.counts()["sent"] == 1


def test_objects_that_are_missing_are_said_to_be(make_parts: Any, archive: Archive) -> None:
    parts = make_parts(destinations=[archive.as_destination()])
    finished(parts)
    next(parts.config.results.rglob("picture-01.dcm")).unlink()
    senders(parts)[0].all_due()
    assert parts.codes == ["case-incomplete"]
    assert not archive.stores


def test_new_images_while_results_are_sent_end_the_sending(
    make_parts: Any, archive: Archive
) -> None:
    parts = make_parts(destinations=[archive.as_destination()])
    uids = finished(parts)

    def answer(uid: str) -> int:
        if uid == uids[0]:
            parts.state.receive("s" * 24, "late", "x", "c", 30.0)
        return 0

    archive.answer = answer
    senders(parts)[0].all_due()
    assert archive.stores == {uids[0]: 1}
    assert parts.state.counts()["received"] == 1
    assert not parts.codes
