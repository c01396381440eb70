"""A node under load: 200 associations of 8 senders, and 500 studies one after the other.

    python experiments/node_load.py senders FOLDER
    python experiments/node_load.py endurance FOLDER

write experiments/results/node-senders.json and node-endurance.json. The analysis is a stub
(node_stub.py): measured is the node. ``senders``: eight processes send at once, each over five
associations at a time, twice as many as the node takes; every association sends a study of its own
and tries again what was not taken. Every image must be there once, and every result in the archive.
``endurance``: memory and open files of the node and of its worker, after every tenth study. Linux
only.
"""

import argparse
import json
import os
import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from lungscore.files import atomic_write
from lungscore.pacs.dicomweb import identity_of
from lungscore.version import __version__
from node_parties import Archive, Node, Sender, wait_until, write_studies
from node_stub import OBJECTS

RESULTS = Path(__file__).parent / "results"


def resident_mib(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def open_files(process: int) -> int:
    return len(os.listdir(f"/proc/{process}/fd"))


def workers_of(process: int) -> list[int]:
    """The processes of a node that analyse."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            own = (place / "stat").read_text().rpartition(")")[2].split()[1]
            is_worker = b"spawn_main" in (place / "cmdline").read_bytes()
        except OSError:
            continue
        if int(own) == process and is_worker:
            found.append(int(place.name))
    return found


#: Associations that one sender has at a time.
AT_ONCE = 5


def _send_all(folders: list[Path], port: int, title: str) -> list[int]:
    """One sender; how many attempts each of its studies took."""
    sender = Sender(port, calling=title)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda folder: sender.send_surely(folder, seconds=1800), folders))


def senders(folder: Path, *, count: int, associations: int) -> dict[str, object]:
    """``count`` senders with so many associations in all, at once."""
    studies = write_studies(folder / "ct", associations)
    archive = Archive(folder / "archive")
    peak = {"resident_mib": 0.0, "open_files": 0}
    over = threading.Event()
    with (
        archive.running(),
        Node(
            folder / "node",
            stub=True,
            destinations=[archive.as_destination()],
            limits={"free_gib": 0.1, "waiting_studies": 1000},
        ) as node,
    ):
        number = node.process.pid if node.process else 0
        idle = {"resident_mib": resident_mib(number), "open_files": open_files(number)}

        def look() -> None:
            while not over.wait(0.2):
                peak["resident_mib"] = max(peak["resident_mib"], resident_mib(number))
                peak["open_files"] = max(peak["open_files"], open_files(number))

        watching = threading.Thread(target=look, daemon=True)
        watching.start()
        begun = time.monotonic()
        shares = [studies[share::count] for share in range(count)]
        # Processes of their own, begun afresh: these are other computers.
        with get_context("spawn").Pool(count) as pool:
            arguments = [(share, node.port, f"SENDER-{n}") for n, share in enumerate(shares)]
            attempts = [n for counts in pool.starmap(_send_all, arguments) for n in counts]
        sent_s = time.monotonic() - begun
        wait_until(lambda: node.ended(associations), 600)
        over.set()
        watching.join()
        time.sleep(2)
        after = {"resident_mib": resident_mib(number), "open_files": open_files(number)}
        rows = node.rows()
        identities = {identity_of(next(study.glob("*.dcm"))).study for study in studies}
        return {
            "senders": count,
            "associations": associations,
            "associations_at_once": count * AT_ONCE,
            "images": sum(len(list(study.glob("*.dcm"))) for study in studies),
            "images_taken": sum(row.images for row in rows),
            "studies_sent": sum(row.state == "sent" for row in rows),
            "objects_expected": OBJECTS * associations,
            "objects_in_archive": len(archive.stores),
            "objects_that_came_more_than_once": sum(n > 1 for n in archive.stores.values()),
            "studies_in_archive": len(identities & set(archive.studies)),
            "attempts": sum(attempts),
            "seconds_to_send": round(sent_s, 1),
            "idle": idle,
            "peak": peak,
            "after": after,
        }


def endurance(folder: Path, *, studies: int, stub: bool) -> dict[str, object]:
    """So many studies, one after the other."""
    archive = Archive(folder / "archive")
    looks = []
    with (
        archive.running(),
        Node(
            folder / "node",
            stub=stub,
            destinations=[archive.as_destination()],
            quiet_s=0.2,
        ) as node,
    ):
        number = node.process.pid if node.process else 0
        sender = Sender(node.port)
        for done in range(1, studies + 1):
            (study,) = write_studies(folder / "ct", 1, first=done)
            sender.send_surely(study, seconds=1800)
            shutil.rmtree(study)
            wait_until(lambda done=done: node.ended(done), 1800)
            if done % 10 == 0:
                (worker,) = workers_of(number)
                looks.append(
                    {
                        "studies": done,
                        "node_mib": resident_mib(number),
                        "node_files": open_files(number),
                        "worker_mib": resident_mib(worker),
                        "worker_files": open_files(worker),
                    }
                )
                sys.stdout.write(f"{looks[-1]}\n")
                sys.stdout.flush()
        states = dict(node.states())
    return {"studies": studies, "states": states, "stub": stub, "looks": looks}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("senders", "endurance"))
    parser.add_argument("folder", type=Path, help="a new folder for scans and results")
    parser.add_argument("--senders", type=int, default=8)
    parser.add_argument("--associations", type=int, default=200)
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--analyse", action="store_true", help="really, instead of the stub")
    parser.add_argument("--result", type=Path)
    given = parser.parse_args()
    if given.what == "senders":
        figures = senders(given.folder, count=given.senders, associations=given.associations)
    else:
        figures = endurance(given.folder, studies=given.studies, stub=not given.analyse)
    usual = f"node-{given.what}{'-analysing' if given.analyse else ''}.json"
    options = f" --analyse --studies {given.studies}" if given.analyse else ""
    content = {
        "command": f"python experiments/node_load.py {given.what} FOLDER{options}",
        "lungscore": __version__,
        "figures": figures,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    atomic_write(given.result or RESULTS / usual, text)
    sys.stdout.write(text)
    shutil.rmtree(given.folder)


if __name__ == "__main__":
    main()
