"""VGG-16 as Inf-Net uses it: average instead of maximum pooling, no classifier, no batch norm.

Source: Simonyan and Zisserman, "Very Deep Convolutional Networks", ICLR 2015, configuration D.
Module names are torchvision's.
"""

from torch import Tensor, nn

from lungscore.networks.encoders.encoder import Encoder, initialise

#: Convolutions of each group and their width; a pooling stands between two groups.
GROUPS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


class VGG16(Encoder):
    """Five groups of 3x3 convolutions; the maps are those of the last four."""

    channels = (128, 256, 512, 512)

    def __init__(self, in_channels: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        #: Where each group ends in ``features``.
        self.ends: list[int] = []
        for count, width in GROUPS:
            if layers:
                layers.append(nn.AvgPool2d(2))
            for _ in range(count):
                layers += [nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU()]
                in_channels = width
            self.ends.append(len(layers))
        self.features = nn.Sequential(*layers)
        initialise(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, in_channels, H, W) to (N, 128, H/2, W/2), … 1/4, 1/8, (N, 512, H/16, W/16)."""
        features = []
        start = 0
        for end in self.ends:
            x = self.features[start:end](x)
            features.append(x)
            start = end
        return features[1:]
