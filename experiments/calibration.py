"""Whether the probability of a pixel means what it says, out of fold, and whether a temperature
would mend it.

    python experiments/calibration.py [--runs RUNS] [-o FILE] [--figure PNG]

Every annotated slice is read as experiments/held_out_readings.py says, by the run of RUNS (or the
bundle in its place) that had its fold held out, and by the reading that counts. Pixels: of a full
slice those of its lungs, of a crop all.

The expected calibration error (15 bins) of every slice by itself, averaged over slices, and of all
slices together; and the same after the logits were divided by a temperature that was fitted on the
other four folds. Needs LUNGSCORE_DATA.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from held_out_readings import FOLDS, Readings, held_out_slices, weights_of_folds
from lungscore.evaluation.pixel_calibration import Slice, fit_temperature, reliability, tempered
from lungscore.evaluation.results import plain
from lungscore.files import atomic_write
from lungscore.statistics.estimate import text_of
from lungscore.statistics.intervals import mean_with_interval

HERE = Path(__file__).parent
OUT = HERE / "results" / "calibration.json"
FIGURE = HERE.parent / "docs" / "figures" / "reliability.png"

#: At most so large an error by slice.
AIM = 0.03

#: What is drawn and printed, and what it is called.
TITLES = {"full_slice": "Full slice, in the lungs", "crop": "Crop"}
PROBABILITIES = {"as_trained": "as trained", "tempered": "at the temperature of the other folds"}


def pixels_of(readings: Readings) -> Slice:
    """The pixels that count, by the reading that counts."""
    return readings.probability[0][readings.counted], readings.drawn[readings.counted]


def cross_tempered(slices: list[Slice], folds: list[int]) -> tuple[list[Slice], list[float]]:
    """Every slice at the temperature of the other folds; and the temperature for each fold."""
    temperatures = [
        fit_temperature([pair for pair, own in zip(slices, folds, strict=True) if own != fold])
        for fold in range(FOLDS)
    ]
    mended = [
        (tempered(probability, temperatures[fold]), truth)
        for (probability, truth), fold in zip(slices, folds, strict=True)
    ]
    return mended, temperatures


def figures(slices: list[Slice]) -> dict[str, Any]:
    """Calibration errors and the reliability table."""
    table = reliability(slices)
    rows = zip(table.share, table.predicted, table.observed, strict=True)
    return {
        "error_by_slice": mean_with_interval(np.array([reliability([s]).error for s in slices])),
        "error_together": table.error,
        "table": [dict(zip(("share", "predicted", "observed"), row, strict=True)) for row in rows],
    }


def both_ways(slices: list[Slice], folds: list[int]) -> dict[str, Any]:
    """As trained, and tempered."""
    mended, temperatures = cross_tempered(slices, folds)
    return {
        "as_trained": figures(slices),
        "temperatures_of_the_other_folds": temperatures,
        "tempered": figures(mended),
    }


def draw(content: dict[str, Any], path: Path) -> None:
    """Reliability curves."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(TITLES), figsize=(8.4, 4))
    for axis, (kind, title) in zip(axes, TITLES.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for name, label in PROBABILITIES.items():
            rows = [row for row in content[kind][name]["table"] if row["share"] > 0]
            axis.plot(
                [row["predicted"] for row in rows],
                [row["observed"] for row in rows],
                marker="o",
                markersize=4,
                label=f"{label}: {content[kind][name]['error_by_slice']['mean']:.3f}",
            )
        axis.set(title=title, xlabel="Predicted probability", ylabel="Share drawn as infected")
        axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axis.legend(loc="upper left", fontsize=8, frameon=False, title="Error by slice")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main() -> None:
    """Write the result file and the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/infection-averaged"))
    parser.add_argument("-o", "--out", type=Path, default=OUT)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    arguments = parser.parse_args()
    folds, full_slices, crops = [], [], []
    for held_out in held_out_slices(arguments.runs):
        folds.append(held_out.fold)
        full_slices.append(pixels_of(held_out.full))
        crops.append(pixels_of(held_out.crop))
    content = {
        "command": "python experiments/calibration.py",
        "weights_sha256": weights_of_folds(arguments.runs),
        "aim": AIM,
        "full_slice": both_ways(full_slices, folds),
        "crop": both_ways(crops, folds),
    }
    atomic_write(arguments.out, json.dumps(plain(content), indent=1) + "\n")
    draw(content, arguments.figure)
    for kind, title in TITLES.items():
        for name, label in PROBABILITIES.items():
            measured = content[kind][name]
            by_slice = text_of(measured["error_by_slice"], with_n=True)
            print(f"{title}, {label}: {by_slice}; together {measured['error_together']:.4f}")


if __name__ == "__main__":
    main()
