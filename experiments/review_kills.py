"""A review server that is killed again and again: is any step lost that it had answered?

    python experiments/review_kills.py FOLDER --kills 50

writes experiments/results/review-kills.json. A reader corrects a small generated case, saves it now
and then, and applies what the server answers to masks of its own. The server is killed (SIGKILL) at
random moments, among them while it saves, and started anew. Compared after each kill: the masks
that the server goes on with, and those of the saved review.
"""

import argparse
import gzip
import http.client
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from lungscore.assessment import as_lungs, assess
from lungscore.files import atomic_write
from lungscore.inference import Lesions
from lungscore.report.outputs import write_outputs
from lungscore.report.settings import ReportSettings
from lungscore.review.saving import read_review
from lungscore.scan import read_scan
from lungscore.scan.masks import read_label_volume
from lungscore.scan.phantom import make_phantom
from lungscore.scan.write import write_nifti
from lungscore.version import __version__

RESULT = Path(__file__).parent / "results" / "review-kills.json"
SHAPE = (24, 80, 80)
READER, CASE = "reader", "case"
LAYERS = ("lesions", "lungs", "lobes")
#: Seconds from the first step to a kill, at most.
LONGEST_S = 4.0
#: How often a step is a save, which takes far longer than the others.
SAVES = 0.1


def make_case(folder: Path) -> None:
    """A phantom in ``scans`` and its result in ``results``."""
    phantom = make_phantom("several-patches", seed=1, shape=SHAPE)
    (folder / "scans").mkdir(parents=True)
    path = folder / "scans" / f"{CASE}.nii.gz"
    write_nifti(phantom.scan, path)
    lesions = Lesions(phantom.lesions, (), None)
    lungs = as_lungs(phantom.lungs, "lungs")
    analysis = assess(read_scan(path), lungs, lesions, lobes=phantom.lobes)
    write_outputs(analysis, folder / "results", settings=ReportSettings("none"))


class Server:
    """A server over the case, to be killed."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "lungscore", "review", str(folder / "results")]
        command += ["--scans", str(folder / "scans"), "--no-browser", "--port", "0"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        address = urlsplit(self.process.stdout.readline().strip())
        self.host, self.port = str(address.hostname), int(address.port or 0)
        self.csrf = self.ask("GET", "/api/session")["csrf"]

    def ask(self, method: str, path: str, content: Any = None) -> Any:
        """The answer; ConnectionError where the server is gone, ValueError for an error."""
        headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}
        if method == "POST":
            headers["X-CSRF-Token"] = self.csrf
        connection = http.client.HTTPConnection(self.host, self.port, timeout=120)
        try:
            body = None if content is None else json.dumps(content)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from None
        finally:
            connection.close()
        if answer.getheader("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        if answer.status != 200:
            raise ValueError(f"{answer.status}: {data[:300]!r}")
        return json.loads(data) if answer.getheader("Content-Type") == "application/json" else data

    def kill(self) -> None:
        """SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@dataclass
class Reader:
    """What the reader knows. asked: the step whose answer is awaited. saved: copies of the lesions
    of the last save that was answered; asked_saved: of the one that was not yet."""

    masks: dict[str, np.ndarray] = field(default_factory=dict)
    version: int = 0
    asked: str | None = None
    saved: np.ndarray | None = None
    asked_saved: np.ndarray | None = None
    changed: bool = False

    def take(self, answer: dict[str, Any]) -> None:
        """Apply what the server changed."""
        for change in answer["changed"]:
            labels = self.masks[change["layer"]]
            for z, runs in change["slices"]:
                flat = labels[z].reshape(-1)
                for start, length, value in np.reshape(runs, (-1, 3)):
                    flat[start : start + length] = value
        self.version = answer["version"]
        self.changed = bool(answer["changed_slices"])


@dataclass(frozen=True)
class Kill:
    """One kill. steps: answered since the start. waited_for: of which step an answer was awaited.
    ahead: steps beyond those answered that had reached the log."""

    steps: int
    waited_for: str | None
    seconds: float
    ahead: int


def labels_of(server: Server, session: str) -> dict[str, np.ndarray]:
    return {
        layer: np.frombuffer(server.ask("GET", f"{session}/labels/{layer}"), np.uint8)
        .reshape(SHAPE)
        .copy()
        for layer in LAYERS
    }


def step(server: Server, session: str, reader: Reader, rng: random.Random) -> None:
    """One action of the reader."""
    draw = rng.random()
    if draw < SAVES and reader.version:
        verdict = "corrected" if reader.changed else "accepted"
        reader.asked, reader.asked_saved = "save", reader.masks["lesions"].copy()
        server.ask("POST", f"{session}/save", {"version": reader.version, "verdict": verdict})
        reader.saved, reader.asked_saved = reader.asked_saved, None
    else:
        reader.asked = "undo" if draw < 0.2 else "redo" if draw < 0.3 else "edit"
        body: dict[str, Any] = {"version": reader.version}
        if reader.asked == "edit":
            body |= random_edit(reader, rng)
        path = f"{session}/edits" if reader.asked == "edit" else f"{session}/{reader.asked}"
        with suppress(ValueError):  # nothing to undo, or no lesion there
            reader.take(server.ask("POST", path, body))
    reader.asked = None


