"""From a finished run to a bundle: graph, weights and the card that says what they are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import ValidationError

from lungscore.datasets.sample import Sample
from lungscore.datasets.training_slices import data_root, load_infected
from lungscore.errors import InputError
from lungscore.evaluation.metrics import dice
from lungscore.files import atomic_write
from lungscore.inference.bundle import (
    CARD,
    GRAPH,
    INPUTS,
    OUTPUTS,
    WEIGHTS,
    Bundle,
    Card,
    Familiar,
    InputSpec,
    Target,
    load_bundle,
    sha256,
)
from lungscore.inference.density import density_near
from lungscore.labels import CONSOLIDATION, GGO
from lungscore.learning.checkpoints import load_weights, read_facts
from lungscore.learning.config import ExperimentConfig
from lungscore.learning.export import export_bundle
from lungscore.networks import make_network

#: What a bundle does, in words.
TASKS: dict[Target, str] = {
    "infection": "infection (ground-glass opacity or consolidation), binary",
    "lesions": "ground-glass opacity against consolidation, in infection that is already found",
}


def make_bundle(
    run: Path, out: Path, *, name: str | None = None, version: str, facts: Path | None = None
) -> Bundle:
    """Write a bundle for the run's weights into ``out`` and verify it.

    The target of the run's experiment says whether it is for infection or for lesions, which is
    also its name by default.
    facts: YAML with description, data, data_terms and limits, and under ``results`` the result
    files whose figures the card repeats, and under ``familiar`` the one that says how the training
    slices looked. Raises InputError where the run or a file is missing.
    """
    weights = run / WEIGHTS
    if not weights.is_file():
        raise InputError(
            "checkpoint-mismatch", f"{run.name} holds no {WEIGHTS}", hint="finish the training"
        )
    said = _read_card_facts(facts) if facts else {}
    try:
        config = ExperimentConfig.model_validate(read_facts(weights).get("config"))
    except ValidationError as error:
        raise InputError(
            "checkpoint-mismatch", f"{weights.name} does not say which experiment made it"
        ) from error
    split = None
    if config.target == "infection":
        split = grey_split(load_infected(("covid-semiseg",), data_root()))
    named = config.network
    network = make_network(named.name, encoder=named.encoder, base_width=named.base_width)
    load_weights(network, weights)
    height, width = config.input.height, config.input.width
    export_bundle(network, out, height=height, width=width, target=config.target)
    card = Card(
        name=name or config.target,
        version=version,
        task=TASKS[config.target],
        network=named.name,
        encoder=named.encoder if hasattr(network, "encoder") else "none",
        base_width=named.base_width,
        inputs=INPUTS[config.target],
        outputs=OUTPUTS[config.target],
        description=said.get("description", config.description),
        data=said.get("data", []),
        data_terms=said.get("data_terms", "not stated"),
        limits=said.get("limits", []),
        input=InputSpec(
            height=height,
            width=width,
            window_hu=config.input.window_hu,
            orientation="anterior up, patient right at image left, box of the lungs",
            grey_split=split,
        ),
        experiment=config.model_dump(mode="json"),
        metrics=[
            metric
            for file in said.get("results", [])
            for metric in _metrics(facts.parent / file, config.target)  # type: ignore[union-attr]
        ],
        sha256={file: sha256(out / file) for file in (GRAPH, WEIGHTS)},
        familiar=_familiar(facts.parent / said["familiar"])
        if facts and "familiar" in said
        else None,
    )
    atomic_write(out / CARD, json.dumps(card.model_dump(mode="json"), indent=1) + "\n")
    return load_bundle(out)


def grey_split(samples: list[Sample]) -> float:
    """The grey level (0…1) that best tells consolidation from GGO inside true infection.

    Best: mean Dice of both classes over ``samples``, training slices with classes, density taken as
    in use. For pictures without Hounsfield units, until a network tells the two apart.
    """
    levels = np.arange(100, 250, 5)
    told = [
        (sample.infection, sample.lesions, density_near(sample.image, sample.infection))
        for sample in samples
        if sample.lesions is not None
    ]
    means = []
    for level in levels:
        scores = []
        for infected, lesions, near in told:
            dense = infected & (near >= level)
            scores.append(dice(dense, lesions == CONSOLIDATION))
            scores.append(dice(infected & ~dense, lesions == GGO))
        means.append(np.nanmean(scores))
    return float(levels[int(np.argmax(means))]) / 255


def _read_card_facts(path: Path) -> dict[str, Any]:
    try:
        facts = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError("input-not-found", f"no file {path.name}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError("config-invalid", f"{path.name} is not YAML") from error
    known = {"description", "data", "data_terms", "limits", "results", "familiar"}
    if not isinstance(facts, dict) or set(facts) - known:
        raise InputError("config-invalid", f"{path.name}: expected only the keys {sorted(known)}")
    return facts


def _familiar(path: Path) -> Familiar:
    """What a result file of experiments/familiar.py lists under ``familiar``."""
    return Familiar.model_validate(_read_result(path)["familiar"])


def _read_result(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError("input-not-found", f"the card's result file {path.name} is missing")
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def _metrics(path: Path, target: Target) -> list[dict[str, Any]]:
    """What a result file lists under ``card`` of models for ``target``, with the file's name."""
    return [
        {"name": metric["name"], "text": metric["text"], "result": path.name}
        for metric in _read_result(path)["card"]
        if metric.get("target", "infection") == target
    ]
