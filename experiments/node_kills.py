"""A node that is killed again and again: is any study lost, or any result sent twice?

    python experiments/node_kills.py FOLDER

writes experiments/results/node-kills.json. The analysis is a stub (node_stub.py); with --analyse it
is the real one. Studies of a small phantom, one in ten of them with a
missing slice, are sent by a router that repeats what was not confirmed, while the node is killed
(SIGKILL) at random moments and started again: as an image is received, as a study waits, as one is
analysed, as objects are written, and as results are sent. Killed is the node alone, with its
workers, or one worker. Compared with what must be: every study ended, every result is in the
archive once and came to it once, byte for byte the one in the node's folder, and nothing else is
left. Linux only.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from unittest.mock import patch

from lungscore.files import atomic_write
from lungscore.pacs.dicomweb import identity_of
from lungscore.version import __version__
from node_parties import Archive, Node, Sender, wait_until, write_studies

RESULT = Path(__file__).parent / "results" / "node-kills.json"
#: How often each is killed, and at which moment.
WHOM = {"node": 5, "group": 3, "worker": 2}
MOMENTS = ("receiving", "analysing", "writing", "sending", "any")
#: Kills of one moment that it is waited for at most.
PATIENCE_S = 60.0


def workers_of(group: int) -> list[int]:
    """The processes of a node that analyse."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state, _, own = (place / "stat").read_text().rpartition(")")[2].split()[:3]
            is_worker = b"spawn_main" in (place / "cmdline").read_bytes()
        except OSError:
            continue
        if state != "Z" and int(own) == group and is_worker:
            found.append(int(place.name))
    return found


class Watcher:
    """Tells when a moment has come."""

    def __init__(self, node: Node, archive: Archive, sender: "Router") -> None:
        self._node, self._archive, self._router = node, archive, sender

    def reached(self, moment: str, before: dict[str, int]) -> bool:
        now = self.now()
        if moment == "receiving":
            return now["sent_images"] > before["sent_images"]
        if moment == "sending":
            return now["stores"] > before["stores"]
        if moment == "analysing":
            return bool(self._node.states()["running"])
        if moment == "writing":
            return any((self._node.folder / "results").glob("*/.tmp-*")) or any(
                (self._node.folder / "results").glob(".tmp-*")
            )
        return True

    def now(self) -> dict[str, int]:
        return {
            "sent_images": self._router.confirmed,
            "stores": sum(self._archive.stores.values()),
        }


class Router(threading.Thread):
    """Sends all studies, one after the other, and each image until it is confirmed."""

    def __init__(self, studies: list[Path], port: int) -> None:
        super().__init__(daemon=True)
        self._studies, self._sender = studies, Sender(port)
        self.confirmed, self.failure = 0, ""
        self.pace = threading.Semaphore(0)

    def run(self) -> None:
        try:
            for folder in self._studies:
                self.pace.acquire()
                left = sorted(folder.glob("*.dcm"))
                while left:
                    answers = self._sender.send(left)
                    self.confirmed += answers.count(0)
                    pairs = zip(left, answers, strict=True)
                    left = [path for path, answer in pairs if answer != 0]
                    if left:
                        time.sleep(0.2)
        except Exception as error:
            self.failure = repr(error)


def kill(node: Node, whom: str, rng: random.Random) -> bool:
    """Kill, and start again what must be; False where there was nobody."""
    process = node.process
    if process is None:
        return False
    if whom == "worker":
        workers = workers_of(process.pid)
        if not workers:
            return False
        os.kill(rng.choice(workers), signal.SIGKILL)
        return True
    node.kill(group=whom == "group")
    node.start()
    return True


def faults(node: Node, archive: Archive, studies: list[Path], broken: list[Path]) -> list[str]:
    """What is not as it must be at the end."""
    found = []
    rows = Counter((row.state, row.code) for row in node.rows())
    expected = Counter({("sent", None): len(studies) - len(broken)})
    if broken:
        expected["failed", "slice-gap"] = len(broken)
    if rows != expected:
        found.append(f"studies ended as {dict(rows)}")
    objects: dict[str, list[Path]] = {}
    for path in (node.folder / "results").glob("*/dicom/*.dcm"):
        objects.setdefault(identity_of(path).uid, []).append(path)
    if any(len(paths) != 1 for paths in objects.values()):
        found.append("an object was made twice")
    if set(objects) != {uid for uids in archive.studies.values() for uid in uids}:
        found.append("the archive has other objects than the node made")
    twice = sum(count > 1 for count in archive.stores.values())
    if twice:
        found.append(f"{twice} objects came more than once")
    for uid, (path, *_) in objects.items():
        stored = archive.folder / f"{uid}.dcm"
        if stored.is_file() and not stored.read_bytes().endswith(path.read_bytes()[400:]):
            found.append("an object in the archive differs")
            break
    good = [study for study in studies if study not in broken]
    whole = {identity_of(next(study.glob("*.dcm"))).study for study in good}
    if set(archive.studies) != whole:
        found.append(f"results of {len(archive.studies)} of {len(whole)} studies came")
    left = [path.name for path in node.folder.rglob(".tmp-*")]
    if left:
        found.append(f"{len(left)} temporary files are left")
    return found


