"""What tests of the node share: its parts, without a process of their own."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import yaml
from pydicom.dataset import Dataset

from lungscore.node.config import NodeConfig, read_config
from lungscore.node.intake import Intake
from lungscore.node.journal import Journal, quieten
from lungscore.node.names import Names, read_names
from lungscore.node.node import _make_folders
from lungscore.node.receive import Receiver
from lungscore.node.state import State
from lungscore.node.tables import FILE
from node_parties import Sender
from ports import free_port
from tests.scan.scan_builder import write_series

pytest.importorskip("pynetdicom", reason="pynetdicom is not here: pip install lungscore[dicom]")


@dataclass
class Parts:
    """A node's parts, and the lines of its log."""

    config: NodeConfig
    names: Names
    state: State
    intake: Intake
    journal: Journal
    lines: list[str] = field(default_factory=list)

    @property
    def codes(self) -> list[str]:
        return [event["code"] for line in self.lines if "code" in (event := json.loads(line))]

    def claimed(self, now: float = 1e12) -> Any:
        self.state.queue_quiet(now)
        claim = self.state.claim(now)
        assert claim is not None
        return claim


@pytest.fixture
def make_parts(tmp_path: Path) -> Iterator[Any]:
    """Build the parts of a node with other settings than the usual ones."""
    states = []

    def make(**settings: Any) -> Parts:
        quieten()
        folder = tmp_path / f"node-{len(states)}"
        folder.mkdir()
        path = folder / "node.yaml"
        values = {"folder": "state", "limits": {"free_gib": 0}, "monitoring": {"port": 0}}
        path.write_text(yaml.safe_dump(values | settings), "utf-8")
        config = read_config(path)
        _make_folders(config)
        lines: list[str] = []
        journal = Journal(lines.append)
        names, state = read_names(config.folder), State(config.folder / FILE)
        states.append(state)
        intake = Intake(config, names, state, journal)
        return Parts(config, names, state, intake, journal, lines)

    yield make
    for state in states:
        state.close()


@pytest.fixture
def parts(make_parts: Any) -> Parts:
    return make_parts()


@pytest.fixture(scope="session")
def series(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three images of one study."""

    def edit(index: int, dataset: Dataset) -> None:
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.1"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.1.{index}"
        dataset.PatientName, dataset.PatientID = "Canary^Yellow", "canary-id-1"

    folder = tmp_path_factory.mktemp("series")
    return write_series(folder, np.zeros((3, 8, 8), np.int16), edit=edit)


@pytest.fixture
def images(series: list[Path]) -> list[Dataset]:
    return [pydicom.dcmread(path) for path in series]


@pytest.fixture
def listening(make_parts: Any) -> Iterator[Any]:
    """Parts that listen, and one who sends to them."""
    receivers = []

    def listen(*, limits: dict[str, Any] | None = None, **settings: Any) -> tuple[Parts, Sender]:
        values = {"port": free_port(), "idle_s": 5, **settings}
        parts = make_parts(listen=values, limits={"free_gib": 0} | (limits or {}))
        receiver = Receiver(
            parts.config.listen,
            parts.intake,
            parts.state,
            parts.names,
            parts.journal,
            most_bytes=parts.config.limits.image_mib * 2**20,
        )
        threading.Thread(target=receiver.serve, daemon=True).start()
        receivers.append(receiver)
        return parts, Sender(values["port"])

    yield listen
    for receiver in receivers:
        receiver.stop()
