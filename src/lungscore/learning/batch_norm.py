"""Batch norm's running averages, where a network is used before they have settled.

They start at 0 and 1 and follow the batches slowly. A network in evaluation mode normalises by
them: within the first few hundred steps, or after its last layers were replaced, what it computes
then is far from what it computes while it trains.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def batch_statistics(network: nn.Module) -> Iterator[None]:
    """Within it, ``network`` normalises by the batch, as in training; its averages stay."""
    norms = _norms(network)
    before = [(norm, norm.training, norm.track_running_stats) for norm in norms]
    averages = [(norm.running_mean, norm.running_var) for norm in norms]
    try:
        for norm in norms:
            norm.train()
            norm.track_running_stats = False
            norm.running_mean = norm.running_var = None
        yield
    finally:
        for (norm, training, tracks), (mean, variance) in zip(before, averages, strict=True):
            norm.training, norm.track_running_stats = training, tracks
            norm.running_mean, norm.running_var = mean, variance


def recalibrate(network: nn.Module, forward: Callable[[Tensor], object], images: Tensor) -> None:
    """Measure the running averages of ``network`` anew on ``images`` (N, C, H, W); else unchanged.

    forward: what runs the network on images, in one batch or several: the averages are of all.
    """
    norms = _norms(network)
    before = [(norm, norm.momentum, norm.training) for norm in norms]
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # an average over what is seen from here on
            norm.train()
        with torch.no_grad():
            forward(images)
    finally:
        for norm, momentum, training in before:
            norm.momentum, norm.training = momentum, training


def _norms(network: nn.Module) -> list[_BatchNorm]:
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]
