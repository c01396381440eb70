"""Faults sent to a node, one after the other: how is each answered, and does the node go on?

    python experiments/node_faults.py FOLDER [--page docs/pacs.md]

writes experiments/results/node-faults.json. The node is a process of its own whose analysis is a
stub (node_stub.py); senders and an archive are others. After each fault the node must have answered
as it should, logged the code, kept the images that it should and no others, and still answer
C-ECHO; after the last one a whole study must go through it. --page writes the table between the two
marks of that page. Linux only.
"""

import argparse
import json
import re
import resource
import shutil
import struct
import sys
import time
import zipfile
import zlib
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
from pydicom.uid import DeflatedExplicitVRLittleEndian, MRImageStorage, generate_uid
from pynetdicom.dsutils import encode
from pynetdicom.pdu_primitives import P_DATA

from lungscore.files import atomic_write
from lungscore.scan.dicom.header import CT_IMAGE
from lungscore.version import __version__
from node_bench import Bench, Ending, Fault, store
from node_parties import LONGEST_S, Sender, in_threads, wait_until
from node_stub import IMAGES, OBJECTS

RESULT = Path(__file__).parent / "results" / "node-faults.json"
BEGIN, END = "<!-- node faults: begin -->", "<!-- node faults: end -->"
#: Bytes of what the node may not write, and of an image beyond that.
MOST_BYTES = 32 * 2**20


def of_other_class(bench: Bench) -> str:
    return bench.send([], (CT_IMAGE, None), (MRImageStorage, None), ("1.2.3.4.5", None))


def message_without_end(bench: Bench) -> str:
    return bench.send([bench.image(PixelData=bytes(2**27))])


def command_that_is_none(bench: Bench) -> str:
    command = P_DATA()
    command.presentation_data_value_list = [[1, b"\3"]]
    with Sender(bench.node.port).association((CT_IMAGE, None)) as association:
        association.dul.send_pdu(command)
        wait_until(lambda: not association.is_established)
    return CLOSED


def deflated_bomb(bench: Bench) -> str:
    bomb = zlib.compress(bytes(2**28))
    return bench.data_set(bomb, "1.2.3.4")


def deflated_file(bench: Bench) -> str:
    image = bench.image()
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    with BytesIO() as file:
        image.PixelData = bytes(2**27)
        pydicom.dcmwrite(file, image, enforce_file_format=True)
        return bench.put("deflated.dcm", file.getvalue())


def zip_bomb(bench: Bench) -> str:
    with BytesIO() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(16):
                archive.writestr(f"{number}.dcm", bytes(2**26))
        return bench.put("bomb.zip", file.getvalue())


def announced_as_another(bench: Bench) -> str:
    content = encode(bench.image(), True, True)
    if content is None:
        raise RuntimeError("the image cannot be encoded")
    return bench.data_set(content, "1.2.3.4.5")


def twice(bench: Bench) -> str:
    images, answers = bench.study(), []
    for _ in range(2):
        answers.append(bench.send(images))
    in_threads(lambda _: answers.append(bench.send(images)), range(4), threads=4)
    bench.settled()
    times = ", ".join(map(str, sorted(set(bench.archive.stores.values()))))
    return f"{', '.join(sorted(set(answers)))}; objects sent {times} time"


def other_content(bench: Bench) -> str:
    image = bench.image()
    first = bench.send([image])
    image.PixelData = bytes(len(image.PixelData))
    return f"{first}, then {bench.send([image])}"


def changing(bench: Bench) -> str:
    images = bench.study()
    late = pydicom.dcmread(images[0])
    late.SOPInstanceUID = late.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    before = len(bench.archive.stores)
    with Sender(bench.node.port).association() as association:
        for image in images:
            store(association, image)
        wait_until(lambda: bench.node.states()["running"])
        answer = store(association, late)
    bench.settled()
    return f"{answer}; {len(bench.archive.stores) - before} objects sent"


def not_analysable(bench: Bench) -> str:
    before = bench.letters()
    answer = bench.send(bench.study()[:-1])
    bench.settled()
    return f"{answer}; {bench.letters() - before} dead letter"


def disk_that_fills_up(bench: Bench) -> str:
    process = bench.node.process
    if process is None:
        raise RuntimeError("the node does not run")
    limits = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (MOST_BYTES, limits[1]))
    try:
        image = bench.image(Rows=4200, Columns=4200)
        image.PixelData = bytes(2 * 4200 * 4200)
        return bench.send([image])
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)


