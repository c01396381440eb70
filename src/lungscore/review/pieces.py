"""Connected pieces of labels, slice by slice, so that a change costs what it changes.

Voxels that touch by a face, an edge or a corner belong together (26 neighbours), as in
anatomy.separate_lesions.
"""

from collections.abc import Callable, Iterable

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lungscore.labels import LEFT_LUNG, LOBES, RIGHT_LUNG

#: Pixels of a slice that touch by a side or a corner.
_AROUND = np.ones((3, 3), bool)
_COLUMNS = len(LOBES) + 1


def connected_voxels(
    mask_of: Callable[[int], np.ndarray], depth: int, at: tuple[int, int, int]
) -> np.ndarray:
    """Ascending places, in the flattened volume, of all that is connected with the voxel ``at``.

    mask_of: bool (H, W) of a slice. Only the slices that the piece reaches are looked at.
    """
    labelled: dict[int, np.ndarray] = {}

    def pieces_of(z: int) -> np.ndarray:
        if z not in labelled:
            labelled[z] = ndimage.label(mask_of(z), _AROUND)[0]
        return labelled[z]

    z, y, x = at
    reached: dict[int, set[int]] = {z: {int(pieces_of(z)[y, x])}}
    front = [(z, piece) for piece in reached[z] if piece]
    while front:
        z, piece = front.pop()
        near = ndimage.binary_dilation(pieces_of(z) == piece, _AROUND)
        for level in (z - 1, z + 1):
            if not 0 <= level < depth:
                continue
            seen = reached.setdefault(level, set())
            touched = set(np.unique(pieces_of(level)[near]).tolist()) - {0} - seen
            seen |= touched
            front.extend((level, other) for other in touched)
    voxels = [
        np.flatnonzero(np.isin(pieces_of(level), sorted(pieces))) + level * pieces_of(level).size
        for level, pieces in sorted(reached.items())
        if pieces - {0}
    ]
    return np.concatenate(voxels) if voxels else np.zeros(0, np.int64)


class LesionPieces:
    """The separate lesions, kept slice by slice.

    ``components`` is what anatomy.separate_lesions gives, but for the order of its rows.
    """

    def __init__(
        self,
        lungs: np.ndarray,
        lesions: np.ndarray,
        lobes: np.ndarray | None = None,
        *,
        count: bool = True,
    ) -> None:
        self._labels = (lungs, lesions, lobes)
        depth = len(lungs)
        # voxels[z]: (n, 6) of each piece of slice z, by lobe.
        self._voxels = [np.zeros((0, _COLUMNS), np.int64)] * depth
        # links[z]: (n, 2) pieces of slice z and of the next that touch, counted from 0.
        self._links = [np.zeros((0, 2), np.int64)] * depth
        if count:
            self.update(range(depth))

    def of(
        self, lungs: np.ndarray, lesions: np.ndarray, lobes: np.ndarray | None
    ) -> "LesionPieces":
        """The same counts of other arrays; what differs in them is to be counted by ``update``."""
        pieces = LesionPieces(lungs, lesions, lobes, count=False)
        pieces._voxels, pieces._links = self._voxels, self._links
        return pieces

    def update(self, slices: Iterable[int]) -> None:
        """Count ``slices`` again, whose labels have changed."""
        lobes, depth, changed = self._labels[2], len(self._voxels), set(slices)
        near = {level for z in changed for level in (z - 1, z, z + 1) if 0 <= level < depth}
        before, upper, above = -2, np.zeros((0, 0), np.int32), 0
        for z in sorted(near):
            picture, right = self._picture(z)
            if z in changed:
                self._voxels[z] = _voxels_by_lobe(picture, lobes, z)
            if before == z - 1 and changed & {z - 1, z}:
                self._links[z - 1] = _touching(upper, picture, above, right)
            before, upper, above = z, picture, right

    def components(self) -> np.ndarray:
        """(n, 6) int64 voxels of each separate lesion, in no lobe and in each lobe."""
        tables = self._voxels
        first = np.cumsum([0, *(len(table) for table in tables)])
        if not first[-1]:
            return np.zeros((0, _COLUMNS), np.int64)
        links = np.concatenate(
            [pairs + first[z : z + 2] for z, pairs in enumerate(self._links[:-1])]
            or [np.zeros((0, 2), np.int64)]
        )
        ones = np.ones(len(links), bool)
        graph = coo_array((ones, (links[:, 0], links[:, 1])), shape=(first[-1], first[-1]))
        count, component = connected_components(graph, directed=False)
        sums = np.zeros((count, _COLUMNS), np.int64)
        np.add.at(sums, component, np.concatenate(tables))
        return sums

    def _picture(self, z: int) -> tuple[np.ndarray, int]:
        """The numbered pieces of slice ``z``, int32 (H, W), and how many are in the right lung."""
        lungs, lesions, _ = self._labels
        infected = lesions[z] > 0
        if not infected.any():
            return np.zeros(infected.shape, np.int32), 0
        right, count = ndimage.label(infected & (lungs[z] == RIGHT_LUNG), _AROUND)
        left, more = ndimage.label(infected & (lungs[z] == LEFT_LUNG), _AROUND)
        return (np.where(left > 0, left + count, right) if more else right), count


def _voxels_by_lobe(picture: np.ndarray, lobes: np.ndarray | None, z: int) -> np.ndarray:
    """(n, 6) voxels of each piece of slice ``z``, by lobe."""
    inside = picture > 0
    lobe = 0 if lobes is None else lobes[z][inside]
    code = picture[inside].astype(np.int64) * _COLUMNS + lobe
    size = (int(picture.max(initial=0)) + 1) * _COLUMNS
    return np.bincount(code, minlength=size).reshape(-1, _COLUMNS)[1:]


def _touching(upper: np.ndarray, lower: np.ndarray, above: int, below: int) -> np.ndarray:
    """(n, 2) pieces, counted from 0, of two neighbouring slices that touch within one lung.

    above, below: how many pieces of each are in the right lung.
    """
    y, x = np.nonzero(upper)
    if not len(y) or not lower.any():
        return np.zeros((0, 2), np.int64)
    own, padded = upper[y, x].astype(np.int64), np.pad(lower, 1)
    size = int(lower.max()) + 1
    pairs = set()
    for dy in range(3):
        for dx in range(3):
            other = padded[y + dy, x + dx]
            met = other > 0
            pairs.update(np.unique(own[met] * size + other[met]).tolist())
    table = np.array(sorted(pairs), np.int64)
    first, second = np.divmod(table, size)
    same = (first <= above) == (second <= below)
    return np.stack([first[same], second[same]], axis=1) - 1
