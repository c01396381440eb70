"""Strong augmentation where the network trains: all of it in tensors, nothing waits for the CPU.

Everything is drawn on the device from torch's own generator, so that a whole training step can be
recorded once and repeated (CUDA graphs). Maps are (N, C, H, W), grey levels 0…1 in the networks'
window, unclipped where a slice is kept in Hounsfield units.
"""

import functools as tools
import math

import torch
from torch import Tensor
from torch.nn import functional

#: How far a slice is turned (degrees), zoomed, stretched (log), sheared, shifted and bent.
TURN, ZOOM, STRETCH, SHEAR, SHIFT, BEND, WOBBLE = 20.0, 0.28, 0.15, 0.12, 0.1, 0.03, 0.008
#: Shares of slices that are mirrored, turned upside down, and turned by a quarter.
MIRRORED, UPSIDE_DOWN, QUARTER = 0.5, 0.05, 0.05
#: How far black point and white point move, and the spread of log gamma.
BLACK, WHITE, GAMMA = 0.15, 0.25, 0.2
#: Shares of slices that are blurred, sharpened, coarsened and compressed.
BLURRED, SHARPENED, COARSE, COMPRESSED = 0.3, 0.2, 0.15, 0.25

#: JPEG's luminance table (ITU-T T.81, annex K, table K.1).
_QUANTISATION = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


def uniform(like: Tensor, low: float, high: float) -> Tensor:
    """(N, 1, 1, 1), a number for each of a batch."""
    drawn = torch.rand(len(like), 1, 1, 1, device=like.device)
    return low + (high - low) * drawn


def normal(like: Tensor) -> Tensor:
    """(N, 1, 1, 1) standard normal."""
    return torch.randn(len(like), 1, 1, 1, device=like.device)


def chance(like: Tensor, probability: float | Tensor) -> Tensor:
    """(N, 1, 1, 1) of 0 and 1."""
    return (uniform(like, 0, 1) < probability).float()


def smooth_field(
    count: int, grid: tuple[int, int], like: Tensor, size: tuple[int, int] | None = None
) -> Tensor:
    """(N, count, H, W) random and smooth, of about unit spread; grid: its places.

    size: H and W, where they are not those of ``like``.
    """
    height, width = size or (like.shape[-2], like.shape[-1])
    coarse = torch.randn(len(like), count, *grid, device=like.device)
    down = _bicubic(grid[0], height, like.device)
    across = _bicubic(grid[1], width, like.device)
    return down @ coarse @ across.T


@tools.cache
def _bicubic(knots: int, length: int, device: torch.device) -> Tensor:
    """(length, knots), what ``functional.interpolate`` does along one axis, corners aligned.

    Two products of matrices are several times as fast as the function, which weighs 16 places
    for every pixel.
    """
    units = torch.eye(knots)[:, None, :, None]
    weights = functional.interpolate(units, (length, 1), mode="bicubic", align_corners=True)
    return weights[:, 0, :, 0].T.contiguous().to(device)


