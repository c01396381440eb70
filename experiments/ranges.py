"""How often a range holds the doctors' figure: thresholds chosen out of fold, on training slices.

    python experiments/ranges.py

Every annotated slice by the bundle of infection.yaml that had its fold held out (lungscore models
export), through the code of ``analyze``: the full slice as a slice of a volume is seen, and the
published crop as a lone slice is. Per pair of outer thresholds: in how many slices the range of the
infected percent, over three readings and three thresholds, contains the percent that doctors drew,
and how wide it is. The rule: the narrowest pair whose range holds the doctors' figure in more than
half of the slices, full ones and crops alike. Beside it, the Dice of every reading at every
threshold, and how much it differs from the one that counts. Then, on whole scans, what ranges cost,
and what is lost by not reading slices otherwise in which the usual reading finds nothing. Needs
LUNGSCORE_DATA and the finished runs of infection.yaml for every fold, and those of
infection-cranial.yaml and infection-caudal.yaml.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lungscore.anatomy import find_lungs, include_infection, lung_field
from lungscore.anatomy.lungs import Lungs
from lungscore.datasets import covid_semiseg
from lungscore.datasets.images import read_indices
from lungscore.datasets.training_slices import data_root, fold_of
from lungscore.evaluation.metrics import dice
from lungscore.evaluation.results import plain
from lungscore.files import atomic_write
from lungscore.inference import Segmenter, load_bundle, segment
from lungscore.inference.readings import SILENT, THRESHOLD, THRESHOLDS
from lungscore.labels import CONSOLIDATION, GGO
from lungscore.scan import Scan, read_scan
from lungscore.statistics.bootstrap import wilson
from lungscore.statistics.estimate import text_of
from lungscore.statistics.intervals import mean_with_interval, paired_difference

HERE = Path(__file__).parent
OUT = HERE / "results" / "ranges.json"
FOLDS = 5

#: Scans, and the run that did not train on them; None for the shipped bundle.
SCANS = {
    "normal002, by the network of its cranial half": ("covid-ct-md/normal002", "infection-cranial"),
    "normal002, by the network of its caudal half": ("covid-ct-md/normal002", "infection-caudal"),
    "Lung-PET-CT-Dx": ("lung-pet-ct-dx", None),
    "iCTCF": ("ictcf-volume-jpg", None),
}
PAIRS = (0.5, 0.5), (0.4, 0.6), (0.3, 0.7), (0.2, 0.8), (0.1, 0.9)
LEVELS = sorted({level for pair in PAIRS for level in pair})


class Figures(NamedTuple):
    """Of one slice: infected percents and Dice, both (thresholds, readings), and what is drawn."""

    percents: np.ndarray
    dice: np.ndarray
    drawn: float


def of_full_slice(file: Path, truth: np.ndarray, segmenter: Segmenter) -> Figures:
    """Percents of the slice's lung. Two copies of it are a volume, and seen as one."""
    scan = read_scan(file)
    scan = replace(scan, values=np.repeat(scan.values, 2, axis=0))
    lungs = find_lungs(read_scan(file))
    lungs = Lungs(np.repeat(lungs.labels, 2, axis=0), lungs.sides_known)
    field = lung_field(lungs, scan.spacing_mm)
    readings = read(segmenter, scan, lungs)
    infected = np.repeat([(readings[0] >= THRESHOLD) & field[0]], 2, axis=0)
    lungs = include_infection(lungs, infected, scan)
    return figures(readings, truth, counted=lungs.labels[0] > 0)


def of_crop(file: Path, truth: np.ndarray, segmenter: Segmenter) -> Figures:
    """Percents of the crop's area."""
    readings = read(segmenter, read_scan(file), None)
    return figures(readings, truth, counted=np.ones(truth.shape, bool))


def read(segmenter: Segmenter, scan: Scan, lungs: Lungs | None) -> list[np.ndarray]:
    """The probabilities (H, W) of every reading of the first slice, the one that counts first."""
    finding = next(segmenter.find(scan, lungs))
    _, alternatives = next(segmenter.read_otherwise(scan, lungs, {0}))
    return [finding.probability, *alternatives]


def figures(readings: list[np.ndarray], truth: np.ndarray, *, counted: np.ndarray) -> Figures:
    """In percent of ``counted``, in which alone what is found counts."""
    masks = [[(probability >= level) & counted for probability in readings] for level in LEVELS]
    whole = 100 / counted.sum()
    return Figures(
        np.array([[whole * mask.sum() for mask in row] for row in masks]),
        np.array([[dice(mask, truth) for mask in row] for row in masks]),
        whole * float(truth.sum()),
    )


def slices(root: Path) -> Iterator[tuple[Figures, Figures]]:
    """Full slice and crop of each annotated slice, by the network that did not train on it."""
    samples = covid_semiseg.load(root / "covid-semiseg", "train")
    files = covid_semiseg.image_files(root / "covid-semiseg", "train")
    fold = fold_of([sample.name for sample in samples], FOLDS)
    bundles = [Path("runs") / "infection" / f"fold{n}-seed0" / "bundle" for n in range(FOLDS)]
    segmenters = [Segmenter(load_bundle(bundle)) for bundle in bundles]
    for sample in samples:
        segmenter, name = segmenters[fold[sample.name]], f"{sample.name}.png"
        labels = read_indices(root / "medseg-slices/labels" / name, allowed=(0, 1, 2, 3))
        infection = np.isin(labels, (GGO, CONSOLIDATION))
        full = of_full_slice(root / "medseg-slices/images" / name, infection, segmenter)
        yield full, of_crop(files[sample.name], sample.infection.T, segmenter)


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
    bundle = load_bundle(f"runs/{run}/all-seed0/bundle") if run else None
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
    seen = list(slices(data_root()))
    parts = {"full_slice": [full for full, _ in seen], "crop": [crop for _, crop in seen]}
    content: dict[str, Any] = {
        "command": "python experiments/ranges.py",
        "runs": [f"infection/fold{fold}-seed0" for fold in range(FOLDS)],
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
