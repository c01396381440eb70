"""What strangers send: taken, or refused by code and logged by id; the node lives."""

import errno
import gc
import os
import shutil
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, MRImageStorage

from lungscore.errors import InputError
from lungscore.node import intake
from lungscore.node.receive import VERIFICATION
from lungscore.node.watch import image_in
from lungscore.scan.dicom.header import CT_IMAGE
from node_parties import Sender, in_threads, wait_until
from ports import LOCAL


def echoes(sender: Sender) -> bool:
    """Whether the node still answers."""
    with sender.association() as association:
        return bool(association.is_established and association.send_c_echo().Status == 0)


def test_images_are_on_disk_under_names_that_tell_nothing(
    listening: Any, images: list[Dataset], series: list[Path]
) -> None:
    parts, sender = listening()
    assert sender.send(images) == [0, 0, 0]
    study = parts.names.study("1.2.3")
    names = {f"{parts.names.image(str(image.SOPInstanceUID))}.dcm" for image in images}
    assert {path.name for path in parts.intake.folder(study).iterdir()} == names
    assert [row.study for row in parts.state.studies()] == [study]
    kept = (parts.intake.folder(study) / sorted(names)[0]).read_bytes()
    assert any(kept.endswith(path.read_bytes()[400:]) for path in series)
    text = "".join(parts.lines) + "".join(map(str, parts.journal.counts()))
    base = b"".join(path.read_bytes() for path in parts.config.folder.glob("node.sqlite*"))
    for secret in ("Canary", "canary-id-1", "1.2.3"):
        assert secret not in text
        assert secret.encode() not in base


def test_the_same_study_twice_is_taken_once(listening: Any, images: list[Dataset]) -> None:
    parts, sender = listening()
    assert sender.send(images) == sender.send(images) == [0, 0, 0]
    assert parts.journal.counts() == {("images", "taken"): 3, ("images", "repeated"): 3}
    assert parts.state.studies()[0].images == 3


def test_the_same_image_from_many_senders_at_once_is_taken_once(
    listening: Any, images: list[Dataset]
) -> None:
    parts, sender = listening()
    answers = []
    in_threads(lambda _: answers.append(sender.send(images)), range(8), threads=8)
    assert answers == [[0, 0, 0]] * 8
    assert parts.state.studies()[0].images == 3


def test_another_image_under_a_known_uid_is_refused(listening: Any, images: list[Dataset]) -> None:
    parts, sender = listening()
    sender.send(images)
    images[0].PixelData = bytes(reversed(images[0].PixelData[:-1])) + b"\7"
    assert sender.send(images[:1]) == [0x0111]
    assert "image-differs" in parts.codes


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("StudyInstanceUID", "1.2/../../etc"),
        ("StudyInstanceUID", "../../../../tmp/x"),
        ("StudyInstanceUID", ""),
        ("SeriesInstanceUID", "1.2\\1.3"),
        ("SeriesInstanceUID", "Canary^Yellow"),
        ("StudyInstanceUID", "1." * 40 + "1"),
    ],
)
def test_identifiers_that_are_none_are_refused(
    listening: Any, images: list[Dataset], keyword: str, value: str
) -> None:
    parts, sender = listening()
    setattr(images[0], keyword, value)
    assert sender.send(images[:1]) == [0xC000]
    assert parts.codes == ["image-refused"]
    assert not list(parts.config.incoming.iterdir())
    assert echoes(sender)


def test_an_image_uid_with_slashes_never_becomes_a_path(
    listening: Any, images: list[Dataset]
) -> None:
    parts, sender = listening()
    images[0].SOPInstanceUID = images[0].file_meta.MediaStorageSOPInstanceUID = "1.2/../../x"
    assert sender.send(images[:1])[0] != 0
    assert not list(parts.config.incoming.iterdir())
    assert echoes(sender)


