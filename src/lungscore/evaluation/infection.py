"""Scoring infection maps of many slices against their ground truth."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lungscore.evaluation.boundary import TOLERANCE, border_scores
from lungscore.evaluation.metrics import Confusion, confusion, overlap_scores, segmentation_loss
from lungscore.evaluation.toolbox import best_threshold, s_measure, stretched_mae, threshold_curves
from lungscore.inference.readings import THRESHOLD
from lungscore.statistics.intervals import area_agreement, mean_with_interval

#: What a row says besides figures that are averaged.
_NOT_AVERAGED = ("name", "infected_fraction", "true_fraction")


@dataclass(frozen=True)
class SliceScores:
    """One slice: its row of figures, and what figures over many slices need besides."""

    row: dict[str, Any]
    counts: Confusion
    curves: dict[str, np.ndarray]


def score_maps(
    maps: Iterable[tuple[str, np.ndarray, np.ndarray]],
    spacings_mm: Mapping[str, tuple[float, float]] | None = None,
) -> dict[str, Any]:
    """Figures for (name, probability (H, W) in 0…1, truth (H, W) bool), slice by slice.

    spacings_mm: the millimetres of a row and of a column of every slice, by name; without them
    hd95 and the tolerance of surface_dice are in pixels of the slice.

    Returns the figures of ``summary``, test_loss among them; ``where_present``, the same over the
    slices whose truth is not empty; and ``slices``, a row of figures each.
    """
    scored = []
    for name, probability, truth in maps:
        spacing = None if spacings_mm is None else spacings_mm[name]
        one = score_slice(name, probability, truth, spacing_mm=spacing)
        one.row["test_loss"] = segmentation_loss(probability, truth)
        scored.append(one)
    in_mm = spacings_mm is not None
    return {
        **summary(scored, in_mm=in_mm),
        "where_present": summary([one for one in scored if is_present(one)], in_mm=in_mm),
        "slices": [one.row for one in scored],
    }


def score_slice(
    name: str,
    probability: np.ndarray,
    truth: np.ndarray,
    *,
    spacing_mm: tuple[float, float] | None = None,
) -> SliceScores:
    """Every figure of one slice, but for the test loss."""
    if probability.shape != truth.shape or truth.dtype != bool:
        raise ValueError(f"{name}: truth must be bool and as large as the map")
    if not (probability.min() >= 0 and probability.max() <= 1):
        raise ValueError(f"{name}: probabilities must lie in 0…1")
    predicted = probability >= THRESHOLD
    counts = confusion(predicted, truth)
    curves = threshold_curves(probability, truth)
    row = {
        "name": name,
        **overlap_scores(counts),
        **{f"toolbox_{key}": float(curve.mean()) for key, curve in curves.items()},
        "toolbox_s_measure": s_measure(probability, truth),
        "toolbox_mae": stretched_mae(probability, truth),
        **border_scores(predicted, truth, spacing_mm or (1.0, 1.0)),
        "infected_fraction": float(predicted.mean()),
        "true_fraction": float(truth.mean()),
    }
    return SliceScores(row, counts, curves)


def is_present(scores: SliceScores) -> bool:
    """Whether the truth of a slice holds anything."""
    return bool(scores.row["true_fraction"] > 0)


def summary(scored: Sequence[SliceScores], *, in_mm: bool = False) -> dict[str, Any]:
    """Figures over slices.

    Every figure of the rows as a mean over slices with its interval; area_correlation (None
    without spread) and area_agreement of infected fractions; pooled, over all pixels at once;
    toolbox_max, at the threshold that is best for these very slices; and the unit of distances.
    """
    if not scored:
        return {"n": 0}
    rows = [one.row for one in scored]
    averaged = [key for key in rows[0] if key not in _NOT_AVERAGED]
    found, true = (np.array([row[key] for row in rows]) for key in _NOT_AVERAGED[1:])
    agreement = area_agreement(found, true)
    best_dice, threshold = best_threshold([one.curves["dice"] for one in scored])
    best_alignment, _ = best_threshold([one.curves["e_measure"] for one in scored])
    return {
        "n": len(rows),
        **{key: mean_with_interval(np.array([row[key] for row in rows])) for key in averaged},
        "area_correlation": agreement["correlation"]["r"],
        "area_agreement": agreement,
        "pooled": overlap_scores(Confusion(*np.sum([one.counts for one in scored], axis=0))),
        "toolbox_max": {
            "dice": best_dice,
            "dice_threshold": threshold,
            "e_measure": best_alignment,
        },
        "distances": {
            "unit": "millimetres" if in_mm else "pixels of the slice",
            "surface_tolerance": TOLERANCE,
        },
    }
