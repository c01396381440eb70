"""Train the shipped network's recipe inside a fixed time: teachers, students, students again.

    python experiments/timed_stages.py --pack PACK --out RUNS --device cuda --seconds 410

PACK is the folder that experiments/pack_slices.py writes; RUNS holds one folder a run. Finished
runs are left alone and stopped ones go on, so that the command can be given again; ``--stages``
chooses some. Each stage takes its share of the seconds, and as many of its runs as ``--at-once``
says train side by side on one device. Beside them runs the recipe of experiments/infection.yaml,
the measure of every step, whose steps are fixed. ``--results`` writes the few files that are worth
keeping: weights, what each network found in the slices it never saw, and one log.

``--speed SECONDS`` trains nothing: it tells how many slices a second this device gets through.

How to budget. A device gets through so many slices a second however many processes share it; what
``--speed`` says, times the seconds, is all there is. Give each network at least 60,000 slices: few
``--arms`` and ``--splits``, then long stages; docs/training.md has an example that had too few. The
first step of a process takes about ten seconds, and ``--search`` can take a minute on a machine
that has just started; seconds that are counted are spent on both.
"""

import argparse
import json
import time
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lungscore.learning.timed.encoders import unpack_encoders
from lungscore.learning.timed.pack import read_pack
from lungscore.learning.timed.plan import BESIDE, FOLDS, SPLITS, STAGES, Run, runs
from lungscore.learning.timed.slices import SliceStore
from lungscore.learning.timed.training import Pace, TimedTraining, write_json
from lungscore.learning.timed.work import (
    ALONE,
    FACTS,
    MAPS,
    WEIGHTS,
    Environment,
    do,
    finished,
    new_network,
    read_folds,
)
from lungscore.learning.timed.workers import Workers

#: Shares of the seconds that the stages take.
SHARES = {"teachers": 0.36, "students": 0.28, "iterated": 0.36}

#: The most that all result files may take together, and one of them.
ALL_BYTES, FILE_BYTES = 47 * 2**20, 16 * 2**20

#: Arms whose maps lie in the first of two files; nothing counts as consolidation below this level
#: of infection, and 0 takes less room.
FIRST_MAPS, FAINT = ("iterated", "teacher", "today"), 24


@dataclass(frozen=True)
class Setting:
    """What a process needs to prepare itself."""

    pack: Path
    folds: Path
    out: Path
    device: str
    pace: Pace
    size: tuple[int, int]
    unlabelled: int | None = None


@dataclass(frozen=True)
class Piece:
    """A run and its seconds; with ``speed`` only its steps are counted."""

    run: Run
    seconds: float
    speed: Pace | None = None


def main() -> None:
    arguments = _arguments()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "encoders").is_dir():
        unpack_encoders(arguments.pack / "encoders.safetensors", out / "encoders.part")
        (out / "encoders.part").rename(out / "encoders")
    pace = Pace(
        arguments.batch,
        record=not arguments.eager,
        channels_last=not arguments.contiguous,
        bf16=arguments.device == "cuda",
        search=arguments.search,
        steps=arguments.steps,
    )
    setting = Setting(
        arguments.pack,
        arguments.folds,
        out,
        arguments.device,
        pace,
        tuple(arguments.size),
        arguments.unlabelled,
    )
    began = time.monotonic()
    workers = Workers(arguments.at_once, prepare, work, setting)
    print(
        f"{workers.ready(120)} processes ready after {time.monotonic() - began:.1f} s", flush=True
    )
    try:
        if arguments.speed:
            _speed(workers, arguments.speed, arguments.at_once, pace)
        else:
            _beside(workers, arguments)
            for stage in arguments.stages:
                _stage(workers, stage, arguments)
                if arguments.results:  # so that a run that is stopped leaves what it has
                    _results(out, arguments.results)
            workers.finish(arguments.seconds / 8, report)
    finally:
        workers.end()
    if arguments.results:
        _results(out, arguments.results)
    print(f"all in {time.monotonic() - began:.1f} s", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=400.0)
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--stages", nargs="*", choices=STAGES, default=list(STAGES))
    parser.add_argument("--splits", nargs="*", choices=SPLITS, default=list(SPLITS))
    parser.add_argument("--arms", nargs="*", help="only these")
    parser.add_argument("--student", default="efficientnet-lite0", help="encoder of the students")
    parser.add_argument("--unlabelled", type=int, help="at most so many such slices, for tests")
    parser.add_argument("--seeds", type=int, default=1, help="how often students are trained")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--size", type=int, nargs=2, default=[256, 320])
    parser.add_argument("--steps", type=int, help="at most so many a run, for tests")
    parser.add_argument("--eager", action="store_true", help="do not record steps")
    parser.add_argument("--contiguous", action="store_true", help="maps channel by channel")
    parser.add_argument("--search", action="store_true", help="time cuDNN's algorithms first")
    parser.add_argument("--speed", type=float, help="seconds of each measurement")
    here = Path(__file__).parent
    parser.add_argument("--folds", type=Path, default=here / "benchmark" / "folds.json")
    return parser.parse_args()


