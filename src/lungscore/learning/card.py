"""From a finished run to a bundle: graph, weights and the card that says what they are."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from lungscore.datasets.sample import Sample
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
from lungscore.yaml_file import read_yaml

#: What a card says of its data where nothing is known.
NO_TERMS = "not stated"

#: The grey level (0…1) from which infection is consolidation in pictures without Hounsfield units,
#: for networks that start from no bundle: ``grey_split`` of the 50 slices of COVID-SemiSeg.
GREY_SPLIT = 140 / 255

#: What a bundle does, in words.
TASKS: dict[Target, str] = {
    "infection": "infection (ground-glass opacity or consolidation), binary",
    "lesions": "ground-glass opacity against consolidation, in infection that is already found",
}


def make_bundle(
    run: Path,
    out: Path,
    *,
    name: str | None = None,
    version: str,
    facts: Path | None = None,
    results: Sequence[Path] = (),
) -> Bundle:
    """Write a bundle for the run's weights into ``out`` and verify it.

    The target of the run's experiment says whether it is for infection or for lesions, which is
    also its name by default; trained on one's own data, it is called as the experiment. What the
    run started from stays in the card: its data, terms and limits are those of the new network,
    too.
    facts: YAML with description, data, data_terms and limits, and under ``results`` the result
    files whose figures the card repeats, and under ``familiar`` the one that says how the training
    slices looked. results: further result files. Raises InputError where the run or a file is
    missing.
    """
    weights = run / WEIGHTS
    if not weights.is_file():
        raise InputError(
            "checkpoint-mismatch",
            f"{run.name} contains no {WEIGHTS}",
            hint="Finish the training first",
        )
    said = _read_card_facts(facts) if facts else {}
    beside = [facts.parent / file for file in said.get("results", [])] if facts else []
    metrics_of = {file: _read_result(file) for file in (*beside, *results)}
    made_with = read_facts(weights)
    try:
        config = ExperimentConfig.model_validate(made_with.get("config"))
    except ValidationError as error:
        raise InputError(
            "checkpoint-mismatch", f"{weights.name} does not say which experiment made it"
        ) from error
    for file, result in metrics_of.items():
        _check_same_training(file, result, config, made_with)
    start = made_with.get("start", {})
    split = None
    if config.target == "infection":
        split = start.get("grey_split") or GREY_SPLIT
    named = config.network
    network = make_network(named.name, encoder=named.encoder, base_width=named.base_width)
    load_weights(network, weights)
    height, width = config.input.height, config.input.width
    export_bundle(network, out, height=height, width=width, target=config.target)
    card = Card(
        name=name or (config.name if "own_data" in made_with else config.target),
        version=version,
        task=TASKS[config.target],
        network=named.name,
        encoder=named.encoder if hasattr(network, "encoder") else "none",
        base_width=named.base_width,
        inputs=INPUTS[config.target],
        outputs=OUTPUTS[config.target],
        description=said.get("description", config.description),
        data=[*said.get("data", []), *_own_data(made_with), *_inherited(start, "data")],
        data_terms="; ".join(
            [said.get("data_terms", NO_TERMS)]
            + ([f"of {_name_of(start)}: {start['data_terms']}"] if start else [])
        ),
        limits=[*said.get("limits", []), *_inherited(start, "limits")],
        input=InputSpec(
            height=height,
            width=width,
            window_hu=config.input.window_hu,
            orientation="anterior up, patient right at image left, box of the lungs",
            grey_split=split,
        ),
        experiment=_experiment_in_card(config),
        metrics=[
            metric
            for file, result in metrics_of.items()
            for metric in _metrics(file, result, config.target)
        ],
        sha256={file: sha256(out / file) for file in (GRAPH, WEIGHTS)},
        familiar=_familiar(facts.parent / said["familiar"])
        if facts and "familiar" in said
        else None,
    )
    atomic_write(out / CARD, json.dumps(card.model_dump(mode="json"), indent=1) + "\n")
    return load_bundle(out)


def unstated(card: Card, facts: Path | None) -> list[str]:
    """What a card should say and only its author can: the keys that ``facts`` lacks."""
    said = _read_card_facts(facts) if facts else {}
    missing = [key for key in ("data_terms", "limits") if not said.get(key)]
    return missing if card.data else ["data", *missing]


def _experiment_in_card(config: ExperimentConfig) -> dict[str, Any]:
    """The experiment without the folders of this computer: a bundle is told by its name."""
    values = config.model_dump(mode="json")
    if config.network.start is not None and config.network.start.bundle is not None:
        values["network"]["start"]["bundle"] = Path(config.network.start.bundle).name
    return values


def _own_data(made_with: dict[str, Any]) -> list[str]:
    """What the weights themselves say of one's own manifests that they learned from."""
    counts = made_with.get("own_data")
    if not counts:
        return []
    names = ", ".join(made_with.get("manifests", {}))
    return [
        f"{names}: {counts['slices']} slices of {counts['patients']} patients, "
        f"{counts['infected']} of them with infection"
    ]


def _name_of(start: dict[str, Any]) -> str:
    return f"{start['name']} {start['version']}, from which it started"


def _inherited(start: dict[str, Any], key: str) -> list[str]:
    """What the card of the bundle says from which the training started."""
    return [f"{text} (of {start['name']} {start['version']})" for text in start.get(key, [])]


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
    facts = read_yaml(path)
    known = {"description", "data", "data_terms", "limits", "results", "familiar"}
    if not isinstance(facts, dict) or set(facts) - known:
        raise InputError("config-invalid", f"{path.name}: expected only the keys {sorted(known)}")
    return facts


def _familiar(path: Path) -> Familiar:
    """What a result file of experiments/familiar.py lists under ``familiar``."""
    return Familiar.model_validate(_read_result(path)["familiar"])


def _read_result(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError("input-not-found", f"The card's result file {path.name} is missing")
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        lines = result.get("card", [])
        readable = bool({"card", "familiar"} & result.keys())
        readable &= all({"name", "text"} <= line.keys() for line in lines)
    except (ValueError, TypeError, AttributeError):
        readable = False
    if not readable:
        raise InputError(
            "config-invalid",
            f"The card's result file {path.name} is none that lungscore evaluate writes",
            expected="JSON with figures under card, or ranges under familiar",
        )
    return result


def _check_same_training(
    path: Path, result: dict[str, Any], config: ExperimentConfig, made_with: dict[str, Any]
) -> None:
    """Raise config-invalid where a result of ``evaluate folds`` measured another training."""
    figures = result.get("figures") or {}
    measured = figures.get("experiment"), figures.get("manifests")
    ours = config.name, made_with.get("manifests", {})
    if "experiment" in figures and measured != ours:
        raise InputError(
            "config-invalid",
            f"{path.name} measured the experiment {measured[0]}"
            + (" with another manifest" if measured[0] == ours[0] else ""),
            expected=f"figures of {config.name}, with the data that it was trained on",
        )


def _metrics(path: Path, result: dict[str, Any], target: Target) -> list[dict[str, Any]]:
    """What a result file lists under ``card`` of models for ``target``, with the file's name."""
    return [
        {"name": metric["name"], "text": metric["text"], "result": path.name}
        for metric in result.get("card", [])
        if metric.get("target", "infection") == target
    ]
