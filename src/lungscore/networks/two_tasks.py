"""A network with two sets of last layers: one segments, the other fills in what was erased.

Source of the idea: Novosel et al., "Boosting Semantic Segmentation with Multi-Task Self-Supervised
Learning for Autonomous Driving Applications", NeurIPS workshop 2019: a shared encoder, and tasks
without labels learned beside segmentation in one weighted loss.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lungscore.networks.coach import HARD, keep_mask
from lungscore.networks.inpainting import masked_mean, put_inpainting_heads, reconstruction_error
from lungscore.networks.output import NetworkOutput


class TwoTasks(nn.Module):
    """``network``, and the same once more with linear last layers; all else is shared.

    erase: share of the blocks of ``block`` pixels that is erased at random.
    """

    def __init__(self, network: nn.Module, *, erase: float, block: int) -> None:
        super().__init__()
        self.erase, self.block = erase, block
        self.segment, self.inpaint = network, twin_of(network)
        put_inpainting_heads(self.inpaint)

    def forward(self, image: Tensor) -> tuple[NetworkOutput, Tensor]:
        """Normalised slices (N, 1, H, W) to their segmentation, and the squared error with which
        the second task fills in what was erased from them: a mean over all outputs.
        """
        rows, columns = (-(-side // self.block) for side in image.shape[-2:])
        scores = torch.rand(len(image), 1, rows, columns, device=image.device)
        size = (image.shape[-2], image.shape[-1])
        mask = keep_mask(scores, 1 - self.erase, size, alpha=HARD)
        with averages_kept(self.inpaint):
            filled = self.inpaint(image * mask)
        pictures = [*filled.side_outputs, *([] if filled.edge is None else [filled.edge])]
        errors = [
            masked_mean(reconstruction_error(picture.float(), image), 1 - mask)
            for picture in pictures
        ]
        return self.segment(image), torch.stack(errors).mean()


def twin_of(network: nn.Module) -> nn.Module:
    """A network of the very same modules, but for its heads and what contains them: copies."""
    heads = [name for name, _ in network.named_modules() if name.rpartition(".")[2] == "head"]
    tensors = network.state_dict(keep_vars=True)  # the very parameters and buffers
    shared: dict[int, object] = {
        id(value): value
        for name, value in [*tensors.items(), *network.named_modules()]
        if name and not any(_within(name, head) or _within(head, name) for head in heads)
    }
    return copy.deepcopy(network, shared)


@contextmanager
def averages_kept(network: nn.Module) -> Iterator[None]:
    """Within it, batch norm does not let its running averages follow: they are of whole slices."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum


def _within(name: str, parent: str) -> bool:
    return name == parent or name.startswith(f"{parent}.")