def prepare(setting: Setting) -> Environment:
    """Everything that all runs of a process share."""
    torch.set_num_threads(1)
    device = torch.device(setting.device)
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        torch.zeros(1, device=device)
    return Environment(
        read_pack(setting.pack / "slices.zip", unlabelled=setting.unlabelled),
        read_folds(setting.folds),
        setting.out / "encoders",
        setting.out,
        device,
        setting.pace,
        setting.size,
    )


def work(environment: Environment, piece: Piece) -> Any:
    """One run, or one measurement of speed."""
    if piece.speed is None:
        result = do(piece.run, environment, piece.seconds)
    else:
        result = _count(replace(environment, pace=piece.speed), piece)
    if environment.device.type == "cuda":
        torch.cuda.empty_cache()
    return result


def _beside(workers: Workers, arguments: argparse.Namespace) -> None:
    """Begin the runs that no stage waits for, if there are processes to spare."""
    beside = runs(BESIDE, splits=arguments.splits)
    beside = [run for run in beside if not finished(run, arguments.out)]
    if arguments.arms and BESIDE not in arguments.arms:
        return
    workers.begin([Piece(run, arguments.seconds) for run in beside][: arguments.at_once - 1])


def report(piece: Piece, told: Any) -> None:
    """A line about a run that ended."""
    if isinstance(told, Exception):
        print(f"{piece.run.name} FAILED\n{told}", flush=True)
        return
    shown = {k: told.get(k) for k in ("whole_seconds", "steps", "recorded", "peak_gib")}
    last = (told.get("curve") or [None])[-1]
    figures = {k: round(v, 3) for k, v in told.get("dice", {}).items()}
    print(f"{piece.run.name} {shown} last {last} dice {figures}", flush=True)


