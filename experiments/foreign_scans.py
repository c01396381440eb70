"""What networks call infected in chest CTs of other hospitals, none of which shows pneumonia.

    python experiments/foreign_scans.py --model NAME=BUNDLE|RUN … -o FILE

The percent of the lungs that is called infected by the code of ``analyze``, in every CT of wild-ct
below LUNGSCORE_DATA; the lungs are the same for every network. Some of the people have
tumours, collapsed lung or emphysema, and many of the scans were taken in shallow breath, so the
right answer is near 0 but not always 0. ``trained``: whether the last training of a network saw
slices of that scan as negatives, by its experiment.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.datasets.training_slices import data_root
from lungscore.evaluation.results import plain
from lungscore.files import atomic_write
from lungscore.inference import Segmenter, load_bundle, segment
from lungscore.inference.bundle import Bundle
from lungscore.inference.segment import find_lungs_of
from lungscore.scan import read_scan
from trained import bundle_in

OUT = Path(__file__).parent / "results" / "foreign-scans.json"


def percents(segmenters: dict[str, Segmenter]) -> dict[str, dict[str, float]]:
    """By scan, the infected percent of the lungs by every network."""
    rows = {}
    for path in sorted((data_root() / "wild-ct").glob("*.nii.gz")):
        scan = read_scan(path)
        lungs = find_lungs_of(scan, lambda: next(iter(segmenters.values())))
        inside = lungs.labels > 0
        rows[path.name.removesuffix(".nii.gz")] = {
            name: 100 * float(np.mean(segment(scan, lungs, segmenter).labels[inside] > 0))
            for name, segmenter in segmenters.items()
        }
        print(path.name, plain(rows[path.name.removesuffix(".nii.gz")]), flush=True)
    return rows


def trained_on(bundle: Bundle) -> list[str]:
    """The scans of wild-ct that the network's experiment names as negatives."""
    experiment: dict[str, Any] = bundle.card.experiment or {}
    clean = experiment.get("data", {}).get("clean", ())
    return sorted(Path(scan).name.removesuffix(".nii.gz") for scan in clean)


def main() -> None:
    """Write the result file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", action="append", default=[], metavar="NAME=BUNDLE|RUN")
    parser.add_argument("-o", "--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    named = [model.partition("=") for model in arguments.model]
    bundles = {name: bundle_in(Path(folder)) for name, _, folder in named}
    bundles = bundles or {"shipped": load_bundle()}
    segmenters = {name: Segmenter(bundle, threads=1) for name, bundle in bundles.items()}
    content = {
        "command": "python experiments/foreign_scans.py "
        + " ".join(f"--model {name}={name.upper()}" for name in bundles),
        "models": {
            name: bundle.used.__dict__ | {"trained": trained_on(bundle)}
            for name, bundle in bundles.items()
        },
        "infected_percent": percents(segmenters),
    }
    atomic_write(arguments.out, json.dumps(plain(content), indent=1) + "\n")


if __name__ == "__main__":
    main()
