"""How often a range of one reading holds the radiologists' figure: thresholds chosen out of fold.

    python experiments/one_pass_ranges.py --folds BUNDLES [-o FILE]

BUNDLES holds five bundles, fold0 … fold4, each of a network that did not see that fold of the
annotated training slices. Every slice is read by its network through the code of ``analyze``: the
full slice as a slice of a volume is seen, and the published crop as a lone slice is. In a lone full
slice dense disease hides lung that a volume would show, and no threshold finds infection outside
the lungs; so the full slice is also read with its lungs given, those found and the infection drawn.

A range goes from the infected percent at an upper threshold of the probability to that at a lower
one, both on one map. Over a grid of pairs about 0.5: in how many slices it holds the percent that
radiologists drew (95 % Wilson interval), and how wide it is on average. The rule: of the pairs that
hold it in at least four of five full slices, the narrowest. It is chosen on four folds and measured
on the fifth ("out of fold"), and once more on all 50; shares of the latter are a little optimistic.

Beside it what further views add, over whose maps the range then spans, too: the mirrored slice; and
that and another box, which is how ranges are made where a model has no thresholds of its own (three
views at three thresholds, experiments/ranges.py): of a full slice the lungs with a margin of 0.02,
of a crop the narrowest and the widest of its boxes. "one_less_three" compares one view with three,
slice by slice, at the thresholds 0.2 and 0.8. Averaging with neighbouring slices plays no part:
there are none. ``lungscore models export`` takes the thresholds of all 50 from the result file.
Needs LUNGSCORE_DATA.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
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
from lungscore.inference import Segmenter, load_bundle
from lungscore.inference.readings import THRESHOLD, THRESHOLDS
from lungscore.inference.views import OTHERS, other_views
from lungscore.labels import CONSOLIDATION, GGO, RIGHT_LUNG
from lungscore.scan import Scan, read_scan
from lungscore.statistics.bootstrap import wilson
from lungscore.statistics.estimate import text_of
from lungscore.statistics.intervals import mean_with_interval, paired_difference

OUT = Path(__file__).parent / "results" / "one-pass-ranges.json"
FOLDS = 5

#: What a range shall hold, and how wide it may be on average, in points.
ENOUGH, WIDEST = 0.8, 13.0

LOWER = tuple(round(0.02 * step, 2) for step in range(1, 25))
UPPER = tuple(round(1 - level, 2) for level in LOWER)
LEVELS = tuple(sorted({*LOWER, THRESHOLD, *UPPER}))


#: Maps over which a range spans: of the view that counts, of its mirror image too, and of another
#: box too.
ONE, MIRRORED, THREE = 1, 2, 3


class Figures(NamedTuple):
    """Of one slice. percents: (LEVELS, THREE) infected percent at each level, of the map that
    counts and of two others. dice: (LEVELS,), of the map that counts. drawn: the percent that
    radiologists drew."""

    percents: np.ndarray
    dice: np.ndarray
    drawn: float


def of_full_slice(
    file: Path, truth: np.ndarray, segmenter: Segmenter, *, lungs_given: bool
) -> Figures:
    """Percents of the slice's lung. Two copies of it are a volume, and seen as one."""
    scan = read_scan(file)
    lungs = find_lungs(scan)
    labels = lungs.labels
    if lungs_given:
        labels = np.where((labels == 0) & truth, np.uint8(RIGHT_LUNG), labels)
    scan = replace(scan, values=np.repeat(scan.values, 2, axis=0))
    lungs = Lungs(np.repeat(labels, 2, axis=0), lungs.sides_known and not lungs_given)
    field = lung_field(lungs, scan.spacing_mm)
    maps = maps_of(scan, lungs, segmenter)
    infected = np.repeat([(maps[0] >= THRESHOLD) & field[0]], 2, axis=0)
    lungs = include_infection(lungs, infected, scan)
    return figures(maps, truth, counted=lungs.labels[0] > 0)


def of_crop(file: Path, truth: np.ndarray, segmenter: Segmenter) -> Figures:
    """Percents of the crop's area. A lone slice is seen mirrored in any box."""
    maps = maps_of(read_scan(file), None, segmenter)
    return figures(maps, truth, counted=np.ones(truth.shape, bool))


