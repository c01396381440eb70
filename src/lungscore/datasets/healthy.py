"""Slices of a healthy person's chest CT, as negatives: they teach a network to stay silent."""

from pathlib import Path
from typing import Literal

import numpy as np

from lungscore.anatomy import find_lungs, slice_boxes
from lungscore.datasets.sample import Sample
from lungscore.scan import read_scan
from lungscore.scan.window import crop, network_boxes

Part = Literal["all", "cranial", "caudal"]


def load(path: Path, *, part: Part = "all", margin: float = 0.1) -> list[Sample]:
    """Every slice with lung, cut to the box in which a network sees it, with nothing infected.

    part: "cranial" or "caudal" takes the upper or lower half of the slices that hold lung, so that
    the other half can measure a network trained on this one. Images are in Hounsfield units.
    """
    scan = read_scan(path)
    lungs = find_lungs(scan)
    boxes = network_boxes(slice_boxes(lungs.labels), margin=margin)
    samples = []
    # Only the end of a box tells: a box that reaches over the image's border starts below 0, too.
    for index in part_of(np.flatnonzero(boxes[:, 1] > boxes[:, 0]), part):
        box = tuple(boxes[index])
        image = crop(scan.values[index], box)
        samples.append(
            Sample(
                np.ascontiguousarray(image),
                np.zeros(image.shape, bool),
                f"{scan.name}-{index:03d}",
                "healthy",
                patient=scan.name,
                lungs=np.ascontiguousarray(crop(lungs.labels[index] > 0, box)),
            )
        )
    return samples


def part_of(indices: np.ndarray, part: Part) -> np.ndarray:
    """The half of ``indices`` (slices, superior to inferior) that ``part`` names, or all."""
    middle = len(indices) // 2
    return {"all": indices, "cranial": indices[:middle], "caudal": indices[middle:]}[part]
