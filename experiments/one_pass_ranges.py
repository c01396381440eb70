"""Whether one reading of a slice gives ranges as good as three: two thresholds chosen out of fold.

    python experiments/one_pass_ranges.py [--runs RUNS] [-o FILE]

Every annotated slice is read as experiments/held_out_readings.py says, by the run of RUNS (or the
bundle in its place) that had its fold held out. A range of one reading goes from the infected
percent at an upper threshold to that at a lower one; that of three readings, as shipped, over three
views of the slice at 0.2 and 0.8 (inference/readings.py). Measured: in how many slices the range
contains the percent that radiologists drew (95 % Wilson interval), and its mean width in points.

The thresholds are chosen among pairs around 0.5 by two rules:

"enough": the narrowest pair whose range contains the drawn percent in four of five full slices;
"as_narrow": of the pairs whose ranges are on average no wider than those of three readings, of full
slices and of crops, the pair that contains the drawn percent most often in both together;
"unchanged": 0.2 and 0.8 as for three readings, so that nothing is chosen;
"as_wide": the widest pair even about 0.5 whose ranges are on average no wider than those of three
readings, of full slices and of crops: a choice that does not look at what is drawn. It was added
when four of the five folds had been read.

Each rule chooses on four folds and is measured on the fifth, paired with three readings on the same
slices; then it chooses once more on all 50. The same with the mirrored view as a second reading.
One reading replaces three where its ranges by a rule, out of fold, contain the drawn percent at
least as often and are no wider, of full slices and of crops. Beside it the Dice at the thresholds
that all 50 choose. Needs LUNGSCORE_DATA.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from held_out_readings import FOLDS, Readings, held_out_slices, weights_of_folds
from lungscore.evaluation.metrics import dice
from lungscore.evaluation.results import plain
from lungscore.files import atomic_write
from lungscore.inference.readings import READINGS, THRESHOLD, THRESHOLDS
from lungscore.statistics.bootstrap import wilson
from lungscore.statistics.estimate import text_of
from lungscore.statistics.intervals import mean_with_interval, paired_difference

OUT = Path(__file__).parent / "results" / "one-pass-ranges.json"

#: How often the range should contain the drawn percent of a full slice, and how wide it may be.
ENOUGH, WIDEST = 0.8, 13.0

LOWER = tuple(round(0.02 * step, 2) for step in range(1, 25))
UPPER = tuple(round(1 - level, 2) for level in LOWER)
LEVELS = tuple(sorted({*LOWER, THRESHOLD, *UPPER}))

#: The outer thresholds of three readings, as shipped.
SHIPPED = THRESHOLDS[0], THRESHOLDS[-1]

#: How many readings a range spans: the one that counts; with the mirrored view; all.
ONE, MIRRORED = 1, 2

Pair = tuple[float, float]


class Ranges(NamedTuple):
    """Of slices, (slices,) each: the lowest, the highest and the drawn percent."""

    low: np.ndarray
    high: np.ndarray
    drawn: np.ndarray

    @property
    def contains(self) -> np.ndarray:
        """Whether each contains the drawn percent."""
        return (self.low <= self.drawn) & (self.drawn <= self.high)

    @property
    def width(self) -> np.ndarray:
        """In points."""
        return self.high - self.low


class Percents(NamedTuple):
    """Of slices: found (slices, LEVELS, READINGS), the infected percent, and drawn (slices,)."""

    found: np.ndarray
    drawn: np.ndarray

    def of(self, slices: np.ndarray) -> "Percents":
        """Those of some slices, given as a bool array (slices,)."""
        return Percents(self.found[slices], self.drawn[slices])

    def ranges(self, pair: Pair, readings: int) -> Ranges:
        """From the upper threshold to the lower one, over the first ``readings``."""
        lower, upper = (self.found[:, LEVELS.index(level), :readings] for level in pair)
        return Ranges(upper.min(axis=1), lower.max(axis=1), self.drawn)


def percents_of(slices: list[Readings]) -> Percents:
    """Of all ``slices``."""
    found = np.array([readings.percents(LEVELS) for readings in slices])
    return Percents(found, np.array([readings.drawn_percent for readings in slices]))


#: A rule chooses a pair from full slices and crops, for ranges over so many readings.
Rule = Callable[[Percents, Percents, int], Pair]


def enough(full: Percents, _crops: Percents, readings: int) -> Pair:
    """The narrowest pair that contains the drawn percent often enough; the widest if none does."""
    ranges = {pair: full.ranges(pair, readings) for pair in _pairs()}
    kept = [pair for pair in ranges if ranges[pair].contains.mean() >= ENOUGH]
    return min(
        kept, key=lambda pair: float(ranges[pair].width.mean()), default=(LOWER[0], UPPER[0])
    )


def as_narrow(full: Percents, crops: Percents, readings: int) -> Pair:
    """The pair that contains most, of those no wider than three readings; the widest of equals."""

    def merit(pair: Pair) -> tuple[bool, int, float]:
        ranges = [slices.ranges(pair, readings) for slices in (full, crops)]
        if not no_wider(pair, full, crops, readings):
            return False, 0, 0.0
        width = float(sum(r.width.mean() for r in ranges))
        return True, sum(int(r.contains.sum()) for r in ranges), width

    return max(_pairs(), key=merit)


def as_wide(full: Percents, crops: Percents, readings: int) -> Pair:
    """The widest pair even about 0.5 that is no wider than three readings."""
    even = zip(LOWER, UPPER, strict=True)
    return next(pair for pair in even if no_wider(pair, full, crops, readings))


def no_wider(pair: Pair, full: Percents, crops: Percents, readings: int) -> bool:
    """Whether ranges are on average no wider than those of three readings, of both kinds."""
    return all(
        slices.ranges(pair, readings).width.mean() <= slices.ranges(SHIPPED, READINGS).width.mean()
        for slices in (full, crops)
    )


def unchanged(_full: Percents, _crops: Percents, _readings: int) -> Pair:
    """The thresholds of three readings."""
    return SHIPPED


def _pairs() -> list[Pair]:
    return [(lower, upper) for lower in LOWER for upper in UPPER]


RULES: dict[str, Rule] = {
    "enough": enough,
    "as_narrow": as_narrow,
    "unchanged": unchanged,
    "as_wide": as_wide,
}


def figures(ranges: Ranges) -> dict[str, Any]:
    """How often the drawn percent is contained, on which side it is missed, and the width."""
    contains, n = float(ranges.contains.mean()), len(ranges.drawn)
    low, high = wilson(contains, n)
    return {
        "contains": {"share": contains, "low": low, "high": high, "n": n},
        "drawn_below": int((ranges.drawn < ranges.low).sum()),
        "drawn_above": int((ranges.drawn > ranges.high).sum()),
        "width_points": mean_with_interval(ranges.width),
    }


def out_of_fold(
    rule: Rule, full: Percents, crops: Percents, folds: np.ndarray, readings: int
) -> dict[str, Any]:
    """A rule's pairs, each chosen on four folds and measured on the fifth."""
    pairs = [
        rule(full.of(folds != fold), crops.of(folds != fold), readings) for fold in range(FOLDS)
    ]
    measured: dict[str, Any] = {
        "pair_of_all": rule(full, crops, readings),
        "pairs_of_the_other_folds": pairs,
    }
    for kind, slices in (("full_slice", full), ("crop", crops)):
        ranges = _by_fold(slices, pairs, folds, readings)
        measured[kind] = figures(ranges) | against(ranges, slices.ranges(SHIPPED, READINGS))
    return measured


