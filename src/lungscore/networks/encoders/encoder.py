"""What a network asks of an encoder."""

from typing import ClassVar

from torch import nn


class Encoder(nn.Module):
    """An image in, four feature maps out, each half the size of the one before.

    ``channels`` are their widths. The first map has 1/4 of the image's size in the residual family
    and 1/2 in VGG: who uses the maps takes their sizes from them.

    ``unlike_public``: modules named like a part of the public weights, but of another shape.
    """

    channels: ClassVar[tuple[int, int, int, int]]
    unlike_public: ClassVar[tuple[str, ...]] = ()


def initialise(encoder: nn.Module) -> None:
    """Kaiming-normal convolutions (He et al., ICCV 2015), biases zero."""
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