@pytest.mark.parametrize("announced", [("1.2.3.1.9", CT_IMAGE), ("1.2.3.1.0", MRImageStorage)])
def test_a_data_set_that_is_not_what_was_announced_is_refused(
    parts: Any, series: list[Path], announced: tuple[str, str]
) -> None:
    image = image_in(series[0], 2**20)
    with pytest.raises(InputError) as caught:
        parts.intake.take(image._replace(uid=announced[0], sop_class=announced[1]))
    assert caught.value.code == "image-refused"
    assert not parts.state.studies()


def test_other_kinds_of_objects_are_not_agreed_on(listening: Any, images: list[Dataset]) -> None:
    parts, sender = listening()
    contexts = [(CT_IMAGE, None), (MRImageStorage, None), ("1.2.3.4.5", None)]
    with sender.association(*contexts) as association:
        assert [c.abstract_syntax for c in association.accepted_contexts] == [CT_IMAGE]
    wait_until(lambda: parts.codes == ["image-refused"])
    with sender.association((CT_IMAGE, [DeflatedExplicitVRLittleEndian])) as association:
        assert not association.is_established or not association.accepted_contexts
    wait_until(lambda: parts.codes == ["image-refused"] * 2)
    with sender.association(
        (CT_IMAGE, [DeflatedExplicitVRLittleEndian]), (CT_IMAGE, None)
    ) as association:
        assert len(association.accepted_contexts) == 1
        assert association.send_c_store(images[0]).Status == 0
    assert parts.codes == ["image-refused"] * 2  # the class is taken


@pytest.mark.parametrize(
    ("settings", "calling", "called"),
    [({"calling": ["PACS"]}, "SENDER", "LUNGSCORE"), ({}, "SENDER", "ELSE")],
)
def test_a_wrong_title_is_refused(
    listening: Any, images: list[Dataset], settings: dict[str, Any], calling: str, called: str
) -> None:
    parts, sender = listening(**settings)
    stranger = Sender(sender.port, calling=calling, called=called)
    assert stranger.send(images) == [None] * 3
    wait_until(lambda: parts.codes == ["sender-refused"])
    assert echoes(Sender(sender.port, calling="PACS"))


def test_a_wrong_address_is_not_even_heard(listening: Any, images: list[Dataset]) -> None:
    parts, sender = listening(addresses=["10.0.0.0/8"], calling=["SENDER"])
    assert sender.send(images) == [None] * 3
    wait_until(lambda: "sender-refused" in parts.codes)