def beyond_the_queue(bench: Bench) -> str:
    return f"{bench.send(bench.study()[:2])}, another study {bench.send(bench.study()[:2])}"


REJECTED, CLOSED, REFUSED = "association rejected", "connection closed", "moved to refused/"
NOT_AN_IMAGE = Ending("C000", ("image-refused",), 0)
FAULTS = [
    Fault(
        "a calling AE title that is not on the list",
        "the association is rejected",
        lambda bench: bench.send(bench.study(), calling="STRANGER"),
        Ending(REJECTED, ("sender-refused",), 0),
    ),
    Fault(
        "another called AE title",
        "the association is rejected",
        lambda bench: bench.send(bench.study(), called="ELSE"),
        Ending(REJECTED, ("sender-refused",), 0),
    ),
    Fault(
        "a connection from another address",
        "it is closed unread",
        lambda bench: bench.send(bench.study(), bind_address=("127.0.0.2", 0)),
        Ending(CLOSED, ("sender-refused",), 0),
    ),
    Fault(
        "other SOP classes, known and unknown",
        "not agreed on in the association",
        of_other_class,
        Ending("not agreed on", ("image-refused",), 0),
    ),
    Fault(
        "deflated images",
        "not agreed on in the association",
        lambda bench: bench.send([], (CT_IMAGE, [DeflatedExplicitVRLittleEndian])),
        Ending("not agreed on", ("image-refused",), 0),
    ),
    Fault(
        "a deflated bomb in place of a data set (256 MiB)",
        "it is never inflated",
        deflated_bomb,
        NOT_AN_IMAGE,
    ),
    Fault(
        "a deflated bomb in the drop folder (128 MiB)",
        "set aside when it grows beyond what a header may be",
        deflated_file,
        Ending(REFUSED, ("archive-unsafe",), 0),
    ),
    Fault(
        "a zip bomb in the drop folder (1 GiB)",
        "set aside",
        zip_bomb,
        Ending(REFUSED, ("archive-unsafe",), 0),
    ),
    Fault(
        "a PDU that states 4 GiB",
        "the connection is closed, nothing is kept",
        lambda bench: bench.bytes(b"\x01\x00" + struct.pack(">L", 2**32 - 1) + bytes(1000)),
        Ending(CLOSED, ("image-refused",), 0),
    ),
    Fault(
        "a PDU of no length, one of an unknown kind, an HTTP request, half a PDU",
        "the connection is closed",
        lambda bench: [
            bench.bytes(content)
            for content in (
                b"\x01\x00" + struct.pack(">L", 0),
                b"\x09\x00" + struct.pack(">L", 4) + b"abcd",
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                b"\x01",
            )
        ][-1],
        Ending(CLOSED, ("sender-refused",), 0),
    ),
    Fault(
        "a command without its fields",
        "the connection is closed",
        command_that_is_none,
        Ending(CLOSED, ("internal",), 0),
    ),
    Fault(
        "a message beyond `image_mib`",
        "the connection is closed, nothing is kept",
        message_without_end,
        Ending(CLOSED, ("image-refused",), 0),
    ),
    Fault(
        "a study UID with slashes",
        "nothing becomes a path",
        lambda bench: bench.send([bench.image(StudyInstanceUID="1.2/../../../etc")]),
        NOT_AN_IMAGE,
    ),
    Fault(
        "a series UID that is text",
        "nothing becomes a path",
        lambda bench: bench.send([bench.image(SeriesInstanceUID="Canary^Yellow")]),
        NOT_AN_IMAGE,
    ),
    Fault(
        "no study UID",
        "refused",
        lambda bench: bench.send([bench.image(StudyInstanceUID="")]),
        NOT_AN_IMAGE,
    ),
    Fault(
        "a data set that is another one than the command says",
        "refused",
        announced_as_another,
        NOT_AN_IMAGE,
    ),
    Fault(
        "the same study six times, by four senders at once",
        "taken, analysed and sent once",
        twice,
        Ending("0000; objects sent 1 time", (), IMAGES),
    ),
    Fault(
        "another image under a known UID",
        "the first one is kept",
        other_content,
        Ending("0000, then 0111", ("image-differs",), 1),
    ),
    Fault(
        "a study that changes while it is analysed",
        "the result is void; the whole study is analysed again",
        changing,
        Ending(f"0000; {OBJECTS} objects sent", ("study-changed",), IMAGES + 1),
    ),
    Fault(
        "a study that cannot be analysed",
        "`failed`, a dead letter with the code; the others go on",
        not_analysable,
        Ending("0000; 1 dead letter", ("slice-gap",), IMAGES - 1),
    ),
    Fault(
        "a disk that fills up while an image is written",
        "nothing of the image stays; senders try again",
        disk_that_fills_up,
        Ending("A700", ("disk-full",), 0),
    ),
]
#: Of a node with hardly any room: settings -> faults.
WITHOUT_ROOM: list[tuple[dict[str, Any], Fault]] = [
    (
        {"limits": {"free_gib": 2**20}},
        Fault(
            "an image when less of the disk is free than `free_gib`",
            "senders try again",
            lambda bench: bench.send(bench.study()),
            Ending("A700", ("node-full",), 0),
        ),
    ),
    (
        {"limits": {"free_gib": 0, "waiting_studies": 1}, "quiet_s": 3600},
        Fault(
            "a new study when the queue is full",
            "senders try again; studies that have begun are completed",
            beyond_the_queue,
            Ending("0000, another study A700", ("node-full",), 2),
        ),
    ),
    (
        {"limits": {"free_gib": 0, "images": 3}, "quiet_s": 3600},
        Fault(
            "a study without end",
            "no more images of it than `images`",
            lambda bench: bench.send(bench.study()),
            Ending("0000, A700", ("node-full",), 3),
        ),
    ),
]


