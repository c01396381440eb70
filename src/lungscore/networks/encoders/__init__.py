"""Encoders: an image in, four feature maps out."""

from collections.abc import Callable

from lungscore.networks.encoders.efficientnet import (
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
)
from lungscore.networks.encoders.encoder import Encoder
from lungscore.networks.encoders.res2net import Res2Net50
from lungscore.networks.encoders.resnet import BasicBlock, ResNet10, ResNet18, ResNet50
from lungscore.networks.encoders.vgg import VGG16

__all__ = [
    "ENCODERS",
    "VGG16",
    "BasicBlock",
    "EfficientNetLite0",
    "EfficientNetLite1",
    "EfficientNetLite2",
    "Encoder",
    "Res2Net50",
    "ResNet10",
    "ResNet18",
    "ResNet50",
]

#: Encoders by the name an experiment file uses; each takes the number of input channels.
ENCODERS: dict[str, Callable[[int], Encoder]] = {
    "resnet10": ResNet10,
    "resnet18": ResNet18,
    "resnet50": ResNet50,
    "res2net50-v1b": Res2Net50,
    "vgg16": VGG16,
    "efficientnet-lite0": EfficientNetLite0,
    "efficientnet-lite1": EfficientNetLite1,
    "efficientnet-lite2": EfficientNetLite2,
}
