"""How the training slices of the shipped network look, and how well that tells what is unlike them.

    python experiments/familiar.py

Writes experiments/results/familiar.json, and its block ``familiar`` into the card of the shipped
bundle. False alarms: every volume against the ranges of all others. True alarms: training slices
spoiled in ways that a reader of files could let through. Then scans and phantoms that the network
never saw. The size of the margins (learning/familiarity.py) was chosen on the false and true
alarms. Needs LUNGSCORE_DATA.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from lungscore.anatomy import find_lungs
from lungscore.datasets import covid_semiseg, healthy, medseg
from lungscore.datasets.training_slices import data_root
from lungscore.evaluation.results import plain
from lungscore.files import atomic_write
from lungscore.inference.appearance import STATISTICS
from lungscore.inference.bundle import CARD, Familiar, InputSpec, models_folder
from lungscore.inference.familiarity import MOST, looks, strange_in
from lungscore.learning.familiarity import (
    LEAST,
    MIDDLE,
    WIDER,
    grey_of,
    learn_ranges,
    statistics_of,
)
from lungscore.scan import Scan, read_scan
from lungscore.scan.phantom import make_phantom

HERE = Path(__file__).parent
OUT = HERE / "results" / "familiar.json"
SHIPPED = models_folder() / "infection" / CARD
SEED = 0
#: Slices of each volume that are spoiled.
SPOILED = 12
SCANS = {
    "Lung-PET-CT-Dx": "lung-pet-ct-dx",
    "iCTCF": "ictcf-volume-jpg",
    "Chest Imaging Platform ct-64": "chest-imaging-platform/ct-64.nrrd",
    "lungmask test data": "lungmask-testdata",
}
PRESETS = "healthy", "mild", "moderate", "severe", "dense", "one-lung"

Ranges = dict[str, tuple[float, float]]


def spec_of_card() -> InputSpec:
    """How the shipped network sees a slice; the card's own block may be of other statistics."""
    return InputSpec.model_validate(json.loads(SHIPPED.read_text(encoding="utf-8"))["input"])


def volumes(root: Path) -> dict[str, list[np.ndarray]]:
    """Grey levels of all slices that the network learned from, by volume."""
    spec = spec_of_card()
    samples = [
        *covid_semiseg.load_unlabelled(root / "covid-semiseg"),
        *covid_semiseg.load(root / "covid-semiseg", "train"),
        *medseg.load_training_crops(root / "medseg-slices"),
        *healthy.load(root / "covid-ct-md/normal002"),
    ]
    greys: dict[str, list[np.ndarray]] = {}
    for sample in samples:
        # Nobody says which patient an annotated slice is of: each source counts as one volume.
        greys.setdefault(sample.patient or sample.source, []).append(grey_of(sample, spec))
    return greys


def in_window(lower: float, upper: float) -> Callable[[np.ndarray], np.ndarray]:
    """Shown in another window, as far as a picture of the lung window lets it."""
    return lambda grey: np.clip((grey * 1500 - 1350 - lower) / (upper - lower), 0, 1)


def noisy(strength: float) -> Callable[[np.ndarray], np.ndarray]:
    """With noise of so many grey levels 0…1."""
    rng = np.random.default_rng(SEED)
    return lambda grey: np.clip(grey + rng.normal(0, strength, grey.shape), 0, 1)


def without_lungs(grey: np.ndarray) -> np.ndarray:
    """Tissue throughout, with some texture: an abdomen, roughly."""
    noise = np.random.default_rng(SEED).normal(0, 1, grey.shape)
    soft = ndimage.gaussian_filter(noise, 6)
    tissue = np.percentile(grey, 75) + 0.02 * noise + 0.03 * soft / soft.std()
    middle = np.percentile(grey, [5, 95]).mean()
    return np.clip(np.where(grey < middle, tissue, grey), 0, 1)