def _by_fold(slices: Percents, pairs: list[Pair], folds: np.ndarray, readings: int) -> Ranges:
    low, high = np.zeros(len(folds)), np.zeros(len(folds))
    for fold, pair in enumerate(pairs):
        ranges = slices.of(folds == fold).ranges(pair, readings)
        low[folds == fold], high[folds == fold] = ranges.low, ranges.high
    return Ranges(low, high, slices.drawn)


def against(ranges: Ranges, three: Ranges) -> dict[str, Any]:
    """The differences to three readings, paired by slice, and whether ``ranges`` are as good."""
    contains = [r.contains.astype(np.float64) for r in (ranges, three)]
    return {
        "contains_less_three": paired_difference(*contains),
        "width_less_three": paired_difference(ranges.width, three.width),
        "as_good": bool(
            contains[0].sum() >= contains[1].sum() and ranges.width.mean() <= three.width.mean()
        ),
    }


def main() -> None:
    """Write the result file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/infection-averaged"))
    parser.add_argument("-o", "--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    slices = list(held_out_slices(arguments.runs))
    folds = np.array([held_out.fold for held_out in slices])
    full, crops = ([getattr(held_out, kind) for held_out in slices] for kind in ("full", "crop"))
    kinds = {"full_slice": percents_of(full), "crop": percents_of(crops)}
    rules = {
        name: {
            views: out_of_fold(rule, *kinds.values(), folds, readings)
            for views, readings in (("one_reading", ONE), ("with_mirrored_view", MIRRORED))
        }
        for name, rule in RULES.items()
    }
    levels = sorted(
        {THRESHOLD, *(level for r in rules.values() for level in r["one_reading"]["pair_of_all"])}
    )
    content: dict[str, Any] = {
        "command": "python experiments/one_pass_ranges.py",
        "weights_sha256": weights_of_folds(arguments.runs),
        "aim": {"contains": ENOUGH, "width_points": WIDEST},
        "shipped": SHIPPED,
        "three_readings": {k: figures(p.ranges(SHIPPED, READINGS)) for k, p in kinds.items()},
        "rules": rules,
        "dice": {
            kind: {str(level): dice_at(level, readings) for level in levels}
            for kind, readings in (("full_slice", full), ("crop", crops))
        },
    }
    atomic_write(arguments.out, json.dumps(plain(content), indent=1) + "\n")
    show(content)


def dice_at(level: float, slices: list[Readings]) -> dict[str, Any]:
    """Dice of the reading that counts, at another threshold."""
    masks = [(r.probability[0] >= level) & r.counted for r in slices]
    return mean_with_interval(
        np.array([dice(m, r.drawn) for m, r in zip(masks, slices, strict=True)])
    )


def show(content: dict[str, Any]) -> None:
    """The figures on the screen."""
    rows = {("three readings", kind): m for kind, m in content["three_readings"].items()}
    for rule, by_views in content["rules"].items():
        for views, measured in by_views.items():
            print(rule, views, measured["pair_of_all"], measured["pairs_of_the_other_folds"])
            rows |= {(rule, views, kind): measured[kind] for kind in ("full_slice", "crop")}
    for name, measured in rows.items():
        print(
            f"{', '.join(name)}: {text_of(measured['contains'], 'share', 2)}, "
            f"{text_of(measured['width_points'], decimals=1)} points, drawn below "
            f"{measured['drawn_below']}, above {measured['drawn_above']}, "
            f"as good: {measured.get('as_good', '–')}"
        )
    print({kind: {k: text_of(v) for k, v in d.items()} for kind, d in content["dice"].items()})


if __name__ == "__main__":
    main()