def maps_of(scan: Scan, lungs: Lungs | None, segmenter: Segmenter) -> list[np.ndarray]:
    """Probabilities (H, W) of infection in the first slice: as it counts, and in other views."""
    maps = [next(segmenter.find(scan, lungs)).probability]
    for group in islice(other_views(scan, lungs), OTHERS):
        seen = [view.back(segmenter.see(scan, view)[0], scan.shape[1:]) for view in group]
        maps.append(np.mean(seen, axis=0))
    return maps


def figures(maps: Sequence[np.ndarray], truth: np.ndarray, *, counted: np.ndarray) -> Figures:
    """In percent of ``counted``, in which alone what is found counts."""
    masks = [[(each >= level) & counted for each in maps] for level in LEVELS]
    whole = 100 / counted.sum()
    return Figures(
        np.array([[whole * mask.sum() for mask in row] for row in masks]),
        np.array([dice(row[0], truth) for row in masks]),
        whole * float(truth.sum()),
    )


class Seen(NamedTuple):
    """One annotated slice, read by the network that did not see it."""

    name: str
    full: Figures
    given: Figures
    crop: Figures


def slices(root: Path, bundles: Path) -> Iterator[Seen]:
    """Every annotated slice: full, full with its lungs given, and as a crop."""
    samples = covid_semiseg.load(root / "covid-semiseg", "train")
    files = covid_semiseg.image_files(root / "covid-semiseg", "train")
    fold = fold_of([sample.name for sample in samples], FOLDS)
    segmenters = [Segmenter(load_bundle(bundles / f"fold{n}"), threads=1) for n in range(FOLDS)]
    for sample in samples:
        segmenter, name = segmenters[fold[sample.name]], f"{sample.name}.png"
        labels = read_indices(root / "medseg-slices/labels" / name, allowed=(0, 1, 2, 3))
        infection = np.isin(labels, (GGO, CONSOLIDATION))
        full, given = (
            of_full_slice(
                root / "medseg-slices/images" / name, infection, segmenter, lungs_given=lungs_given
            )
            for lungs_given in (False, True)
        )
        crop = of_crop(files[sample.name], sample.infection.T, segmenter)
        yield Seen(sample.name, full, given, crop)


class Spans(NamedTuple):
    """Ranges of slices, (slices,) each: lowest, highest and drawn percent."""

    low: np.ndarray
    high: np.ndarray
    drawn: np.ndarray

    @property
    def holds(self) -> np.ndarray:
        """Whether each holds what was drawn."""
        return (self.low <= self.drawn) & (self.drawn <= self.high)

    @property
    def width(self) -> np.ndarray:
        """In points."""
        return self.high - self.low


def spans(seen: Sequence[Figures], pair: tuple[float, float], maps: int = ONE) -> Spans:
    """The ranges of a pair of thresholds, over the first ``maps`` maps."""
    percents = np.array([each.percents[:, :maps] for each in seen])
    lower, upper = (LEVELS.index(level) for level in pair)
    drawn = np.array([each.drawn for each in seen])
    return Spans(percents[:, upper].min(axis=1), percents[:, lower].max(axis=1), drawn)


def chosen(seen: Sequence[Figures], maps: int = ONE) -> tuple[float, float]:
    """The narrowest pair that holds what was drawn often enough; the widest where none does."""
    pairs = [(lower, upper) for lower in LOWER for upper in UPPER]
    enough = [pair for pair in pairs if spans(seen, pair, maps).holds.mean() >= ENOUGH]
    if not enough:
        return LOWER[0], UPPER[0]
    return min(enough, key=lambda pair: float(spans(seen, pair, maps).width.mean()))


def told(found: Spans) -> dict[str, Any]:
    """Coverage, misses and width."""
    share, n = float(found.holds.mean()), len(found.drawn)
    low, high = wilson(share, n)
    return {
        "holds": {"share": share, "low": low, "high": high, "n": n},
        "drawn_below": int((found.drawn < found.low).sum()),
        "drawn_above": int((found.drawn > found.high).sum()),
        "width_points": mean_with_interval(found.width),
    }


