"""Whether probabilities mean what they say, out of fold, and the temperature that mends them.

    python experiments/calibration.py --folds BUNDLES [-o FILE] [--figure PNG]
    python experiments/calibration.py --maps MAPS.npz --arm iterated [-o FILE] [--figure PNG]

BUNDLES holds five bundles, fold0 … fold4, each of a network that did not see that fold of the
annotated training slices, and not tempered yet; it sees the whole crop once. MAPS holds what such
networks found as experiments/timed_stages.py keeps it: ARM/names, and ARM/single, (slices,
channels, H, W) uint8, 256 levels of the probability of infection and of consolidation given
infection, of the whole crop.

A temperature (one number that divides the logits) is fitted on four folds and used on the fifth;
the expected calibration error is told with and without it: of every slice by itself and averaged
("by slice", 95 % bootstrap interval over slices), and of all slices together. Then the temperature
of all 50, which the export of a bundle takes. Consolidation is looked at where there is infection.
Needs LUNGSCORE_DATA.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.datasets import covid_semiseg
from lungscore.datasets.sample import Sample
from lungscore.datasets.training_slices import data_root, fold_of
from lungscore.evaluation.pixel_calibration import (
    Slice,
    fit_temperature,
    reliability_of,
    tempered,
)
from lungscore.evaluation.results import plain
from lungscore.files import atomic_write
from lungscore.inference import Segmenter, load_bundle
from lungscore.inference.views import views
from lungscore.labels import CONSOLIDATION
from lungscore.scan import read_scan
from lungscore.scan.window import resize
from lungscore.statistics.estimate import text_of
from lungscore.statistics.intervals import mean_with_interval

HERE = Path(__file__).parent
OUT = HERE / "results" / "calibration.json"
FIGURE = HERE.parent / "docs" / "figures" / "reliability.png"
FOLDS = 5
AIM = 0.03


def maps_of(path: Path, arm: str) -> dict[str, np.ndarray]:
    """name -> probabilities (channels, H, W) float32 of one arm."""
    with np.load(path, allow_pickle=False) as stored:
        names, levels = stored[f"{arm}/names"], stored[f"{arm}/single"]
    half = np.float32(0.5)
    return {str(name): (maps + half) / 256 for name, maps in zip(names, levels, strict=True)}


def maps_of_folds(bundles: Path, samples: list[Sample]) -> dict[str, np.ndarray]:
    """name -> probabilities (channels, H, W) float32 of the network that did not see the slice."""
    files = covid_semiseg.image_files(data_root() / "covid-semiseg", "train")
    fold = fold_of([sample.name for sample in samples], FOLDS)
    segmenters = [Segmenter(load_bundle(bundles / f"fold{n}"), threads=1) for n in range(FOLDS)]
    if any(segmenter.bundle.card.temperature != 1 for segmenter in segmenters):
        raise SystemExit("these bundles have a temperature already: export them without")
    maps = {}
    for sample in samples:
        segmenter, scan = segmenters[fold[sample.name]], read_scan(files[sample.name])
        view = next(views(scan, None))  # the whole crop, as the file has it: samples are turned
        seen = segmenter.see(scan, view)
        maps[sample.name] = np.stack([view.back(plane, scan.shape[1:]).T for plane in seen])
    return maps


def infection_slice(maps: np.ndarray, sample: Sample) -> Slice:
    """Every pixel of the crop."""
    return resize(maps[0], *sample.infection.shape), sample.infection


def consolidation_slice(maps: np.ndarray, sample: Sample) -> Slice:
    """Every infected pixel of the crop; none where the network says nothing of consolidation."""
    if len(maps) < 2 or sample.lesions is None:
        return np.zeros(0), np.zeros(0, bool)
    inside = sample.infection
    probability = resize(maps[1], *inside.shape)
    return probability[inside], (sample.lesions == CONSOLIDATION)[inside]


def cross_fitted(slices: list[Slice], folds: list[int]) -> tuple[list[Slice], list[float]]:
    """Every slice at the temperature of the other folds; and the temperature of each fold."""
    temperatures = [
        fit_temperature([s for s, its in zip(slices, folds, strict=True) if its != fold])
        for fold in range(FOLDS)
    ]
    mended = [
        (tempered(probability, temperatures[fold]), truth)
        for (probability, truth), fold in zip(slices, folds, strict=True)
    ]
    return mended, temperatures


def figures(slices: list[Slice]) -> dict[str, Any]:
    """Calibration errors and the table of reliability."""
    table = reliability_of(slices)
    errors = np.array([reliability_of([each]).error for each in slices if each[1].size])
    return {
        "error_by_slice": mean_with_interval(errors),
        "error_together": table.error,
        "table": [
            {"share": share, "predicted": predicted, "observed": observed}
            for share, predicted, observed in zip(
                table.share, table.predicted, table.observed, strict=True
            )
        ],
    }


def part(
    maps: dict[str, np.ndarray], samples: list[Sample], read: Callable[[np.ndarray, Sample], Slice]
) -> dict[str, Any] | None:
    """All figures of one question; None where the networks do not answer it."""
    fold = fold_of([sample.name for sample in samples], FOLDS)
    read_slices = [(read(maps[sample.name], sample), fold[sample.name]) for sample in samples]
    kept = [(each, fold) for each, fold in read_slices if each[1].size]
    if not kept:
        return None
    slices, folds = [each for each, _ in kept], [fold for _, fold in kept]
    mended, temperatures = cross_fitted(slices, folds)
    return {
        "temperature": fit_temperature(slices),
        "temperature_without_each_fold": temperatures,
        "as_trained": figures(slices),
        "tempered_out_of_fold": figures(mended),
    }


def draw(parts: dict[str, Any], path: Path) -> None:
    """Reliability curves, as trained and tempered."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = {name: each for name, each in parts.items() if each is not None}
    figure, axes = pyplot.subplots(1, len(shown), figsize=(4.2 * len(shown), 4), squeeze=False)
    titles = {"infection": "Infection", "consolidation": "Consolidation, where infected"}
    for axis, (name, each) in zip(axes[0], shown.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for key, label, colour in (
            ("as_trained", "as trained", "tab:orange"),
            ("tempered_out_of_fold", "tempered, out of fold", "tab:blue"),
        ):
            table = [row for row in each[key]["table"] if row["share"] > 0]
            error = each[key]["error_by_slice"]["mean"]
            axis.plot(
                [row["predicted"] for row in table],
                [row["observed"] for row in table],
                marker="o",
                markersize=4,
                color=colour,
                label=f"{label} (error by slice {error:.3f})",
            )
        axis.set(title=titles[name], xlabel="Predicted probability", ylabel="Observed share")
        axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axis.legend(loc="upper left", fontsize=7, frameon=False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main() -> None:
    """Write the result file and the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--folds", type=Path, metavar="BUNDLES")
    source.add_argument("--maps", type=Path, metavar="MAPS.npz")
    parser.add_argument("--arm", default="iterated", help="of MAPS.npz")
    parser.add_argument("-o", "--out", type=Path, default=OUT)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    asked = parser.parse_args()
    samples = covid_semiseg.load(data_root() / "covid-semiseg", "train")
    if asked.folds:
        maps, said = maps_of_folds(asked.folds, samples), "--folds BUNDLES"
    else:
        maps = maps_of(asked.maps, asked.arm)
        said = f"--maps {asked.maps.name} --arm {asked.arm}"
    parts = {
        "infection": part(maps, samples, infection_slice),
        "consolidation": part(maps, samples, consolidation_slice),
    }
    content = {
        "command": f"python experiments/calibration.py {said}",
        "aim": AIM,
        **parts,
    }
    atomic_write(asked.out, json.dumps(plain(content), indent=1) + "\n")
    draw(parts, asked.figure)
    for name, each in parts.items():
        if each is None:
            continue
        print(f"{name}: temperature {each['temperature']:.3f}")
        for key in ("as_trained", "tempered_out_of_fold"):
            by_slice = text_of(each[key]["error_by_slice"], with_n=True)
            print(f"  {key}: by slice {by_slice}, together {each[key]['error_together']:.4f}")


if __name__ == "__main__":
    main()
