"""Around a node: the node itself as a process, those who send to it, and an archive that counts.

For experiments/node_*.py and the tests; Linux.
"""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import yaml
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.presentation import AllStoragePresentationContexts

from lungscore.node.desk import overview
from lungscore.node.destinations import FIND
from lungscore.node.receive import AVAILABILITY, VERIFICATION
from lungscore.scan.dicom.header import CT_IMAGE
from lungscore.scan.phantom import Phantom, make_phantom
from lungscore.scan.write import write_dicom_series
from ports import LOCAL, free_port

#: A chest in 16 slices: coarse, quick to analyse, and exact in every header.
SMALL, SMALL_MM = (16, 96, 96), (17.5, 3.75, 3.75)
#: Seconds that nothing takes but a fault, on however busy a computer.
LONGEST_S = 300


def write_studies(folder: Path, count: int, *, first: int = 0) -> list[Path]:
    """So many studies of the small phantom, which differ in a few voxels and all identifiers."""
    scan = _small_phantom().scan
    studies = []
    for number in range(first, first + count):
        values = scan.values.copy()
        values[0, 0, :16] = np.array([number >> bit & 1 for bit in range(16)]) - 1000
        write_dicom_series(replace(scan, values=values), folder / f"study-{number:04d}")
        studies.append(folder / f"study-{number:04d}")
    return studies


@cache
def _small_phantom() -> Phantom:
    return make_phantom("moderate", shape=SMALL, spacing_mm=SMALL_MM)


class Node:
    """``lungscore node`` as a process. settings: of its YAML file, beside folder and ports.

    stub: node_stub.py instead.
    """

    def __init__(self, folder: Path, *, stub: bool = False, **settings: Any) -> None:
        script = Path(__file__).with_name("node_stub.py")
        self._program = [str(script)] if stub else ["-m", "lungscore", "node"]
        folder.mkdir(parents=True, exist_ok=True)
        self.config, self.log = folder / "node.yaml", folder / "node.log"
        listen = {"port": free_port(), **settings.pop("listen", {})}
        monitoring = {"port": free_port()}
        values = {"folder": "state", "quiet_s": 1, "listen": listen, "monitoring": monitoring}
        analysis = {"ranges": False, "threads": 1, **settings.pop("analysis", {})}
        values |= {"analysis": analysis, "limits": {"free_gib": 0.1}} | settings
        self.config.write_text(yaml.safe_dump(values), "utf-8")
        self.port, self.monitored = listen["port"], monitoring["port"]
        self.title = listen.get("ae_title", "LUNGSCORE")
        self.folder = folder / "state"
        self.process: subprocess.Popen | None = None

    def start(self, *, wait: bool = True) -> "Node":
        """Start it, and wait until it listens."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self._program, "--config", str(self.config)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait:
            wait_until(self.listens)
        return self

    def listens(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError(f"the node ended: {self.log.read_text()[-2000:]}")
        try:
            socket.create_connection((LOCAL, self.port), 1).close()
        except OSError:
            return False
        return True

    def kill(self, *, group: bool = False) -> None:
        """SIGKILL to the node alone, or to its workers too."""
        if self.process is not None:
            if group:
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process is None or self.process.poll() is not None:
            return 0
        self.process.terminate()
        return self.process.wait(20)

    def states(self) -> Counter[str]:
        """State -> studies in it."""
        try:
            return Counter(row.state for row in overview(self.config)[1])
        except Exception:  # it has not begun yet
            return Counter()

    def rows(self) -> list[Any]:
        return overview(self.config)[1]

    def ended(self, count: int) -> bool:
        states = self.states()
        return states["sent"] + states["failed"] == count

    def events(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        lines = self.log.read_text("utf-8").splitlines() if self.log.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{")]

    def codes(self) -> set[str]:
        return {event["code"] for event in self.events() if "code" in event}

    def __enter__(self) -> "Node":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return


def wait_until(ready: Callable[[], object], seconds: float = LONGEST_S) -> None:
    """Wait; TimeoutError after so long."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so after {seconds} s")
        time.sleep(0.05)


