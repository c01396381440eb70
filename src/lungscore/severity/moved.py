"""Scores under other borders of lobes and regions: counts by block, and the range of each score."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from lungscore.labels import LOBES, RIGHT_LUNG
from lungscore.severity.category import CATEGORIES, Category
from lungscore.severity.counts import DENSE, LESION, LOBE, LUNG, REGION, Tally
from lungscore.severity.scores import Score
from lungscore.severity.severity import Burden, Ranges, Severity, Span

#: The part of the moves on either side that a range leaves out.
TAIL = 0.1
#: The totals that hang on borders within a lung, and what is measured of every lobe.
TOTALS = ("ct_ss", "tss", "ctsi", "lss", "lhos")
LOBE_TOTALS = ("tss", "ctsi", "lss", "lhos")


class MovedLabels(Protocol):
    """Lobes and regions with their borders moved in several ways, on blocks of voxels."""

    @property
    def planes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The index of the block of every slice, row and column of the arrays measured."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """How many blocks there are along each axis."""

    def labels(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Lobe and region of every block, (blocks,) uint8, under one move after the other."""


def tallies_of_moves(
    moved: MovedLabels,
    lungs: np.ndarray,
    readings: Sequence[tuple[np.ndarray, Sequence[np.ndarray]]],
    dense: np.ndarray | None,
) -> list[list[Tally]]:
    """The tallies of each reading under each move; all slices are counted together.

    lungs, dense: (D, H, W) as in ``counts.tally``. readings: places (N,) in the flattened arrays,
    and of each reading the lesion labels (N,) there; elsewhere it has none. A block belongs to one
    lobe and one region, but what lies in it is counted voxel by voxel.
    """
    lung = _voxels_of_blocks(moved, lungs)
    filled = np.flatnonzero(lung)
    infected, tables = _lesions_of_blocks(moved, lungs, readings, dense)
    by_block = tables.reshape(len(tables), len(infected), (LESION - 1) * DENSE)
    columns = np.ascontiguousarray(by_block.swapaxes(1, 2))  # of no block at all, too
    tallies: list[list[Tally]] = [[] for _ in tables]
    for lobes, regions in moved.labels():
        parts = lobes.astype(np.int64) * REGION + regions
        voxels = np.bincount(parts[filled], lung[filled], minlength=LOBE * REGION)
        there = parts[infected]
        for row, reading in zip(tallies, columns, strict=True):
            lesions = [np.bincount(there, c, minlength=LOBE * REGION) for c in reading]
            row.append(_tally(voxels.astype(np.int64), np.array(lesions, np.int64)))
    return tallies


def _voxels_of_blocks(moved: MovedLabels, lungs: np.ndarray) -> np.ndarray:
    """(blocks,) how many voxels of lung each block holds."""
    z, y, x = moved.planes
    counts = np.zeros(moved.shape, np.int64)
    rows, columns = (np.unique(plane, return_index=True)[1] for plane in (y, x))
    for index, plane in zip(z, lungs, strict=True):
        if plane.any():
            sums = np.add.reduceat((plane != 0).astype(np.int32), rows, axis=0)
            counts[index, y[0] : y[-1] + 1, x[0] : x[-1] + 1] += np.add.reduceat(
                sums, columns, axis=1
            )
    return counts.ravel()


