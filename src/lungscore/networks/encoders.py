"""Encoders: an image in, four feature maps out (1/4, 1/8, 1/16 and 1/32 of its size).

An encoder states its ``channels`` (four widths) and its forward returns the four maps; the
residual family below shares one body. Source: He et al., "Deep Residual Learning", CVPR 2016.
"""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional


class Encoder(nn.Module):
    """What Inf-Net asks of an encoder: four feature maps, of these many channels."""

    channels: ClassVar[tuple[int, int, int, int]]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) to (N, channels, h/stride, w/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet18(Encoder):
    """ResNet-18 without its classifier; module names are torchvision's, so its weights fit."""

    channels = (64, 128, 256, 512)

    def __init__(self, in_channels: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = self._stage(64, 64, stride=1)
        self.layer2 = self._stage(64, 128, stride=2)
        self.layer3 = self._stage(128, 256, stride=2)
        self.layer4 = self._stage(256, 512, stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @staticmethod
    def _stage(in_channels: int, channels: int, *, stride: int) -> nn.Sequential:
        return nn.Sequential(
            BasicBlock(in_channels, channels, stride), BasicBlock(channels, channels, 1)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, in_channels, H, W) to four maps, (N, 64, H/4, W/4) … (N, 512, H/32, W/32)."""
        x = functional.relu(self.bn1(self.conv1(x)))  # (N, 64, H/2, W/2)
        x = functional.max_pool2d(x, 3, stride=2, padding=1)  # (N, 64, H/4, W/4)
        features = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            features.append(x)
        return features


#: Encoders by the name an experiment file uses; each takes the number of input channels.
ENCODERS: dict[str, Callable[[int], Encoder]] = {"resnet18": ResNet18}