def _stage(workers: Workers, stage: str, arguments: argparse.Namespace) -> None:
    planned = runs(stage, student=arguments.student, splits=arguments.splits, seeds=arguments.seeds)
    if arguments.arms:
        planned = [run for run in planned if run.arm in arguments.arms]
    planned = [run for run in planned if not finished(run, arguments.out)]
    if not planned:
        return
    shares = {name: SHARES[name] for name in arguments.stages}
    seconds = arguments.seconds * shares[stage] / sum(shares.values())
    waves = -(-len(planned) // workers.idle())
    print(f"{stage}: {len(planned)} runs in {waves} waves of {seconds / waves:.0f} s", flush=True)
    pieces = [Piece(run, seconds / waves) for run in planned]
    began = time.monotonic()

    workers.do(pieces, report)
    print(f"{stage} took {time.monotonic() - began:.1f} s", flush=True)
    for arm in dict.fromkeys([BESIDE, *(run.arm for run in planned)]):
        print(f"  {arm}: {_mean_figures(arguments.out, arm)}", flush=True)


def _mean_figures(out: Path, arm: str) -> dict[str, float]:
    """Means over the folds that are finished; folds have equally many slices."""
    told = [
        json.loads(path.read_text())
        for fold in FOLDS
        if (path := out / f"{arm}-{fold}" / FACTS).is_file()
    ]
    keys = (
        [(kind, key) for kind in ("dice", "dice_of_views") for key in told[0].get(kind, {})]
        if told
        else []
    )
    return {
        key if kind == "dice" else f"{key} in all views": round(
            float(np.mean([figures[kind][key] for figures in told if key in figures[kind]])), 4
        )
        for kind, key in keys
    }


def _count(environment: Environment, piece: Piece) -> dict[str, Any]:
    """Slices a second, all of a step counted, in the later half of the seconds."""
    store = SliceStore(environment.slices, environment.device, size=environment.size)
    store.set_shares(ALONE)
    training = TimedTraining(
        new_network(piece.run, environment, store), store, environment.pace, synthesis=True
    )
    training.run(piece.seconds)
    rows = training.curve.rows
    (began, before, _), (ended, after, _) = rows[len(rows) // 2], rows[-1]
    rate = (after - before) / max(ended - began, 1e-9)
    return {
        "slices_per_second": round(rate * environment.pace.batch, 1),
        "steps_per_second": round(rate, 2),
        "first_row": rows[0],
        "recorded": training.curve.recorded,
        "peak_gib": round(training.curve.peak_bytes / 2**30, 2),
    }


def _speed(workers: Workers, seconds: float, at_once: int, pace: Pace) -> None:
    """One process in several ways, then several at once in the best."""
    small = Run("teachers", "speed", "all")
    best, fastest = pace, 0.0

    def told(text: str, run: Run, way: Pace) -> float:
        ((_, result),) = workers.do([Piece(run, seconds, way)])
        print(f"1 process, {text}: {result}", flush=True)
        return float(result["slices_per_second"]) if isinstance(result, dict) else 0.0

    ways = {
        "as asked": pace,
        "twice the batch": replace(pace, batch=2 * pace.batch),
        "the other layout": replace(pace, channels_last=not pace.channels_last),
        "eager": replace(pace, record=False),
        "algorithms searched": replace(pace, search=True),
    }
    if pace.bf16 is False:
        ways = {"as asked": pace}
    for text, way in ways.items():
        rate = told(text, small, way)
        if rate > fastest:
            best, fastest = way, rate
    print(f"fastest: {best}", flush=True)
    told("resnet18", replace(small, encoder="resnet18"), best)
    for count in sorted({at_once // 2, at_once} - {0, 1}):
        done = workers.do([Piece(small, seconds + 4, best)] * count)
        results = [result for _, result in done if isinstance(result, dict)]
        errors = [str(result)[-300:] for _, result in done if not isinstance(result, dict)]
        print(
            f"{count} processes: {sum(r['slices_per_second'] for r in results):.0f} slices a "
            f"second together, {sum(r['peak_gib'] for r in results):.1f} GiB, recorded "
            f"{[r['recorded'] for r in results].count(True)}, first rows "
            f"{[r['first_row'][0] for r in results]} {errors[:1]}",
            flush=True,
        )


def _results(out: Path, results: Path) -> None:
    """Few files: maps by arm, weights of the last students, one log."""
    results.mkdir(parents=True, exist_ok=True)
    for name in ("runs.json", "maps.npz", "more-maps.npz", "weights-*.zip"):
        for path in results.glob(name):
            path.unlink()
    facts = {
        path.parent.name: json.loads(path.read_text()) for path in sorted(out.glob(f"*/{FACTS}"))
    }
    write_json(results / "runs.json", facts)
    arms = list(dict.fromkeys(fact["run"]["arm"] for fact in facts.values()))
    maps: dict[str, np.ndarray] = {}
    for arm in arms:
        parts = [
            np.load(path) for fold in FOLDS if (path := out / f"{arm}-{fold}" / MAPS).is_file()
        ]
        for key in ("names", "single", "views"):
            if parts and (key != "views" or arm.partition(".")[0] in ("iterated", "today")):
                levels = np.concatenate([run_maps[key] for run_maps in parts])
                if key != "names":
                    levels[:, 1][levels[:, 0] < FAINT] = 0
                maps[f"{arm}/{key}"] = levels
    first = {key for key in maps if key.partition("/")[0].partition(".")[0] in FIRST_MAPS}
    for name, keys in (("maps.npz", first), ("more-maps.npz", maps.keys() - first)):
        if keys:
            np.savez_compressed(results / name, **{key: maps[key] for key in sorted(keys)})
    left = ALL_BYTES - sum(path.stat().st_size for path in results.iterdir())
    last = next((arm for arm in ("iterated", "student", "teacher") if f"{arm}-all" in facts), None)
    if last is None:
        return
    # Two networks a file, the most needed first.
    order = [f"{last}-{split}" for split in ("all", "cranial", "caudal", *FOLDS)]
    order = [name for name in order if (out / name / WEIGHTS).is_file()]
    for name in order:
        size = (out / name / WEIGHTS).stat().st_size
        if size > left:
            print(f"{name}: no room for its weights", flush=True)
            continue
        left -= size
        _append(results, name, out / name / WEIGHTS)
    for path in sorted(results.iterdir()):
        print(f"{path.name} {path.stat().st_size / 2**20:.2f} MiB", flush=True)


def _append(results: Path, name: str, weights: Path) -> None:
    """Add weights to the first zip that has room for them."""
    size = weights.stat().st_size
    number = 0
    while True:
        path = results / f"weights-{number}.zip"
        if not path.exists() or path.stat().st_size + size < FILE_BYTES - 2**16:
            break
        number += 1
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        archive.write(weights, f"{name}.safetensors")


if __name__ == "__main__":
    main()