def _lesions_of_blocks(
    moved: MovedLabels,
    lungs: np.ndarray,
    readings: Sequence[tuple[np.ndarray, Sequence[np.ndarray]]],
    dense: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """The blocks (B,) with lesions, and (reading, B, lesion, dense) how many voxels of which."""
    inside = [lungs.take(voxels) > 0 for voxels, _ in readings]
    kept = [voxels[lung] for (voxels, _), lung in zip(readings, inside, strict=True)]
    blocks = [_blocks_of(moved, voxels, lungs.shape) for voxels in kept]
    infected = np.unique(np.concatenate(blocks))
    number = np.zeros(int(np.prod(moved.shape)), np.int64)
    number[infected] = np.arange(len(infected))
    tables = []
    for (_, labels), lung, voxels, block in zip(readings, inside, kept, blocks, strict=True):
        place = number[block] * LESION * DENSE + (0 if dense is None else dense.take(voxels))
        for lesions in labels:
            code = place + lesions[lung].astype(np.int64) * DENSE
            tables.append(np.bincount(code, minlength=len(infected) * LESION * DENSE))
    shape = (len(tables), len(infected), LESION, DENSE)
    return infected, np.array(tables).reshape(shape)[:, :, 1:]


def _blocks_of(moved: MovedLabels, voxels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The block of each of ``voxels`` (N,), places in flattened arrays of ``shape``."""
    z, y, x = moved.planes
    rest, column = np.divmod(voxels, shape[2])
    index, row = np.divmod(rest, shape[1])
    blocks: np.ndarray = (z[index] * moved.shape[1] + y[row]) * moved.shape[2] + x[column]
    return blocks


def _tally(voxels: np.ndarray, lesions: np.ndarray) -> Tally:
    """A tally of one layer from (lobe · region,) counts: of voxels, of each lesion by density."""
    histogram = np.zeros((LOBE * REGION, LESION, DENSE), np.int64)
    histogram[:, 1:] = lesions.T.reshape(-1, LESION - 1, DENSE)
    histogram[:, 0, 0] = voxels - lesions.sum(axis=0)
    whole = np.zeros((1, LUNG, LOBE, REGION, LESION, DENSE), np.int64)
    for value, table in enumerate(histogram.reshape(LOBE, REGION, LESION, DENSE)):
        right = value in _RIGHT
        whole[0, RIGHT_LUNG if right else LUNG - 1, value] = table
    return Tally(whole, outside=0)


_RIGHT = {value for name, value in LOBES.items() if name.startswith("R")}


def with_moves(
    ranges: Ranges, measured: Severity, by_reading: Sequence[Sequence[Severity]]
) -> Ranges:
    """``ranges`` widened by what each reading gives under moved borders.

    by_reading: one Severity for each move, for each reading; the first reading is the one that was
    ``measured``. Of the moves of one reading, a tenth on either side is left out.
    """
    scores = dict(ranges.scores)
    for name in TOTALS:
        scores[name] = _widest(scores.get(name), (_of_totals(name, row) for row in by_reading))
    lobes = {
        lobe: {
            name: _widest(spans.get(name), (_of_lobe(lobe, name, row) for row in by_reading))
            for name in spans
        }
        for lobe, spans in ranges.lobes.items()
    }
    regions = {
        name: _widest(span, (_of_part("ct_ss", name, row) for row in by_reading))
        for name, span in ranges.regions.items()
    }
    reached = set(ranges.categories)
    for row in by_reading:
        reached |= _categories(row)
    return replace(
        ranges,
        scores=scores,
        lobes=lobes,
        regions=regions,
        categories=tuple(name for name in CATEGORIES if name in reached),
        moves=len(by_reading[0]),
        border_regions=tuple(_hanging(measured.ct_ss, "ct_ss", by_reading[0])),
        border_lobes=tuple(
            lobe
            for lobe in measured.lobes
            if any(
                lobe in _hanging(getattr(measured, name), name, by_reading[0])
                for name in LOBE_TOTALS
            )
        ),
    )


def _inner(values: Iterable[float | None]) -> Span:
    """The lowest and the highest value without a tenth on either side; None where one is None."""
    ordered = list(values)
    if not ordered or None in ordered:
        return None
    ordered.sort()  # type: ignore[type-var]
    cut = int(TAIL * len(ordered))
    return ordered[cut], ordered[len(ordered) - 1 - cut]  # type: ignore[return-value]


def _widest(span: Span, others: Iterable[Span]) -> Span:
    spans = [known for known in (span, *others) if known is not None]
    if span is None:
        return None
    return min(low for low, _ in spans), max(high for _, high in spans)


def _of_totals(name: str, severities: Sequence[Severity]) -> Span:
    """Of a total, the lower end without the parts near the floor."""
    scores: list[Score] = [getattr(severity, name) for severity in severities]
    low = _inner(score.total_cleared for score in scores)
    high = _inner(score.total for score in scores)
    return None if low is None or high is None else (low[0], high[1])


def _of_lobe(lobe: str, name: str, severities: Sequence[Severity]) -> Span:
    burdens: list[Burden | None] = [severity.lobes.get(lobe) for severity in severities]
    return _inner(getattr(burden, name, None) for burden in burdens)


def _of_part(score: str, name: str, severities: Sequence[Severity]) -> Span:
    parts = [getattr(severity, score).parts[name] for severity in severities]
    return _inner(part.percent for part in parts)


def _hanging(score: Score, name: str, severities: Sequence[Severity]) -> list[str]:
    """The parts of a score that another border would score otherwise."""
    return [
        part
        for part, measured in score.parts.items()
        if (span := _inner(getattr(severity, name).parts[part].score for severity in severities))
        and span != (measured.score, measured.score)
    ]


def _categories(severities: Sequence[Severity]) -> set[Category]:
    """The categories that more than a tenth of the moves lead to."""
    given = [severity.category for severity in severities if severity.category is not None]
    return {name for name in set(given) if given.count(name) > TAIL * len(severities)}
