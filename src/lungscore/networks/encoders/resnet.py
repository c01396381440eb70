"""ResNet-10, -18 and -50 without their classifier; module names are torchvision's.

Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, with the stride in the
3x3 convolution of a bottleneck, as torchvision's weights expect it.
"""

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from lungscore.networks.encoders.encoder import Encoder, initialise


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) to (N, channels, h/stride, w/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)) + shortcut)


class Bottleneck(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution and a shortcut; the inner ones a quarter as wide."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        width = channels // 4
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) to (N, channels, h/stride, w/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.relu(self.bn2(self.conv2(x)))
        return functional.relu(self.bn3(self.conv3(x)) + shortcut)


def _shortcut(in_channels: int, channels: int, stride: int) -> nn.Module | None:
    if stride == 1 and in_channels == channels:
        return None
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
    )


class ResidualEncoder(Encoder):
    """A stem to 1/4 of the size and four stages of blocks.

    ``block`` makes one from (in_channels, channels, stride); ``blocks`` says how many a stage has.
    """

    block: ClassVar[type[nn.Module]]
    blocks: ClassVar[tuple[int, int, int, int]]

    def __init__(self, in_channels: int = 1) -> None:
        super().__init__()
        self.conv1 = self.make_stem(in_channels)
        self.bn1 = nn.BatchNorm2d(64)
        first, second, third, fourth = self.channels
        self.layer1 = self._stage(64, first, self.blocks[0], stride=1)
        self.layer2 = self._stage(first, second, self.blocks[1], stride=2)
        self.layer3 = self._stage(second, third, self.blocks[2], stride=2)
        self.layer4 = self._stage(third, fourth, self.blocks[3], stride=2)
        initialise(self)

    @staticmethod
    def make_stem(in_channels: int) -> nn.Module:
        """(N, in_channels, H, W) to (N, 64, H/2, W/2), before the first batch norm."""
        return nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)

    def _stage(self, in_channels: int, channels: int, count: int, *, stride: int) -> nn.Sequential:
        make = self.block
        first = make(in_channels, channels, stride)
        return nn.Sequential(first, *(make(channels, channels, 1) for _ in range(count - 1)))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, in_channels, H, W) to four maps of self.channels at 1/4, 1/8, 1/16 and 1/32."""
        x = functional.relu(self.bn1(self.conv1(x)))  # (N, 64, H/2, W/2)
        x = functional.max_pool2d(x, 3, stride=2, padding=1)  # (N, 64, H/4, W/4)
        features = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            features.append(x)
        return features


class ResNet10(ResidualEncoder):
    """One basic block a stage: half of ResNet-18's, whose weights fit its first three stages.

    The last stage is as wide as the third, half of ResNet-18's: there it would cost as much as the
    third and hold two thirds of all weights.
    """

    channels = (64, 128, 256, 256)
    block = BasicBlock
    blocks = (1, 1, 1, 1)
    unlike_public = ("layer4",)


class ResNet18(ResidualEncoder):
    """Two basic blocks a stage."""

    channels = (64, 128, 256, 512)
    block = BasicBlock
    blocks = (2, 2, 2, 2)


class ResNet50(ResidualEncoder):
    """Three, four, six and three bottlenecks."""

    channels = (256, 512, 1024, 2048)
    block = Bottleneck
    blocks = (3, 4, 6, 3)
