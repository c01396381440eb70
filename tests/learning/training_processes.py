"""Trainings that tests run in processes of their own: to be killed, or to share the work.

Also a program, for torchrun: ``training_processes.py FOLDER`` trains there.
"""

import multiprocessing
import os
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from torch import nn

from lungscore.learning import train as train_module
from lungscore.learning.config import ExperimentConfig
from lungscore.learning.pretrain import pretrain
from lungscore.learning.train import train
from lungscore.networks import ENCODERS
from tests.learning.tiny_training import U_NET, TinyEncoder, experiment, slices

#: Trainings of several epochs that take less than a second.
KILLED = {
    "train": lambda: experiment(network=U_NET, epochs=6),
    "pretrain": lambda: experiment(network=U_NET, epochs=6, pretraining={"coach_width": 8}),
}


def start(target, *args) -> BaseProcess:
    """``target(*args)`` in a new process, forked from one that holds nothing but its imports."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training_processes"])
    process = context.Process(target=target, args=args, daemon=True)
    process.start()
    return process


def run(kind: str, out: Path, resume: bool = False) -> nn.Module:
    """One of KILLED, start to end."""
    torch.set_num_threads(1)
    config = KILLED[kind]()
    if kind == "pretrain":
        return pretrain(config, slices(3), out, resume=resume)
    return train(config, infected=slices(3), healthy=[], out=out, resume=resume)


def shared_config() -> ExperimentConfig:
    """A batch of four slices, two for each of two processes."""
    return experiment(epochs=2, slices_per_epoch=8, batch_size=4, learning_rate=0.1)


def train_with_frozen_norms(out: Path) -> None:
    """Train, every batch norm as it is, by gradient descent alone: steps are the gradients."""
    torch.set_num_threads(1)
    ENCODERS["tiny"] = TinyEncoder
    build = train_module.build_network

    def build_frozen(*args, **options) -> nn.Module:
        network = build(*args, **options)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
                module.train = lambda mode=True, module=module: module
        return network

    train_module.build_network = build_frozen
    train_module.make_optimizer = lambda network, config: torch.optim.SGD(network.parameters())
    train(shared_config(), infected=slices(4), healthy=[], out=out)


def train_as(rank: int, processes: int, port: int, out: Path) -> None:
    """What torchrun would start as process ``rank``."""
    values = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": processes,
        "LOCAL_WORLD_SIZE": processes,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "TORCHELASTIC_RUN_ID": "test",
    }
    os.environ.update({name: str(value) for name, value in values.items()})
    train_with_frozen_norms(out)


if __name__ == "__main__":
    train_with_frozen_norms(Path(sys.argv[1]))
