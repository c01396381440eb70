"""Self-supervised pre-training as a run: the task, its slices and, of inpainting, its pictures."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from torch import nn

from lungscore.datasets.sample import Sample
from lungscore.learning.config import ExperimentConfig
from lungscore.learning.inpainting import Draw, Inpainting
from lungscore.learning.layout import lay_out
from lungscore.learning.loop import Progress, Task, fit, make_fabric
from lungscore.learning.manifest_images import ManifestImages
from lungscore.learning.pictures import Pictures
from lungscore.learning.pretexts import ClusterLabels, MaskedModelling, Rotation
from lungscore.learning.slices import SliceStore
from lungscore.learning.train import build_network

#: Tasks by the name that pretraining.task has of them.
TASKS: dict[str, Callable[[ExperimentConfig, nn.Module, SliceStore, Draw | None], Task]] = {
    "inpainting": Inpainting,
    "rotation": Rotation,
    "clusters": ClusterLabels,
    "masked-modelling": MaskedModelling,
}


def pretrain(
    config: ExperimentConfig,
    samples: list[Sample],
    out: Path,
    *,
    manifests: ManifestImages | None = None,
    imagenet: Path | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> nn.Module:
    """Pre-train on the images of ``samples``; their labels are not looked at. See loop.fit.

    manifests: further images, of which every epoch draws ``training.slices_per_epoch`` anew,
    together with ``samples``. Besides, inpainting draws a picture into ``out``/pictures after every
    epoch.
    """
    if config.pretraining is None:
        raise ValueError("the experiment has no section pretraining")
    fabric = make_fabric(config)
    draw = None if manifests is None else _drawing(config, samples, manifests)
    store = SliceStore(samples, config) if draw is None else draw(0)[0]
    network = lay_out(build_network(config, store.images, imagenet=imagenet), config, fabric, out)
    task = TASKS[config.pretraining.task](config, network, store, draw)
    if manifests is not None:
        task.facts = {"manifests": manifests.sha256}
    pictures = Pictures(out / "pictures")

    def tell(progress: Progress) -> None:
        if fabric.is_global_zero and isinstance(task, Inpainting):
            pictures.draw(task, progress.epoch)
        report(progress)

    return fit(task, config, fabric, out, resume=resume, report=tell)


def _drawing(config: ExperimentConfig, samples: list[Sample], manifests: ManifestImages) -> Draw:
    """Slices drawn from (seed, epoch), so that a resumed training sees the same ones."""

    @lru_cache(maxsize=1)
    def draw(epoch: int) -> tuple[SliceStore, dict[str, float]]:
        training = config.training
        rng = np.random.default_rng([training.seed, epoch, 1])  # epochs themselves have two numbers
        drawn, left_out = manifests.draw(training.slices_per_epoch, rng, among=samples)
        return SliceStore(drawn, config), {"left_out": left_out}

    return draw
