"""ImageNet weights for an encoder, from a user's own files.

Read are a ``.safetensors`` file with the names that the encoder's public weights have, and a folder
of ``.npy`` files, one a tensor, with torchvision's names, in which batch norm is folded into the
convolutions (the bias is the batch norm's).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lungscore.errors import InputError
from lungscore.learning.checkpoints import check_tensors

#: What public weights hold besides the encoder.
_CLASSIFIERS = ("fc.", "classifier.")
#: A counter of batch norm that old files lack and evaluation never reads.
_COUNTER = "num_batches_tracked"


def load_imagenet_weights(encoder: nn.Module, path: Path) -> list[str]:
    """Put ImageNet weights into ``encoder``: a .safetensors file, or a folder of folded weights.

    Returns the names of the batch norms that ``calibrate_batch_norm`` has to fill, none for a file.
    Three input channels become one by summing. Raises input-not-found; checkpoint-mismatch where a
    tensor is missing, unknown, misshapen or not finite; what load_folded_weights raises.
    """
    if path.is_dir():
        return load_folded_weights(encoder, path)
    if not path.exists():
        raise InputError("input-not-found", f"No such file of ImageNet weights: {path}")
    if path.suffix != ".safetensors":
        raise InputError(
            "checkpoint-mismatch",
            f"{path.name} contains weights in a format that can run code",
            expected="a .safetensors file or a folder of .npy files",
            hint="Convert it with safetensors.torch.save_file",
        )
    try:
        stored = load_file(path)
    except MemoryError:
        raise
    except Exception as error:  # also types that torch refuses
        raise InputError(
            "checkpoint-mismatch", f"{path.name} is not a readable safetensors file"
        ) from error
    expected = {k: v for k, v in encoder.state_dict().items() if not k.endswith(_COUNTER)}
    weights = {
        name: _fewer_channels(value.float(), expected.get(name))
        for name, value in stored.items()
        if not name.startswith(_CLASSIFIERS) and not name.endswith(_COUNTER)
    }
    check_tensors(expected, weights, path.name)
    encoder.load_state_dict(weights, strict=False)
    return []


def load_folded_weights(encoder: nn.Module, folder: Path) -> list[str]:
    """Put folded weights into ``encoder``; returns the names of the batch norms now filled.

    A convolution whose file is missing, or that the encoder made otherwise than the public one is
    (``Encoder.unlike_public``), keeps its random weights. Three input channels become one
    by summing, since a grey slice shows the same to all three. Raises dataset-incomplete where
    nothing fits or a bias is missing, checkpoint-mismatch where a file is not a tensor of the shape
    or the encoder is not a ResNet.
    """
    filled = []
    own = tuple(f"{name}." for name in getattr(encoder, "unlike_public", ()))
    for name, module in encoder.named_modules():
        weight_file, bias_file = folder / f"{name}.weight.npy", folder / f"{name}.bias.npy"
        if not isinstance(module, nn.Conv2d) or name.startswith(own) or not weight_file.is_file():
            continue
        weight = _fewer_channels(_read(weight_file), module.weight)
        norm_name = _norm_of(name)
        norm = _batch_norm(encoder, norm_name)
        with torch.no_grad():
            for file, array, parameter in (
                (weight_file, weight, module.weight),
                (bias_file, _read(bias_file), norm.bias),
            ):
                if array.shape != parameter.shape:
                    raise InputError(
                        "checkpoint-mismatch",
                        f"{file.name} is {tuple(array.shape)}",
                        expected=str(tuple(parameter.shape)),
                    )
                parameter.copy_(array)
        filled.append(norm_name)
    if not filled:
        raise InputError("dataset-incomplete", f"{folder.name} contains no weights of this encoder")
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


def efficientnet_names(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The public weights of an EfficientNet-Lite under the names that our encoder has.

    stored: as in efficientnet-lite-pytorch, its blocks counted through, its norms numbered within a
    block. What the encoder lacks (the classifier and the convolution before it) is left out. Raises
    checkpoint-mismatch where the blocks are not an EfficientNet-Lite's.
    """
    blocks = sorted({int(name.split(".")[1]) for name in stored if name.startswith("_blocks.")})
    projections = [stored.get(f"_blocks.{block}._project_conv.weight") for block in blocks]
    widths = [len(weight) for weight in projections if weight is not None]
    if not blocks or len(widths) < len(blocks) or "_conv_stem.weight" not in stored:
        raise InputError("checkpoint-mismatch", "these are not the weights of an EfficientNet-Lite")
    # Blocks of one stage follow each other and are of one width.
    stages: dict[int, str] = {}
    stage, position = -1, 0
    for index, block in enumerate(blocks):
        new = index == 0 or widths[index] != widths[index - 1]
        stage, position = (stage + 1, 0) if new else (stage, position + 1)
        stages[block] = f"stages.{stage}.{position}"
    names = {}
    for name, value in stored.items():
        head, _, rest = name.partition(".")
        if head in ("_conv_stem", "_bn0"):
            names[f"stem.{'conv' if head == '_conv_stem' else 'bn'}.{rest}"] = value
        elif head == "_blocks":
            number, layer, kind = rest.split(".")
            expanded = f"_blocks.{number}._expand_conv.weight" in stored
            names[f"{stages[int(number)]}.{_EFFICIENTNET_PARTS[layer, expanded]}.{kind}"] = value
    return {
        name: value.float().contiguous()
        for name, value in names.items()
        if not name.endswith(_COUNTER)
    }


#: Module of a block in the public weights, and whether the block expands -> ours.
_EFFICIENTNET_PARTS = {
    ("_expand_conv", True): "expand.conv",
    ("_bn0", True): "expand.bn",
    **{("_depthwise_conv", either): "depthwise.conv" for either in (True, False)},
    **{("_bn1", either): "depthwise.bn" for either in (True, False)},
    **{("_project_conv", either): "project.conv" for either in (True, False)},
    **{("_bn2", either): "project.bn" for either in (True, False)},
}


def _fewer_channels(weight: Tensor, expected: Tensor | None) -> Tensor:
    """A convolution's weight of three input channels, summed where one of one is expected."""
    if expected is None or expected.ndim != 4 or expected.shape[1] != 1:
        return weight
    if weight.shape != (expected.shape[0], 3, *expected.shape[2:]):
        return weight
    return weight.sum(1, keepdim=True)


def _read(path: Path) -> Tensor:
    try:
        return torch.from_numpy(np.load(path, allow_pickle=False)).float()
    except FileNotFoundError as error:
        raise InputError("dataset-incomplete", f"{path.name} is missing") from error
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise InputError("checkpoint-mismatch", f"{path.name} is not a readable tensor") from error


def _batch_norm(encoder: nn.Module, name: str) -> nn.BatchNorm2d:
    norm: nn.Module | None
    try:
        norm = encoder.get_submodule(name)
    except AttributeError:
        norm = None
    if not isinstance(norm, nn.BatchNorm2d):
        raise InputError(
            "checkpoint-mismatch",
            "Folded weights are read into ResNet encoders only",
            hint="Give a .safetensors file",
        )
    return norm


def _norm_of(convolution: str) -> str:
    """The batch norm behind a convolution, by torchvision's names."""
    if convolution.endswith("downsample.0"):
        return convolution.removesuffix("0") + "1"
    head, _, last = convolution.rpartition("conv")
    return f"{head}bn{last}"
