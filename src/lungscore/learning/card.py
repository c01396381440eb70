"""From a finished run to a bundle: graph, weights and the card that says what they are."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError
from torch import nn

from lungscore.datasets.sample import Sample
from lungscore.datasets.training_slices import data_root, load_infected
from lungscore.errors import InputError
from lungscore.evaluation.metrics import dice
from lungscore.files import atomic_write
from lungscore.inference.bundle import (
    CARD,
    FINDERS,
    GRAPH,
    INPUTS,
    OUTPUTS,
    WEIGHTS,
    Bundle,
    Card,
    InputSpec,
    Target,
    load_bundle,
    sha256,
)
from lungscore.inference.density import density_near
from lungscore.labels import CONSOLIDATION, GGO
from lungscore.learning.checkpoints import load_weights, read_facts
from lungscore.learning.config import ExperimentConfig, InputConfig
from lungscore.learning.experiment_file import read_yaml
from lungscore.learning.export import export_bundle
from lungscore.learning.timed.plan import Run
from lungscore.learning.timed.work import FACTS
from lungscore.networks import SLIM_NETWORK, make_network

#: What a card says of its data where nothing is known.
NO_TERMS = "not stated"

#: What a bundle does, in words.
TASKS: dict[Target, str] = {
    "infection": "infection (ground-glass opacity or consolidation), binary",
    "classes": "infection, and within it consolidation against ground-glass opacity",
    "lesions": "ground-glass opacity against consolidation, in infection that is already found",
}


@dataclass(frozen=True)
class _Trained:
    """What a run trained, as networks.make_network takes it. experiment: as the card repeats it."""

    target: Target
    network: str
    encoder: str
    base_width: int
    input: InputConfig
    description: str
    experiment: dict[str, Any]

    def load(self, weights: Path) -> nn.Module:
        """The network with ``weights``. Raises InputError checkpoint-mismatch."""
        network = make_network(self.network, encoder=self.encoder, base_width=self.base_width)
        load_weights(network, weights)
        return network


def make_bundle(
    run: Path, out: Path, *, name: str | None = None, version: str, facts: Path | None = None
) -> Bundle:
    """Write a bundle for the run's weights into ``out`` and verify it.

    run: of an experiment file, whose target says whether it is for infection or for lesions, or of
    experiments/timed_stages.py. By default its name is "infection" or "lesions".
    facts: YAML with description, data, data_terms and limits, and result files: under ``results``
    those whose figures the card repeats, under ``familiar`` the one that says how the training
    slices looked, under ``calibration`` the one with the temperature, and under ``precision`` the
    one that says which precisions gave the masks of float32 with these weights. Raises InputError
    where the run or a file is missing, or a file is of other weights.
    """
    weights = run / WEIGHTS
    if not weights.is_file():
        raise InputError(
            "checkpoint-mismatch",
            f"{run.name} contains no {WEIGHTS}",
            hint="Finish the training first",
        )
    said = _read_card_facts(facts) if facts else {}
    trained = _timed(run / FACTS) if (run / FACTS).is_file() else _of_experiment(weights)
    target, size = trained.target, trained.input
    network = trained.load(weights)
    split = None
    if target in FINDERS:
        split = grey_split(load_infected(("covid-semiseg",), data_root()))
    temperature = said.get("calibration", {}).get("infection", {}).get("temperature", 1.0)
    export_bundle(
        network,
        out,
        height=size.height,
        width=size.width,
        target=target,
        temperature=temperature,
    )
    checksums = {file: sha256(out / file) for file in (GRAPH, WEIGHTS)}
    card = Card(
        name=name or ("infection" if target in FINDERS else target),
        version=version,
        task=TASKS[target],
        network=trained.network,
        encoder=trained.encoder if hasattr(network, "encoder") else "none",
        base_width=trained.base_width,
        inputs=INPUTS[target],
        outputs=OUTPUTS[target],
        description=said.get("description", trained.description),
        data=said.get("data", []),
        data_terms=said.get("data_terms", NO_TERMS),
        limits=said.get("limits", []),
        input=InputSpec(
            height=size.height,
            width=size.width,
            window_hu=size.window_hu,
            orientation="anterior up, patient right at image left, box of the lungs",
            grey_split=split,
        ),
        experiment=trained.experiment,
        metrics=[
            metric
            for file, result in said.get("results", {}).items()
            for metric in _metrics(file, result, target)
        ],
        sha256=checksums,
        temperature=temperature,
        equal_precisions=_equal_precisions(said.get("precision"), checksums[WEIGHTS]),
        familiar=said.get("familiar", {}).get("familiar"),
    )
    atomic_write(out / CARD, json.dumps(card.model_dump(mode="json"), indent=1) + "\n")
    return load_bundle(out)


def _of_experiment(weights: Path) -> _Trained:
    """What an experiment file trained. Raises InputError checkpoint-mismatch."""
    try:
        config = ExperimentConfig.model_validate(read_facts(weights).get("config"))
    except ValidationError as error:
        raise InputError(
            "checkpoint-mismatch", f"{weights.name} does not say which experiment made it"
        ) from error
    network = config.network
    return _Trained(
        config.target,
        network.name,
        network.encoder,
        network.base_width,
        config.input,
        config.description,
        config.model_dump(mode="json"),
    )


#: What the networks of a timed run are for, and their name, by its kind.
_TIMED: dict[str, tuple[Target, str]] = {
    "slim": ("classes", SLIM_NETWORK),
    "today": ("infection", "finer-inf-net"),
}


def _timed(facts: Path) -> _Trained:
    """What experiments/timed_stages.py trained. Raises InputError checkpoint-mismatch."""
    try:
        stored = json.loads(facts.read_text(encoding="utf-8"))
        run = Run(**stored["run"])
        target, network = _TIMED[run.kind]
        size = InputConfig(**stored.get("input", {}))
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            "checkpoint-mismatch", f"{facts.name} does not say what was trained"
        ) from error
    return _Trained(
        target,
        network,
        run.encoder,
        64,
        size,
        f"{run.arm}, trained on the split {run.split}",
        {"run": asdict(run), **{key: stored[key] for key in ("steps", "slices") if key in stored}},
    )


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
    """The facts, each result file that they name replaced by its content: results by name."""
    facts = read_yaml(path)
    files = ("familiar", "calibration", "precision")
    known = {"description", "data", "data_terms", "limits", "results", *files}
    if not isinstance(facts, dict) or set(facts) - known:
        raise InputError("config-invalid", f"{path.name}: expected only the keys {sorted(known)}")
    contents = {key: _read_result(path.parent / facts[key]) for key in files if key in facts}
    results = [path.parent / file for file in facts.get("results", [])]
    return {**facts, **contents, "results": {file.name: _read_result(file) for file in results}}


def _read_result(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError("input-not-found", f"The card's result file {path.name} is missing")
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def _equal_precisions(result: dict[str, Any] | None, weights: str) -> tuple[Literal["bf16"], ...]:
    """Those that a result of experiments/precision.py calls equal, which must be of ``weights``.

    weights: their SHA-256. Raises InputError checkpoint-mismatch.
    """
    if result is None:
        return ()
    if result["model"]["sha256"] != weights:
        raise InputError(
            "checkpoint-mismatch",
            "The card's result file for precision was measured with other weights",
            expected="a result of experiments/precision.py with this model",
        )
    equal = result["precisions"].get("bf16", {}).get("equal_to_f32", False)
    return ("bf16",) if equal else ()


def _metrics(file: str, result: dict[str, Any], target: Target) -> list[dict[str, Any]]:
    """What a result file lists under ``card`` of models for ``target``, with the file's name."""
    targets = {target, "infection"} if target in FINDERS else {target}
    return [
        {"name": metric["name"], "text": metric["text"], "result": file}
        for metric in result["card"]
        if metric.get("target", "infection") in targets
    ]
