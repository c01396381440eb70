"""A node, its archive and those who send to it, for experiments/node_faults.py. Linux only."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.dimse_primitives import C_STORE

from lungscore.scan.dicom.header import CT_IMAGE
from node_parties import LONGEST_S, Archive, Node, Sender, wait_until, write_studies
from ports import LOCAL


@dataclass(frozen=True)
class Ending:
    """How a fault ended. answer: to its sender; kept: images that the node has more than before."""

    answer: str
    codes: tuple[str, ...]
    kept: int
    answers_echo: bool = True


@dataclass(frozen=True)
class Fault:
    """What comes, what happens then, and how it must end."""

    what: str
    happens: str
    make: Callable[["Bench"], str]
    ending: Ending


class Bench:
    """A node, its archive, and studies that nobody has sent yet."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder, self.drop = folder, folder / "drop"
        self.drop.mkdir(parents=True)
        self.archive = Archive(folder / "archive")
        self._settings, self._studies = settings, 0

    @contextmanager
    def running(self) -> Iterator["Bench"]:
        listen = {"calling": ["SENDER"], "addresses": [f"{LOCAL}/32"], "idle_s": 20}
        settings = {"listen": listen, "watch": str(self.drop), "retry": {"first_s": 0.5}}
        destinations = [self.archive.as_destination()]
        node = Node(
            self.folder / "node", stub=True, destinations=destinations, **settings | self._settings
        )
        with self.archive.running(), node as self.node:
            yield self

    def study(self) -> list[Path]:
        """A new study."""
        self._studies += 1
        (folder,) = write_studies(self.folder / "ct", 1, first=self._studies)
        return sorted(folder.glob("*.dcm"))

    def image(self, **values: Any) -> Dataset:
        """An image of a new study with other elements."""
        dataset = pydicom.dcmread(self.study()[0])
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        return dataset

    def send(self, images: Any, *contexts: Any, calling: str = "SENDER", **more: Any) -> str:
        """Send images, and how that was answered."""
        sender = Sender(self.node.port, calling=calling, called=more.pop("called", "LUNGSCORE"))
        with sender.association(*contexts, **more) as association:
            if association.is_rejected:
                return "association rejected"
            if association.rejected_contexts:
                return "not agreed on"
            if not association.is_established:
                return "connection closed"
            return ", ".join(sorted({store(association, image) for image in images}))

    def bytes(self, content: bytes) -> str:
        """Send bytes that are no association, and how that was answered."""
        with socket.create_connection((LOCAL, self.node.port), LONGEST_S) as connection:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):  # an abort, or nothing
                pass
        return "connection closed"

    def data_set(self, content: bytes, uid: str) -> str:
        """Send bytes as the data set of an image, and how that was answered."""
        request = C_STORE()
        request.MessageID, request.Priority = 1, 2
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = CT_IMAGE, uid
        request.DataSet = BytesIO(content)
        with Sender(self.node.port).association(
            (CT_IMAGE, [ImplicitVRLittleEndian])
        ) as association:
            association._reactor_checkpoint.clear()
            context = association.accepted_contexts[0].context_id
            association.dimse.send_msg(request, context)
            _, answer = association.dimse.get_msg(block=True)
            association._reactor_checkpoint.set()
            return "connection closed" if answer is None else f"{answer.Status:04X}"

    def put(self, name: str, content: bytes) -> str:
        """Put a file into the drop folder, and where it went."""
        path = self.drop / f".{name}"
        path.write_bytes(content)
        path.rename(self.drop / name)
        wait_until(lambda: not (self.drop / name).exists())
        return "moved to refused/"

    def kept(self) -> int:
        """The images that the node has, which are those that it says it has."""
        known = sum(row.images for row in self.node.rows())
        files = sum(1 for _ in (self.node.folder / "incoming").glob("*/*.dcm"))
        return known if known == files else -1

    def letters(self) -> int:
        """The dead letters of the node."""
        return sum(1 for _ in (self.node.folder / "dead").glob("*/*.json"))

    def settled(self) -> None:
        """Wait until every study has ended."""
        wait_until(lambda: self.node.ended(len(self.node.rows())))

    def echoes(self) -> bool:
        with Sender(self.node.port).association() as association:
            return bool(association.is_established and association.send_c_echo().Status == 0)


def store(association: Any, image: "Path | Dataset") -> str:
    try:
        status = association.send_c_store(image).get("Status")
    except (RuntimeError, ValueError):
        status = None
    return "connection closed" if status is None else f"{status:04X}"
