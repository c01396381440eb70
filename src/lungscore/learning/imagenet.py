"""ImageNet weights for an encoder, from a user's own files.

Two forms are read: ``*.safetensors`` with torchvision's names, and a folder of ``.npy`` files, one
a tensor, in which batch norm is folded into the convolutions (the bias is the batch norm's).
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lungscore.errors import InputError


def load_folded_weights(encoder: nn.Module, folder: Path) -> list[str]:
    """Put folded weights into ``encoder``; returns the names of the batch norms now filled.

    A convolution whose file is missing keeps its random weights. Three input channels become one
    by summing, since a grey slice shows the same to all three. Raises dataset-incomplete where
    nothing fits, checkpoint-mismatch where a shape is wrong.
    """
    filled = []
    for name, module in encoder.named_modules():
        weight_file, bias_file = folder / f"{name}.weight.npy", folder / f"{name}.bias.npy"
        if not isinstance(module, nn.Conv2d) or not weight_file.is_file():
            continue
        weight = torch.from_numpy(np.load(weight_file, allow_pickle=False)).float()
        if weight.shape[1] == 3 and module.weight.shape[1] == 1:
            weight = weight.sum(1, keepdim=True)
        if weight.shape != module.weight.shape:
            raise InputError(
                "checkpoint-mismatch",
                f"{weight_file.name} is {tuple(weight.shape)}",
                expected=str(tuple(module.weight.shape)),
            )
        norm_name = _norm_of(name)
        norm = encoder.get_submodule(norm_name)
        with torch.no_grad():
            module.weight.copy_(weight)
            norm.bias.copy_(torch.from_numpy(np.load(bias_file, allow_pickle=False)))
        filled.append(norm_name)
    if not filled:
        raise InputError("dataset-incomplete", f"{folder.name} holds no weights of this encoder")
    return filled


def calibrate_batch_norm(encoder: nn.Module, norms: list[str], images: Tensor) -> None:
    """Give folded batch norms back their statistics, measured on ``images`` (N, C, H, W).

    A folded batch norm is x + bias. Written as (x - m) / d * d + (bias + m), with m and d what
    these images show, it computes the same and trains like an ordinary one.
    """
    seen: dict[str, Tensor] = {}

    def remember(name: str) -> object:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen[name] = inputs[0].detach()

        return encoder.get_submodule(name).register_forward_pre_hook(hook)

    handles = [remember(name) for name in norms]
    encoder.eval()
    with torch.no_grad():
        encoder(images)
        for name in norms:
            norm, x = encoder.get_submodule(name), seen[name]
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            norm.weight.copy_((variance + norm.eps).sqrt())
            norm.bias.add_(mean)
    for handle in handles:
        handle.remove()  # type: ignore[attr-defined]
    encoder.train()


def _norm_of(convolution: str) -> str:
    """The batch norm behind a convolution, by torchvision's names."""
    if convolution.endswith("downsample.0"):
        return convolution.removesuffix("0") + "1"
    head, _, last = convolution.rpartition("conv")
    return f"{head}bn{last}"
