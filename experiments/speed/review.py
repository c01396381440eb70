"""How long a reader waits: what each step of a review costs at 300 slices.

    python experiments/speed/review.py --slices 300 --repeats 5

writes benchmarks/results/review.json. A phantom of 512 x 512 pixels (one of a third of the slices
and half of the rows and columns, its voxels repeated) is corrected without a server between: a step
is logged, made, counted, and its answer written as JSON, as the server does. Wall and CPU seconds
of each repeat; every step is taken back before it is repeated.
"""

import argparse
import gzip
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from host import commit, host
from lungscore.assessment import as_lungs, assess
from lungscore.files import atomic_write
from lungscore.inference import Lesions
from lungscore.labels import RIGHT_LUNG
from lungscore.report.outputs import write_outputs
from lungscore.report.settings import ReportSettings
from lungscore.review.opened_case import ct_block, open_case
from lungscore.review.requests import parse_edit
from lungscore.review.server import answers
from lungscore.review.session import Session
from lungscore.scan import Scan, read_scan
from lungscore.scan.phantom import make_phantom
from lungscore.scan.write import write_nifti
from lungscore.version import __version__

RESULT = Path(__file__).parents[2] / "benchmarks" / "results" / "review.json"


@dataclass
class Times:
    """Seconds of one step, by repeat."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)


def timed(times: dict[str, Times], name: str, step: Callable[[], Any]) -> Any:
    wall, cpu = time.perf_counter(), time.process_time()
    made = step()
    entry = times.setdefault(name, Times())
    entry.cpu_s.append(round(time.process_time() - cpu, 4))
    entry.wall_s.append(round(time.perf_counter() - wall, 4))
    return made


def make_case(folder: Path, slices: int) -> tuple[Path, Path]:
    """Folder of the result, and the scan."""
    phantom = make_phantom("several-patches", seed=0, shape=(slices // 3, 256, 256))
    z, y, x = phantom.scan.spacing_mm or (1.0, 1.0, 1.0)
    made = Scan.from_array(finer(phantom.scan.values), (z / 3, y / 2, x / 2), name="case")
    scan = folder / "scans" / "case.nii"
    scan.parent.mkdir(parents=True)
    write_nifti(made, scan)
    lungs = as_lungs(finer(phantom.lungs), "lungs")
    lesions = Lesions(finer(phantom.lesions), (), None)
    analysis = assess(read_scan(scan), lungs, lesions, lobes=finer(phantom.lobes))
    return write_outputs(analysis, folder / "results", settings=ReportSettings("none")), scan


def finer(voxels: np.ndarray) -> np.ndarray:
    """Every voxel as 3 x 2 x 2."""
    return voxels.repeat(3, axis=0).repeat(2, axis=1).repeat(2, axis=2)


def steps_of(session: Session) -> dict[str, dict[str, Any]]:
    """The edits that are timed, by name."""
    masks = session.correction.masks
    depth, _, width = masks.shape
    z = depth // 2 + 1
    inside = np.argwhere(masks.lungs[z] == RIGHT_LUNG)
    y, x = inside[len(inside) // 2].tolist()
    disc = [[(y + r) * width + x - 15, 31] for r in range(-15, 16)]
    brush = {"tool": "brush", "plane": "axial", "slices": [{"index": z, "runs": disc}]}
    lesion = np.argwhere(masks.lesions[z])[0].tolist()
    rows = [[r * width + x - 15, 31] for r in range(depth // 3, depth // 2)]
    coronal = {"tool": "brush", "plane": "coronal", "slices": [{"index": y, "runs": rows}]}
    return {
        "brush in one slice": {**brush, "layer": "lesions", "label": 2},
        "brush in a coronal picture": {**coronal, "layer": "lesions", "label": 1},
        "component by a click": {"tool": "component", "layer": "lesions", "at": [z, *lesion]},
        "smooth six slices": {"tool": "smooth", "layer": "lesions", "slices": [z - 3, z + 2]},
        "fill between eight slices": {"tool": "fill_between", "slices": [z - 4, z + 3]},
        "keep within −700…−100 HU, everywhere": {"tool": "keep_hu", "scope": "all"},
        "lung brush in one slice": {**brush, "layer": "lungs", "label": 0},
        "lobe brush in one slice": {**brush, "layer": "lobes", "label": 3},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("-o", "--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    before = host()
    times: dict[str, Times] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, scan = make_case(Path(name), arguments.slices)
        case = timed(times, "open: read scan and masks", lambda: open_case(folder, lambda r: scan))
        session = timed(times, "open: count everything", lambda: Session(case, "reader"))
        timed(times, "open: numbers", session.numbers)
        shape = list(case.masks.shape)
        gap = {"version": 0, "tool": "clear", "layer": "lesions", "slices": [shape[0] // 2] * 2}
        session.edit(parse_edit(json.dumps(gap).encode()))  # for what mends neighbouring slices
        for step, body in steps_of(session).items():
            for _ in range(arguments.repeats):
                edit = {**body, "version": session.correction.version}
                measure(session, times, step, json.dumps(edit).encode())
        for _ in range(arguments.repeats):
            timed(
                times,
                f"pack {answers.BLOCK} slices of CT",
                lambda: gzip.compress(ct_block(case.scan, 10, answers.BLOCK).tobytes(), 1),
            )
            timed(
                times,
                "pack a mask",
                lambda: gzip.compress(session.correction.masks.lesions.tobytes(), 1),
            )
        session.close()
    content = {
        "command": f"python experiments/speed/review.py --slices {arguments.slices} "
        f"--repeats {arguments.repeats}",
        "lungscore": __version__,
        "commit": commit(),
        "host": before,
        "load_after": host()["load"],
        "shape": shape,
        "steps": {name: vars(entry) for name, entry in times.items()},
    }
    atomic_write(arguments.out, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    for name, entry in times.items():
        middle = [float(np.median(values)) for values in (entry.wall_s, entry.cpu_s)]
        print(f"{name:42}{middle[0]:8.3f} s{middle[1]:8.3f} s of CPU")


def measure(session: Session, times: dict[str, Times], step: str, body: bytes) -> None:
    """Make an edit, answer it and give its numbers, then take it back."""

    def answered() -> None:
        made = session.edit(parse_edit(body))
        json.dumps(answers.changed(session, made, blinded=False))
        if session.pending:
            json.dumps(answers.current_numbers(session, blinded=False, wait=True))

    version = session.correction.version
    timed(times, step, answered)
    if session.correction.version == version:
        raise SystemExit(f"{step}: it changed nothing")
    session.undo(session.correction.version)
    session.numbers()


if __name__ == "__main__":
    main()
