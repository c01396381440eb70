"""The masks of a case under correction, and changes of them that can be taken back."""

import base64
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from lungscore.labels import CONSOLIDATION, LEFT_LUNG, LOBES

Layer = Literal["lesions", "lungs", "lobes"]
LAYERS: tuple[Layer, ...] = get_args(Layer)

#: The highest label of each layer.
HIGHEST: dict[Layer, int] = {
    "lesions": CONSOLIDATION,
    "lungs": LEFT_LUNG,
    "lobes": max(LOBES.values()),
}


@dataclass(frozen=True, eq=False)
class Masks:
    """What is corrected: (D, H, W) uint8 labels (labels.py) on canonical axes, changed in place.

    Lesions and lobes lie within the lungs. lobes: None for a case without. hu: (D, H, W) int16
    Hounsfield units; None without.
    """

    lungs: np.ndarray
    lesions: np.ndarray
    lobes: np.ndarray | None = None
    hu: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(D, H, W)."""
        depth, height, width = self.lungs.shape
        return depth, height, width

    @property
    def layers(self) -> dict[Layer, np.ndarray]:
        """The labels by layer, those that there are."""
        labels: dict[Layer, np.ndarray] = {"lesions": self.lesions, "lungs": self.lungs}
        return labels if self.lobes is None else {**labels, "lobes": self.lobes}

    def copied(self) -> "Masks":
        """The same with labels of its own."""
        lobes = None if self.lobes is None else self.lobes.copy()
        return Masks(self.lungs.copy(), self.lesions.copy(), lobes, self.hu)


def masks_within(
    lungs: np.ndarray,
    lesions: np.ndarray,
    lobes: np.ndarray | None = None,
    hu: np.ndarray | None = None,
) -> Masks:
    """Copies of the labels; those of lesions and lobes where there is lung."""
    inside = lungs > 0
    kept = None if lobes is None else np.ascontiguousarray(lobes * inside)
    return Masks(
        np.array(lungs, np.uint8, order="C"), np.ascontiguousarray(lesions * inside), kept, hu
    )


@dataclass(frozen=True, eq=False)
class Change:
    """What one layer held before and after, as runs of voxels in one row of a slice or more.

    starts: (n,) int64, ascending places in the flattened volume; no run leaves its slice.
    lengths: (n,) int64. before, after: (n,) uint8 labels of all voxels of each run.
    """

    layer: Layer
    starts: np.ndarray
    lengths: np.ndarray
    before: np.ndarray
    after: np.ndarray

    @classmethod
    def of(
        cls, layer: Layer, voxels: np.ndarray, before: np.ndarray, after: np.ndarray, *, plane: int
    ) -> "Change":
        """From single voxels: (n,) ascending places and the labels there. plane: voxels a slice."""
        begins = np.ones(len(voxels), bool)
        if len(voxels):
            goes_on = (np.diff(voxels) == 1) & (voxels[1:] % plane != 0)
            begins[1:] = ~goes_on | (np.diff(before) != 0) | (np.diff(after) != 0)
        first = np.flatnonzero(begins)
        lengths = np.diff(np.append(first, len(voxels)))
        return cls(layer, voxels[first].astype(np.int64), lengths, before[first], after[first])

    @property
    def voxels(self) -> np.ndarray:
        """(N,) every changed place of the flattened volume."""
        return expanded(self.starts, self.lengths)

    def apply(self, labels: np.ndarray) -> None:
        """Write what comes after into ``labels``, the layer's."""
        labels.reshape(-1)[self.voxels] = np.repeat(self.after, self.lengths)

    def reverted(self) -> "Change":
        """What takes this one back."""
        return Change(self.layer, self.starts, self.lengths, self.after, self.before)

    def slices(self, plane: int) -> np.ndarray:
        """The slices in which anything changes, ascending."""
        return np.unique(self.starts // plane)

    def by_slice(self, plane: int) -> Iterator[tuple[int, list[int]]]:
        """Each slice with its runs: start in the slice, length and new label, one after another."""
        slices, first = np.unique(self.starts // plane, return_index=True)
        table = np.stack([self.starts % plane, self.lengths, self.after.astype(np.int64)], axis=1)
        for z, runs in zip(slices.tolist(), np.split(table, first[1:]), strict=True):
            yield z, runs.ravel().tolist()

    def tally(self) -> dict[str, int]:
        """How many voxels were added, removed and given another label."""
        kinds = {
            "added": (self.before == 0) & (self.after > 0),
            "removed": (self.before > 0) & (self.after == 0),
            "relabelled": (self.before > 0) & (self.after > 0),
        }
        return {name: int(self.lengths[kind].sum()) for name, kind in kinds.items()}

    def packed(self) -> dict[str, Any]:
        """As JSON holds it."""
        table = np.stack([self.starts, self.lengths, self.before, self.after]).astype("<i8")
        text = base64.b64encode(zlib.compress(table.tobytes(), 6)).decode()
        return {"layer": self.layer, "runs": text}

    @classmethod
    def unpacked(cls, content: Mapping[str, Any], voxels: int) -> "Change":
        """From what ``packed`` gave; ValueError for what does not fit into ``voxels``."""
        layer = content["layer"]
        if layer not in LAYERS:
            raise ValueError("no such layer")
        unpacker = zlib.decompressobj()
        # There are not more runs than voxels.
        data = unpacker.decompress(base64.b64decode(content["runs"], validate=True), 32 * voxels)
        starts, lengths, before, after = np.frombuffer(data, "<i8").reshape(4, -1).astype(np.int64)
        highest = max(before.max(initial=0), after.max(initial=0))
        if (lengths < 1).any() or (starts < 0).any() or (starts + lengths > voxels).any():
            raise ValueError("runs lie outside the volume")
        if min(before.min(initial=0), after.min(initial=0)) < 0 or highest > HIGHEST[layer]:
            raise ValueError("no such label")
        return cls(layer, starts, lengths, before.astype(np.uint8), after.astype(np.uint8))


def expanded(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(N,) int64 every number of the runs that begin at ``starts``, one run after another."""
    total = int(lengths.sum())
    offsets = np.cumsum(lengths) - lengths
    return np.repeat(starts - offsets, lengths) + np.arange(total, dtype=np.int64)
