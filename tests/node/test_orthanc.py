"""From an archive to the node and back, end to end: nothing is lost, nothing is there twice."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from lungscore.pacs.dicomweb import identity_of
from node_parties import Node, Sender, wait_until, write_studies
from tests.node.orthanc import Orthanc
from tests.pacs.series import repaired

pytestmark = pytest.mark.ci

#: Seconds that the archive is down.
DOWN_S = 60
Start = Callable[..., tuple[Node, Orthanc]]


@pytest.fixture
def start(tmp_path: Path, stand_in_model: Path) -> Iterator[Start]:
    """Start an archive and a node that work for each other."""
    started: list[tuple[Node, Orthanc]] = []

    def both(kind: str, **settings: Any) -> tuple[Node, Orthanc]:
        node = Node(tmp_path / "node")
        orthanc = Orthanc(tmp_path / "orthanc", node.port)
        analysis = {"model": str(stand_in_model), **settings.pop("analysis", {})}
        settings |= {"listen": {"port": node.port}, "retry": {"first_s": 1, "longest_s": 5}}
        destinations = [orthanc.destination(kind)]
        node = Node(tmp_path / "node", destinations=destinations, analysis=analysis, **settings)
        started.append((node, orthanc))
        orthanc.start()
        node.start()
        return node, orthanc

    yield both
    for node, orthanc in started:
        node.__exit__()
        orthanc.stop()


def uid_of(folder: Path) -> str:
    return identity_of(next(folder.glob("*.dcm"))).study


def stored(node: Node) -> dict[str, list[Path]]:
    """StudyInstanceUID -> the objects that the node made of it."""
    studies: dict[str, list[Path]] = {}
    for path in sorted((node.folder / "results").glob("*/dicom/*.dcm")):
        studies.setdefault(identity_of(path).study, []).append(path)
    return studies


def data_set(content: bytes) -> bytes:
    """The bytes of a file behind its head, whose writer may differ."""
    length = int.from_bytes(content[140:144], "little")
    return content[144 + length :]


def check_returned(node: Node, orthanc: Orthanc, study: str, images: int) -> None:
    """All objects are in the archive once, each byte for byte."""
    objects = stored(node)[study]
    assert len(orthanc.instances(study)) == images + len(objects)
    kinds = Counter(orthanc.modalities(study).values())
    assert kinds["CT"] == 1
    assert min(kinds["SEG"], kinds["SR"], kinds["DOC"]) >= 1
    for path in objects:
        identity = identity_of(path)
        answer = orthanc.archive._client._session.get(
            f"{orthanc.url}/studies/{study}/series/{identity.series}/instances/{identity.uid}",
            headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
            timeout=30,
        )
        assert data_set(path.read_bytes()) in answer.content, path.name


def test_a_real_scan_comes_back_as_segmentations_report_and_pdf_of_its_study(
    start: Start, real_data: Path, tmp_path: Path
) -> None:
    series = repaired(real_data / "covid-ct-md" / "P002", tmp_path / "ct")
    node, orthanc = start("dicom", quiet_s=10, analysis={"threads": 2})
    study, images = uid_of(series), len(list(series.glob("*.dcm")))
    Sender(orthanc.port, called="ORTHANC").send_surely(series, seconds=600)

    def returned() -> bool:
        return [(row.state, row.images) for row in node.rows()] == [("sent", images)]

    # On a busy computer the archive may take the series for complete too early, and send it twice.
    wait_until(returned, 1500)
    check_returned(node, orthanc, study, images)
    time.sleep(8)  # the archive does not send the node its own objects
    assert returned()


def test_nothing_is_lost_when_the_node_is_killed_and_the_archive_is_down(
    start: Start, tmp_path: Path
) -> None:
    good, broken = write_studies(tmp_path / "ct", 2), write_studies(tmp_path / "broken", 1, first=7)
    (broken[0] / "0008.dcm").unlink()
    node, orthanc = start("dicomweb", quiet_s=3)
    to_archive = Sender(orthanc.port, called="ORTHANC")
    for folder in [*good, *broken]:
        assert set(to_archive.send(sorted(folder.glob("*.dcm")))) == {0}
    # The archive does not send again by itself: what it has not sent is not the node's to lose.
    wait_until(lambda: sum(row.images for row in node.rows()) == 47)
    wait_until(lambda: node.states()["running"])
    node.kill()
    orthanc.stop()
    down = time.monotonic()
    assert len(node.rows()) == 3
    node.start()
    wait_until(lambda: node.states()["done"] == 2 and node.states()["failed"] == 1)
    wait_until(lambda: time.monotonic() - down > DOWN_S, DOWN_S + 10)
    assert sum(event["event"] == "send-later" for event in node.events()) >= 2
    orthanc.start()
    wait_until(lambda: node.ended(3))
    assert node.states() == {"sent": 2, "failed": 1}
    assert {row.code for row in node.rows()} == {None, "slice-gap"}
    for folder in good:
        check_returned(node, orthanc, uid_of(folder), 16)
    assert set(orthanc.modalities(uid_of(broken[0])).values()) == {"CT"}
    letters = list((node.folder / "dead").glob("*/analysis-reason.json"))
    assert len(letters) == 1


def test_studies_are_pulled_and_results_are_pushed(start: Start, tmp_path: Path) -> None:
    from lungscore.cli.main import call

    (folder,) = write_studies(tmp_path / "ct", 1)
    node, orthanc = start("dicomweb", quiet_s=3600)
    assert set(Sender(orthanc.port, called="ORTHANC").send(sorted(folder.glob("*.dcm")))) == {0}
    study, out = uid_of(folder), tmp_path / "pulled"
    assert call(["pull", orthanc.url, "--study", study, "-o", str(out)]) == 0
    pixels = {pydicom.dcmread(path).PixelData for path in folder.glob("*.dcm")}
    assert {pydicom.dcmread(path).PixelData for path in out.iterdir()} == pixels
    assert call(["pull", orthanc.url, "--study", study, "-o", str(out)]) == 2
    assert call(["pull", orthanc.url, "--study", "1.2.3", "-o", str(tmp_path / "none")]) == 3
    assert not (tmp_path / "none").exists()
    results = tmp_path / "results"
    given = ["--model", node_model(node), "--no-ranges", "--dicom", "--report-size", "none"]
    assert call(["analyze", str(out), "-o", str(results), "--threads", "1", *given]) == 0
    objects = results / "pulled" / "dicom"
    assert call(["push", str(objects), "--to", orthanc.url]) == 0
    assert len(orthanc.instances(study)) == 16 + len(list(objects.iterdir()))
    orthanc.stop()
    assert call(["push", str(objects), "--to", orthanc.url]) == 4


def node_model(node: Node) -> str:
    import yaml

    return str(yaml.safe_load(node.config.read_text())["analysis"]["model"])
