"""The numbers of masks under correction: only what changed is counted again.

Every count is kept slice by slice; the numbers are made of them as ``lungscore score`` makes them
of saved masks, and are equal to the last digit.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace

import numpy as np

from lungscore.anatomy import Lungs, divide_regions
from lungscore.anatomy.boxes import columns_of
from lungscore.assessment import (
    Clock,
    Parts,
    analysis_of,
    as_lungs,
    divided,
    periphery,
    segmentation_of,
    with_density,
)
from lungscore.inference import Lesions
from lungscore.labels import LOBES, REGIONS
from lungscore.result import Analysis
from lungscore.review.masks import Change, Masks
from lungscore.review.pieces import LesionPieces
from lungscore.scan import Scan
from lungscore.severity import Counted, Segmentation, severity_of
from lungscore.severity.aeration import voxels_in_bands
from lungscore.severity.counts import Tally, tally
from lungscore.severity.distribution import voxels_in_rows

#: What the lungs of a review are called in messages.
_LUNGS = "the lung mask"

#: region -> lobe, by their values; 0 is none.
_LOBE_OF_REGION = np.array([0, *(LOBES[lobe] for _, lobe in REGIONS)], np.uint8)


class Counting:
    """The counts of ``masks``, which are changed in place, and the analysis made of them.

    scan: the CT, or a placeholder that carries the geometry (assessment.placeholder). has_ct: which
    of the two it is.
    """

    _parts: Parts
    _peripheral: np.ndarray | None
    _box: tuple[slice, slice, slice]
    _rows: np.ndarray
    _pieces: LesionPieces

    def __init__(self, masks: Masks, scan: Scan, *, has_ct: bool) -> None:
        self._masks, self._scan, self._has_ct = masks, scan, has_ct
        self._slices: set[int] = set()
        self._lobes: set[int] = set()
        self._regions = np.zeros(0, np.uint8)
        self._begin()

    @property
    def pending(self) -> bool:
        """Whether lungs or lobes changed, whose shapes must be looked at again as a whole."""
        return self._shapes

    def update(self, changes: Iterable[Change]) -> None:
        """Take note of changes that were made to the masks."""
        plane = self._masks.lungs[0].size
        for change in changes:
            self._slices.update(change.slices(plane).tolist())
            if change.layer == "lungs":
                self._shapes = True
            if change.layer == "lobes":
                self._shapes = True
                self._lobes.update(np.unique(change.before).tolist())
                self._lobes.update(np.unique(change.after).tolist())

    def analysis(self) -> Analysis:
        """The analysis of the masks as they are now. Raises InputError ``no-lungs``."""
        if self._shapes:
            self._look_again()
        parts = with_density(self._parts, has_ct=self._has_ct)
        segmentation = self._segmentation(parts, np.zeros((0, len(LOBES) + 1), np.int64))
        if self._slices:
            self._count(segmentation, sorted(self._slices))
            self._pieces.update(self._slices)
            self._slices = set()
        segmentation = replace(segmentation, components=self._pieces.components())
        counted = Counted(
            Tally(self._histogram, int(self._outside.sum())),
            None if segmentation.hu is None else self._bands,
            self._rows if self._spread else None,
        )
        severity = severity_of(counted, segmentation)
        return analysis_of(parts, severity, {})

    def _begin(self) -> None:
        """Count everything."""
        self._lobes = set(LOBES.values())
        self._parts = self._divided()
        self._peripheral = periphery(self._parts)
        self._restart()
        self._shapes = False

    def _look_again(self) -> None:
        """Divide lungs and lobes anew, and note the slices in which that changes anything."""
        before, peripheral = self._parts, self._peripheral
        self._parts = self._divided()
        self._peripheral = periphery(self._parts)
        self._shapes = False
        pairs = [
            (before.lungs.labels, self._parts.lungs.labels),
            (before.lobes, self._parts.lobes),
            (before.regions, self._parts.regions),
            (peripheral, self._peripheral),
        ]
        alike = all((old is None) == (new is None) for old, new in pairs)
        if not alike or before.lungs.sides_known != self._parts.lungs.sides_known:
            self._restart()
            return
        box = columns_of(self._parts.lungs.labels)
        if box != self._box:
            self._box = box
            self._rows = np.zeros((len(self._rows), *self._row_shape()), np.int64)
            self._slices.update(range(len(self._rows)))
        for old, new in pairs:
            if old is not None and new is not None and old is not new:
                self._slices.update(_different(old, new))
        self._pieces = self._pieces.of(*self._labels())

    def _restart(self) -> None:
        """Empty counts, for all slices."""
        parts = self._parts
        self._box = columns_of(parts.lungs.labels)
        self._spread = parts.lungs.sides_known and self._scan.shape[0] > 1
        depth = self._scan.shape[0]
        empty = np.zeros((1, 1, 1), np.uint8)
        self._histogram = np.repeat(tally(empty, empty).histogram, depth, axis=0)
        self._outside = np.zeros(depth, np.int64)
        self._bands = np.repeat(voxels_in_bands(empty, empty), depth, axis=0)
        self._rows = np.zeros((depth, *self._row_shape()), np.int64)
        self._pieces = LesionPieces(*self._labels(), count=False)
        self._slices = set(range(depth))

    def _row_shape(self) -> tuple[int, ...]:
        height = self._box[1].stop - self._box[1].start
        empty = np.zeros((1, height, 1), np.uint8)
        return voxels_in_rows(empty, empty).shape[1:]

    def _labels(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        return self._parts.lungs.labels, self._parts.lesions.labels, self._parts.lobes

    def _divided(self) -> Parts:
        masks = self._masks
        lungs: Lungs = as_lungs(masks.lungs, _LUNGS)
        lesions = Lesions(masks.lesions, (), None)
        return divided(
            self._scan,
            lungs,
            lesions,
            clock=Clock(),
            lobes=masks.lobes,
            has_ct=self._has_ct,
            divide=self._divide,
        )

    def _divide(self, lobes: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
        """The regions of ``lobes``; only lobes that changed are divided again."""
        known = self._regions.shape == lobes.shape and self._masks.lobes is not None
        changed = self._lobes if known else set(LOBES.values())
        names = [name for name, value in LOBES.items() if value in changed]
        regions = divide_regions(lobes, spacing_mm, names)
        if known:
            kept = np.isin(_LOBE_OF_REGION, sorted(changed), invert=True)
            table = np.where(kept, np.arange(len(kept)), 0).astype(np.uint8)
            regions |= table[self._regions]
        self._regions, self._lobes = regions, set()
        return regions

    def _segmentation(self, parts: Parts, components: np.ndarray) -> Segmentation:
        return segmentation_of(
            parts,
            box=self._box,
            components=components,
            peripheral=self._peripheral,
            has_ct=self._has_ct,
        )

    def _count(self, segmentation: Segmentation, slices: Collection[int]) -> None:
        """Count ``slices`` again."""
        layers = {**segmentation.layers, "hu": segmentation.hu, "rim": segmentation.peripheral}
        for z in slices:
            lungs, lesions = segmentation.lungs[z : z + 1], segmentation.lesions[z : z + 1]
            own = {name: None if a is None else a[z : z + 1] for name, a in layers.items()}
            hu, rim = own.pop("hu"), own.pop("rim")
            counted = tally(lungs, lesions, **own)
            self._histogram[z] = counted.histogram[0]
            self._outside[z] = counted.outside
            if hu is not None:
                self._bands[z] = voxels_in_bands(lungs, hu, own["lobes"])[0]
            if self._spread:
                self._rows[z] = voxels_in_rows(lungs, lesions, rim)[0]


def _different(old: np.ndarray, new: np.ndarray) -> list[int]:
    """The slices in which two volumes of one shape differ."""
    pairs = zip(old, new, strict=True)
    return [z for z, (before, after) in enumerate(pairs) if not np.array_equal(before, after)]
