"""How well a map that is coarser than the slice can agree with the annotation, at best.

    python experiments/resolution.py

The annotation itself, averaged to a network's output size and brought back as a network's logits
are: what is lost is lost to every network with such an output, however well it is trained. Needs
LUNGSCORE_DATA; uses the annotated training slices alone.
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from lungscore.datasets import covid_semiseg
from lungscore.datasets.training_slices import data_root
from lungscore.evaluation.metrics import dice
from lungscore.files import atomic_write

OUT = Path(__file__).parent / "results" / "resolution.json"
INPUTS = (192, 256), (256, 320)
STEPS = 8, 4, 1


def best_agreement(infection: np.ndarray, size: tuple[int, int], step: int) -> float:
    """Dice at 0.5 of a (H, W) bool mask with itself, seen at ``size`` through a map of 1/step."""
    truth = torch.from_numpy(infection.astype(np.float32))[None, None]
    coarse = functional.interpolate(truth, [side // step for side in size], mode="area")
    logits = functional.interpolate(coarse.clamp(0.02, 0.98).logit(), size, mode="bilinear")
    probs = functional.interpolate(logits.sigmoid(), infection.shape, mode="bilinear")
    return dice(probs[0, 0].numpy() >= 0.5, infection)


def main() -> None:
    """Write the result file."""
    samples = covid_semiseg.load(data_root() / "covid-semiseg", "train")
    masks = [sample.infection for sample in samples]
    rows = [
        {
            "height": size[0],
            "width": size[1],
            "step": step,
            "dice": round(float(np.mean([best_agreement(mask, size, step) for mask in masks])), 4),
            "n": len(masks),
        }
        for size in INPUTS
        for step in STEPS
    ]
    content = {"command": "python experiments/resolution.py", "rows": rows}
    atomic_write(OUT, json.dumps(content, indent=1) + "\n")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
