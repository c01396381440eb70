"""The figures of a row: out of fold on the annotated slices, then once on the test slices."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lungscore.benchmark.compute import slices_seen, slices_together
from lungscore.benchmark.estimates import log_of, seconds_of
from lungscore.benchmark.plan import Run, before
from lungscore.benchmark.provenance import facts_of
from lungscore.benchmark.results import Result
from lungscore.benchmark.rows import Row
from lungscore.benchmark.sections import section_of
from lungscore.datasets.covid_semiseg import NEAR_COPY
from lungscore.datasets.sample import Sample
from lungscore.datasets.training_slices import data_root
from lungscore.errors import InputError
from lungscore.evaluation.infection import score_maps
from lungscore.evaluation.lesions import CLASSES, score_lesions
from lungscore.learning.loop import WEIGHTS
from lungscore.learning.maps import Subset, ensure_maps, slices_of

#: Of pre-training's log, what is kept: errors under masks, and those of plain Laplace filling.
INPAINTING = (
    "erased_share",
    "random_mask_error",
    "random_mask_floor",
    "coach_mask_error",
    "coach_mask_floor",
)

#: name of a network -> its maps and their slices.
_Maps = dict[str, list[tuple[Sample, np.ndarray]]]


def measure(row: Row, runs: Sequence[Run], *, test: bool, command: str) -> Result:
    """The result of a row from its finished ``runs``: of every listed seed, all folds.

    test: whether the test slices are measured too. Predicts what was not predicted before.
    """
    steps = {run.folder: run for last in runs for run in before(last)}.values()
    config = runs[0].config.model_dump(mode="json")
    del config["data"]["fold"], config["training"]["seed"]
    seeds = sorted({run.config.training.seed for run in runs})
    return {
        "row": row.name,
        "target": row.target,
        "command": command,
        "config": config,
        "seeds": seeds,
        "planned_seeds": list(row.seeds),
        "runs": [
            {
                **_told(run),
                "seconds_before": _sum(_seconds(step) for step in before(run)),
                "slices_before": slices_together(before(run)),
            }
            for run in runs
        ],
        "steps": [{"experiment": run.config.name, **_told(run)} for run in steps],
        "held_out": None if row.folds == "all" else _parts(row, _held_out(runs)),
        "test": _parts(row, _on_test(runs), without=NEAR_COPY) if test else None,
    }


def weights_of(runs: Iterable[Run]) -> list[str]:
    """The checksums of the runs' weights."""
    return [hashlib.sha256((run.folder / WEIGHTS).read_bytes()).hexdigest() for run in runs]


def _told(run: Run) -> dict[str, Any]:
    facts = facts_of(run)
    told = {
        "fold": run.config.data.fold,
        "seed": run.config.training.seed,
        "weights_sha256": weights_of([run])[0],
        "built_on": facts.get("built_on", {}),
        "commit": facts.get("commit"),
        "seconds": _seconds(run),
        "slices": slices_seen(run.config),
    }
    if run.config.pretraining is not None:
        epochs = log_of(run.folder)
        names = [name for name in INPAINTING if epochs and name in epochs[0]]
        told["inpainting"] = {name: [row[name] for row in epochs] for name in names}
    return told


def _seconds(run: Run) -> float | None:
    seconds = seconds_of(run.folder)
    return None if seconds is None else round(seconds, 1)


def _sum(seconds: Iterable[float | None]) -> float | None:
    """None where one is not known."""
    values = list(seconds)
    known = [value for value in values if value is not None]
    return round(sum(known), 1) if len(known) == len(values) else None


def _held_out(runs: Iterable[Run]) -> _Maps:
    """The maps of a seed's networks together: each slice by the network that had it not."""
    maps: _Maps = {}
    for run in runs:
        maps.setdefault(f"seed{run.config.training.seed}", []).extend(_maps(run, "held-out"))
    return {seed: sorted(pairs, key=lambda pair: pair[0].name) for seed, pairs in maps.items()}


def _on_test(runs: Iterable[Run]) -> _Maps:
    return {run.folder.name: _maps(run, "test") for run in runs}


def _maps(run: Run, subset: Subset) -> list[tuple[Sample, np.ndarray]]:
    maps = ensure_maps(run.config, run.file, subset)
    samples = slices_of(subset, run.config, data_root())
    return [(sample, maps[sample.name]) for sample in samples]


def _parts(row: Row, maps: _Maps, without: str | None = None) -> dict[str, Any]:
    if row.target == "infection":
        return {"infection": section_of(_infection(maps), without)}
    scored = _lesions(maps)
    sections = {}
    for key in CLASSES:
        rows = {network: scores[key]["slices"] for network, scores in scored.items()}
        sections[key] = section_of(rows, without)
        sections[key]["absent"] = {
            network: {name: scores[key]["absent"][name] for name in ("n", "false_alarms")}
            for network, scores in scored.items()
        }
    losses = {
        network: [{"name": name, "test_loss": v} for name, v in scores["test_losses"].items()]
        for network, scores in scored.items()
    }
    return {**sections, "classes": section_of(losses, without)}


def _infection(maps: _Maps) -> dict[str, list[dict[str, Any]]]:
    """network -> its rows, slice by slice."""
    return {
        network: score_maps((s.name, probs[0], s.infection) for s, probs in pairs)["slices"]
        for network, pairs in maps.items()
    }


def _lesions(maps: _Maps) -> dict[str, dict[str, Any]]:
    return {
        network: score_lesions((s.name, probs, _classes(s)) for s, probs in pairs)
        for network, pairs in maps.items()
    }


def _classes(sample: Sample) -> np.ndarray:
    if sample.lesions is None:
        raise InputError("dataset-incomplete", f"{sample.name} has no class labels")
    return sample.lesions
