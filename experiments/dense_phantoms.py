"""How much of dense disease is found, lobe by lobe, on phantoms that nothing was trained on.

    python experiments/dense_phantoms.py [--model BUNDLE] [-o FILE]

Of every lobe of several people who do not exist, by the code of ``analyze`` (lungs found, not
given): with a consolidation of a part of the lobe at the pleura and a rim of ground glass, the
share of the true consolidation that is called infected, and consolidation ("dense"); and in the
same people with little ("few-patches") or no disease ("healthy"), the percent of lung without
disease, in each lobe, that is called infected. The seeds are from SEED on, which no training uses.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.anatomy import include_infection, lung_field
from lungscore.evaluation.results import plain
from lungscore.files import atomic_write
from lungscore.inference import Segmenter, load_bundle, segment
from lungscore.inference.segment import find_lungs_of
from lungscore.labels import CONSOLIDATION, LOBE_ORDER, LOBES
from lungscore.scan.phantom import Phantom, PhantomLesion, make_phantom
from lungscore.statistics.intervals import mean_with_interval

OUT = Path(__file__).parent / "results" / "dense-phantoms.json"

#: Seeds of the people: each lobe has every one of FRACTIONS.
SEED, PEOPLE = 9000, 3

#: Parts of a lobe that are consolidated.
FRACTIONS = (0.15, 0.4, 0.75)

#: Presets with no or little disease.
SPARSE = ("healthy", "few-patches")

#: The aim: at least so much of the true consolidation, in every lobe.
AIM = 0.9

SHAPE = (112, 256, 256)


def consolidated(lobe: str, fraction: float) -> tuple[PhantomLesion, ...]:
    """A consolidation of so much of a lobe at its back, and ground glass about it."""
    place = (0.55, 0.9, 0.35 if lobe.startswith("R") else 0.65)
    return (
        PhantomLesion("ggo", lobe, centre=place, lobe_fraction=min(1.25 * fraction, 1.0)),
        PhantomLesion("consolidation", lobe, centre=place, lobe_fraction=fraction),
    )


def analysed(phantom: Phantom, segmenter: Segmenter) -> tuple[np.ndarray, np.ndarray]:
    """What is found: lesion labels within the lungs, (D, H, W), and the lungs as found, bool."""
    scan = phantom.scan
    lungs = find_lungs_of(scan, lambda: segmenter)
    field = lung_field(lungs, scan.spacing_mm)
    lesions = segment(scan, lungs, segmenter, field=field).labels
    lungs = include_infection(lungs, lesions, scan, field=field)
    return np.where(lungs.labels > 0, lesions, np.uint8(0)), lungs.labels > 0


def dense_lobes(segmenter: Segmenter) -> Iterator[dict[str, Any]]:
    """One row a phantom: what of its consolidation is found, and what is called ill elsewhere."""
    for person in range(PEOPLE):
        for number, lobe in enumerate(LOBE_ORDER):
            fraction = FRACTIONS[(person + number) % len(FRACTIONS)]
            phantom = make_phantom(
                "healthy",
                seed=SEED + person,
                shape=SHAPE,
                lesions=consolidated(lobe, fraction),
            )
            found, lungs = analysed(phantom, segmenter)
            dense = phantom.lesions == CONSOLIDATION
            well = (phantom.lobes > 0) & (phantom.lesions == 0)
            yield {
                "seed": SEED + person,
                "lobe": lobe,
                "lobe_percent_consolidated": 100
                * dense.sum()
                / np.count_nonzero(phantom.lobes == LOBES[lobe]),
                "in_lungs": (lungs & dense).sum() / dense.sum(),
                "called_infected": ((found > 0) & dense).sum() / dense.sum(),
                "called_consolidation": ((found == CONSOLIDATION) & dense).sum() / dense.sum(),
                "false_percent_of_lung": 100 * ((found > 0) & well).sum() / well.sum(),
            }


def sparse_people(segmenter: Segmenter) -> Iterator[dict[str, Any]]:
    """One row a phantom with little or no disease: percent of each lobe's sound lung called ill."""
    for person in range(PEOPLE):
        for preset in SPARSE:
            phantom = make_phantom(preset, seed=SEED + person, shape=SHAPE)
            found, _ = analysed(phantom, segmenter)
            row: dict[str, Any] = {"seed": SEED + person, "preset": preset}
            for lobe in LOBE_ORDER:
                well = (phantom.lobes == LOBES[lobe]) & (phantom.lesions == 0)
                row[lobe] = 100 * ((found > 0) & well).sum() / well.sum()
            yield row


def shown(rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, each printed when it is there."""
    kept = []
    for row in rows:
        kept.append(row)
        print(json.dumps(plain(row)), flush=True)
    return kept


def by_lobe(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Share of the true consolidation found in each lobe, over people."""
    return {
        lobe: {
            key: mean_with_interval(np.array([row[key] for row in rows if row["lobe"] == lobe]))
            for key in ("in_lungs", "called_infected", "called_consolidation")
        }
        for lobe in LOBE_ORDER
    }


def main() -> None:
    """Write the result file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", help="folder of a bundle; the shipped one by default")
    parser.add_argument("-o", "--out", type=Path, default=OUT)
    asked = parser.parse_args()
    segmenter = Segmenter(load_bundle(asked.model) if asked.model else None, threads=1)
    dense, sparse = shown(dense_lobes(segmenter)), shown(sparse_people(segmenter))
    lobes = by_lobe(dense)
    false = {
        preset: {
            lobe: mean_with_interval(
                np.array([row[lobe] for row in sparse if row["preset"] == preset])
            )
            for lobe in LOBE_ORDER
        }
        for preset in SPARSE
    }
    content = {
        "command": "python experiments/dense_phantoms.py",
        "model": segmenter.bundle.used.__dict__,
        "seeds": [SEED + person for person in range(PEOPLE)],
        "aim": AIM,
        "dense": {
            "by_lobe": lobes,
            "all": mean_with_interval(np.array([row["called_infected"] for row in dense])),
            "least": min(row["called_infected"] for row in dense),
            "phantoms": dense,
        },
        "false_percent": {"by_preset": false, "phantoms": sparse},
    }
    atomic_write(asked.out, json.dumps(plain(content), indent=1) + "\n")
    for name, figures in (*lobes.items(), *false.items()):
        print(name, {key: round(value["mean"], 3) for key, value in figures.items()})


if __name__ == "__main__":
    main()
