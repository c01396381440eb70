"""Whether every engine gives the same masks, and what each costs."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.anatomy import Lungs
from lungscore.datasets.images import files_by_stem
from lungscore.evaluation.metrics import dice
from lungscore.inference import Segmenter
from lungscore.inference.device import CPU, CUDA, cuda_devices
from lungscore.inference.readings import THRESHOLD
from lungscore.scan import Scan, read_scan
from lungscore.scan.phantom import make_phantom

#: The first is what the others are compared with; the first of a precision, those of the same.
ENGINES = (
    ("openvino", "f32", CPU),
    ("onnxruntime", "f32", CPU),
    ("torch", "f32", CPU),
    ("openvino", "bf16", CPU),
    ("torch", "bf16", CPU),
)
#: Besides, where there is a graphics card.
ON_CARD = (("torch", "f32", CUDA), ("torch", "bf16", CUDA))


def compare_engines(covid_semiseg: Path) -> dict[str, Any]:
    """Infection masks of every engine on the phantom and on the training crops."""
    scans = list(_scans(covid_semiseg))
    rows: list[dict[str, Any]] = []
    reference: list[np.ndarray] | None = None
    reference_seconds = 0.0
    first_of: dict[str, list[np.ndarray]] = {}
    for name, precision, device in (*ENGINES, *(ON_CARD if cuda_devices() else ())):
        segmenter = Segmenter(engine=name, precision=precision, device=device)
        next(segmenter.find(*scans[-1]))  # warm up
        began = time.perf_counter()
        masks = [
            finding.probability >= THRESHOLD
            for scan, lungs in scans
            for finding in segmenter.find(scan, lungs)
        ]
        seconds = time.perf_counter() - began
        if reference is None:
            reference, reference_seconds = masks, seconds
        same = first_of.setdefault(precision, masks)
        differences = [
            100 * abs(float(mask.mean()) - float(expected.mean()))
            for mask, expected in zip(masks, reference, strict=True)
        ]
        rows.append(
            {
                "engine": name,
                "precision": precision,
                "device": device,
                "dice": _pooled_dice(masks, reference),
                "dice_at_equal_precision": _pooled_dice(masks, same),
                "largest_percent_difference": max(differences),
                "relative_time": seconds / reference_seconds,
            }
        )
    return {"slices": len(reference or []), "engines": rows}


def _pooled_dice(masks: list[np.ndarray], references: list[np.ndarray]) -> float:
    """Dice over all pixels of all slices."""
    first, second = (
        np.concatenate([mask.ravel() for mask in group]) for group in (masks, references)
    )
    return dice(first, second)


def _scans(covid_semiseg: Path) -> Iterator[tuple[Scan, Lungs | None]]:
    """The phantom with its true lungs, and every training crop."""
    phantom = make_phantom("moderate", seed=0)
    yield phantom.scan, Lungs(phantom.lungs, True)
    crops = covid_semiseg / "TrainingSet/LungInfection-Train/Doctor-label/Imgs"
    for path in files_by_stem(crops).values():
        yield read_scan(path), None