def random_edit(reader: Reader, rng: random.Random) -> dict[str, Any]:
    z, y, x = rng.choice(np.argwhere(reader.masks["lungs"] > 0).tolist())
    layer = rng.choice(["lesions", "lesions", "lungs"])
    runs = [[(y + r) * SHAPE[2] + x, 3] for r in range(3) if y + r < SHAPE[1] and x < SHAPE[2] - 3]
    if rng.random() < 0.8 and runs:
        picture = [{"index": z, "runs": runs}]
        label = rng.randint(0, 2)
        return {"tool": "brush", "layer": layer, "plane": "axial", "label": label} | {
            "slices": picture
        }
    return {"tool": "smooth", "layer": "lesions", "slices": [z, min(z + 2, SHAPE[0] - 1)]}


def one_kill(folder: Path, reader: Reader, rng: random.Random) -> Kill:
    """Start the server, check where it goes on, work, and kill it."""
    server = Server(folder)
    try:
        listed = server.ask("GET", "/api/cases")["cases"][0]["id"]
        opened = server.ask("POST", f"/api/cases/{listed}/open", {"reader": READER})
        session = f"/api/sessions/{opened['session']}"
        ahead = check(server, session, opened["state"], reader, folder)
        began, steps = time.monotonic(), 0
        timer = Timer(rng.uniform(0, LONGEST_S), server.kill)
        timer.start()
        with suppress(ConnectionError):
            while True:
                step(server, session, reader, rng)
                steps += 1
        timer.join()
        return Kill(steps, reader.asked, round(time.monotonic() - began, 2), ahead)
    finally:
        server.kill()


def check(server: Server, session: str, state: dict[str, Any], reader: Reader, folder: Path) -> int:
    """Compare what the server goes on with; how many steps it has beyond those answered."""
    labels = labels_of(server, session)
    if not reader.masks:
        reader.masks = labels
        return 0
    ahead = state["version"] - reader.version
    if ahead not in (0, 1):
        raise AssertionError(f"version {state['version']}, answered were {reader.version}")
    if ahead:
        # The step that was not answered: taken back, the rest is what was answered.
        back = "redo" if reader.asked == "undo" else "undo"
        before = Reader(labels, state["version"])
        before.take(server.ask("POST", f"{session}/{back}", {"version": state["version"]}))
        labels = before.masks
        reader.version = before.version
    for layer in LAYERS:
        if not np.array_equal(labels[layer], reader.masks[layer]):
            raise AssertionError(f"{layer} differ after a kill")
    check_saved(folder, reader)
    reader.asked = None
    return ahead


def check_saved(folder: Path, reader: Reader) -> None:
    """The saved review is whole, and that of the last save or of the one that was under way."""
    review = folder / "results" / CASE / "reviews" / READER
    if not review.is_dir():
        if reader.saved is not None:
            raise AssertionError("a saved review is gone")
        return
    read_review(review)
    lesions = read_label_volume(review / "lesions.nii.gz", "lesions")[0]
    known = [masks for masks in (reader.saved, reader.asked_saved) if masks is not None]
    if not any(np.array_equal(lesions, masks) for masks in known):
        raise AssertionError("the saved masks are neither the last nor those under way")
    reader.saved, reader.asked_saved = lesions, None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder to work in; it is made anew")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    shutil.rmtree(arguments.folder, ignore_errors=True)
    make_case(arguments.folder)
    reader, rng = Reader(), random.Random(arguments.seed)  # noqa: S311 - no secrets
    kills = []
    for _ in range(arguments.kills):
        kills.append(one_kill(arguments.folder, reader, rng))
        print(kills[-1], flush=True)
    server = Server(arguments.folder)  # what the last kill left
    listed = server.ask("GET", "/api/cases")["cases"][0]["id"]
    opened = server.ask("POST", f"/api/cases/{listed}/open", {"reader": READER})
    session = f"/api/sessions/{opened['session']}"
    last = check(server, session, opened["state"], reader, arguments.folder)
    server.kill()
    awaited = Counter(kill.waited_for or "nothing" for kill in kills)
    command = f"python experiments/review_kills.py FOLDER --kills {arguments.kills}"
    content = {
        "command": f"{command} --seed {arguments.seed}",
        "lungscore": __version__,
        "shape": SHAPE,
        "kills": len(kills),
        "answered_steps": sum(kill.steps for kill in kills),
        "lost_steps": 0,
        "lost_saved_reviews": 0,
        "steps_logged_but_not_answered": sum(kill.ahead for kill in kills) + last,
        "answer_awaited": dict(sorted(awaited.items())),
        "each": [vars(kill) for kill in kills],
    }
    atomic_write(arguments.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
