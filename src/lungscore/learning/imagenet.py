"""ImageNet weights for an encoder, from a user's own files.

Read is a folder of ``.npy`` files, one a tensor, with torchvision's names, in which batch norm is
folded into the convolutions (the bias is the batch norm's).
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lungscore.errors import InputError


def load_folded_weights(encoder: nn.Module, folder: Path) -> list[str]:
    """Put folded weights into ``encoder``; returns the names of the batch norms now filled.

    A convolution whose file is missing keeps its random weights. Three input channels become one
    by summing, since a grey slice shows the same to all three. Raises dataset-incomplete where
    nothing fits or a bias is missing, checkpoint-mismatch where a file is no tensor of the shape.
    """
    filled = []
    for name, module in encoder.named_modules():
        weight_file, bias_file = folder / f"{name}.weight.npy", folder / f"{name}.bias.npy"
        if not isinstance(module, nn.Conv2d) or not weight_file.is_file():
            continue
        weight = _read(weight_file)
        if module.in_channels == 1 and weight.shape == (
            module.out_channels,
            3,
            *module.kernel_size,
        ):
            weight = weight.sum(1, keepdim=True)
        norm_name = _norm_of(name)
        norm = _batch_norm(encoder, norm_name)
        with torch.no_grad():
            for file, found, parameter in (
                (weight_file, weight, module.weight),
                (bias_file, _read(bias_file), norm.bias),
            ):
                if found.shape != parameter.shape:
                    raise InputError(
                        "checkpoint-mismatch",
                        f"{file.name} is {tuple(found.shape)}",
                        expected=str(tuple(parameter.shape)),
                    )
                parameter.copy_(found)
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

    def remember(name: str) -> RemovableHandle:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen[name] = inputs[0].detach()

        return encoder.get_submodule(name).register_forward_pre_hook(hook)

    handles = [remember(name) for name in norms]
    encoder.eval()
    with torch.no_grad():
        encoder(images)
        for name in norms:
            norm, x = _batch_norm(encoder, name), seen[name]
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
            norm.running_mean, norm.running_var = mean, variance
            norm.weight.copy_((variance + norm.eps).sqrt())
            norm.bias.add_(mean)
    for handle in handles:
        handle.remove()
    encoder.train()


def _read(path: Path) -> Tensor:
    try:
        return torch.from_numpy(np.load(path, allow_pickle=False)).float()
    except FileNotFoundError as error:
        raise InputError("dataset-incomplete", f"{path.name} is missing") from error
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise InputError("checkpoint-mismatch", f"{path.name} is no readable tensor") from error


def _batch_norm(encoder: nn.Module, name: str) -> nn.BatchNorm2d:
    norm = encoder.get_submodule(name)
    if not isinstance(norm, nn.BatchNorm2d):
        raise TypeError(f"{name} is a {type(norm).__name__}, not a batch norm")
    return norm


def _norm_of(convolution: str) -> str:
    """The batch norm behind a convolution, by torchvision's names."""
    if convolution.endswith("downsample.0"):
        return convolution.removesuffix("0") + "1"
    head, _, last = convolution.rpartition("conv")
    return f"{head}bn{last}"
