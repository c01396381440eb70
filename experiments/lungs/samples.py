"""Training samples of the lung network, drawn, turned, made ill and blurred on the device."""

import io
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from disease import make_ill
from PIL import Image
from torch import Tensor
from torch.nn import functional

#: As lungscore.anatomy.lung_view has them; this file runs where only torch is installed.
OFFSETS_MM = (-45.0, -15.0, -5.0, 0.0, 5.0, 15.0, 45.0)
WINDOW_HU = (-1024.0, 400.0)
PIXEL_MM, SIZE = 2.0, 192
#: Labels when the picture is mirrored.
MIRRORED = (0, 3, 5, 1, 1, 2, 6, 7, 8)
#: Labels as classes: background, right, left, airways; 255 has no verdict.
CLASS_OF = (0, 2, 2, 1, 1, 1, 3, 255, 0)
#: How often each kind of scan is drawn; the rest is real scans.
KINDS = {"phantom": 0.16, "made": 0.16, "medseg": 0.1}


@dataclass
class Pack:
    """All pictures and labels on the device, (n, 224, 224) uint8, and where each scan begins."""

    pictures: Tensor
    labels: Tensor
    names: list[str]
    patients: list[str]
    first: np.ndarray
    count: np.ndarray
    layer_mm: np.ndarray
    with_lung: np.ndarray

    @classmethod
    def read(cls, folder: Path, device: torch.device) -> "Pack":
        """Every NAME.npz of ``folder`` as pack.py wrote it."""
        pictures, labels, names, patients, layers = [], [], [], [], []
        for path in sorted(folder.glob("*.npz")):
            with np.load(path) as file:
                jpeg, ends = file["jpeg"].tobytes(), [0, *file["ends"].tolist()]
                for start, end in pairwise(ends):
                    pictures.append(np.asarray(Image.open(io.BytesIO(jpeg[start:end]))))
                labels.append(file["labels"])
                layers.append(float(file["layer_mm"]))
                patients.append(str(file["patient"]))
            names.append(path.stem)
        count = np.array([len(part) for part in labels])
        joined = np.concatenate(labels)
        with_lung = ((joined >= 1) & (joined <= 5)).any(axis=(1, 2))
        return cls(
            torch.from_numpy(np.stack(pictures)).to(device),
            torch.from_numpy(joined).to(device),
            names,
            patients,
            np.cumsum(count) - count,
            count,
            np.array(layers),
            with_lung,
        )

    def draw(self, size: int, random: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Scans (B,), indices of their seven slices (B, 7), −1 where none, and z in mm (B, 7)."""
        scans = random.choice(len(self.names), size, p=self._chances())
        index = np.empty((size, 7), int)
        z = np.empty((size, 7), np.float32)
        for row, scan in enumerate(scans):
            lung = np.flatnonzero(self.with_lung[self.first[scan] :][: self.count[scan]])
            layer = self.layer_mm[scan]
            if random.random() < 0.7 and len(lung):
                reach = int(30 / layer)
                middle = random.integers(lung[0] - reach, lung[-1] + reach + 1)
                middle = int(np.clip(middle, 0, self.count[scan] - 1))
            else:
                middle = int(random.integers(self.count[scan]))
            # Thick slices: only every k-th one is there.
            every = max(1, round(random.uniform(4, 10) / layer)) if random.random() < 0.3 else 1
            step = layer * every * random.uniform(0.8, 1.25)
            offsets = np.rint(np.array(OFFSETS_MM) / step)
            offsets = np.where(offsets == 0, np.sign(OFFSETS_MM), offsets).astype(int)
            low, high = 0, self.count[scan] - 1
            if random.random() < 0.2:  # the scan ends above or below
                low = max(low, middle - int(random.exponential(20) / layer))
            if random.random() < 0.2:
                high = min(high, middle + int(random.exponential(20) / layer))
            if random.random() < 0.05:  # a lone slice
                low = high = middle
            places = middle + offsets * every
            there = (places >= low) & (places <= high)
            index[row] = np.where(there, self.first[scan] + places, -1)
            z[row] = offsets * step
        return scans, index, z

    def _chances(self) -> np.ndarray:
        """How often each scan is drawn: real ones by the root of their length."""
        kinds = np.array([name.split("-")[0] for name in self.names])
        kinds = np.array([kind if kind in KINDS else "real" for kind in kinds])
        chances = np.sqrt(self.count.astype(float))
        for kind in np.unique(kinds):
            share = KINDS.get(kind, 1 - sum(KINDS.values()))
            chances[kinds == kind] *= share / chances[kinds == kind].sum()
        return chances / chances.sum()


def make_samples(
    pack: Pack, index: np.ndarray, z: np.ndarray, seed: int, *, denser: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs (B, 7, 192, 192) in 0…1, classes (B, 192, 192) uint8 (255: none), weights."""
    device = pack.pictures.device
    random = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    places = torch.from_numpy(np.maximum(index, 0)).to(device)
    there = torch.from_numpy(index >= 0).to(device)[:, :, None, None]
    hu = to_hounsfield(pack.pictures[places].float())
    shown, labels, mirrored = _turn(hu, pack.labels[places], random)
    hu = torch.where(there, shown, WINDOW_HU[0])
    labels = torch.where(there, labels, 0)
    table = torch.tensor(MIRRORED, device=device, dtype=torch.uint8)
    labels = torch.where(mirrored, table[labels.long()], labels)
    make_ill(hu, labels, torch.from_numpy(z).to(device), random, denser=denser)
    field = _field_of_view(hu, random) & there
    middle_hu, middle = hu[:, 3], torch.where(field[:, 3], labels[:, 3], 0)
    classes = torch.tensor(CLASS_OF, device=device, dtype=torch.uint8)[middle.long()]
    lung = (classes == 1) | (classes == 2)
    weight = torch.where(middle == 0, 0.4, 1.0)
    weight = torch.where(lung & (middle_hu > -500), 2.5, weight)
    weight = torch.where((middle == 8) & (middle_hu < -500), 3.0, weight)
    grey = to_grey(_acquired(hu, random))
    return torch.where(field, grey, 0.0) / 255, classes, weight


def to_hounsfield(grey: Tensor) -> Tensor:
    low, high = WINDOW_HU
    return (grey - 1).clamp(min=0) * ((high - low) / 254) + low


def to_grey(hu: Tensor) -> Tensor:
    low, high = WINDOW_HU
    return ((hu - low) * (254 / (high - low))).clamp(0, 254) + 1


def _between(low: float, high: float, count: int, random: torch.Generator) -> Tensor:
    return torch.rand(count, generator=random) * (high - low) + low


def _turn(hu: Tensor, labels: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures and labels turned, scaled, shifted, bent and sometimes mirrored, at the network's
    size; which of them are mirrored, (B, 1, 1, 1)."""
    count, device, size = len(hu), hu.device, hu.shape[-1]
    angle = torch.randn(count, generator=random) * torch.where(
        torch.rand(count, generator=random) < 0.1, 15.0, 5.0
    ) * torch.pi / 180  # fmt: skip
    scale = torch.exp(_between(-0.22, 0.28, count, random))
    aspect = torch.exp(_between(-0.1, 0.1, count, random))
    mirrored = torch.rand(count, generator=random) < 0.3
    # From the network's picture (−1…1) to the larger one.
    part = SIZE / size
    cos, sin = torch.cos(angle) * scale * part, torch.sin(angle) * scale * part
    sign = torch.where(mirrored, -1.0, 1.0)
    shift = torch.randn((2, count), generator=random) * 14 / size
    rows = torch.stack([cos * aspect * sign, -sin, shift[0]], 1)
    columns = torch.stack([sin * sign, cos / aspect, shift[1]], 1)
    matrix = torch.stack([rows, columns], 1).to(device)
    grid = functional.affine_grid(matrix, [count, 1, SIZE, SIZE], align_corners=False)
    bend = torch.randn((count, 2, 5, 5), generator=random) * _between(0, 7, count, random)[
        :, None, None, None
    ] / size  # fmt: skip
    bend = functional.interpolate(bend.to(device), SIZE, mode="bicubic", align_corners=True)
    grid = grid + bend.permute(0, 2, 3, 1)
    low = WINDOW_HU[0]
    shown = functional.grid_sample(hu - low, grid, mode="bilinear", align_corners=False) + low
    turned = functional.grid_sample(labels.float(), grid, mode="nearest", align_corners=False)
    return shown, turned.round().to(torch.uint8), mirrored.to(device)[:, None, None, None]


def _field_of_view(hu: Tensor, random: torch.Generator) -> Tensor:
    """Where the scan has pictures, bool (B, 1, H, W): all, a circle, a box, or one half."""
    count, device = len(hu), hu.device
    places = (torch.arange(SIZE, device=device) - SIZE / 2) * PIXEL_MM
    y, x = places[None, None, :, None], places[None, None, None, :]

    def number(low: float, high: float) -> Tensor:
        return _between(low, high, count, random)[:, None, None, None].to(device)

    def chance(share: float) -> Tensor:
        return (torch.rand(count, generator=random) < share)[:, None, None, None].to(device)

    circle = (y - number(-40, 40)) ** 2 + (x - number(-40, 40)) ** 2 < number(70, 200) ** 2
    box = (y > number(-200, -50)) & (y < number(50, 200))
    box = box & (x > number(-200, -60)) & (x < number(60, 200))
    half = torch.where(chance(0.5), x > number(-25, 15), x < number(-15, 25))
    whole = torch.ones_like(circle)
    field = torch.where(chance(0.1), circle, whole)
    field = field & torch.where(chance(0.08), box, whole)
    return field & torch.where(chance(0.06), half, whole)


def _acquired(hu: Tensor, random: torch.Generator) -> Tensor:
    """``hu`` with another kernel, noise, calibration and window."""
    count, device = len(hu), hu.device

    def number(low: float, high: float, share: float = 1.0) -> Tensor:
        values = _between(low, high, count, random)
        values = torch.where(torch.rand(count, generator=random) < share, values, 0.0)
        return values[:, None, None, None].to(device)

    smooth = functional.avg_pool2d(hu, 3, stride=1, padding=1, count_include_pad=False)
    hu = hu + number(-1.0, 1.2, 0.5) * (hu - smooth)
    noise = torch.randn_like(hu)
    coarse = 2 * functional.avg_pool2d(noise, 3, stride=1, padding=1)
    grain = torch.where(number(0, 1) < 0.5, noise, coarse)
    hu = hu + number(0, 90, 0.6) * grain
    hu = hu * (1 + number(-0.08, 0.08, 0.3)) + number(-50, 50, 0.3)
    lowest = torch.where(number(0, 1) < 0.2, number(-1024, -930), -3000.0)
    highest = torch.where(number(0, 1) < 0.2, number(60, 350), 3000.0)
    return torch.minimum(torch.maximum(hu, lowest), highest)