def test_a_full_disk_is_out_of_resources(
    listening: Any, images: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, sender = listening(limits={"free_gib": 1})
    usage = shutil._ntuple_diskusage(2**40, 2**40, 2**20)
    with monkeypatch.context() as patched:
        patched.setattr(intake.shutil, "disk_usage", lambda path: usage)
        assert sender.send(images) == [0xA700] * 3
    assert parts.codes == ["node-full"] * 3
    assert sender.send(images) == [0] * 3


def test_a_disk_that_fills_up_while_an_image_is_written_is_out_of_resources(
    listening: Any, images: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, sender = listening()

    def full(path: Path, content: bytes) -> None:
        from lungscore.files import write_error

        raise write_error(path, OSError(errno.ENOSPC, "No space left on device"))

    with monkeypatch.context() as patched:
        patched.setattr(intake, "atomic_write", full)
        assert sender.send(images[:1]) == [0xA700]
    assert not parts.state.studies()
    assert sender.send(images[:1]) == [0]


def test_a_full_queue_takes_no_new_study_but_the_rest_of_those_it_has(
    listening: Any, images: list[Dataset]
) -> None:
    parts, sender = listening(limits={"waiting_studies": 1})
    assert sender.send(images[:1]) == [0]
    images[1].StudyInstanceUID = "1.2.4"
    assert sender.send(images[1:2]) == [0xA700]
    assert sender.send(images[2:]) == [0]
    assert parts.codes == ["node-full"]


def test_a_study_without_end_is_out_of_resources(listening: Any, images: list[Dataset]) -> None:
    parts, sender = listening(limits={"images": 2})
    assert sender.send(images) == [0, 0, 0xA700]
    assert parts.state.studies()[0].images == 2


def test_an_unforeseen_failure_is_an_answer_and_not_the_end(
    listening: Any, images: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, sender = listening()
    with monkeypatch.context() as patched:
        patched.setattr(parts.intake, "_check_room", lambda study: 1 / 0)
        assert sender.send(images[:1]) == [0x0110]
    assert "ZeroDivisionError" in parts.lines[-1]
    assert sender.send(images[:1]) == [0]


def test_a_thread_that_fails_says_nothing_of_a_data_set(
    parts: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError("Canary^Yellow")

    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # put back at the end
    parts.journal.own_threads()
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert "ValueError" in parts.lines[-1]
    assert "Canary" not in "".join(parts.lines) + capsys.readouterr().err


def test_a_log_that_cannot_be_written_stops_nothing(
    listening: Any, images: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, sender = listening()

    def closed(line: str) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(parts.journal, "_tell", closed)
    assert sender.send(images) == [0, 0, 0]
    images[0].StudyInstanceUID = "1.2/3"
    assert sender.send(images[:1]) == [0xC000]


@pytest.mark.parametrize(
    "message",
    [
        b"\x01\x00" + struct.pack(">L", 2**32 - 1) + b"\0" * 1000,
        b"\x04\x00" + struct.pack(">L", 2**31),
        b"\x01\x00" + struct.pack(">L", 0),
        b"\x01\x00" + struct.pack(">L", 70) + b"\xff" * 70,
        b"\x09\x00" + struct.pack(">L", 4) + b"abcd",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x01",
    ],
)
def test_hostile_lengths_end_their_connection_alone(listening: Any, message: bytes) -> None:
    parts, sender = listening(idle_s=1)
    socket.create_connection((LOCAL, sender.port), 10).close()  # of which nothing is to tell
    with socket.create_connection((LOCAL, sender.port), 10) as connection:
        connection.sendall(message)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    assert echoes(sender)
    wait_until(lambda: parts.codes)
    assert parts.codes in (["sender-refused"], ["image-refused"])


def test_a_message_without_end_is_cut_off(listening: Any, images: list[Dataset]) -> None:
    parts, sender = listening(limits={"image_mib": 1})
    images[0].PixelData = bytes(2**22)
    begun = time.monotonic()
    assert sender.send(images) == [None] * 3
    assert time.monotonic() - begun < 30  # it does not wait out the timeout of its own
    assert "image-refused" in parts.codes
    assert sender.send(images[1:]) == [0, 0]


def test_a_complete_study_may_be_announced(listening: Any, images: list[Dataset]) -> None:
    parts, sender = listening()
    uids = [str(image.SOPInstanceUID) for image in images]
    sender.send(images[:2])
    assert sender.announce("1.2.3", "1.2.3.1", uids) == 0
    assert parts.state.counts()["received"] == 1
    sender.send(images[2:])
    assert sender.announce("1.2.3", "1.2.3.1", uids) == 0
    assert parts.state.counts()["queued"] == 1


def test_echo_needs_no_image(listening: Any) -> None:
    _, sender = listening()
    with sender.association((VERIFICATION, None)) as association:
        assert association.send_c_echo().Status == 0


def test_broken_connections_leave_no_open_files_and_no_threads(
    listening: Any, images: list[Dataset]
) -> None:
    parts, sender = listening(limits={"image_mib": 1}, idle_s=1)
    images[0].PixelData = bytes(2**22)
    sender.send(images[1:])
    files, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(5):
        sender.send(images[:1])
        with socket.create_connection((LOCAL, sender.port), 10) as connection:
            connection.sendall(b"\x01\x00" + struct.pack(">L", 2**32 - 1) + b"\0" * 100)
    idle = socket.create_connection((LOCAL, sender.port), 10)
    wait_until(lambda: threading.active_count() <= threads)
    gc.collect()  # of the sender, whose side pynetdicom leaves open
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= files + 1)
    idle.close()
    assert parts.codes.count("image-refused") >= 10
