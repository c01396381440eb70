"""In which boxes a network should see a slice: chosen out of fold, on annotated training slices.

    python experiments/views.py

Every annotated slice by the network of infection.yaml that had its fold held out: the published
crop in boxes of other sizes about it, as lone slices are seen, and the full slice that it was cut
from in the box of its lungs with other margins, as the slices of a volume are seen. Needs
LUNGSCORE_DATA and the finished runs of infection.yaml for every fold.
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lungscore.anatomy import find_lungs, slice_boxes
from lungscore.datasets.images import read_indices
from lungscore.datasets.sample import Sample
from lungscore.datasets.training_slices import data_root
from lungscore.evaluation.metrics import dice
from lungscore.evaluation.results import plain
from lungscore.files import atomic_write
from lungscore.inference.views import MARGIN, WIDER
from lungscore.labels import CONSOLIDATION, GGO
from lungscore.learning.config import InputConfig
from lungscore.learning.experiment_file import at, load_experiment, run_folder
from lungscore.learning.maps import load_network, slices_of
from lungscore.scan import read_scan
from lungscore.scan.window import crop, network_boxes, paste, resize
from lungscore.statistics.estimate import text_of
from lungscore.statistics.intervals import mean_with_interval

HERE = Path(__file__).parent
OUT = HERE / "results" / "views.json"
FOLDS = 5
TIMES = 1.0, 1.07, 1.14, 1.23, 1.33, 1.45
MARGINS = 0.0, 0.02, 0.05, 0.1, 0.15, 0.2

Box = tuple[int, int, int, int]


def found(network: nn.Module, grey: np.ndarray, box: Box, size: InputConfig) -> list[np.ndarray]:
    """Probabilities (H, W) of grey levels 0…1 seen in ``box``, as they are and mirrored."""
    seen = resize(crop(grey, box), size.height, size.width)
    maps = []
    for step in (1, -1):
        with torch.inference_mode():
            image = torch.from_numpy(seen[:, ::step].copy())[None, None]
            probs = network(image)[0, 0].float().numpy()[:, ::step]
        maps.append(paste(resize(probs, box[1] - box[0], box[3] - box[2]), box, grey.shape))
    return maps


def of_crop(network: nn.Module, sample: Sample, size: InputConfig) -> dict[str, float]:
    """Dice by the boxes in which the crop is seen, as multiples of it."""
    height, width = sample.image.shape
    views = {}
    for times in TIMES:
        down, right = (round(side * (times - 1) / 2) for side in (height, width))
        box = (-down, height + down, -right, width + right)
        views[times] = found(network, sample.image / np.float32(255), box, size)
    maps = {f"{times}": once for times, (once, _) in views.items()}
    maps |= {f"{times}, mirrored too": np.mean(both, axis=0) for times, both in views.items()}
    several = np.mean([views[times] for times in WIDER], axis=(0, 1))
    maps[f"{', '.join(map(str, WIDER))}, mirrored too"] = several
    return {name: dice(probs >= 0.5, sample.infection) for name, probs in maps.items()}


def of_full_slice(network: nn.Module, name: str, size: InputConfig, root: Path) -> dict[str, float]:
    """Dice by the margin about the lungs, one view each."""
    scan = read_scan(root / "images" / f"{name}.png")
    labels = read_indices(root / "labels" / f"{name}.png", allowed=(0, 1, 2, 3))
    infection = np.isin(labels, (GGO, CONSOLIDATION))
    lungs = slice_boxes(find_lungs(scan).labels)
    scores = {}
    for margin in MARGINS:
        row0, row1, column0, column1 = map(int, network_boxes(lungs, margin=margin)[0])
        grey = scan.values[0] / np.float32(255)
        probs, _ = found(network, grey, (row0, row1, column0, column1), size)
        scores[f"{margin}"] = dice(probs >= 0.5, infection)
    return scores


def main() -> None:
    """Write the result file."""
    root, file = data_root(), HERE / "infection.yaml"
    crops, full = [], []
    for fold in range(FOLDS):
        config = at(load_experiment(file), fold=fold, seed=None)
        network = load_network(run_folder(config), config)
        for sample in slices_of("held-out", config, root):
            crops.append(of_crop(network, sample, config.input))
            slices = root / "medseg-slices"
            full.append(of_full_slice(network, sample.name, config.input, slices))
    content = {
        "command": "python experiments/views.py",
        "shipped": {"crop": WIDER, "full_slice": MARGIN},
        "crop": intervals(crops),
        "full_slice": intervals(full),
    }
    atomic_write(OUT, json.dumps(plain(content), indent=1) + "\n")
    for kind in ("crop", "full_slice"):
        for name, figure in content[kind].items():
            print(f"{kind} {name}: {text_of(figure, with_n=True)}")


def intervals(scores: list[dict[str, float]]) -> dict[str, dict]:
    """The mean of every choice over the slices."""
    return {name: mean_with_interval(np.array([s[name] for s in scores])) for name in scores[0]}


if __name__ == "__main__":
    main()
