"""Scoring ground-glass opacity and consolidation of many slices against their ground truth."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lungscore.evaluation.infection import SliceScores, is_present, score_slice, summary
from lungscore.evaluation.metrics import cross_entropy
from lungscore.labels import CONSOLIDATION, GGO
from lungscore.statistics.intervals import mean_with_interval

CLASSES = {"ggo": GGO, "consolidation": CONSOLIDATION}


def score_lesions(
    maps: Iterable[tuple[str, np.ndarray, np.ndarray]],
    spacings_mm: Mapping[str, tuple[float, float]] | None = None,
) -> dict[str, Any]:
    """Figures for (name, found, true classes (H, W)), class by class.

    found: classes (H, W), or probabilities (3, H, W) of background, GGO and consolidation, of
    which the largest gives the class. Classes are those of ``labels.py``; any other value is
    background. spacings_mm: as for score_maps.

    Returns ``ggo`` and ``consolidation``: the figures of ``summary`` over the n slices whose truth
    holds the class, their rows in ``slices``, and what is found on the other slices in ``absent``.
    With probabilities also ``test_loss``, the mean cross-entropy over all slices; its values are
    in ``test_losses``, by name.
    """
    scored: dict[str, list[SliceScores]] = {key: [] for key in CLASSES}
    losses: dict[str, float] = {}
    for name, found, truth in maps:
        if found.ndim == 3:
            true_classes = np.where(np.isin(truth, list(CLASSES.values())), truth, 0)
            losses[name] = cross_entropy(found, true_classes)
            found = found.argmax(axis=0)
        spacing = None if spacings_mm is None else spacings_mm[name]
        for key, value in CLASSES.items():
            one = score_slice(name, found == value, truth == value, spacing_mm=spacing)
            scored[key].append(one)
    figures = {key: _class_figures(of, spacings_mm is not None) for key, of in scored.items()}
    if losses:
        figures["test_loss"] = mean_with_interval(np.array(list(losses.values())))
        figures["test_losses"] = losses
    return figures


def _class_figures(scored: Sequence[SliceScores], in_mm: bool) -> dict[str, Any]:
    present = [one for one in scored if is_present(one)]
    fractions = [one.row["infected_fraction"] for one in scored if not is_present(one)]
    return {
        **summary(present, in_mm=in_mm),
        "absent": {
            "n": len(fractions),
            "false_alarms": sum(fraction > 0 for fraction in fractions),
            "found_fraction": mean_with_interval(np.array(fractions)),
        },
        "slices": [one.row for one in present],
    }