def out_of_fold(
    full: Sequence[Figures], others: Sequence[Figures], folds: Sequence[int], maps: int = ONE
) -> dict[str, Any]:
    """``others`` at the pair that was chosen on the full slices of the other folds."""
    pairs = [
        chosen([each for each, its in zip(full, folds, strict=True) if its != fold], maps)
        for fold in range(FOLDS)
    ]
    rows = [spans([each], pairs[fold], maps) for each, fold in zip(others, folds, strict=True)]
    return {"pairs": pairs, **told(Spans(*map(np.concatenate, zip(*rows, strict=True))))}


def one_less_three(seen: Sequence[Figures]) -> dict[str, Any]:
    """One view less three views at the usual thresholds, paired: coverage, and width."""
    pair = THRESHOLDS[0], THRESHOLDS[-1]
    one, three = spans(seen, pair), spans(seen, pair, THREE)
    holds = [each.holds.astype(np.float64) for each in (one, three)]
    return {
        "holds": paired_difference(*holds),
        "width_points": paired_difference(one.width, three.width),
    }


def main() -> None:
    """Write the result file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, default=OUT)
    asked = parser.parse_args()
    names, full, given, crops = zip(*slices(data_root(), asked.folds), strict=True)
    fold = fold_of(list(names), FOLDS)
    folds = [fold[name] for name in names]
    pair = chosen(full)
    symmetric = [(lower, round(1 - lower, 2)) for lower in (0.1, 0.2, 0.3, 0.4)]
    shown = sorted({pair, (THRESHOLDS[0], THRESHOLDS[-1]), *symmetric})
    content: dict[str, Any] = {
        "command": "python experiments/one_pass_ranges.py --folds BUNDLES",
        "rule": {"holds_at_least": ENOUGH, "mean_width_at_most": WIDEST},
        "usual": THRESHOLDS,
        "chosen_on_all": pair,
        "out_of_fold": {
            "full_slice": out_of_fold(full, full, folds),
            "full_slice_with_mirrored_view": out_of_fold(full, full, folds, maps=MIRRORED),
            "full_slice_lungs_given": out_of_fold(full, given, folds),
            "crop": out_of_fold(full, crops, folds),
        },
        "pairs": [
            {
                "pair": each,
                "full_slice": told(spans(full, each)),
                "full_slice_with_mirrored_view": told(spans(full, each, MIRRORED)),
                "full_slice_in_three_views": told(spans(full, each, THREE)),
                "full_slice_lungs_given": told(spans(given, each)),
                "crop": told(spans(crops, each)),
                "crop_in_three_views": told(spans(crops, each, THREE)),
            }
            for each in shown
        ],
        "one_less_three": {
            "full_slice": one_less_three(full),
            "full_slice_lungs_given": one_less_three(given),
            "crop": one_less_three(crops),
        },
        "dice": {
            name: {str(level): mean_with_interval(values) for level, values in rows}
            for name, seen in (("full_slice", full), ("crop", crops))
            for rows in [
                [
                    (level, np.array([each.dice[LEVELS.index(level)] for each in seen]))
                    for level in sorted({*pair, THRESHOLD})
                ]
            ]
        },
    }
    atomic_write(asked.out, json.dumps(plain(content), indent=1) + "\n")
    print(f"chosen on all 50: {pair}; usual: {THRESHOLDS[0]}, {THRESHOLDS[-1]}")
    for name, each in content["out_of_fold"].items():
        holds, width = each["holds"], text_of(each["width_points"], decimals=1)
        print(
            f"out of fold, {name}: {holds['share']:.2f} [{holds['low']:.2f}, {holds['high']:.2f}], "
            f"{width} points, drawn below {each['drawn_below']}, above {each['drawn_above']}; "
            f"pairs {each['pairs']}"
        )
    for row in content["pairs"]:
        for name, each in row.items():
            if name == "pair":
                continue
            print(
                f"{row['pair']} {name}: {each['holds']['share']:.2f}, "
                f"{each['width_points']['mean']:.1f} points"
            )


if __name__ == "__main__":
    main()
