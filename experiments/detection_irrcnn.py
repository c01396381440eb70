"""Infected or not, slice by slice, by IRRCNN: the slices and the controls of detection.py.

    python experiments/detection.py slices            # makes the slices alike, if it is not done
    python experiments/detection_irrcnn.py train      # 30 short trainings; continues a stopped run
    python experiments/detection_irrcnn.py measure    # writes results/detection-irrcnn.json

The networks of detection.py segment, and a regression reads their maps; IRRCNN is trained on
infected or not alone. For every fold of infected slices with every half of the healthy person, and
for every variant of the slices, a network of random weights learns from the others and judges what
was held out. In the variant "without_lungs" it learns and judges slices whose lungs are hidden:
what it tells apart there is the source, not the infection. Nothing was chosen by these figures.
Needs LUNGSCORE_DATA and the extras train and study.
"""

import sys
from typing import Any

import numpy as np

from detection import KEPT, SEED, VARIANTS, load, parts, save, write
from lungscore.machine import cpu_model
from lungscore.statistics.estimate import text_of
from slice_detection import Block, blocks, figures

#: Height and width that the network sees, its base width, passes over the training slices, slices
#: of a batch, and the highest learning rate.
SIZE, WIDTH, PASSES, BATCH, RATE = (128, 160), 32, 30, 16, 1e-3

#: How far a training slice is shifted at random, as a share of its size; half of them are mirrored.
SHIFT = 0.05


def train() -> None:
    """Train every network that is not there, and keep the logits of what it had held out."""
    seen = load("slices")
    folds, halves = parts(seen)
    for variant in VARIANTS:
        images = np.concatenate([seen[f"{group}_{variant}"] for group in ("infected", "healthy")])
        for number, block in enumerate(blocks(folds, halves)):
            name = f"irrcnn-{variant}-{block.fold}-{block.half}"
            if (KEPT / f"{name}.npz").is_file():
                continue
            learned, out = indices_of(block, len(folds))
            infected = np.arange(len(images)) < len(folds)
            logits = logits_of(images, infected, learned, out, seed=SEED + number)
            save(name, {"out": out, "logits": logits})
            print(f"{variant}: fold {block.fold}, half {block.half} held out", flush=True)


def indices_of(block: Block, infected: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of the infected, then healthy slices train, and which are held out."""
    learned, out = (
        np.concatenate([own, infected + others])
        for own, others in zip(block.infected, block.healthy, strict=True)
    )
    return learned, out


def logits_of(
    images: np.ndarray,
    infected: np.ndarray,
    learned: np.ndarray,
    out: np.ndarray,
    *,
    seed: int,
    width: int = WIDTH,
    passes: int = PASSES,
) -> np.ndarray:
    """(len(out),) logits of infection, by a network that learned from ``learned`` alone.

    images: (slices, H, W) uint8. infected: (slices,) bool. learned, out: indices. Both classes
    weigh the same, however many slices they have.
    """
    import torch
    from torch.nn import functional

    from lungscore.learning.config import TrainingConfig
    from lungscore.learning.loop import set_rate
    from lungscore.learning.train import learning_rate
    from lungscore.networks import SLICE_DETECTOR, make_network, normalise

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    grey = torch.from_numpy(images)[:, None].float() / 255
    grey = normalise(functional.interpolate(grey, SIZE, mode="bilinear", antialias=True))
    truth = torch.from_numpy(infected).float()
    positive = truth[learned].mean()
    weight = torch.where(truth > 0, 0.5 / positive, 0.5 / (1 - positive))
    network = make_network(SLICE_DETECTOR, base_width=width)
    schedule = TrainingConfig(learning_rate=RATE)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2)
    for number in range(passes):
        batches = np.array_split(rng.permutation(learned), max(1, round(len(learned) / BATCH)))
        for step, batch in enumerate(batches):
            set_rate(
                optimizer, learning_rate(schedule, (number + step / len(batches)) / passes, number)
            )
            loss = functional.binary_cross_entropy_with_logits(
                network(varied(grey[batch], rng)), truth[batch], weight[batch]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.eval()
    with torch.inference_mode():
        judged = torch.cat([network(few) for few in grey[out].split(BATCH)])
    return np.asarray(judged.numpy())


def varied(grey: Any, rng: np.random.Generator) -> Any:
    """Slices (N, 1, H, W) mirrored and shifted at random; what comes in repeats the border."""
    import torch
    from torch.nn import functional

    affine = torch.zeros(len(grey), 2, 3)
    affine[:, 0, 0] = torch.from_numpy(rng.choice([-1.0, 1.0], len(grey)))
    affine[:, 1, 1] = 1
    affine[:, :, 2] = torch.from_numpy(rng.uniform(-2 * SHIFT, 2 * SHIFT, (len(grey), 2)))
    grid = functional.affine_grid(affine, list(grey.shape), align_corners=False)
    return functional.grid_sample(grey, grid, padding_mode="border", align_corners=False)


def measure() -> None:
    """Write the figures of every variant."""
    seen = load("slices")
    folds, halves = parts(seen)
    infected = np.arange(len(folds) + len(halves)) < len(folds)
    told: dict[str, Any] = {"irrcnn": {}, "probabilities": {}}
    for variant in VARIANTS:
        total, times = np.zeros(len(infected)), np.zeros(len(infected))
        for block in blocks(folds, halves):
            kept = load(f"irrcnn-{variant}-{block.fold}-{block.half}")
            total[kept["out"]] += kept["logits"]
            times[kept["out"]] += 1
        probability = 1 / (1 + np.exp(-total / times))
        told["irrcnn"][variant] = figures(probability, infected)
        told["probabilities"][variant] = probability.tolist()
        auc = text_of(told["irrcnn"][variant]["auc"], "value", with_n=True)
        print(variant, auc, flush=True)
    write(
        "detection-irrcnn",
        "python experiments/detection_irrcnn.py train measure",
        {
            "seed": SEED,
            "infected": int(infected.sum()),
            "healthy": int((~infected).sum()),
            "training": {
                "size": SIZE, "base_width": WIDTH, "passes": PASSES, "batch": BATCH, "rate": RATE,
            },
            "device": cpu_model(),
            **told,
        },
    )  # fmt: skip


if __name__ == "__main__":
    steps = {"train": train, "measure": measure}
    asked = sys.argv[1:]
    if not asked or set(asked) - set(steps):
        sys.exit(f"usage: python experiments/detection_irrcnn.py {' '.join(steps)}")
    for step in asked:
        steps[step]()
