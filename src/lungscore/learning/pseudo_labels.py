"""Progressive pseudo-labelling (Semi-Inf-Net): a network labels the slices that train it further.

The unlabelled slices are shuffled and split into groups once. Round by round the network as it
stands labels one group, the group joins the training set, and the network is trained on at a
constant rate with a fresh optimiser. A label, once made, is never revised: it is kept as a picture
in the run's folder, and what trains is always what the picture says.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from lungscore.datasets import covid_semiseg
from lungscore.datasets.images import read_grey
from lungscore.datasets.sample import Sample, with_soft_labels
from lungscore.errors import InputError
from lungscore.inference.bundle import Bundle
from lungscore.learning.config import ExperimentConfig, PseudoLabellingConfig
from lungscore.learning.experiment_file import referred, run_folder
from lungscore.learning.layout import lay_out
from lungscore.learning.loop import Progress, finished, fit, make_fabric
from lungscore.learning.maps import predict, write_maps
from lungscore.learning.slices import SliceStore, epoch_indices
from lungscore.learning.train import Supervised, build_network
from lungscore.networks import InfectionProbability

#: Below a run's folder: NAME.png, 8-bit probabilities at the slice's own size, in standard view.
LABELS = "pseudo-labels"


class PseudoLabelling(Supervised):
    """Annotated slices, and groups of unlabelled ones that join them; an epoch is a round.

    groups: names of slices. load: their images by name. folder: where their labels are kept.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        network: nn.Module,
        annotated: SliceStore,
        *,
        groups: list[list[str]],
        load: Callable[[Sequence[str]], list[Sample]],
        folder: Path,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            config, network, annotated, infected=len(annotated), healthy=0, facts=facts
        )
        self.bare, self.groups, self.load, self.folder = network, groups, load, folder
        self.joined = 0

    def epoch(self, fabric: Fabric, number: int) -> dict[str, float]:
        """Label group ``number``, then train on the annotated slices and all groups so far."""
        if fabric.is_global_zero:
            self._label(self.groups[number])
        fabric.barrier()
        # After an interruption, the groups of finished rounds come back from their pictures.
        for group in self.groups[self.joined : number + 1]:
            joining = SliceStore(read_labels(self.load(group), self.folder), self.config)
            self.store.add(joining)
        self.joined, self.infected = number + 1, len(self.store)
        self.optimizers["segmentation"].state.clear()
        share = joining.masks.float().mean().item()
        return {**super().epoch(fabric, number), "slices": self.infected, "infected_share": share}

    def batches(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Which slices of the store make up each batch of a round."""
        slices = round_slices(self.config, self.infected)
        training = self.config.training.model_copy(update={"slices_per_epoch": slices})
        config = self.config.model_copy(update={"training": training})
        return epoch_indices(self.infected, 0, config, rng)

    def rate(self, progress: float, number: int) -> float:
        """Constant, as published."""
        return self.config.training.learning_rate

    def _label(self, names: Sequence[str]) -> None:
        snapshot = InfectionProbability(deepcopy(self.bare).cpu()).eval()
        maps = predict(snapshot, self.load(names), self.config)
        if self.config.training.recipe == "paper":
            maps = map(stretched, maps)
        # As precise as the training: bf16 rounds off less than a guess is wrong by.
        half = self.config.training.precision == "bf16-mixed"
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            write_maps(self.folder, zip(names, maps, strict=True))


def make_pseudo_labels(
    config: ExperimentConfig,
    annotated: list[Sample],
    root: Path,
    out: Path,
    *,
    start: Path | Bundle | None,
    facts: Mapping[str, Any] | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
    say: Callable[[str], None] = lambda line: None,
) -> nn.Module:
    """Label the unlabelled slices below ``root`` as ``config.pseudo_labelling`` says; see loop.fit.

    start: weights.safetensors of the run that labels the first group, or a bundle. facts: what else
    the weights say of how they were made (Task.facts). Raises
    config-invalid where the groups need more slices than there are, run-missing where a finished
    round's label is gone.
    """
    slices = root / covid_semiseg.NAME
    groups = split(config, covid_semiseg.unlabelled_names(slices))
    say(
        f"{config.name}: {len(annotated)} annotated slices, {len(groups)} rounds of "
        f"{len(groups[0])} pseudo-labels, {drawn_slices(config, len(annotated))} slices of training"
    )
    fabric = make_fabric(config)
    store = SliceStore(annotated, config)
    network = build_network(config, store.images, imagenet=None, start=start)
    task = PseudoLabelling(
        config,
        lay_out(network, config, fabric, out),
        store,
        groups=groups,
        load=partial(covid_semiseg.load_unlabelled, slices),
        folder=out / LABELS,
        facts=facts,
    )
    return fit(task, config, fabric, out, resume=resume, report=report)


def pseudo_labelled(config: ExperimentConfig, file: Path, root: Path) -> list[Sample]:
    """The slices that the run of ``config.data.pseudo_labels`` labelled, with soft labels; or none.

    file: the experiment file, beside which the other is looked up. Raises run-missing.
    """
    if config.data.pseudo_labels is None:
        return []
    experiment = referred(config.data.pseudo_labels, config, file)
    run = run_folder(experiment)
    if not finished(experiment, run):
        raise InputError(
            "run-missing",
            f"{config.name} trains on the pseudo-labels of {run.parent.name}/{run.name}, "
            "which is not finished",
            hint=f"Run {experiment.name}.yaml first, or lungscore benchmark run",
        )
    slices = root / covid_semiseg.NAME
    groups = split(experiment, covid_semiseg.unlabelled_names(slices))
    samples = covid_semiseg.load_unlabelled(slices, [name for group in groups for name in group])
    return read_labels(samples, run / LABELS)


def split(config: ExperimentConfig, names: Sequence[str]) -> list[list[str]]:
    """The groups of a seeded shuffle of ``names``. Raises config-invalid where they are too few."""
    settings = _settings(config)
    need = settings.groups * settings.group_slices
    if need > len(names):
        raise InputError(
            "config-invalid",
            f"{config.name}: {settings.groups} groups of {settings.group_slices} slices need "
            f"{need}, there are {len(names)}",
            hint="See pseudo_labelling.groups and group_slices",
        )
    order = np.random.default_rng(config.training.seed).permutation(sorted(names))[:need]
    return [[str(name) for name in group] for group in np.split(order, settings.groups)]


def read_labels(samples: list[Sample], folder: Path) -> list[Sample]:
    """``samples`` with their pseudo-labels from ``folder``. Raises run-missing, label-invalid."""
    labelled = []
    for sample in samples:
        file = folder / f"{sample.name}.png"
        if not file.is_file():
            raise InputError(
                "run-missing",
                f"The pseudo-label of {sample.name} is missing in "
                f"{folder.parent.parent.name}/{folder.parent.name}",
                hint="Delete the folder of that run and create its labels again",
            )
        soft = read_grey(file)
        if soft.shape != sample.image.shape:
            raise InputError("label-invalid", f"{sample.name}: image and labels differ in size")
        labelled.append(with_soft_labels(sample, soft))
    return labelled


def round_slices(config: ExperimentConfig, in_set: int) -> int:
    """How many slices a round trains on, with ``in_set`` in the training set."""
    passes = _settings(config).passes
    return config.training.slices_per_epoch if passes is None else passes * in_set


def drawn_slices(config: ExperimentConfig, annotated: int) -> int:
    """How many slices all rounds train on: what pseudo-labelling costs, beside the predictions."""
    settings = _settings(config)
    return sum(
        round_slices(config, annotated + number * settings.group_slices)
        for number in range(1, settings.groups + 1)
    )


def stretched(probs: np.ndarray) -> np.ndarray:
    """A map from its own smallest to its own largest value, as the published code does: every
    slice, a healthy one too, gets a lesion. Unchanged where it is constant."""
    low, high = probs.min(), probs.max()
    return (probs - low) / (high - low) if high > low else probs


def _settings(config: ExperimentConfig) -> PseudoLabellingConfig:
    if config.pseudo_labelling is None:
        raise InputError("config-invalid", f"{config.name} has no section pseudo_labelling")
    return config.pseudo_labelling