@dataclass
class Archive:
    """An archive that takes C-STORE and answers C-FIND, and remembers how often each object came.

    answer: the status of a C-STORE; None closes the connection without one. silent: a C-FIND closes
    it, too. tls: what it encrypts with.
    """

    folder: Path
    title: str = "ARCHIVE"
    port: int = field(default_factory=free_port)
    answer: Callable[[str], int | None] = lambda uid: 0
    stores: Counter[str] = field(default_factory=Counter)
    studies: dict[str, set[str]] = field(default_factory=dict)
    silent: bool = False
    tls: ssl.SSLContext | None = None

    @contextmanager
    def running(self) -> Iterator["Archive"]:
        """Listen for as long as the block lasts."""
        entity = AE(ae_title=self.title)
        entity.maximum_associations = 50
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax)
        # All storage contexts are 100 and more: those of our objects are among the first ones.
        entity.add_supported_context(FIND)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_C_FIND, self._find)]
        server = entity.start_server(
            (LOCAL, self.port), block=False, evt_handlers=handlers, ssl_context=self.tls
        )
        try:
            yield self
        finally:
            server.shutdown()

    def _store(self, event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.stores[uid] += 1
        status = self.answer(uid)
        if status == 0 or status is None:
            self.folder.mkdir(exist_ok=True)
            (self.folder / f"{uid}.dcm").write_bytes(event.encoded_dataset())
            study = str(event.dataset.StudyInstanceUID)
            self.studies.setdefault(study, set()).add(uid)
        if status is None:
            event.assoc.abort()
            return 0x0110
        return status

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        uid = str(event.identifier.SOPInstanceUID)
        if self.silent:
            event.assoc.abort()
            return
        if (self.folder / f"{uid}.dcm").is_file():
            answer = Dataset()
            answer.SOPInstanceUID, answer.QueryRetrieveLevel = uid, "IMAGE"
            yield 0xFF00, answer
        yield 0x0000, None

    def as_destination(self, name: str = "archive") -> dict[str, Any]:
        """Its entry under ``destinations``."""
        return {
            "name": name,
            "kind": "dicom",
            "address": LOCAL,
            "port": self.port,
            "ae_title": self.title,
        }


class Sender:
    """One who sends images to a node, and remembers how each was answered."""

    def __init__(self, port: int, *, called: str = "LUNGSCORE", calling: str = "SENDER") -> None:
        self.port, self.called, self.calling = port, called, calling

    @contextmanager
    def association(self, *contexts: tuple[str, Any], **more: Any) -> Iterator[Any]:
        """An association, which may have been refused."""
        entity = AE(ae_title=self.calling)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
        for sop_class, syntaxes in contexts or ((CT_IMAGE, None), (VERIFICATION, None)):
            entity.add_requested_context(sop_class, syntaxes)
        association = entity.associate(LOCAL, self.port, ae_title=self.called, **more)
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def send(self, images: Iterable[Path | Dataset], **more: Any) -> list[int | None]:
        """Send images; the status of each, None where there was no answer."""
        datasets = [pydicom.dcmread(im) if isinstance(im, Path) else im for im in images]
        syntaxes = {str(dataset.file_meta.TransferSyntaxUID) for dataset in datasets}
        classes = {str(dataset.SOPClassUID) for dataset in datasets}
        contexts = [(sop_class, list(syntaxes)) for sop_class in classes]
        with self.association(*contexts, **more) as association:
            if not association.is_established:
                return [None] * len(datasets)
            return _all_stored(association, datasets)

    def send_surely(self, folder: Path, *, seconds: float = 120) -> int:
        """Send a study until each image was taken, as a router does; how many attempts it took."""
        left, attempts = sorted(folder.glob("*.dcm")), 0
        deadline = time.monotonic() + seconds
        while left:
            attempts += 1
            answers = self.send(left)
            left = [path for path, answer in zip(left, answers, strict=True) if answer != 0]
            if left and time.monotonic() > deadline:
                raise TimeoutError(f"{len(left)} images were not taken")
            if left:
                time.sleep(0.3)
        return attempts

    def announce(self, study: str, series: str, images: Iterable[str]) -> int:
        """Say that a study is complete (instance availability notification); the status."""
        notice = Dataset()
        notice.ReferencedPerformedProcedureStepSequence = []
        notice.StudyInstanceUID = study
        entry = Dataset()
        entry.SeriesInstanceUID, entry.ReferencedSOPSequence = series, []
        for uid in images:
            image = Dataset()
            image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = CT_IMAGE, uid
            image.InstanceAvailability, image.RetrieveAETitle = "ONLINE", self.calling
            entry.ReferencedSOPSequence.append(image)
        notice.ReferencedSeriesSequence = [entry]
        with self.association((AVAILABILITY, None)) as association:
            status, _ = association.send_n_create(notice, AVAILABILITY, pydicom.uid.generate_uid())
        return int(status.Status)


def _all_stored(association: Any, datasets: list[Dataset]) -> list[int | None]:
    """The status of each; after one without an answer no other is sent.

    pynetdicom takes the association for established for another moment, and a C-STORE within it
    waits for an answer until the sender's own timeout.
    """
    answers: list[int | None] = []
    for dataset in datasets:
        lost = bool(answers) and answers[-1] is None
        answers.append(None if lost else _stored(association, dataset))
    return answers


def _stored(association: Any, dataset: Dataset) -> int | None:
    try:
        return association.send_c_store(dataset).get("Status")
    except (RuntimeError, ValueError):  # the association is gone
        return None


def in_threads(work: Callable[[Any], object], items: Iterable[Any], *, threads: int) -> None:
    """Do ``work`` for every item, so many at once; what one raises is raised."""
    waiting, lock, failures = iter(items), threading.Lock(), []

    def loop() -> None:
        while not failures:
            with lock:
                item = next(waiting, None)
            if item is None:
                return
            try:
                work(item)
            except Exception as error:
                failures.append(error)

    workers = [threading.Thread(target=loop) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
