"""How often a range holds the doctors' figure: thresholds chosen out of fold, on training slices.

    python experiments/ranges.py

Every annotated slice is read as experiments/held_out_readings.py says, by the run of
infection-averaged that had its fold held out. Per pair of outer thresholds: in how many slices
the range of the infected percent, over three readings and three thresholds, contains the percent
that doctors drew, and how wide it is. The rule: the narrowest pair whose range holds the doctors'
figure in more than half of the slices, full ones and crops alike. Beside it, the Dice of every
reading at every threshold, and how much it differs from the one that counts. Then, on whole scans,
what ranges cost, and what is lost by not reading slices otherwise in which the usual reading finds
nothing. Needs LUNGSCORE_DATA and the finished runs of infection-averaged for every fold, and
those of infection-averaged-cranial.yaml and infection-averaged-caudal.yaml.
"""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from held_out_readings import Readings, held_out_slices, weights_of_folds
from lungscore.anatomy import find_lungs, lung_field
from lungscore.datasets.training_slices import data_root
from lungscore.evaluation.metrics import dice
from lungscore.evaluation.results import plain
from lungscore.files import atomic_write
from lungscore.inference import Segmenter, segment
from lungscore.inference.readings import SILENT, THRESHOLD, THRESHOLDS
from lungscore.scan import read_scan
from lungscore.statistics.bootstrap import wilson
from lungscore.statistics.estimate import text_of
from lungscore.statistics.intervals import mean_with_interval, paired_difference
from trained import bundle_in

HERE = Path(__file__).parent
OUT = HERE / "results" / "ranges.json"
RUNS = Path("runs/infection-averaged")

#: Scans, and the run that did not train on them; None for the shipped bundle.
SCANS = {
    "normal002, by the network of its cranial half": (
        "covid-ct-md/normal002",
        "infection-averaged-cranial",
    ),
    "normal002, by the network of its caudal half": (
        "covid-ct-md/normal002",
        "infection-averaged-caudal",
    ),
    "Lung-PET-CT-Dx": ("lung-pet-ct-dx", None),
    "iCTCF": ("ictcf-volume-jpg", None),
}
PAIRS = (0.5, 0.5), (0.4, 0.6), (0.3, 0.7), (0.2, 0.8), (0.1, 0.9)
LEVELS = tuple(sorted({level for pair in PAIRS for level in pair}))


class Figures(NamedTuple):
    """Of one slice: infected percents and Dice, both (thresholds, readings), and what is drawn."""

    percents: np.ndarray
    dice: np.ndarray
    drawn: float


def figures(readings: Readings) -> Figures:
    """Of one slice."""
    masks = [
        [(probability >= level) & readings.counted for probability in readings.probability]
        for level in LEVELS
    ]
    dices = np.array([[dice(mask, readings.drawn) for mask in row] for row in masks])
    return Figures(readings.percents(LEVELS), dices, readings.drawn_percent)


def coverage(seen: list[Figures], pair: tuple[float, float]) -> dict[str, object]:
    """Of the ranges of one pair of outer thresholds."""
    levels = (pair[0], THRESHOLD, pair[1])
    chosen = [LEVELS.index(level) for level in levels]
    every = np.array([sample.percents for sample in seen])
    predicted = every[:, LEVELS.index(THRESHOLD), 0]
    true = np.array([sample.drawn for sample in seen])
    low, high = (edge(every[:, chosen], axis=(1, 2)) for edge in (np.min, np.max))
    inside = (low <= true) & (true <= high)
    return {
        "thresholds": levels,
        "coverage": share_with_interval(inside),
        "below": int((true < low).sum()),
        "above": int((true > high).sum()),
        "width_points": mean_with_interval(high - low),
        "width_over_found": mean_with_interval((high - low) / predicted),
    }


def agreement(seen: list[Figures]) -> list[dict[str, object]]:
    """Dice of every reading at every threshold, and that less the Dice of the one that counts."""
    every = np.array([sample.dice for sample in seen])
    counts = every[:, LEVELS.index(THRESHOLD), 0]
    return [
        {
            "threshold": level,
            "reading": reading,
            "dice": mean_with_interval(every[:, row, reading]),
            "difference": paired_difference(every[:, row, reading], counts),
        }
        for row, level in enumerate(LEVELS)
        for reading in range(every.shape[2])
    ]


def share_with_interval(inside: np.ndarray) -> dict[str, float | int]:
    """A share with its 95 % Wilson interval."""
    n, share = len(inside), float(inside.mean())
    low, high = wilson(share, n)
    return {"share": share, "low": low, "high": high, "n": n}


def on_scan(path: Path, run: str | None) -> dict[str, object]:
    """What ranges cost, and how much infection is not seen for reading silent slices once.

    In seconds of all threads together, and in points: percent of the lungs that some other reading
    finds at the lowest threshold.
    """
    bundle = bundle_in(Path("runs") / run / "all-seed0") if run else None
    segmenter = Segmenter(bundle, threads=2)
    scan = read_scan(path)
    lungs = find_lungs(scan)
    field = lung_field(lungs, scan.spacing_mm)
    highest = {
        finding.index: float(finding.probability[field[finding.index]].max(initial=0))
        for finding in segmenter.find(scan, lungs)
    }
    silent = {index for index, most in highest.items() if most < SILENT}
    added = sum(
        np.count_nonzero(
            (np.max(alternatives, axis=0) >= THRESHOLDS[0]) & (lungs.labels[index] > 0)
        )
        for index, alternatives in segmenter.read_otherwise(scan, lungs, silent)
    )
    seconds = {}
    for name, alternatives in (("without", False), ("with", True)):
        began = time.process_time()
        segment(scan, lungs, segmenter, alternatives=alternatives)
        seconds[name] = time.process_time() - began
    return {
        "slices_with_lung": len(highest),
        "silent": len(silent),
        "points_not_seen": 100 * added / np.count_nonzero(lungs.labels),
        "processor_seconds_of_segmentation": seconds,
    }


def main() -> None:
    """Write the result file."""
    parts: dict[str, list[Figures]] = {"full_slice": [], "crop": []}
    for held_out in held_out_slices(RUNS):
        parts["full_slice"].append(figures(held_out.full))
        parts["crop"].append(figures(held_out.crop))
    content: dict[str, Any] = {
        "command": "python experiments/ranges.py",
        "weights_sha256": weights_of_folds(RUNS),
        "shipped": THRESHOLDS,
        "coverage": {
            name: [coverage(group, pair) for pair in PAIRS] for name, group in parts.items()
        },
        "agreement": {name: agreement(group) for name, group in parts.items()},
    }
    scans = {name: on_scan(data_root() / path, run) for name, (path, run) in SCANS.items()}
    content |= {"silent_below": SILENT, "scans": scans}
    atomic_write(OUT, json.dumps(plain(content), indent=1) + "\n")
    for group in parts:
        for row in content["coverage"][group]:
            share, width = row["coverage"], row["width_points"]
            print(
                f"{group} {row['thresholds']}: {text_of(share, 'share', 2)}, "
                f"{width['mean']:.2f} points, "
                f"{row['width_over_found']['median']:.2f} of the figure, "
                f"below {row['below']}, above {row['above']}"
            )
        for row in content["agreement"][group]:
            agrees = text_of(row["dice"], with_n=True)
            print(f"{group} {row['threshold']}, reading {row['reading']}: Dice {agrees}")
    print(json.dumps(scans, indent=1))


if __name__ == "__main__":
    main()
