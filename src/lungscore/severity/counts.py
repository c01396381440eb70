"""Counting voxels of lungs, lobes, regions and lesions in one pass over the label arrays."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from lungscore.labels import CONSOLIDATION, GGO, LEFT_LUNG, LOBES, PLEURAL_EFFUSION, REGIONS

# Sizes of the joint histogram's axes: label values including background.
LUNG, LOBE, REGION, LESION, DENSE = 3, len(LOBES) + 1, len(REGIONS) + 1, 3, 2


class Counts(NamedTuple):
    """Voxels of one part of the lungs, lesions included in ``voxels``."""

    voxels: int
    ggo: int
    consolidation: int
    dense: int

    @property
    def infection(self) -> int:
        """GGO and consolidation together."""
        return self.ggo + self.consolidation

    def percent(self, count: int) -> float | None:
        """``count`` in percent of this part; None where the part has no voxels.

        The division of integers is exact on the score edges: 100·50/100 is 50.0, never 49.999….
        """
        return 100 * count / self.voxels if self.voxels else None


@dataclass(frozen=True)
class Tally:
    """The joint histogram of every label inside the lungs.

    histogram: (D, lung, lobe, region, lesion, dense) int64 voxel counts; lung 0 is empty.
    outside: infected voxels outside the lungs; they count nowhere else.
    """

    histogram: np.ndarray
    outside: int

    def part(self, **where: int | slice) -> Counts:
        """Counts of the part selected by ``slices``, ``lung``, ``lobe``, ``region``."""
        axes = ("slices", "lung", "lobe", "region")
        if unknown := set(where) - set(axes):
            raise ValueError(f"no such axis: {sorted(unknown)}")
        match list(where.items()):
            case [(str(axis), int(value))] if axis in self._tables:
                return _counts(self._tables[axis][value])
        selected = self.histogram[tuple(_as_slice(where.get(axis)) for axis in axes)]
        return _counts(selected.sum(axis=(0, 1, 2, 3)))

    @cached_property
    def _tables(self) -> dict[str, np.ndarray]:
        """The (lesion, dense) tables of every lung, lobe and region: each is asked for often."""
        volume = self.histogram.sum(axis=0)
        return {
            "lung": volume.sum(axis=(1, 2)),
            "lobe": volume.sum(axis=(0, 2)),
            "region": volume.sum(axis=(0, 1)),
        }

    def per_slice(self) -> list[Counts]:
        """Counts of each slice's lung, superior to inferior."""
        return [_counts(table) for table in self.histogram.sum(axis=(1, 2, 3))]

    def slices_of_lung(self, lung: int) -> np.ndarray:
        """(D,) voxels of one lung in each slice."""
        return self.histogram[:, lung].sum(axis=(1, 2, 3, 4))


def tally(
    lungs: np.ndarray,
    lesions: np.ndarray,
    *,
    lobes: np.ndarray | None = None,
    regions: np.ndarray | None = None,
    dense: np.ndarray | None = None,
) -> Tally:
    """Count all labels of (D, H, W) arrays in one pass over the lungs, slice by slice.

    Raises ValueError when shapes differ or a label lies outside its table (labels.py).
    """
    lungs = checked("lungs", lungs, LEFT_LUNG, lungs.shape)
    lesions = checked("lesions", lesions, PLEURAL_EFFUSION, lungs.shape)
    if lesions.max(initial=0) == PLEURAL_EFFUSION:
        lesions = np.where(lesions == PLEURAL_EFFUSION, np.uint8(0), lesions)
    # Mixed-radix code of one voxel: lesion and density vary fastest (see the reshape below).
    layers = [(lungs, LOBE * REGION * LESION * DENSE), (lesions, DENSE)]
    if lobes is not None:
        lobes = checked("lobes", lobes, LOBE - 1, lungs.shape)
        layers.append((lobes, REGION * LESION * DENSE))
    if regions is not None:
        regions = checked("regions", regions, REGION - 1, lungs.shape)
        layers.append((regions, LESION * DENSE))
    if dense is not None:
        layers.append((checked("dense", dense, 1, lungs.shape), 1))
    axes = (LUNG, LOBE, REGION, LESION, DENSE)
    bins = int(np.prod(axes))
    histogram = np.zeros((lungs.shape[0], bins), dtype=np.int64)
    for z, inside in lung_voxels(lungs):
        code = np.uint16(0)
        for labels, weight in layers:
            code = code + labels[z][inside] * np.uint16(weight)
        histogram[z] = np.bincount(code, minlength=bins)
    histogram = histogram.reshape(-1, *axes)
    counted = int(histogram[..., GGO:, :].sum())
    return Tally(histogram, outside=int(np.count_nonzero(lesions)) - counted)


