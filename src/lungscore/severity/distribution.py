"""Where in the lungs the infection lies: at the periphery, at the back, at the base."""

from dataclasses import dataclass

import numpy as np

from lungscore.labels import CONSOLIDATION, GGO, LEFT_LUNG, RIGHT_LUNG
from lungscore.severity.counts import LUNG, checked, lung_voxels


@dataclass(frozen=True)
class Share:
    """How much lies in one place, percent 0–100.

    infection_percent: of the infected volume; None without infection. lung_percent: of the lungs
    themselves, which is what chance would give.
    """

    infection_percent: float | None = None
    lung_percent: float | None = None


@dataclass(frozen=True)
class Distribution:
    """Where the infection lies.

    peripheral: in the outer third of the lung, by depth below the costal pleura. posterior: in the
    back half of each lung. lower: in the lowest third of each lung's height.
    bilateral: both lungs are infected by 1 % or more. lobes_affected: lobes of which that holds.
    Any of them is None (a share: holds None) where it could not be computed.
    reason: why there is nothing at all; None where there is something.
    """

    peripheral: Share = Share()
    posterior: Share = Share()
    lower: Share = Share()
    bilateral: bool | None = None
    lobes_affected: int | None = None
    reason: str | None = None


def shares(
    lungs: np.ndarray, lesions: np.ndarray, peripheral: np.ndarray | None = None
) -> tuple[Share, Share, Share]:
    """The peripheral, posterior and lower share.

    lungs, lesions: (D, H, W) labels on canonical axes, lungs with their sides. peripheral: (D, H,
    W) bool, the outer third of the lungs; None where it is not known. ValueError for another shape.
    """
    table = voxels_in_rows(lungs, lesions, peripheral)
    return shares_of(table, has_periphery=peripheral is not None)


def shares_of(table: np.ndarray, *, has_periphery: bool) -> tuple[Share, Share, Share]:
    """The peripheral, posterior and lower share from what ``voxels_in_rows`` counted."""
    posterior, lower = np.zeros_like(table), np.zeros_like(table)
    flat = False
    for side in (RIGHT_LUNG, LEFT_LUNG):
        in_slice = np.flatnonzero(table[:, :, side].any(axis=(1, 2, 3)))
        in_row = np.flatnonzero(table[:, :, side].any(axis=(0, 2, 3)))
        if in_slice.size == 0:
            continue
        # A row on the very middle belongs to the back.
        back = slice((int(in_row[0]) + int(in_row[-1]) + 1) // 2, None)
        posterior[:, back, side] = table[:, back, side]
        edges = thirds(in_slice)
        flat |= edges is None
        if edges is not None:
            lower[edges[2] :, :, side] = table[edges[2] :, :, side]
    return (
        _share(table[..., 1], table) if has_periphery else Share(),
        _share(posterior, table),
        Share() if flat else _share(lower, table),
    )


def thirds(occupied: np.ndarray) -> np.ndarray | None:
    """The four slice indices that bound the thirds of a lung's height, superior first.

    occupied: ascending indices of the slices that hold the lung. None for fewer than three.
    """
    if occupied.size < 3:
        return None
    return np.linspace(occupied[0], occupied[-1] + 1, 4).round().astype(int)


def voxels_in_rows(
    lungs: np.ndarray, lesions: np.ndarray, peripheral: np.ndarray | None = None
) -> np.ndarray:
    """(D, H, lung, infected, peripheral) int64 voxels of every row of every slice.

    The arrays as for ``shares``.
    """
    if peripheral is not None:
        peripheral = checked("peripheral", peripheral, 1, lungs.shape)
    depth, height, width = lungs.shape
    rows = np.broadcast_to(np.arange(height)[:, None] * (LUNG * 4), (height, width))
    table = np.zeros((depth, height, LUNG, 2, 2), np.int64)
    for z, inside in lung_voxels(lungs):
        lesion = lesions[z][inside]
        code = rows[inside] + lungs[z][inside] * 4
        code += ((lesion == GGO) | (lesion == CONSOLIDATION)) * 2
        if peripheral is not None:
            code += peripheral[z][inside]
        table[z] = np.bincount(code, minlength=table[z].size).reshape(table[z].shape)
    return table


def _share(part: np.ndarray, whole: np.ndarray) -> Share:
    """part, whole: counts whose axis 3 is (clean, infected)."""
    infected, lung = int(whole[:, :, :, 1].sum()), int(whole.sum())
    return Share(
        100 * int(part[:, :, :, 1].sum()) / infected if infected else None,
        100 * int(part.sum()) / lung if lung else None,
    )
