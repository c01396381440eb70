"""What pre-training does, to look at: slices of the phantom, erased and filled in, every epoch.

The phantom, since pictures of it may be shown to anybody and since no training has seen it.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from lungscore.files import atomic_path
from lungscore.learning.inpainting import Inpainting
from lungscore.networks import normalise
from lungscore.networks.coach import HARD, keep_mask
from lungscore.networks.probabilities import GREY_DEVIATION, GREY_MEAN
from lungscore.scan.phantom import make_phantom
from lungscore.scan.window import crop, network_boxes, resize, window

#: A phantom of few slices is quickly made; these two of them show lesions of both kinds.
PHANTOM_SHAPE, CHOSEN = (8, 256, 256), (2, 4)
#: White pixels between the parts of a picture.
GAP = 4


class Pictures:
    """Draws pictures/epoch-01.png, … into the folder of a run.

    A row is a slice: as it is, with blocks erased, filled in by the network; first for the coach's
    mask, if there is a coach, then for a random one of the same share, which is always the same.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images: Tensor | None = None

    def draw(self, task: Inpainting, epoch: int) -> None:
        """Draw the state behind ``epoch`` (from 1). The training goes on as if nothing had been."""
        if self.images is None:
            size = task.config.input
            self.images = phantom_slices(size.height, size.width, window_hu=size.window_hu)
        device = next(task.bare.parameters()).device
        image = normalise(self.images.to(device))
        modes = [(module, module.training) for module in _modules(task)]
        try:
            for module, _ in modes:
                module.training = False
            with torch.no_grad():
                panels = [image]
                for mask in _masks(task, image, epoch):
                    filled = image * mask + task.reconstruct(image, mask) * (1 - mask)
                    panels += [image * mask, filled]
        finally:
            for module, training in modes:
                module.training = training
        grey = [(panel * GREY_DEVIATION + GREY_MEAN).clamp(0, 1).cpu().numpy() for panel in panels]
        _save(self.folder / f"epoch-{epoch:02d}.png", np.concatenate(grey, axis=1))


def phantom_slices(height: int, width: int, *, window_hu: tuple[float, float]) -> Tensor:
    """Two slices of the phantom as a network sees them: grey levels 0…1 (2, 1, height, width)."""
    images = [resize(window(values, *window_hu), height, width) for values in _crops()]
    return torch.from_numpy(np.stack(images))[:, None]


@cache
def _crops() -> tuple[np.ndarray, ...]:
    """The lung boxes of the two slices, in HU."""
    phantom = make_phantom("moderate", shape=PHANTOM_SHAPE)
    boxes = network_boxes(np.array([_box(lungs) for lungs in phantom.lungs[list(CHOSEN)] > 0]))
    slices = phantom.scan.values[list(CHOSEN)]
    return tuple(
        crop(values, (row0, row1, column0, column1))
        for values, (row0, row1, column0, column1) in zip(slices, boxes.tolist(), strict=True)
    )


def _save(path: Path, pictures: np.ndarray) -> None:
    """Write grey levels 0…1 (rows, columns, H, W) as one PNG, GAP white pixels between them."""
    rows, columns, height, width = pictures.shape
    page = np.ones((rows, height + GAP, columns, width + GAP), np.float32)
    page[:, :height, :, :width] = pictures.transpose(0, 2, 1, 3)
    page = page.reshape(rows * (height + GAP), columns * (width + GAP))[:-GAP, :-GAP]
    with atomic_path(path) as temporary:
        Image.fromarray(np.round(page * 255).astype(np.uint8)).save(temporary, format="PNG")


def _masks(task: Inpainting, image: Tensor, epoch: int) -> list[Tensor]:
    """Hard masks (N, 1, H, W): of the coach, if there is one, and at random."""
    keep = 1 - task.erased_share(epoch - 1)
    size = (image.shape[-2], image.shape[-1])
    grid = [-(-side // task.settings.block) for side in size]
    # Its own generator: the training's random numbers stay where they are.
    random = torch.rand(len(image), 1, *grid, generator=torch.Generator().manual_seed(0))
    scores = [] if task.coach is None else [task.coach(image)[0].float()]
    return [
        keep_mask(score, keep, size, alpha=HARD) for score in [*scores, random.to(image.device)]
    ]


def _modules(task: Inpainting) -> list[nn.Module]:
    networks = [task.bare] if task.coach is None else [task.bare, task.coach]
    return [module for network in networks for module in network.modules()]


def _box(lungs: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(lungs.any(axis=1)), np.flatnonzero(lungs.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