def lung_voxels(lungs: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each slice of ``lungs`` (D, H, W) that holds lung: its index and where, bool (H, W)."""
    for z, labels in enumerate(lungs):
        inside = labels != 0
        if inside.any():
            yield z, inside


def tallies_of_others(
    counted: Tally,
    voxels: np.ndarray,
    alternatives: Iterable[np.ndarray],
    *,
    lungs: np.ndarray,
    lobes: np.ndarray | None = None,
    regions: np.ndarray | None = None,
    dense: np.ndarray | None = None,
) -> Iterator[Tally]:
    """The tally of each of ``alternatives``: lesions unlike those ``counted`` in few voxels.

    voxels: (N,) places in the flattened arrays; outside of them neither those counted nor any
    alternative has a lesion. alternatives: (N,) uint8 labels at ``voxels``, 0, 1 GGO,
    2 consolidation. The rest as for ``tally``. Only ``voxels`` are visited, so that many
    alternatives cost little.
    """
    plane = lungs.shape[1] * lungs.shape[2]
    part = (voxels // plane).astype(np.int32)  # a scan has far fewer bins than int32 can name
    for labels, size in ((lungs, LUNG), (lobes, LOBE), (regions, REGION)):
        part *= size
        if labels is not None:
            part += labels.take(voxels)
    part *= LESION * DENSE
    if dense is not None:
        part += dense.take(voxels)
    shape = counted.histogram.shape
    free = counted.histogram.sum(axis=4)
    for lesions in alternatives:
        infected = lesions > 0
        bins = part[infected] + lesions[infected] * np.int32(DENSE)
        histogram = np.bincount(bins, minlength=counted.histogram.size).reshape(shape)
        histogram[:, 0] = 0
        inside = int(histogram.sum())
        histogram[..., 0, :] = free - histogram.sum(axis=4)
        yield Tally(histogram, outside=int(np.count_nonzero(infected)) - inside)


def _counts(table: np.ndarray) -> Counts:
    """Counts from a (lesion, dense) table."""
    rows = table.tolist()
    ggo, consolidation = sum(rows[GGO]), sum(rows[CONSOLIDATION])
    return Counts(
        voxels=sum(map(sum, rows)),
        ggo=ggo,
        consolidation=consolidation,
        dense=rows[GGO][1] + rows[CONSOLIDATION][1],
    )


def _as_slice(index: int | slice | None) -> slice:
    if index is None:
        return slice(None)
    return index if isinstance(index, slice) else slice(index, index + 1)


def checked(name: str, labels: np.ndarray, highest: int, shape: tuple[int, ...]) -> np.ndarray:
    """``labels`` as uint8; ValueError unless they are integers 0…highest of this shape."""
    if labels.ndim != 3 or labels.shape != shape:
        raise ValueError(f"{name} have shape {labels.shape}; expected (D, H, W) {shape}")
    if labels.dtype == bool:
        return labels.view(np.uint8)
    if labels.dtype.kind not in "ui":
        raise ValueError(f"{name} are labels (integers or bool), not {labels.dtype}")
    low, high = labels.min(initial=0), labels.max(initial=0)
    if low < 0 or high > highest:
        raise ValueError(f"{name} hold labels {low}–{high}; expected 0–{highest}")
    return labels.astype(np.uint8, copy=False)
