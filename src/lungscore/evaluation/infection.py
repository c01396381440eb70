"""Scoring infection maps of many slices against their ground truth."""

from collections.abc import Iterable

import numpy as np

from lungscore.evaluation.metrics import dice, toolbox_dice, toolbox_mae
from lungscore.evaluation.statistics import mean_with_interval
from lungscore.inference.segment import THRESHOLD


def score_maps(maps: Iterable[tuple[str, np.ndarray, np.ndarray]]) -> dict[str, object]:
    """Figures for (name, probability (H, W) in 0…1, truth (H, W) bool), slice by slice.

    Returns dice, toolbox_dice and toolbox_mae with intervals, the correlation of predicted and
    true infected fractions, and the figures of every slice.
    """
    slices, fractions = [], []
    for name, probability, truth in maps:
        predicted = probability >= THRESHOLD
        fractions.append((predicted.mean(), truth.mean()))
        slices.append(
            {
                "name": name,
                "dice": dice(predicted, truth),
                "toolbox_dice": toolbox_dice(probability, truth),
                "toolbox_mae": toolbox_mae(probability, truth),
                "infected_fraction": float(predicted.mean()),
                "true_fraction": float(truth.mean()),
            }
        )
    result: dict[str, object] = {
        key: mean_with_interval(np.array([row[key] for row in slices], np.float64))
        for key in ("dice", "toolbox_dice", "toolbox_mae")
    }
    found, true = np.array(fractions).T
    spread = found.std() > 0 and true.std() > 0
    result["area_correlation"] = float(np.corrcoef(found, true)[0, 1]) if spread else None
    result["slices"] = slices
    return result
