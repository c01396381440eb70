"""Disease and bodies made on the device, the same in all seven slices of a sample.

Every function takes a Case: Hounsfield units and labels of a few samples, changed in place. Labels
are those of cohort.py: 0 outside, 1 to 5 lobes, 6 airway, 7 unsure, 8 tissue. What is made of a
lung stays lung; fluid and air of the pleural space become tissue.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

PIXEL_MM = 2.0
UNSURE, TISSUE = 7, 8
RIGHT, LEFT = (3, 4, 5), (1, 2)


@dataclass
class Case:
    """hu, labels: (b, 7, H, W) float and uint8. z: (b, 7) mm from the middle slice, downwards."""

    hu: Tensor
    labels: Tensor
    z: Tensor

    @property
    def lung(self) -> Tensor:
        """Which voxels are lung, bool (b, 7, H, W)."""
        return (self.labels >= 1) & (self.labels <= 5)

    def side(self) -> Tensor:
        """One of the lungs, by chance."""
        right = (self.labels >= 3) & (self.labels <= 5)
        left = (self.labels >= 1) & (self.labels <= 2)
        return torch.where(coin(self.hu, 0.5), right, left)

    def axes(self) -> tuple[Tensor, Tensor, Tensor]:
        """z, y, x in mm, to be broadcast to (b, 7, H, W)."""
        height, width = self.hu.shape[-2:]
        y = torch.arange(height, device=self.hu.device) * PIXEL_MM - height * PIXEL_MM / 2
        x = torch.arange(width, device=self.hu.device) * PIXEL_MM - width * PIXEL_MM / 2
        return self.z[:, :, None, None], y[None, None, :, None], x[None, None, None, :]

    def place(self, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A voxel of ``mask`` by chance, its z, y, x in mm, each (b, 1, 1, 1)."""
        few = mask[:, :, ::3, ::3]
        chance = torch.rand(few.shape, device=mask.device) * few
        index = chance.flatten(1).argmax(1)
        height, width = few.shape[-2:]
        layer, rest = index // (height * width), index % (height * width)
        _, y, x = self.axes()
        return (
            self.z.gather(1, layer[:, None])[:, :, None, None],
            y.flatten()[3 * (rest // width)][:, None, None, None],
            x.flatten()[3 * (rest % width)][:, None, None, None],
        )

    def field(self, shortest: float, longest: float, waves: int = 8) -> Tensor:
        """A smooth random field (b, 7, H, W) of unit variance, with waves of these lengths, mm."""
        total = torch.zeros_like(self.hu)
        z, y, x = self.axes()
        for _ in range(waves):
            length = uniform(self.hu, math.log(shortest), math.log(longest)).exp()
            direction = torch.randn((3, len(self.hu), 1, 1, 1), device=self.hu.device)
            direction = direction / direction.norm(dim=0) * (2 * math.pi / length)
            phase = uniform(self.hu, 0, 2 * math.pi)
            total += torch.cos(direction[0] * z + direction[1] * y + (direction[2] * x + phase))
        return total / math.sqrt(waves / 2)

    def ball(
        self, centre: tuple[Tensor, Tensor, Tensor], radius: Tensor, flat: float = 0.3
    ) -> Tensor:
        """Squared distance from ``centre`` in radii of an ellipsoid, (b, 7, H, W)."""
        total: Tensor | float = 0.0
        for axis, middle in zip(self.axes(), centre, strict=True):
            total = total + ((axis - middle) / (radius * uniform(radius, 1 - flat, 1 + flat))) ** 2
        return total  # type: ignore[return-value]


def uniform(like: Tensor, low: float, high: float) -> Tensor:
    """A number for each sample, (b, 1, 1, 1)."""
    return torch.rand((len(like), 1, 1, 1), device=like.device) * (high - low) + low


def coin(like: Tensor, chance: float) -> Tensor:
    return uniform(like, 0, 1) < chance


def opacities(case: Case) -> None:
    """Ground glass or consolidation in smooth blobs."""
    where = case.lung & (case.field(35, 150) > uniform(case.hu, -0.8, 1.6))
    target = uniform(case.hu, -700, 60) + case.field(6, 25, 4) * uniform(case.hu, 0, 60)
    share = uniform(case.hu, 0.5, 1)
    case.hu = torch.where(
        where, torch.maximum(case.hu, case.hu * (1 - share) + target * share), case.hu
    )


def lobes(case: Case) -> None:
    """Lobes that are dense, whole or in a ball at their surface; air may show in the bronchi."""
    chosen = torch.rand((len(case.hu), 9), device=case.hu.device) < 0.35
    chosen[torch.arange(len(chosen)), torch.randint(1, 6, (len(chosen),), device=chosen.device)] = (
        True
    )
    chosen[:, [0, 6, 7, 8]] = False
    where = chosen.gather(1, case.labels.flatten(1).long()).view_as(case.labels)
    ball = case.ball(case.place(where), uniform(case.hu, 15, 75)) < 1
    _densify(case, where & (ball | coin(case.hu, 0.45)))


def white_lung(case: Case) -> None:
    """A whole lung without air."""
    _densify(case, case.side())


def _densify(case: Case, where: Tensor) -> None:
    rough = case.field(6, 25, 6)
    density = uniform(case.hu, 25, 85) + rough * uniform(case.hu, 2, 18)
    bronchi = (rough > uniform(case.hu, 1.7, 2.6)) & coin(case.hu, 0.5)
    density = torch.where(bronchi, uniform(case.hu, -950, -400).expand_as(density), density)
    case.hu = torch.where(where, density, case.hu)
    _fill_rim(case, where)


def _fill_rim(case: Case, where: Tensor) -> None:
    """Tissue beside ``where`` that air had darkened in part is plain tissue now."""
    near = functional.max_pool2d(where.float(), 3, stride=1, padding=1) > 0
    rim = near & (case.labels == TISSUE) & (case.hu < -60)
    case.hu = torch.where(rim, 25.0, case.hu)


def mass(case: Case) -> None:
    """A ball of soft tissue, sometimes hollow, within the lung."""
    radius = uniform(case.hu, math.log(6), math.log(55)).exp()
    distance = case.ball(case.place(case.lung), radius) + 0.15 * case.field(12, 40, 4)
    hollow = (distance < uniform(case.hu, 0.1, 0.6)) & coin(case.hu, 0.15)
    density = uniform(case.hu, 0, 95) + 8 * case.field(6, 20, 3)
    density = torch.where(hollow, torch.full_like(density, -990), density)
    case.hu = torch.where(case.lung & (distance < 1), density, case.hu)


def _depth(case: Case) -> Tensor:
    """How far down a place lies for a patient on the back, seldom on the belly, mm."""
    z, y, x = case.axes()
    belly = torch.where(coin(case.hu, 0.15), -1.0, 1.0)
    tilt, roll = uniform(case.hu, -0.2, 0.8), uniform(case.hu, -0.25, 0.25)
    return belly * y + tilt * z + roll * x + 5 * case.field(60, 160, 4)


def effusion(case: Case) -> None:
    """Fluid in the lowest part of one lung's room, with compressed lung above it at times."""
    room, depth = case.side(), _depth(case)
    level = _level(case, room, depth)
    fluid = room & (depth > level)
    strip = room & (depth > level - uniform(case.hu, 4, 30)) & ~fluid & coin(case.hu, 0.5)
    case.hu = torch.where(strip, uniform(case.hu, 30, 100) + 8 * case.field(6, 20, 3), case.hu)
    case.hu = torch.where(fluid, uniform(case.hu, -8, 24).expand_as(case.hu), case.hu)
    _fill_rim(case, fluid)
    case.labels[fluid] = TISSUE


def pneumothorax(case: Case) -> None:
    """Air of the pleural space in the uppermost part of one lung's room, behind a thin line."""
    room, depth = case.side(), _depth(case)
    level = _level(case, room, depth)
    air = room & (depth < level)
    line = room & (depth < level + 3) & ~air
    case.hu = torch.where(line, uniform(case.hu, -500, 0).expand_as(case.hu), case.hu)
    case.hu = torch.where(air, torch.full_like(case.hu, -1005), case.hu)
    case.labels[air] = TISSUE


def _level(case: Case, room: Tensor, depth: Tensor) -> Tensor:
    """The depth of a voxel of ``room`` by chance, (b, 1, 1, 1)."""
    few = room[:, :, ::3, ::3]
    chance = torch.rand(few.shape, device=room.device) * few
    index = chance.flatten(1).argmax(1, keepdim=True)
    return depth[:, :, ::3, ::3].flatten(1).gather(1, index)[:, :, None, None]


def emphysema(case: Case) -> None:
    """Lung that turns to air, here and there or all over."""
    rough = case.field(40, 150) + 0.6 * case.field(6, 20, 6)
    share = uniform(case.hu, 0.4, 1) * (rough > uniform(case.hu, -2, 1.2)) * case.lung
    case.hu = case.hu * (1 - share) - 990 * share


def bullae(case: Case) -> None:
    """Balls of air with a thin wall, which are lung."""
    for _ in range(3):
        distance = case.ball(case.place(case.lung), uniform(case.hu, 6, 42))
        wall = case.lung & (distance < 1.2)
        case.hu = torch.where(wall, uniform(case.hu, -850, -300).expand_as(case.hu), case.hu)
        case.hu = torch.where(wall & (distance < 1), torch.full_like(case.hu, -1000), case.hu)


def bronchiectasis(case: Case) -> None:
    """Wide bronchi with thick walls, within the lung."""
    z, y, x = case.axes()
    lung = case.lung
    first = case.place(lung)
    for _ in range(6):
        centre = [part + 30 * torch.randn_like(part) for part in first]
        direction = torch.randn((3, len(case.hu), 1, 1, 1), device=case.hu.device)
        direction[0] *= 2
        direction = direction / direction.norm(dim=0)
        dz, dy, dx = z - centre[0], y - centre[1], x - centre[2]
        along = dz * direction[0] + dy * direction[1] + dx * direction[2]
        across = (dz**2 + dy**2 + dx**2 - along**2).clamp(min=0).sqrt()
        radius = uniform(case.hu, 2, 8)
        tube = lung & (along.abs() < uniform(case.hu, 10, 35))
        wall = tube & (across < radius + uniform(case.hu, 1.5, 4))
        case.hu = torch.where(wall, uniform(case.hu, -150, 60).expand_as(case.hu), case.hu)
        case.hu = torch.where(tube & (across < radius), torch.full_like(case.hu, -995), case.hu)


def bowel_gas(case: Case) -> None:
    """Stomach and colon: gas, stool and fluid in tissue, under a thin diaphragm or elsewhere."""
    lung = case.lung
    near = functional.max_pool2d(lung.float(), 5, stride=1, padding=2) > 0
    wall = torch.where(coin(case.hu, 0.6), near, lung)
    free = (case.labels == TISSUE) & ~wall
    rough = case.field(8, 30, 5)
    bowel = torch.zeros_like(lung)
    bottom = None
    for index in range(3):
        radius = uniform(case.hu, math.log(7), math.log(60)).exp()
        if index == 0:  # right under the lung
            z, y, x = case.place(lung & (case.z[:, :, None, None] >= 0))
            z = z + radius * uniform(radius, 0.2, 1.0)
            bottom = y
        else:
            z, y, x = case.place(free)
        there = coin(case.hu, 0.7) if index else coin(case.hu, 0.85)
        bowel |= there & (case.ball((z, y, x), radius) + 0.2 * rough < 1)
    bowel &= free
    stool = coin(case.hu, 0.3) & (rough > uniform(case.hu, -1, 1.5))
    level = coin(case.hu, 0.35) & (case.axes()[1] > bottom + uniform(case.hu, -20, 40))
    content = torch.full_like(case.hu, -1000)
    content = torch.where(stool, -350 + 250 * case.field(4, 14, 4), content)
    content = torch.where(level, uniform(case.hu, 0, 60).expand_as(content), content)
    case.hu = torch.where(bowel, content, case.hu)


def missing_lung(case: Case) -> None:
    """One lung's room filled with fluid or fat."""
    room = case.side()
    case.hu = torch.where(room, uniform(case.hu, -110, 18).expand_as(case.hu), case.hu)
    _fill_rim(case, room)
    case.labels[room] = TISSUE


def contrast_medium(case: Case) -> None:
    """Bright blood, and bright vessels in the lung."""
    blood = (case.labels == TISSUE) & (case.hu > 5) & (case.hu < 150)
    blood &= case.field(40, 160) > uniform(case.hu, -0.5, 1)
    vessels = case.lung & (case.hu > -300)
    case.hu = case.hu + (blood | vessels) * uniform(case.hu, 40, 260)


def wall_emphysema(case: Case) -> None:
    """Air in the chest wall and the mediastinum."""
    where = (case.labels == TISSUE) & (case.field(30, 120) > uniform(case.hu, -0.5, 1))
    where &= case.field(5, 16, 6) > uniform(case.hu, 0.2, 1.2)
    near = functional.max_pool2d(case.lung.float(), 5, stride=1, padding=2) > 0
    case.hu = torch.where(where & ~near, uniform(case.hu, -1000, -600).expand_as(case.hu), case.hu)


def arms(case: Case) -> None:
    """Arms beside the body, with bone and air between."""
    _, y, x = case.axes()
    body = case.labels > 0
    columns = body.any(2).any(1)
    width = columns.shape[-1]
    first = columns.float().argmax(-1)[:, None, None, None]
    last = (width - 1 - columns.flip(-1).float().argmax(-1))[:, None, None, None]
    height = uniform(case.hu, -40, 60)
    for edge, outwards in ((first, -1), (last, 1)):
        middle = (edge - width / 2) * PIXEL_MM + outwards * uniform(case.hu, 25, 50)
        size = uniform(case.hu, 32, 50)
        distance = ((y - height) / size) ** 2 + ((x - middle) / size) ** 2
        arm = (distance < 1) & (case.labels == 0)
        bone = (distance < 0.1) & (distance > 0.03)
        case.hu = torch.where(arm, torch.where(bone, 700.0, 35.0).expand_as(case.hu), case.hu)


#: Each with its chance in a sample.
DISEASES = {
    emphysema: 0.15,
    bullae: 0.08,
    bronchiectasis: 0.1,
    opacities: 0.35,
    lobes: 0.22,
    white_lung: 0.06,
    mass: 0.18,
    effusion: 0.14,
    pneumothorax: 0.05,
    missing_lung: 0.05,
    contrast_medium: 0.2,
    wall_emphysema: 0.07,
    bowel_gas: 0.35,
    arms: 0.12,
}
#: The same once aerated lung is learned: dense lung, and fluid that looks alike, more often.
DENSER = DISEASES | {lobes: 0.5, white_lung: 0.12, mass: 0.25, effusion: 0.2}


def make_ill(
    hu: Tensor, labels: Tensor, z: Tensor, random: torch.Generator, *, denser: bool = False
) -> None:
    """Change ``hu`` and ``labels`` (B, 7, H, W) in place; one sample in five stays as it is."""
    well = torch.rand(len(hu), generator=random) < 0.2
    for disease, chance in (DENSER if denser else DISEASES).items():
        ill = (torch.rand(len(hu), generator=random) < chance) & ~well
        index = torch.nonzero(ill).flatten().to(hu.device)
        if len(index):
            unsure = labels[index] == UNSURE
            case = Case(hu[index], labels[index], z[index])
            disease(case)
            hu[index] = case.hu
            labels[index] = torch.where(unsure, UNSURE, case.labels).to(labels.dtype)