def ended(bench: Bench, fault: Fault) -> Ending:
    """Make a fault, and how it ended."""
    lines, before = len(bench.node.events()), bench.kept()

    def codes() -> tuple[str, ...]:
        events = bench.node.events()[lines:]
        return tuple(sorted({event["code"] for event in events if "code" in event}))

    answer = fault.make(bench)
    deadline = time.monotonic() + LONGEST_S
    while codes() != fault.ending.codes and time.monotonic() < deadline:
        time.sleep(0.1)
    return Ending(answer, codes(), bench.kept() - before, bench.echoes())


def run(folder: Path) -> tuple[list[dict[str, Any]], bool]:
    """How every fault ended, and whether a whole study went through the node after them."""
    rows = []

    def note(bench: Bench, fault: Fault) -> None:
        ending = ended(bench, fault)
        row = {"what": fault.what, "happens": fault.happens, **asdict(ending)}
        rows.append(row | {"as_it_should": ending == fault.ending})
        sys.stdout.write(f"{rows[-1]}\n")
        sys.stdout.flush()

    with Bench(folder / "usual").running() as bench:
        for fault in FAULTS:
            note(bench, fault)
            bench.settled()
        before = len(bench.archive.stores)
        bench.send(bench.study())
        bench.settled()
        goes_on = len(bench.archive.stores) == before + OBJECTS
        lines = bench.node.log.read_text("utf-8").splitlines()
        goes_on = goes_on and all(line.startswith("{") for line in lines)
    for number, (settings, fault) in enumerate(WITHOUT_ROOM):
        with Bench(folder / f"small-{number}", **settings).running() as bench:
            note(bench, fault)
    return rows, goes_on


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a table of Markdown."""
    lines = ["| what comes | what happens | answer | code in the log |", "|---|---|---|---|"]
    for row in rows:
        codes = ", ".join(f"`{code}`" for code in row["codes"]) or "–"
        lines.append(f"| {row['what']} | {row['happens']} | {row['answer']} | {codes} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a new folder for scans and results")
    parser.add_argument("--page", type=Path, help="a page with the two marks")
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
    rows, goes_on = run(arguments.folder)
    figures = {
        "faults": len(rows),
        "as_they_should": sum(row["as_it_should"] for row in rows),
        "a_study_goes_through_afterwards": goes_on,
    }
    content = {
        "command": "python experiments/node_faults.py FOLDER",
        "lungscore": __version__,
        "figures": figures,
        "faults": rows,
    }
    atomic_write(arguments.result, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    if arguments.page:
        marks = re.compile(f"{BEGIN}.*{END}", re.DOTALL)
        text = marks.sub(lambda _: f"{BEGIN}\n\n{table(rows)}\n{END}", arguments.page.read_text())
        atomic_write(arguments.page, text)
    if figures["as_they_should"] != len(rows) or not goes_on:
        sys.exit(1)
    shutil.rmtree(arguments.folder)


if __name__ == "__main__":
    main()
