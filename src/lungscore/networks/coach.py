"""The coach: a small network that chooses which blocks of an image to erase.

Equations (3)–(5) of the paper; Singh et al., "Self-supervised learning for semantic segmentation",
BMVC 2018, for the network: a residual network without max-pooling, one number a block.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lungscore.networks.encoders import BasicBlock

#: Sharpness of a mask that counts as hard (equation 5); 1 is the soft mask that trains the coach.
HARD = 100.0


class Coach(nn.Module):
    """B(x) of equation (4): how much each block should be *kept*; low is erased first.

    width: channels of the first stage, 64 as published. variational: the published head, whose
    latent code is noisy and has a Kullback–Leibler term; without it B is a plain map. block: side
    of a block in pixels; 16 as published.
    """

    def __init__(
        self, *, in_channels: int = 1, width: int = 64, block: int = 16, variational: bool = True
    ) -> None:
        super().__init__()
        self.block, self.variational = block, variational
        widths = [width, width, 2 * width, 4 * width, 8 * width]
        # Four halvings as published (stem and three stages), one less for blocks below 16 pixels.
        strides = [1, 2, 2, 2 if block >= 16 else 1]
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.stages = nn.Sequential(
            *(
                nn.Sequential(BasicBlock(before, after, stride), BasicBlock(after, after, 1))
                for before, after, stride in zip(widths, widths[1:], strides, strict=False)
            )
        )
        latent = 100 if variational else 1
        self.mean = nn.Conv2d(widths[-1], latent, 1)
        if variational:
            self.log_variance = nn.Conv2d(widths[-1], latent, 1)
            self.score = nn.Conv2d(latent, 1, 1)

    def forward(self, image: Tensor, *, noisy: bool = False) -> tuple[Tensor, Tensor]:
        """Image (N, C, H, W) to B (N, 1, rows, columns) in blocks, and the divergence (scalar).

        Rows and columns are those of the blocks that cover the image. While training, a variational
        coach adds the noise of its latent code; in evaluation it does not, so that it repeats,
        unless it is ``noisy``, as the published code is in testing too.
        """
        x = self.stages(self.stem(image))  # (N, 8 width, H/16, W/16), or of H/8, W/8
        mean = self.mean(x)
        grid = (-(-image.shape[-2] // self.block), -(-image.shape[-1] // self.block))
        if not self.variational:
            return functional.adaptive_avg_pool2d(mean, grid), mean.new_zeros(())
        log_variance = self.log_variance(x)
        noise = torch.randn_like(mean) if self.training or noisy else torch.zeros_like(mean)
        code = mean + noise * (0.5 * log_variance).exp()
        m, v = mean.mean((2, 3)), log_variance.mean((2, 3))
        divergence = -0.5 * (1 + v - m.square() - v.exp()).sum(1).mean()
        return functional.adaptive_avg_pool2d(self.score(code), grid), divergence


def keep_mask(scores: Tensor, keep: float, size: tuple[int, int], *, alpha: float = 1.0) -> Tensor:
    """M = σ(α B̂) with B̂ = B − its k-th largest value (equations 4 and 5), at the image's size.

    scores: B (N, 1, rows, columns). keep: the share k of blocks that stays. alpha: 1 for the soft
    mask; HARD or more gives 0 and 1, the k-th block itself erased as in the published code.
    Returns (N, 1, *size), 1 where the image is kept.
    """
    count = scores[0].numel()
    rank = min(max(int(keep * count), 1), count)
    threshold = scores.flatten(1).topk(rank, dim=1).values[:, -1].view(-1, 1, 1, 1)
    centred = scores - threshold
    mask = (centred > 0).to(scores.dtype) if alpha >= HARD else torch.sigmoid(alpha * centred)
    return functional.interpolate(mask, size, mode="nearest")