def move(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Turn, zoom, shear, shift, mirror and bend all channels together, to (N, C, *size).

    What comes from outside is the black and uninfected 0.
    """
    angle = (uniform(maps, -1, 1) * math.radians(TURN)).view(-1)
    zoom = torch.exp(uniform(maps, -1, 1) * ZOOM).view(-1)
    stretch = torch.exp(uniform(maps, -1, 1) * STRETCH).view(-1)
    mirror = (1 - 2 * chance(maps, MIRRORED)).view(-1)
    flip = (1 - 2 * chance(maps, UPSIDE_DOWN)).view(-1)
    shear = (uniform(maps, -1, 1) * SHEAR).view(-1)
    shift_x, shift_y = ((uniform(maps, -1, 1) * SHIFT).view(-1) for _ in range(2))
    cos, sin = angle.cos(), angle.sin()
    across = torch.stack(
        [cos * zoom * stretch * mirror, -sin * zoom * stretch + shear, shift_x], dim=1
    )
    down = torch.stack([sin * zoom / stretch * mirror, cos * zoom / stretch * flip, shift_y], dim=1)
    quarter = chance(maps, QUARTER).view(-1, 1) > 0
    matrix = torch.stack(
        [torch.where(quarter, down, across), torch.where(quarter, across, down)], dim=1
    )
    shape = [len(maps), maps.shape[1], *size]
    grid = functional.affine_grid(matrix, shape, align_corners=False)
    for knots, extent in (((4, 5), BEND), ((9, 11), WOBBLE)):
        bend = smooth_field(2, knots, maps, size) * extent
        grid = grid + bend.permute(0, 2, 3, 1)
    return functional.grid_sample(maps, grid, padding_mode="zeros", align_corners=False)


def look(grey: Tensor) -> Tensor:
    """Another scanner, window and file: grey levels (N, 1, H, W) to 0…1, places unchanged."""
    grey = _sharpen(grey)
    noise = torch.randn_like(grey)
    correlated = functional.avg_pool2d(noise, 3, stride=1, padding=1) * 2.2
    kind = chance(grey, 0.5)
    amount = normal(grey).abs() * 0.035 * chance(grey, 0.7)
    grey = grey + amount * torch.lerp(noise, correlated, kind)
    lower = uniform(grey, -BLACK, BLACK)
    upper = 1 + uniform(grey, -WHITE, WHITE)
    grey = ((grey - lower) / (upper - lower)).clamp(0, 1)
    # The slope of a power below 1 is infinite at 0; nothing is differentiated here.
    grey = grey ** torch.exp(normal(grey) * GAMMA)
    grey = _blur(grey)
    grey = _coarsen(grey)
    return _compress(grey).clamp(0, 1)


def soften(maps: Tensor, times: int = 1) -> Tensor:
    """Mean over 3 × 3, several times; one axis after the other."""
    for _ in range(times):
        padded = functional.pad(maps, (1, 1, 1, 1), mode="replicate")
        down = padded[..., :-2, :] + padded[..., 1:-1, :] + padded[..., 2:, :]
        maps = (down[..., :-2] + down[..., 1:-1] + down[..., 2:]) / 9
    return maps


def _blur(grey: Tensor) -> Tensor:
    amount = uniform(grey, 0, 1) * chance(grey, BLURRED)
    return torch.lerp(grey, soften(grey, 2), amount)


def _sharpen(grey: Tensor) -> Tensor:
    """Like a lung kernel's overshoot at edges."""
    amount = uniform(grey, 0, 1.5) * chance(grey, SHARPENED)
    return grey + amount * (grey - soften(grey, 2))


def _coarsen(grey: Tensor) -> Tensor:
    """Some slices as if they had been kept at a half or a third of the size."""
    height, width = grey.shape[-2:]
    result = grey
    for times in (2, 3):
        small = functional.interpolate(grey, (height // times, width // times), mode="area")
        back = functional.interpolate(small, (height, width), mode="bilinear")
        result = torch.where(chance(grey, COARSE / 2) > 0, back, result)
    return result


@tools.cache
def _cosines_and_table(device: torch.device) -> tuple[Tensor, Tensor]:
    """The discrete cosine transform of 8 × 8 pixels (64, 64), and JPEG's table (64,).

    One matrix for whole blocks: products of thousands of 8 × 8 matrices keep no device busy.
    """
    position = torch.arange(8, dtype=torch.float32)
    basis = torch.cos((2 * position[None] + 1) * position[:, None] * math.pi / 16) / 2
    basis[0] /= math.sqrt(2)
    table = torch.tensor(_QUANTISATION, dtype=torch.float32).view(-1)
    return torch.kron(basis, basis).to(device), table.to(device)


def _compress(grey: Tensor) -> Tensor:
    """JPEG's loss, of qualities from 25 to 90, without its rounding to bytes."""
    count, _, height, width = grey.shape
    down, right = -height % 8, -width % 8
    padded = functional.pad(grey, (0, right, 0, down), mode="replicate") * 255 - 128
    rows, columns = padded.shape[-2] // 8, padded.shape[-1] // 8
    blocks = padded.view(count, rows, 8, columns, 8).transpose(2, 3).flatten(3)
    basis, table = _cosines_and_table(grey.device)
    quality = uniform(grey, 25, 90)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    steps = torch.floor(table * scale + 0.5).clamp(min=1)
    kept = torch.round(blocks @ basis.T / steps) * steps
    back = (kept @ basis).view(count, rows, columns, 8, 8).transpose(2, 3).reshape(padded.shape)
    compressed = (back[..., :height, :width] + 128) / 255
    return torch.where(chance(grey, COMPRESSED) > 0, compressed, grey)
