"""One run of the plan from its slices to its folder: labels, training, what it finds."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from lungscore.learning.checkpoints import load_weights
from lungscore.learning.imagenet import calibrate_batch_norm, load_imagenet_weights
from lungscore.learning.timed import today
from lungscore.learning.timed.pack import Slices
from lungscore.learning.timed.plan import FOLDS, Run
from lungscore.learning.timed.predictions import label, of_annotated, quick_figures
from lungscore.learning.timed.slices import SliceStore
from lungscore.learning.timed.training import Pace, TimedTraining, write_json
from lungscore.networks.probabilities import normalise
from lungscore.networks.slim_inf_net import InfectionAndConsolidation, SlimInfNet

WEIGHTS, CHECKPOINT, MAPS, FACTS = (
    "weights.safetensors",
    "checkpoint.safetensors",
    "maps.npz",
    "run.json",
)

#: Shares of every batch without and with slices that a network labelled; the latter fade out.
ALONE = {"annotated": 0.42, "other-window": 0.33, "healthy": 0.25}
TAUGHT = (
    {
        "annotated": 0.22,
        "other-window": 0.18,
        "healthy": 0.15,
        "unlabelled": 0.35,
        "elsewhere": 0.1,
    },
    {
        "annotated": 0.40,
        "other-window": 0.30,
        "healthy": 0.2,
        "unlabelled": 0.08,
        "elsewhere": 0.02,
    },
)

#: Names of the files in the folder of the unpacked encoders.
ENCODERS = {
    "efficientnet-lite0": "efficientnet-lite0.safetensors",
    "efficientnet-lite1": "efficientnet-lite1.safetensors",
    "efficientnet-lite2": "efficientnet-lite2.safetensors",
    "resnet10": "resnet18-imagenet-partial",
    "resnet18": "resnet18-imagenet-partial",
}


@dataclass(frozen=True)
class Environment:
    """What every run needs. folds: names of the annotated slices of each fold. encoders: folder of
    ImageNet's weights. folder: of all runs."""

    slices: Slices
    folds: tuple[tuple[str, ...], ...]
    encoders: Path
    folder: Path
    device: torch.device
    pace: Pace
    size: tuple[int, int] = (256, 320)


def read_folds(path: Path) -> tuple[tuple[str, ...], ...]:
    """The committed folds of the 50 annotated slices."""
    return tuple(tuple(names) for names in json.loads(path.read_text())["folds"])


def held_out(run: Run, environment: Environment) -> tuple[str, ...]:
    """Names of the annotated slices that the run must not see."""
    return environment.folds[FOLDS.index(run.split)] if run.split in FOLDS else ()


def finished(run: Run, folder: Path) -> bool:
    """Whether the run has all its results."""
    return (folder / run.name / FACTS).is_file()


def do(run: Run, environment: Environment, seconds: float) -> dict[str, object]:
    """Train a run, or go on with it, within ``seconds`` from now; keeps and returns its facts."""
    began = time.perf_counter()
    folder = environment.folder / run.name
    if finished(run, environment.folder):
        facts: dict[str, object] = json.loads((folder / FACTS).read_text())
        return facts
    folder.mkdir(parents=True, exist_ok=True)
    names = held_out(run, environment)
    store = SliceStore(
        environment.slices,
        environment.device,
        hold=names,
        healthy_part=run.split if run.split in ("cranial", "caudal") else None,
        size=environment.size,
    )
    if run.kind == "today":
        share = 1.0 if environment.pace.steps is None else environment.pace.steps / 1600
        network, _ = today.train(
            store, environment.encoders / ENCODERS["resnet18"], seed=run.seed, share=share
        )
        asked: nn.Module = today.InfectionOnly(network)
        told: dict[str, object] = {}
    else:
        labelled = _label(run, environment, store)
        training = TimedTraining(
            new_network(run, environment, store),
            store,
            environment.pace,
            synthesis=run.synthesis,
            seed=run.seed,
        )
        training.resume(folder / CHECKPOINT)
        left = max(seconds - (time.perf_counter() - began) - 1.0, 1.0)

        def fade(progress: float) -> None:
            shares = ALONE
            if labelled:
                first, last = TAUGHT
                shares = {key: first[key] + progress * (last[key] - first[key]) for key in first}
            store.set_shares(shares)

        network = training.run(
            training.spent + left, checkpoint=folder / CHECKPOINT, at_progress=fade
        )
        asked = InfectionAndConsolidation(network)
        told = {
            "steps": training.done,
            "slices": training.done * environment.pace.batch,
            "seconds": round(training.spent, 1),
            "labelled": labelled,
            "recorded": training.curve.recorded,
            "peak_gib": round(training.curve.peak_bytes / 2**30, 2),
            "curve": training.curve.rows,
        }
    asked.eval()
    save_half(network, folder / WEIGHTS)
    if names:
        single, views = of_annotated(
            asked, environment.slices, names, environment.device, environment.size
        )
        np.savez_compressed(
            folder / MAPS, names=np.array(names), single=levels(single), views=levels(views)
        )
        told["dice"] = quick_figures(single, environment.slices, names)
        told["dice_of_views"] = quick_figures(views, environment.slices, names)
    told = {"run": asdict(run), "whole_seconds": round(time.perf_counter() - began, 1), **told}
    write_json(folder / FACTS, told)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return told


def new_network(run: Run, environment: Environment, store: SliceStore) -> SlimInfNet:
    """Random heads on ImageNet's encoder, its folded batch norms filled from training slices."""
    torch.manual_seed(run.seed)
    network = SlimInfNet(run.encoder)
    norms = load_imagenet_weights(network.encoder, environment.encoders / ENCODERS[run.encoder])
    if norms:
        some = store.seen(store.by_pool["annotated"][:16]).cpu()
        calibrate_batch_norm(network.encoder, norms, normalise(some))
    return network


def load_network(run: Run, environment: Environment) -> nn.Module:
    """A finished run's network, giving probabilities, on the device."""
    network = SlimInfNet(run.encoder)
    load_weights(network, environment.folder / run.name / WEIGHTS)
    return InfectionAndConsolidation(network).eval().to(environment.device)


def save_half(network: nn.Module, path: Path) -> None:
    """Convolutions in fp16, all else in float32, as a bundle stores them."""
    tensors = {
        name: (value.half() if value.ndim > 1 else value).detach().cpu().contiguous()
        for name, value in network.state_dict().items()
    }
    temporary = path.with_suffix(".part")
    save_file(tensors, temporary)
    temporary.replace(path)


def levels(probabilities: np.ndarray) -> np.ndarray:
    """uint8 of 0…255, at least 128 exactly where a probability is at least 0.5."""
    return np.minimum(np.floor(probabilities * 256), 255).astype(np.uint8)


def _label(run: Run, environment: Environment, store: SliceStore) -> bool:
    """Label the slices without labels by the run's teachers; whether there are any."""
    if not run.teachers:
        return False
    networks = []
    for arm in run.teachers:
        facts = json.loads((environment.folder / f"{arm}-{run.split}" / FACTS).read_text())["run"]
        networks.append(
            load_network(Run(**{**facts, "teachers": tuple(facts["teachers"])}), environment)
        )
    label(networks, store, store.unlabelled())
    return True