def run(
    folder: Path, *, count: int, kills: int, seed: int, stub: bool = True, model: str | None = None
) -> tuple[list[dict[str, object]], dict[str, object], list[str]]:
    """The kills, what was counted, and what is not as it must be."""
    rng = random.Random(seed)  # noqa: S311
    studies = write_studies(folder / "ct", count)
    broken = studies[4::10]
    for study in broken:
        (study / "0008.dcm").unlink()
    temporary = folder / "temporary"
    temporary.mkdir()
    hits: list[dict[str, object]] = []
    archive = Archive(folder / "archive")
    analysis = {"model": model} if model else {}
    with (
        patch.dict(os.environ, TMPDIR=str(temporary)),
        archive.running(),
        Node(
            folder / "node",
            stub=stub,
            destinations=[archive.as_destination()],
            analysis=analysis | {"attempts": 5},
            quiet_s=0.5,
            retry={"first_s": 0.2, "longest_s": 1},
        ) as node,
    ):
        router = Router(studies, node.port)
        watcher = Watcher(node, archive, router)
        router.start()
        for number in range(kills):
            for _ in range((number + 1) * count // kills - number * count // kills):
                router.pace.release()
            moment = MOMENTS[number % len(MOMENTS)]
            whom = rng.choices(list(WHOM), list(WHOM.values()))[0]
            if whom == "worker" and moment not in ("analysing", "writing"):
                whom = "node"  # a worker that is idle may not have begun
            before, begun = watcher.now(), time.monotonic()
            while not watcher.reached(moment, before):
                if time.monotonic() - begun > PATIENCE_S:
                    moment = "any"
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 1.0 if moment == "any" else 0.08))
            states = dict(node.states())
            if not kill(node, whom, rng):
                whom = "node"
                kill(node, whom, rng)
            if node.process is not None:
                hits.append({"whom": whom, "moment": moment, "studies": states})
                sys.stdout.write(f"{len(hits)}: {hits[-1]}\n")
                sys.stdout.flush()
        for _ in studies:
            router.pace.release()
        router.join()
        wait_until(lambda: node.ended(count), 60 + 60 * count)
        node.stop()
        time.sleep(1)
        node.start()  # it clears up what the last kill left
        node.stop()
        wrong = faults(node, archive, studies, broken)
        if router.failure:
            wrong.append(f"the router failed: {router.failure}")
        counts = {
            "studies": count,
            "with_a_missing_slice": len(broken),
            "images_confirmed": router.confirmed,
            "objects_in_archive": len(archive.stores),
            "objects_that_came_more_than_once": sum(n > 1 for n in archive.stores.values()),
            "starts_that_found_a_study_half_analysed": sum(
                event["event"] == "started" and event["recovered"] > 0 for event in node.events()
            ),
            "images_kept": sum(row.images for row in node.rows()),
        }
    return hits, counts, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a new folder for scans and results")
    parser.add_argument("--analyse", action="store_true", help="really, instead of the stub")
    parser.add_argument("--studies", type=int, default=50)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
    hits, counts, wrong = run(
        arguments.folder,
        count=arguments.studies,
        kills=arguments.kills,
        seed=arguments.seed,
        stub=not arguments.analyse,
    )
    content = {
        "command": f"python experiments/node_kills.py FOLDER --seed {arguments.seed}"
        + (" --analyse" if arguments.analyse else ""),
        "lungscore": __version__,
        "figures": {
            **counts,
            "kills": len(hits),
            "killed": dict(Counter(str(hit["whom"]) for hit in hits)),
            "moments": dict(Counter(str(hit["moment"]) for hit in hits)),
            "faults": wrong,
        },
        "kills": hits,
    }
    atomic_write(arguments.result, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    sys.stdout.write(json.dumps(content["figures"], indent=1) + "\n")
    if not wrong:
        shutil.rmtree(arguments.folder)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
