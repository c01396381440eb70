"""EfficientNet-Lite 0, 1 and 2 without their classifier.

Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
ICML 2019; the Lite variants (TensorFlow's TPU models, 2020) have no squeeze-and-excitation, ReLU6
for swish, and a stem and last stage of fixed size. Padding is TensorFlow's "same", as the public
weights expect: at stride 2 the odd pixel lies below and to the right.
"""

import math
from typing import ClassVar, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from lungscore.networks.encoders.encoder import Encoder, initialise


class Stage(NamedTuple):
    """A row of EfficientNet-B0's table: blocks of one width, the first with the stride."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    repeats: int


STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)
STEM = 32

#: Stages whose first block halves the size and whose expanded features are the maps at 1/4, 1/8
#: and 1/16 of the image: the widest that the encoder computes at those sizes. A linear probe finds
#: infection better in them than in the narrow outputs of the stages.
TAPS = (2, 3, 5)

#: The published momentum of batch norm (0.01) is for far longer trainings: statistics of a short
#: one would be ImageNet's still.
MOMENTUM, EPSILON = 0.1, 1e-3


class ConvolutionAndNorm(nn.Module):
    """A convolution without bias and its batch norm, "same" padding as TensorFlow places it."""

    def __init__(
        self, in_channels: int, channels: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        # What "same" pads is even for stride 1 and is left to the convolution there.
        self.conv = nn.Conv2d(
            in_channels,
            channels,
            kernel,
            stride,
            padding=(kernel - 1) // 2 if stride == 1 else 0,
            groups=groups,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(channels, eps=EPSILON, momentum=MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) to (N, channels, h / stride, w / stride), rounded up."""
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        if stride > 1:
            top, bottom = _same(x.shape[-2], kernel, stride)
            left, right = _same(x.shape[-1], kernel, stride)
            x = functional.pad(x, (left, right, top, bottom))
        normed: Tensor = self.bn(self.conv(x))
        return normed


class InvertedResidual(nn.Module):
    """1x1 to many channels, depthwise, 1x1 back to few (Sandler et al., CVPR 2018)."""

    def __init__(
        self, in_channels: int, channels: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        wide = in_channels * expansion
        self.expand = ConvolutionAndNorm(in_channels, wide) if expansion > 1 else None
        self.depthwise = ConvolutionAndNorm(wide, wide, kernel, stride, groups=wide)
        self.project = ConvolutionAndNorm(wide, channels)
        self.residual = stride == 1 and in_channels == channels

    def expanded(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) to (N, in_channels · expansion, h, w)."""
        return x if self.expand is None else functional.relu6(self.expand(x))

    def projected(self, x: Tensor, wide: Tensor) -> Tensor:
        """The block's output from its input and what ``expanded`` made of it."""
        narrow: Tensor = self.project(functional.relu6(self.depthwise(wide)))
        return narrow + x if self.residual else narrow

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) to (N, channels, h / stride, w / stride)."""
        return self.projected(x, self.expanded(x))


class EfficientNetLite(Encoder):
    """Seven stages; width and depth are those by which the variant multiplies B0's.

    Module names are stem, then stages.STAGE.BLOCK.{expand,depthwise,project}, each of them a
    ``conv`` and a ``bn``.
    """

    width: ClassVar[float]
    depth: ClassVar[float]

    def __init__(self, in_channels: int = 1) -> None:
        super().__init__()
        self.stem = ConvolutionAndNorm(in_channels, STEM, kernel=3, stride=2)
        self.stages = nn.ModuleList()
        before = STEM
        for index, stage in enumerate(STAGES):
            channels = _rounded(stage.channels * self.width)
            # The first and the last stage keep their number of blocks.
            ends = index in (0, len(STAGES) - 1)
            repeats = stage.repeats if ends else math.ceil(stage.repeats * self.depth)
            blocks = nn.ModuleList()
            for block in range(repeats):
                stride = stage.stride if block == 0 else 1
                blocks.append(
                    InvertedResidual(before, channels, stage.kernel, stride, stage.expansion)
                )
                before = channels
            self.stages.append(blocks)
        initialise(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, in_channels, H, W) to four maps of self.channels at 1/4, 1/8, 1/16 and 1/32."""
        x = functional.relu6(self.stem(x))
        features = []
        for index, blocks in enumerate(self.stages):
            block: InvertedResidual
            for position, block in enumerate(blocks):  # type: ignore[arg-type]
                wide: Tensor = block.expanded(x)
                if position == 0 and index in TAPS:
                    features.append(wide)
                x = block.projected(x, wide)
        return [*features, x]


class EfficientNetLite0(EfficientNetLite):
    """B0's widths and depths: 3.0 million parameters."""

    width, depth = 1.0, 1.0
    channels = (144, 240, 672, 320)


class EfficientNetLite1(EfficientNetLite):
    """A tenth deeper, by whole blocks: 3.8 million parameters."""

    width, depth = 1.0, 1.1
    channels = (144, 240, 672, 320)


class EfficientNetLite2(EfficientNetLite):
    """A tenth wider and a fifth deeper: 4.4 million parameters."""

    width, depth = 1.1, 1.2
    channels = (144, 288, 720, 352)


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Padding before and after a side, so that ceil(size / stride) places fit."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _rounded(channels: float) -> int:
    """To a multiple of 8, never more than a tenth below."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest
