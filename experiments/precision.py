"""Whether bf16 and int8 give the masks of float32, and what each saves.

    python experiments/precision.py [--model BUNDLE] [-o FILE]

Every volume at hand and two phantoms through the code of ``analyze``, on OpenVINO: of each
precision the Dice with the masks of float32 (all real volumes together, all phantoms, and each
volume), the same of consolidation where the network tells it apart, the difference of the infected
percent of the lungs, and the time of the network alone in parts of that of float32. The rule for a
precision that may be the default: Dice at least 0.999 on the real volumes together and on the
phantoms, and no burden more than 0.1 points off.

int8 is the same network after training, quantised by NNCF with activations of the published
unlabelled slices; without nncf it is left out, and the file says so. Needs LUNGSCORE_DATA.
"""

import argparse
import importlib.util
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flicker import VOLUMES, real_volumes
from lungscore.anatomy import Lungs
from lungscore.datasets import covid_semiseg
from lungscore.datasets.training_slices import data_root
from lungscore.evaluation.metrics import dice
from lungscore.evaluation.results import plain
from lungscore.files import atomic_write
from lungscore.inference import Bundle, Segmenter, load_bundle, segment
from lungscore.inference.bundle import InputSpec
from lungscore.inference.engines import Engine, make_engine
from lungscore.inference.segment import find_lungs_of
from lungscore.inference.views import views
from lungscore.labels import CONSOLIDATION
from lungscore.scan import Scan
from lungscore.scan.phantom import make_phantom
from lungscore.scan.window import resize

OUT = Path(__file__).parent / "results" / "precision.json"

#: What a precision must reach to be taken for float32.
LEAST_DICE, MOST_POINTS = 0.999, 0.1

#: Presets and seeds.
PHANTOMS = (("several-patches", 114), ("dense", 115))

#: Slices that tell the ranges of activations.
CALIBRATION_SLICES = 200


@dataclass(frozen=True)
class QuantisedBundle(Bundle):
    """A bundle whose graph is another one, for OpenVINO alone."""

    quantised: Path = Path()

    @property
    def graph(self) -> Path:
        """OpenVINO's own format."""
        return self.quantised


