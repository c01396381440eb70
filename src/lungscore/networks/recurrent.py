"""Recurrent convolution: one kernel applied again and again to its own output.

Source: Liang and Hu, "Recurrent Convolutional Neural Network for Object Recognition", CVPR 2015;
the residual unit is that of Alom et al., "Recurrent Residual U-Net for Medical Image Segmentation",
J Med Imaging 2019. Both networks of COVID_MTNet (NABLA-N and IRRCNN) are built from it.
"""

from torch import Tensor, nn
from torch.nn import functional

#: How often a recurrent layer sees its own output; the published networks take 2.
STEPS = 2


class RecurrentConvolution(nn.Module):
    """h₀ = f(w_f x), h_t = f(w_f x + w_r h_{t−1}): a layer whose field of view grows with t.

    f is batch norm and ReLU; every step has a batch norm of its own, since its values are of
    another size, and all steps share the two kernels.
    """

    def __init__(
        self, in_channels: int, channels: int, *, kernel: int = 3, steps: int = STEPS
    ) -> None:
        super().__init__()
        padding = kernel // 2
        self.forward_kernel = nn.Conv2d(in_channels, channels, kernel, padding=padding, bias=False)
        self.recurrent_kernel = nn.Conv2d(channels, channels, kernel, padding=padding, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(steps + 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) to (N, channels, h, w)."""
        fed = self.forward_kernel(x)
        first, *later = self.norms
        state = functional.relu(first(fed))
        for norm in later:
            state = functional.relu(norm(fed + self.recurrent_kernel(state)))
        return state


class RecurrentResidualUnit(nn.Module):
    """A 1x1 convolution to the wanted width, two recurrent layers, and their input added."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.match = nn.Conv2d(in_channels, channels, 1)
        self.refine = nn.Sequential(
            RecurrentConvolution(channels, channels), RecurrentConvolution(channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) to (N, channels, h, w)."""
        x = self.match(x)
        return x + self.refine(x)