def opaque(share: float) -> Callable[[np.ndarray], np.ndarray]:
    """With this part of the lungs as bright as dense disease makes them: no fault of the image."""

    def spoil(grey: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(SEED)
        soft = ndimage.gaussian_filter(rng.normal(0, 1, grey.shape), 10)
        low, high = np.percentile(grey, [5, 95])
        lung = grey < (low + high) / 2
        ill = lung & (soft <= np.quantile(soft[lung], share))
        return np.where(ill, low + (high - low) * (0.65 + 0.1 * rng.random(grey.shape)), grey)

    return spoil


def like_mr(grey: np.ndarray) -> np.ndarray:
    """Tissue dark, fat and lungs in between, brighter on one side: a surface coil, roughly."""
    return np.clip(0.8 * (1 - grey) ** 2 + np.linspace(-0.25, 0.25, grey.shape[1]), 0, 1)


SPOILS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "inverted": lambda grey: 1 - grey,
    "soft-tissue window": in_window(-160, 240),
    "bone window": in_window(-500, 1500),
    "z-scored": lambda grey: np.clip((grey - grey.mean()) / max(grey.std(), 1e-6), 0, 1),
    "a quarter as bright": lambda grey: grey / 4,
    "noise of 0.1": noisy(0.1),
    "noise of 0.2": noisy(0.2),
    "blur of 3 pixels": lambda grey: ndimage.gaussian_filter(grey, 3),
    "blur of 6 pixels": lambda grey: ndimage.gaussian_filter(grey, 6),
    "gamma 0.3": lambda grey: grey**0.3,
    "gamma 3": lambda grey: grey**3,
    "like MR": like_mr,
    "without lungs": without_lungs,
}
#: What disease does, and what should not be noticed.
ILL = {f"{percent} % of the lungs opaque": opaque(percent / 100) for percent in (50, 80, 90)}


def strange_share(statistics: np.ndarray, ranges: Ranges) -> float:
    """The share of slices, (slices, STATISTICS), of which some statistic lies outside."""
    rows = [dict(zip(STATISTICS, row, strict=True)) for row in statistics]
    return float(np.mean([bool(strange_in(row, ranges)) for row in rows]))


def of_scan(scan: Scan, ranges: Ranges) -> dict[str, Any]:
    """As unlike_notice judges it: slices by the lung that they hold."""
    lungs = find_lungs(scan)
    lung = why = 0
    outside: dict[str, int] = {}
    for index, statistics in looks(scan, lungs, spec_of_card()).items():
        area = int(np.count_nonzero(lungs.labels[index]))
        lung += area
        names = strange_in(statistics, ranges)
        why += area * bool(names)
        for name in names:
            outside[name] = outside.get(name, 0) + area
    return {
        "strange_share": why / lung,
        "unlike": why / lung > MOST,
        "by_statistic": {name: area / lung for name, area in outside.items()},
    }


def main() -> None:
    """Write the result file and the card."""
    root = data_root()
    greys = volumes(root)
    statistics = {name: statistics_of(slices) for name, slices in greys.items()}
    ranges = learn_ranges(list(statistics.values()))
    false_alarms = {
        name: strange_share(
            slices, learn_ranges([s for volume, s in statistics.items() if volume != name])
        )
        for name, slices in statistics.items()
    }
    spoiled: dict[str, Any] = {}
    for kind, spoil in (SPOILS | ILL).items():
        shares = {}
        for name, slices in greys.items():
            few = slices[:: max(1, len(slices) // SPOILED)]
            shares[name] = strange_share(
                statistics_of([np.asarray(spoil(grey), np.float32) for grey in few]), ranges
            )
        noticed = sum(share > MOST for share in shares.values())
        spoiled[kind] = {"volumes": len(shares), "noticed": noticed, "strange_share": shares}
    scans = {name: of_scan(read_scan(root / path), ranges) for name, path in SCANS.items()}
    scans |= {f"phantom, {name}": of_scan(make_phantom(name).scan, ranges) for name in PRESETS}
    familiar = {
        "ranges": ranges,
        "slices": sum(map(len, greys.values())),
        "command": "python experiments/familiar.py",
    }
    content = plain(
        {
            "command": "python experiments/familiar.py",
            "seed": SEED,
            "unlike_above": MOST,
            "margins": {"middle": MIDDLE, "wider": WIDER, "least": LEAST},
            "familiar": familiar,
            "false_alarms": {
                "volumes": len(statistics),
                "unlike": sum(share > MOST for share in false_alarms.values()),
                "strange_share": false_alarms,
            },
            "within_reference": {n: strange_share(s, ranges) for n, s in statistics.items()},
            "spoiled": spoiled,
            "scans": scans,
        },
        digits=4,
    )
    atomic_write(OUT, json.dumps(content, indent=1) + "\n")
    write_card(content["familiar"])
    print(
        json.dumps({key: content[key] for key in ("familiar", "false_alarms", "scans")}, indent=1)
    )
    for kind, row in spoiled.items():
        print(f"{kind}: {row['noticed']} of {row['volumes']}")


def write_card(familiar: dict[str, Any]) -> None:
    """Put the block into the card of the shipped bundle, whose other content stays."""
    card = json.loads(SHIPPED.read_text(encoding="utf-8"))
    card["familiar"] = Familiar.model_validate(familiar).model_dump(mode="json")
    atomic_write(SHIPPED, json.dumps(card, indent=1) + "\n")


if __name__ == "__main__":
    main()
