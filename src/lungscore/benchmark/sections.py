"""Figures of many slices by several networks: a section of a result."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lungscore.statistics.intervals import (
    area_agreement,
    mean_over_seeds,
    mean_with_interval,
    sd_between_seeds,
)

#: What is kept of every slice, but for its areas. Distances are in pixels of the slice.
FIGURES = (
    "dice",
    "toolbox_dice",
    "iou",
    "sensitivity",
    "specificity",
    "precision",
    "toolbox_mae",
    "mae",
    "toolbox_s_measure",
    "toolbox_e_measure",
    "hd95",
    "surface_dice",
    "test_loss",
)


def section_of(
    rows: Mapping[str, list[dict[str, Any]]], without: str | None = None
) -> dict[str, Any]:
    """Figures of every slice by network, and their means over slices.

    rows: network -> a row of figures for every slice, as the functions that score maps give them,
    of the same slices in the same order. A slice's value is the mean over the networks that have
    one. without: a slice without which the means are given besides.
    """
    first = next(iter(rows.values()))
    names = [row["name"] for row in first]
    kept = [name for name in (*FIGURES, "infected_fraction") if name in first[0]]
    per_slice = {
        name: {network: [row[name] for row in slices] for network, slices in rows.items()}
        for name in kept
    }
    section: dict[str, Any] = {"slices": names, "per_slice": per_slice}
    if "true_fraction" in first[0]:
        section["true_fraction"] = [row["true_fraction"] for row in first]
    section |= _means(section, list(range(len(names))))
    if without is not None:
        section["without_91"] = _means(
            section, [i for i, name in enumerate(names) if name != without]
        )
    return section


def _means(section: dict[str, Any], chosen: list[int]) -> dict[str, Any]:
    """Every figure over the chosen slices with its interval, and the agreement of areas."""
    means: dict[str, Any] = {"figures": {}}
    for name, networks in section["per_slice"].items():
        values = np.array(list(networks.values()), np.float64)[:, chosen]
        means["figures"][name] = {
            **mean_with_interval(mean_over_seeds(values)),
            "sd_between_networks": sd_between_seeds(values),
        }
    if "true_fraction" in section and chosen:
        fractions = np.array(list(section["per_slice"]["infected_fraction"].values()))[:, chosen]
        true = np.array(section["true_fraction"])[chosen]
        means["area"] = area_agreement(mean_over_seeds(fractions), true)
    return means