def quantised(bundle: Bundle, folder: Path) -> QuantisedBundle:
    """``bundle`` in int8, its graph written to ``folder``."""
    os.environ.setdefault("NNCF_CI", "1")  # it sends no telemetry then
    import nncf
    import openvino

    spec = bundle.card.input
    samples = covid_semiseg.load_unlabelled(data_root() / "covid-semiseg")
    chosen = samples[:: max(len(samples) // CALIBRATION_SLICES, 1)]
    greys = [
        resize(sample.image.astype(np.float32) / 255, spec.height, spec.width)[None, None]
        for sample in chosen
    ]
    model = nncf.quantize(
        openvino.Core().read_model(bundle.graph),
        nncf.Dataset(greys),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(greys),
    )
    path = folder / "int8.xml"
    openvino.save_model(model, path, compress_to_fp16=False)
    return QuantisedBundle(bundle.folder, bundle.card, path)


def scans(segmenter: Segmenter) -> Iterator[tuple[str, Scan, Lungs]]:
    """Every volume, phantoms last. segmenter: finds the lungs, the same for every precision."""
    for name, scan in real_volumes(data_root(), VOLUMES):
        yield name, scan, find_lungs_of(scan, lambda: segmenter)
    for preset, seed in PHANTOMS:
        phantom = make_phantom(preset, seed=seed)
        yield f"phantom {preset}, seed {seed}", phantom.scan, Lungs(phantom.lungs, True)


def network_seconds(scan: Scan, lungs: Lungs, spec: InputSpec, run: Engine) -> float:
    """Of all views of a scan, the network alone."""
    inputs = [(view.of(scan, spec),) for view in views(scan, lungs)]
    began = time.perf_counter()
    for _ in run(inputs):
        pass
    return time.perf_counter() - began


def compared(
    segmenters: dict[str, Segmenter], runs: dict[str, Engine]
) -> tuple[dict[str, Any], dict[str, dict[str, list]]]:
    """Rows by volume; and precision -> kind -> the counts behind the Dice.

    runs: by precision, the networks alone.
    """
    spec = segmenters["f32"].bundle.card.input
    rows: dict[str, Any] = {}
    counts: dict[str, dict[str, list]] = {name: {} for name in segmenters}
    for volume, scan, lungs in scans(segmenters["f32"]):
        kind = "phantoms" if volume.startswith("phantom") else "real"
        lung = np.count_nonzero(lungs.labels)
        row: dict[str, Any] = {}
        for name, segmenter in segmenters.items():
            labels = segment(scan, lungs, segmenter).labels
            if name == "f32":
                reference = labels
            infected, expected = labels > 0, reference > 0
            both, sizes = overlap(infected, expected)
            counts[name].setdefault(kind, []).append((both, sizes))
            dense, dense_expected = labels == CONSOLIDATION, reference == CONSOLIDATION
            counts[name].setdefault(f"{kind} consolidation", []).append(
                overlap(dense, dense_expected)
            )
            row[name] = {
                "dice": dice(infected, expected),
                "infected_percent": 100 * np.count_nonzero(infected & (lungs.labels > 0)) / lung,
                "points": 100 * (infected.sum() - expected.sum()) / lung,
                "network_seconds": network_seconds(scan, lungs, spec, runs[name]),
            }
        rows[volume] = row
        print(volume, json.dumps(plain(row)), flush=True)
    return rows, counts


def overlap(one: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """Voxels of both, and of either counted once each."""
    return int(np.count_nonzero(one & other)), int(one.sum()) + int(other.sum())


def summary(name: str, rows: dict[str, Any], counts: dict[str, list]) -> dict[str, Any]:
    """Of one precision over all volumes."""
    pooled = {
        kind: 2 * sum(both for both, _ in pairs) / max(sum(sizes for _, sizes in pairs), 1)
        for kind, pairs in counts.items()
    }
    points = max(abs(row[name]["points"]) for row in rows.values())
    seconds = {
        precision: sum(row[precision]["network_seconds"] for row in rows.values())
        for precision in ("f32", name)
    }
    dices = [pooled[kind] for kind in ("real", "phantoms")]
    return {
        "dice": pooled,
        "most_points": points,
        "relative_time": seconds[name] / seconds["f32"],
        "equal_to_f32": bool(min(dices) >= LEAST_DICE and points <= MOST_POINTS),
    }


def main() -> None:
    """Write the result file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", help="folder of a bundle; the shipped one by default")
    parser.add_argument("-o", "--out", type=Path, default=OUT)
    asked = parser.parse_args()
    # A kept compiled network is known by the bundle's checksums, which int8 shares with the others.
    os.environ["LUNGSCORE_CACHE"] = "off"
    bundle = load_bundle(asked.model) if asked.model else load_bundle()
    with tempfile.TemporaryDirectory() as folder:
        bundles = {"f32": bundle, "bf16": bundle}
        if importlib.util.find_spec("nncf"):
            bundles["int8"] = quantised(bundle, Path(folder))
        segmenters, runs = {}, {}
        for name, version in bundles.items():
            precision = "f32" if name == "int8" else name
            segmenters[name] = Segmenter(version, engine="openvino", precision=precision, threads=1)
            runs[name] = make_engine(version, name="openvino", precision=precision, threads=1)[0]
        rows, counts = compared(segmenters, runs)
    precisions = {name: summary(name, rows, counts[name]) for name in segmenters}
    content = {
        "command": "python experiments/precision.py",
        "model": bundle.used.__dict__,
        "rule": {"least_dice": LEAST_DICE, "most_points": MOST_POINTS},
        "int8": "measured" if "int8" in segmenters else "not measured: nncf is not installed",
        "precisions": precisions,
        "volumes": rows,
    }
    atomic_write(asked.out, json.dumps(plain(content), indent=1) + "\n")
    for name, figures in precisions.items():
        print(name, json.dumps(plain(figures)))


if __name__ == "__main__":
    main()
