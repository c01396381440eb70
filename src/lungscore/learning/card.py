"""From a finished run to a bundle: graph, weights and the card that says what they are."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lungscore.datasets.sample import Sample
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
from lungscore.learning.export import export_bundle
from lungscore.learning.trained import Trained, read_trained
from lungscore.yaml_file import read_yaml

#: What a card says of its data where nothing is known.
NO_TERMS = "not stated"

#: The grey level (0…1) from which infection is consolidation in pictures without Hounsfield units,
#: for networks that start from no bundle: ``grey_split`` of the 50 slices of COVID-SemiSeg.
GREY_SPLIT = 140 / 255

#: What a bundle does, in words.
TASKS: dict[Target, str] = {
    "infection": "infection (ground-glass opacity or consolidation), binary",
    "classes": "infection, and within it consolidation against ground-glass opacity",
    "lesions": "ground-glass opacity against consolidation, in infection that is already found",
}

#: The result files that a card's facts may name, and what each must contain.
_CONTENT_OF = {
    "familiar": "familiar",
    "calibration": "infection",
    "ranges": "chosen_on_all",
    "precision": "precisions",
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

    run: of an experiment file, or of experiments/timed_stages.py. By default the bundle is called
    "infection" or "lesions", as what it is for; trained on one's own data, as the experiment. What
    the run started from stays in the card: its data, terms and limits are those of the new network,
    too.
    facts: YAML with description, data, data_terms and limits, and result files: under ``results``
    those whose figures the card repeats, under ``familiar`` the one that says how the training
    slices looked, under ``calibration`` the one with the temperature, under ``ranges`` the one with
    the thresholds of ranges, and under ``precision`` the one that says which precisions gave the
    masks of float32 with these weights. results: further result files. Raises InputError where the
    run or a file is missing, or a file is of another training.
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
    measured = {
        key: _read_result(facts.parent / said[key], content)
        for key, content in _CONTENT_OF.items()
        if facts and key in said
    }
    trained = read_trained(run)
    for file, result in metrics_of.items():
        _check_same_training(file, result, trained)
    target, size = trained.target, trained.input
    start = trained.made_with.get("start", {})
    split = None
    if target in FINDERS:
        split = start.get("grey_split") or GREY_SPLIT
    network = trained.load(weights)
    temperature = measured["calibration"]["temperature"] if "calibration" in measured else 1.0
    export_bundle(
        network,
        out,
        height=size.height,
        width=size.width,
        target=target,
        temperature=temperature,
    )
    checksums = {file: sha256(out / file) for file in (GRAPH, WEIGHTS)}
    own = trained.name if "own_data" in trained.made_with else None
    card = Card(
        name=name or own or ("infection" if target in FINDERS else target),
        version=version,
        task=TASKS[target],
        network=trained.network,
        encoder=trained.encoder if hasattr(network, "encoder") else "none",
        base_width=trained.base_width,
        inputs=INPUTS[target],
        outputs=OUTPUTS[target],
        description=said.get("description", trained.description),
        data=[*said.get("data", []), *_own_data(trained.made_with), *_inherited(start, "data")],
        data_terms="; ".join(
            [said.get("data_terms", NO_TERMS)]
            + ([f"of {_name_of(start)}: {start['data_terms']}"] if start else [])
        ),
        limits=[*said.get("limits", []), *_inherited(start, "limits")],
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
            for file, result in metrics_of.items()
            for metric in _metrics(file, result, target)
        ],
        sha256=checksums,
        temperature=temperature,
        range_thresholds=measured.get("ranges"),
        equal_precisions=_equal_precisions(measured.get("precision"), checksums[WEIGHTS]),
        familiar=measured.get("familiar"),
    )
    atomic_write(out / CARD, json.dumps(card.model_dump(mode="json"), indent=1) + "\n")
    return load_bundle(out)


def unstated(card: Card, facts: Path | None) -> list[str]:
    """What a card should say and only its author can: the keys that ``facts`` lacks."""
    said = _read_card_facts(facts) if facts else {}
    missing = [key for key in ("data_terms", "limits") if not said.get(key)]
    return missing if card.data else ["data", *missing]


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
    known = {"description", "data", "data_terms", "limits", "results", *_CONTENT_OF}
    if not isinstance(facts, dict) or set(facts) - known:
        raise InputError("config-invalid", f"{path.name}: expected only the keys {sorted(known)}")
    return facts


def _read_result(path: Path, content: str | None = None) -> Any:
    """A result file with figures for the card, or what it lists under ``content``."""
    if not path.is_file():
        raise InputError("input-not-found", f"The card's result file {path.name} is missing")
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        lines = result.get("card", [])
        readable = (content or "card") in result
        readable &= all({"name", "text"} <= line.keys() for line in lines)
    except (ValueError, TypeError, AttributeError):
        readable = False
    if not readable:
        raise InputError(
            "config-invalid",
            f"The card's result file {path.name} is none that lungscore evaluate writes"
            if content is None
            else f"The card's result file {path.name} is of another kind",
            expected=f"JSON with figures under {content or 'card'}",
        )
    return result if content in (None, "precisions") else result[content]


def _check_same_training(path: Path, result: dict[str, Any], trained: Trained) -> None:
    """Raise config-invalid where a result of ``evaluate folds`` measured another training."""
    figures = result.get("figures") or {}
    measured = figures.get("experiment"), figures.get("manifests")
    ours = trained.name, trained.made_with.get("manifests", {})
    if "experiment" in figures and measured != ours:
        raise InputError(
            "config-invalid",
            f"{path.name} measured the experiment {measured[0]}"
            + (" with another manifest" if measured[0] == ours[0] else ""),
            expected=f"figures of {trained.name}, with the data that it was trained on",
        )


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


def _metrics(path: Path, result: dict[str, Any], target: Target) -> list[dict[str, Any]]:
    """What a result file lists under ``card`` of models for ``target``, with the file's name."""
    targets = {target, "infection"} if target in FINDERS else {target}
    return [
        {"name": metric["name"], "text": metric["text"], "result": path.name}
        for metric in result.get("card", [])
        if metric.get("target", "infection") in targets
    ]
