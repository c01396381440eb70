"""How much dense disease is found, lobe by lobe, on phantoms that no network was trained on.

    python experiments/dense_phantoms.py [--model BUNDLE|RUN] [--network-alone]

The lungs are found, not given, by the code of ``analyze``. "dense": a part of one lobe is
consolidated at the pleura, with a rim of ground glass; how much of the true consolidation is inside
the lungs, called infected, and called consolidation. "sparse": the same people without disease and
with a few patches; the percent of each lobe's sound lung that is called infected. --network-alone
leaves out that solid lung counts (anatomy.solid_lung).

The result file has an entry for every model by its version, so that models can be compared; the
entry of the model that is measured is replaced.
"""

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.anatomy import complete_lungs, lung_field, solid_lung
from lungscore.assessment import within
from lungscore.evaluation.results import plain
from lungscore.files import atomic_write
from lungscore.inference import Segmenter, load_bundle
from lungscore.inference.segment import find_lesions, find_lungs_of
from lungscore.labels import CONSOLIDATION, LOBE_ORDER, LOBES
from lungscore.scan import Scan
from lungscore.scan.phantom import PhantomLesion, make_phantom
from lungscore.statistics.intervals import mean_with_interval
from trained import bundle_in

OUT = Path(__file__).parent / "results" / "dense-phantoms.json"

#: The people, apart from those of any training (experiments/lungs/pack.py).
SEEDS = (9000, 9001, 9002)

#: Slices 5 mm apart: half the time of the usual phantom.
SHAPE = (56, 256, 256)

#: Parts of a lobe that are consolidated; over the people, every lobe has every one.
PARTS = (0.15, 0.4, 0.75)

#: Presets with little or no disease.
SPARSE = ("healthy", "few-patches")

#: The aim: at least so much of the true consolidation is called infected, in every lobe.
AIM = 0.9

#: Behind the version of a network of whose analysis solid lung was no part.
ALONE = ", network alone"

#: What is measured of a phantom's consolidation, as shares of it.
SHARES = ("in_lungs", "called_infected", "called_consolidation")


def consolidated(lobe: str, part: float) -> tuple[PhantomLesion, ...]:
    """A consolidation of ``part`` of a lobe at its back, and ground glass around it."""
    centre = (0.55, 0.9, 0.35 if lobe.startswith("R") else 0.65)
    return (
        PhantomLesion("ggo", lobe, centre, lobe_fraction=min(1.25 * part, 1.0)),
        PhantomLesion("consolidation", lobe, centre, lobe_fraction=part),
    )


def analysed(
    scan: Scan, segmenter: Segmenter, *, alone: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Lesion labels within the lungs, and the lungs, bool; both (D, H, W)."""
    lungs = find_lungs_of(scan, lambda: segmenter)
    field = lung_field(lungs, scan.spacing_mm)
    solid = None if alone else solid_lung(lungs, scan)
    lesions, _ = find_lesions(scan, lungs, segmenter, field, solid)
    lungs = complete_lungs(lungs, lesions.labels, scan, field)
    return within(lungs, lesions).labels, lungs.labels > 0


def dense_phantoms(segmenter: Segmenter, *, alone: bool = False) -> Iterator[dict[str, Any]]:
    """One row per phantom: what of its consolidation is found, and what is called ill elsewhere."""
    for person, seed in enumerate(SEEDS):
        for number, lobe in enumerate(LOBE_ORDER):
            lesions = consolidated(lobe, PARTS[(person + number) % len(PARTS)])
            phantom = make_phantom("healthy", seed=seed, shape=SHAPE, lesions=lesions)
            labels, lungs = analysed(phantom.scan, segmenter, alone=alone)
            dense = phantom.lesions == CONSOLIDATION
            sound = (phantom.lobes > 0) & (phantom.lesions == 0)
            yield {
                "seed": seed,
                "lobe": lobe,
                "percent_of_lobe": 100 * share(dense, phantom.lobes == LOBES[lobe]),
                "in_lungs": share(lungs, dense),
                "called_infected": share(labels > 0, dense),
                "called_consolidation": share(labels == CONSOLIDATION, dense),
                "false_percent": 100 * share(labels > 0, sound),
            }


def sparse_phantoms(segmenter: Segmenter, *, alone: bool = False) -> Iterator[dict[str, Any]]:
    """One row per phantom with little or no disease: the percent of each lobe called ill."""
    for seed in SEEDS:
        for preset in SPARSE:
            phantom = make_phantom(preset, seed=seed, shape=SHAPE)
            labels, _ = analysed(phantom.scan, segmenter, alone=alone)
            sound = phantom.lesions == 0
            yield {"seed": seed, "preset": preset} | {
                lobe: 100 * share(labels > 0, sound & (phantom.lobes == LOBES[lobe]))
                for lobe in LOBE_ORDER
            }


def share(mask: np.ndarray, region: np.ndarray) -> float:
    """How much of ``region`` is in ``mask``, 0 to 1."""
    return float(np.count_nonzero(mask & region) / np.count_nonzero(region))


def summary(dense: list[dict[str, Any]], sparse: list[dict[str, Any]]) -> dict[str, Any]:
    """The means over people, lobe by lobe, with the rows that they come from."""
    return {
        "dense": {
            lobe: {key: _mean(row[key] for row in dense if row["lobe"] == lobe) for key in SHARES}
            for lobe in LOBE_ORDER
        },
        "least_called_infected": min(row["called_infected"] for row in dense),
        "false_percent": {
            preset: {
                lobe: _mean(row[lobe] for row in sparse if row["preset"] == preset)
                for lobe in LOBE_ORDER
            }
            for preset in SPARSE
        },
        "phantoms": {"dense": dense, "sparse": sparse},
    }


def _mean(values: Iterable[float]) -> dict[str, float]:
    return mean_with_interval(np.array(list(values)))


def with_model(content: dict[str, Any], version: str, figures: dict[str, Any]) -> dict[str, Any]:
    """``content`` of the result file with the figures of a model.

    Models that were measured on other phantoms are dropped: they cannot be compared.
    """
    phantoms = {"seeds": SEEDS, "shape": SHAPE, "parts": PARTS}
    kept = content["models"] if content.get("phantoms") == plain(phantoms) else {}
    return {
        "command": "python experiments/dense_phantoms.py",
        "phantoms": phantoms,
        "aim": AIM,
        "models": {**kept, version: figures},
    }


def printed(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """``rows``, each printed when it is measured."""
    kept = []
    for row in rows:
        print(json.dumps(plain(row)), flush=True)
        kept.append(row)
    return kept


def main() -> None:
    """Write the result file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", type=Path, help="a bundle or a run; default: the shipped bundle")
    parser.add_argument("--network-alone", action="store_true", help="solid lung does not count")
    parser.add_argument("-o", "--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    bundle = bundle_in(arguments.model) if arguments.model else load_bundle()
    segmenter = Segmenter(bundle, threads=1)
    alone = arguments.network_alone
    figures = {"model": bundle.used.__dict__} | summary(
        printed(dense_phantoms(segmenter, alone=alone)),
        printed(sparse_phantoms(segmenter, alone=alone)),
    )
    out = arguments.out
    before = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {}
    version = bundle.used.version + (ALONE if alone else "")
    content = with_model(before, version, figures)
    atomic_write(out, json.dumps(plain(content), indent=1) + "\n")


if __name__ == "__main__":
    main()
