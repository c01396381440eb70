"""Result files: every figure with its command, its n and its interval."""

import json
import math
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lungscore.files import atomic_write
from lungscore.inference import Segmenter
from lungscore.statistics.bootstrap import RESAMPLES, SEED
from lungscore.version import __version__


def write_result(
    path: Path,
    *,
    command: str,
    figures: dict[str, Any],
    card: list[dict[str, Any]],
    models: Sequence[Segmenter] = (),
) -> None:
    """Write a result file: which models gave which figures.

    card: the figures that a model card repeats, as name and text; those with "target": "lesions"
    are for the card of the model for lesions, the others for that for infection.
    """
    result = {
        "command": command,
        "lungscore": __version__,
        "machine": platform.machine(),
        "bootstrap": {"resamples": RESAMPLES, "seed": SEED, "interval": "95 % percentile"},
        "models": [named for model in models for named in _named(model)],
        "card": card,
        "figures": figures,
    }
    atomic_write(path, json.dumps(plain(result), indent=1, ensure_ascii=False) + "\n")


def _named(segmenter: Segmenter) -> list[dict[str, Any]]:
    """The experiment that made each model, the sum of its weights, and what ran it."""
    engine = segmenter.engine
    return [
        {
            "experiment": bundle.card.experiment.get("name"),
            "training": bundle.card.experiment.get("training"),
            "weights_sha256": bundle.used.sha256,
            "engine": engine.text,
        }
        for bundle in segmenter.bundles
    ]


def plain(value: Any, *, digits: int = 6) -> Any:
    """Rounded numbers, and null for what is not a number, so that JSON stays JSON."""
    if isinstance(value, dict):
        return {str(key): plain(inner, digits=digits) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, digits=digits) for inner in value]
    if isinstance(value, float):
        return round(float(value), digits) if math.isfinite(value) else None
    return value
