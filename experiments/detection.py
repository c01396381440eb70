"""Infected or not, slice by slice: measured on slices of two sources that were made alike.

    lungscore train experiments/infection-cranial.yaml --fold 0      # and 1 to 4, and caudal alike
    python experiments/detection.py slices maps measure
    python experiments/detection.py patient                          # one look at P002

"slices" makes the 50 annotated training slices and as many of a healthy person alike; "maps" lets the
ten networks, each of which saw four fifths of the ones and half of the others, find infection in what
they have not seen; "measure" writes results/detection-slices.json. "patient" applies what was learned
to a patient never trained on, and logs nothing: docs/looks.md is kept by hand.
Needs LUNGSCORE_DATA, the extras train and study, and the finished run of infection-stage.yaml.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.anatomy import find_lungs, slice_boxes
from lungscore.datasets import covid_semiseg
from lungscore.datasets.healthy import part_of
from lungscore.datasets.registry import data_root
from lungscore.errors import InputError
from lungscore.evaluation.alike import (
    LOOSE,
    AlikeSlice,
    as_published,
    make_alike,
    match_by_shape,
    matching_window,
    without_lesions,
    without_lungs,
)
from lungscore.files import atomic_path
from lungscore.scan import Scan, read_scan
from lungscore.scan.window import network_boxes

HERE = Path(__file__).parent
KEPT = Path("runs/detection")
HALVES = ("cranial", "caudal")
FOLDS = 5
SEED = 20200414

#: Slices of a scan take part whose lungs are at least this share of those of its largest slice:
#: annotated slices show no tips of lungs.
LARGE = 0.4

#: In what ways every slice is shown to a detector.
VARIANTS = ("plain", "without_lungs", "without_lesions")


def of_scan(scan: Scan, window_hu: tuple[float, float], chosen: np.ndarray) -> dict[int, AlikeSlice]:
    """index -> slice of a scan made alike, with nothing annotated; without those it cannot be of."""
    boxes = network_boxes(slice_boxes(find_lungs(scan).labels), margin=LOOSE)
    found = {}
    for index in map(int, chosen):
        row0, row1, column0, column1 = map(int, boxes[index])
        shown = as_published(scan.values[index], (row0, row1, column0, column1), window_hu)
        try:
            found[index] = make_alike(str(index), shown, np.zeros(shown.shape, bool))
        except InputError as error:
            print(f"slice {index}: {error.message}", flush=True)
    return found


def large_slices(scan: Scan) -> np.ndarray:
    """The slices of a scan that take part."""
    area = (find_lungs(scan).labels > 0).sum(axis=(1, 2))
    return np.flatnonzero(area >= LARGE * area.max())


def slices(root: Path) -> None:
    """Write the slices, in all variants."""
    infected = [
        make_alike(sample.name, sample.image, sample.infection)
        for sample in covid_semiseg.load(root / "covid-semiseg", "train")
    ]
    scan = read_scan(root / "covid-ct-md/normal002")
    chosen = large_slices(scan)
    # What lies outside the lungs chooses the window: wide enough to lose nothing of it.
    wide = (-1350.0, 450.0)
    some = of_scan(scan, wide, chosen[::6]).values()
    outside = np.concatenate([each.image[~each.lungs] for each in some]) / 255
    hounsfield = (outside * (wide[1] - wide[0]) + wide[0])[::20]
    grey = np.concatenate([each.image[~each.lungs] for each in infected])[::40]
    window_hu = matching_window(grey, hounsfield)
    healthy = list(of_scan(scan, window_hu, chosen).values())
    partners = match_by_shape(*(np.stack([s.lungs for s in of]) for of in (infected, healthy)))
    healthy = [healthy[index] for index in np.sort(partners)]
    rng = np.random.default_rng(SEED)
    # Where healthy.load parts the cranial half of a scan from the caudal one.
    boxes = network_boxes(slice_boxes(find_lungs(scan).labels))
    cranial = part_of(np.flatnonzero(boxes[:, 1] > boxes[:, 0]), "cranial")
    middle = int(cranial[-1]) + 1
    kept: dict[str, Any] = {"window_hu": window_hu, "large": len(chosen), "middle": middle}
    for name, group in (("infected", infected), ("healthy", healthy)):
        borrowed = rng.integers(0, len(infected), len(group))
        kept[f"{name}_names"] = [each.name for each in group]
        kept[f"{name}_lungs"] = np.stack([each.lungs for each in group])
        kept[f"{name}_plain"] = np.stack([each.image for each in group])
        kept[f"{name}_without_lungs"] = np.stack([without_lungs(each) for each in group])
        kept[f"{name}_without_lesions"] = np.stack(
            [
                without_lesions(each, each.infection if each.infected else infected[b].infection)
                for each, b in zip(group, borrowed, strict=True)
            ]
        )
    save("slices", kept)


def maps(root: Path) -> None:
    """Let every network predict what it has not seen, in all variants."""
    import torch

    from lungscore.evaluation.slice_detection import blocks
    from lungscore.learning.experiment_file import load_experiment
    from lungscore.learning.maps import load_network
    from lungscore.learning.references import at, run_folder

    device = "cuda" if torch.cuda.is_available() else "cpu"
    seen = load("slices")
    folds, halves = parts(seen)
    kept = {}
    for block in blocks(folds, halves):
        # The held-out half is the one that the network was not trained on.
        file = HERE / f"infection-{HALVES[1 - block.half]}.yaml"
        config = at(load_experiment(file), fold=block.fold, seed=None)
        network = load_network(run_folder(config), config).to(device)
        for group, out in (("infected", block.infected[1]), ("healthy", block.healthy[1])):
            for variant in VARIANTS:
                grey = torch.from_numpy(seen[f"{group}_{variant}"][out])[:, None].float() / 255
                with torch.inference_mode():
                    found = torch.cat([network(part.to(device)) for part in grey.split(8)])
                levels = (found[:, 0].float().cpu().numpy() * 255 + 0.5).astype(np.uint8)
                kept[f"{group}_{variant}_{block.fold}_{block.half}"] = levels
        print(f"fold {block.fold}, {HALVES[block.half]} held out", flush=True)
    save("maps", kept)


def parts(seen: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The fold of every infected slice, and the half of every healthy one: 0 cranial, 1 caudal."""
    from lungscore.learning.selection import annotated_folds

    folds = annotated_folds(FOLDS)
    middle = int(seen["middle"])
    halves = (seen["healthy_names"].astype(int) >= middle).astype(int)
    return np.array([folds[name] for name in seen["infected_names"]]), halves


def save(name: str, arrays: dict[str, Any]) -> None:
    """Keep arrays as runs/detection/NAME.npz."""
    with atomic_path(KEPT / f"{name}.npz") as temporary:
        np.savez_compressed(temporary, **arrays)


def load(name: str) -> dict[str, np.ndarray]:
    """What ``save`` kept."""
    with np.load(KEPT / f"{name}.npz", allow_pickle=False) as kept:
        return dict(kept)


if __name__ == "__main__":
    steps = {f.__name__: f for f in (slices, maps)}
    asked = sys.argv[1:]
    if not asked or set(asked) - set(steps):
        sys.exit(f"usage: python experiments/detection.py {' '.join(steps)}")
    for step in asked:
        steps[step](data_root())
