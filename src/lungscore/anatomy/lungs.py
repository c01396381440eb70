"""Finding the lungs: coarse first, then at the scan's own resolution."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import ndimage

from lungscore.anatomy import checks
from lungscore.anatomy.agreement import differences
from lungscore.anatomy.boxes import copy_within, lung_box
from lungscore.anatomy.closing import surrounded
from lungscore.anatomy.drawing import draw
from lungscore.anatomy.enclosed import enclosed_bays
from lungscore.anatomy.grid import Grid
from lungscore.anatomy.levels import find_levels
from lungscore.anatomy.lung_maps import LungMaps
from lungscore.anatomy.network_lungs import NetworkLungs, network_lungs
from lungscore.anatomy.outline import cut_tissue, ragged_outlines
from lungscore.anatomy.overview import Airways, Overview
from lungscore.anatomy.rules import aerated_lungs, closed_lungs
from lungscore.errors import InputError, Notice
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG
from lungscore.scan import Scan

WALL_MM = 4.0
#: Bone and contrast medium are denser than any consolidated lung, HU.
DENSEST_LUNG_HU = 200
#: A slice whose body takes less than this part of it shows none.
BODY_PART = 0.01
#: Less aerated lung than this is none at all, ml; in the largest slice of a short scan, cm².
NO_LUNGS_ML, NO_LUNGS_CM2, SHORT_SCAN_MM = 40.0, 5.0, 20.0
#: Lungs that fill more than this part of their largest slice at an end of the scan are cut off.
TRUNCATED_AREA = 0.05
#: A second lung below this part of the first is none.
SECOND_LUNG = 0.02
#: A bay at the ribs of which the network gives less than this on average is not lung, of 255.
PLAUSIBLE = 30
USUAL_ML = (1000.0, 10000.0)


@dataclass(frozen=True, repr=False)
class Lungs:
    """The lungs of a scan.

    labels: (D, H, W) uint8, 0 elsewhere, 1 right and 2 left lung; all 1 where the sides are not
    known. notices: what the user should know about the lungs. aerated: the labels before dense
    lung was added to them by its place (``lungs-from-shape``); None where there was none.
    perhaps_ml, doubtful_ml: dense tissue outside ``labels`` that may be lung, and inside that may
    be none; 0 where nobody can say. found_by: who drew them.
    """

    labels: np.ndarray
    sides_known: bool
    notices: tuple[Notice, ...] = ()
    aerated: np.ndarray | None = None
    perhaps_ml: float = 0.0
    doubtful_ml: float = 0.0
    found_by: Literal["network", "rules", "user"] = "rules"

    def __repr__(self) -> str:
        shape = " × ".join(map(str, self.labels.shape))
        sides = "right and left" if self.sides_known else "sides unknown"
        return f"Lungs({shape}, {sides})"


def find_lungs(scan: Scan, maps: Callable[[], LungMaps | None] | None = None) -> Lungs:
    """The lungs of ``scan`` without trachea and main bronchi, vessels and nodules included.

    maps: gives what the lung network says of the scan (inference.LungFinder); None, or a function
    that gives None, where there is no network.

    Rules find aerated lung inside the body on a coarse grid, free it of airways and bowel gas and
    split it into right and left. The network, where there is one, says which blocks are lung, dense
    ones too; then the rules are the second opinion, and where the two differ a notice says so. The
    border is drawn by the scan's own voxels. Without a network, dense lung at the ribs joins it
    where aerated lung encloses it (notice ``lungs-from-shape``). Raises InputError ``no-lungs``.
    """
    overview = Overview.of(scan)
    airways = Airways.find(overview)
    aerated = aerated_lungs(overview, airways)
    dark = overview.values < overview.levels.lung
    told = None
    if maps is not None and _are_lungs(dark & surrounded(~dark), overview.grid.spacing_mm):
        told = maps()
    if told is None:
        return _by_rules(overview, aerated, airways)
    return _by_network(overview, told, aerated, airways)


def _by_rules(overview: Overview, aerated: np.ndarray, airways: Airways) -> Lungs:
    scan, grid = overview.scan, overview.grid
    _require_lungs(scan, aerated > 0, grid.spacing_mm)
    aerated, one_lung = _without_specks(aerated, known=scan.sides_known)
    airway = airways.on(grid)
    closed = closed_lungs(aerated, airway, grid.spacing_mm)
    dense = (closed > 0) & (aerated == 0)
    labels = draw(overview, closed, dense=dense, airways=airway, lumen=airways)
    lungs = Lungs(labels, scan.sides_known, one_lung)
    if scan.sides_known and len(labels) > 1:
        lungs = _with_enclosed(lungs, overview, airways)
    notices = _checked(overview, closed, airway)
    return replace(lungs, notices=(*lungs.notices, *size_notices(scan, lungs.labels), *notices))


def _by_network(overview: Overview, maps: LungMaps, aerated: np.ndarray, airways: Airways) -> Lungs:
    scan, grid = overview.scan, overview.grid
    airway = airways.on(grid)
    network = network_lungs(maps, overview, aerated, airway)
    unseen = not _are_lungs(network.closed > 0, grid.spacing_mm)
    if unseen and len(scan.values) == 1 and not scan.sides_known:
        # A lone picture may be cut to the box of its lungs; the network has learned whole chests.
        return _by_rules(overview, aerated, airways)
    _require_lungs(scan, network.closed > 0, grid.spacing_mm)
    closed, one_lung = _without_specks(network.closed, known=scan.sides_known)
    labels = draw(overview, closed, dense=network.dense, airways=network.airways, hazy=network.hazy)
    ml = checks.block_ml(overview) if scan.spacing_mm else 0.0
    lungs = Lungs(
        labels,
        scan.sides_known,
        one_lung,
        doubtful_ml=float((network.doubtful & (closed > 0)).sum()) * ml,
        found_by="network",
    )
    several = len(labels) > 1 and scan.sides_known
    if several:
        lungs = _with_enclosed(lungs, overview, airways, network)
    drawn = grid.centres(lungs.labels)
    perhaps = network.perhaps & (drawn == 0)
    lungs = replace(lungs, perhaps_ml=float(perhaps.sum()) * ml)
    notices = (*lungs.notices, *size_notices(scan, lungs.labels))
    if several:
        rules = closed_lungs(aerated, airway, grid.spacing_mm)
        air = overview.values < overview.levels.lung
        differing = list(differences(closed, rules, air, checks.block_ml(overview)))
        notices += tuple(checks.disagreement(differing))
    notices += tuple(_checked(overview, closed, network.airways))
    if scan.sides_known:
        notices += (*cut_tissue(drawn, overview), *ragged_outlines(lungs.labels, overview))
    return replace(lungs, notices=tuple(dict.fromkeys(notices)))


def _checked(overview: Overview, closed: np.ndarray, airways: np.ndarray) -> Iterator[Notice]:
    """What is odd about the lungs ``closed`` (labels on blocks)."""
    if len(closed) == 1:
        return
    if overview.scan.sides_known:
        layer_mm, factor = overview.grid.spacing_mm[0], overview.grid.factors[0]
        yield from checks.broken_lungs(closed, layer_mm, factor=factor)
        yield from checks.unequal_lungs(closed)
        yield from checks.gas_in_lungs(closed, overview)
        yield from checks.air_outside(closed, airways, overview)
    yield from checks.cut_sideways(closed, overview)
    yield from checks.no_trachea(airways, closed, overview)


def _without_specks(sides: np.ndarray, *, known: bool) -> tuple[np.ndarray, tuple[Notice, ...]]:
    """``sides`` without a second lung that is too small to be one, and a notice of that."""
    right, left = int((sides == RIGHT_LUNG).sum()), int((sides == LEFT_LUNG).sum())
    if min(right, left) >= SECOND_LUNG * max(right, left) or len(sides) == 1 or not known:
        return sides, ()
    present, name = (RIGHT_LUNG, "right") if right > left else (LEFT_LUNG, "left")
    notice = Notice("one-lung", f"Only the {name} lung was found")
    return np.where(sides == present, sides, 0).astype(np.uint8), (notice,)


def _with_enclosed(
    lungs: Lungs,
    overview: Overview,
    airways: Airways,
    network: NetworkLungs | None = None,
) -> Lungs:
    """``lungs`` with the dense lung at the ribs that aerated lung encloses.

    network: what the lung network found. Then bays are looked for in its aerated lung too, since
    dense lung that it found in part makes them shallower; bays that it excludes are no lung.
    """
    scan = overview.scan
    grid = Grid.over(scan.shape, overview.spacing_mm, block_mm=WALL_MM)
    labels: np.ndarray | None = None
    for side in (RIGHT_LUNG, LEFT_LUNG):
        lung = grid.fraction(lungs.labels, side) >= 0.5
        if not lung.any():
            continue
        bays = enclosed_bays(lung, side, grid.spacing_mm)
        if network is not None:
            airless = (network.closed > 0) & (overview.values >= overview.levels.lung)
            aerated = lung & ~grid.sample(airless, overview.grid)
            if aerated.any():
                bays |= enclosed_bays(aerated, side, grid.spacing_mm)
            bays = _plausible(bays, grid.sample(network.probability, overview.grid))
            # Fluid makes no bays: what goes on from one and may be lung is lung.
            perhaps = grid.sample(network.perhaps, overview.grid)
            bays = ndimage.binary_propagation(bays, mask=bays | perhaps) & ~lung
        if overview.levels.gas is not None:
            gas = grid.sample(overview.values, overview.grid) < overview.levels.gas
            bays &= ~gas  # a pneumothorax or a bulla, not dense
        if not bays.any():
            continue
        box = lung_box(bays, margin=(1, 1, 1))
        voxels = grid.box_of(box)
        first = box[0].start, box[1].start, box[2].start
        add = grid.enlarge((bays | lung)[box], voxels, first=first)
        add &= grid.enlarge(ndimage.binary_dilation(bays[box]), voxels, first=first)
        add &= ~airways.within(voxels)
        if scan.units == "hu":
            add &= scan.values[voxels] < DENSEST_LUNG_HU
        if labels is None:
            labels = copy_within(lungs.labels, lung_box(lungs.labels))
        drawn = labels[voxels]
        drawn[add & (drawn == 0)] = side
    if labels is None:
        return lungs
    added = np.count_nonzero(labels) - np.count_nonzero(lungs.labels)
    if not added:
        return lungs
    share = added / np.count_nonzero(labels)
    text = (
        "The lung mask was extended by dense tissue at the ribs, enclosed by aerated lung "
        f"({100 * share:.1f} % of the lungs)"
    )
    return replace(
        lungs,
        labels=labels,
        notices=(*lungs.notices, Notice("lungs-from-shape", text)),
        aerated=lungs.labels,
        doubtful_ml=lungs.doubtful_ml + added * (scan.voxel_ml or 0.0),
    )


def _plausible(bays: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """The ``bays`` (bool) whose mean probability of lung, 0…255, is no lower than PLAUSIBLE."""
    pieces, count = ndimage.label(bays)
    means = ndimage.mean(probability, pieces, np.arange(count + 1))
    return (means >= PLAUSIBLE)[pieces] & bays


def _are_lungs(lungs: np.ndarray, spacing_mm: tuple[float, float, float]) -> bool:
    """Whether ``lungs`` are large enough to be any."""
    size, least, _ = _size(lungs, spacing_mm)
    return size >= least


def _require_lungs(scan: Scan, lungs: np.ndarray, spacing_mm: tuple[float, float, float]) -> None:
    """Raise InputError ``no-lungs`` where ``lungs`` are too small to be any."""
    size, least, unit = _size(lungs, spacing_mm)
    if size < least:
        amount = (
            f"only {size:.0f} {unit} of aerated lung"
            if scan.spacing_mm
            else "no aerated lung was found"
        )
        raise InputError(
            "no-lungs",
            f"{scan.name}: {amount}",
            expected="an axial chest CT",
            hint="Check that the scan shows the chest and has correct HU values",
        )


def _size(lungs: np.ndarray, spacing_mm: tuple[float, float, float]) -> tuple[float, float, str]:
    """How large ``lungs`` are, the least that lungs are, and the unit of both."""
    if len(lungs) * spacing_mm[0] < SHORT_SCAN_MM:
        # A few slices hold little volume; there the area must do.
        area_cm2 = lungs.sum(axis=(1, 2)).max() * spacing_mm[1] * spacing_mm[2] / 100
        return float(area_cm2), NO_LUNGS_CM2, "cm²"
    return float(lungs.sum() * np.prod(spacing_mm) / 1000), NO_LUNGS_ML, "ml"


def size_notices(scan: Scan, labels: np.ndarray) -> tuple[Notice, ...]:
    """Notices of a scan that does not hold all of its lungs ``labels``, and of their volume."""
    if len(labels) == 1:
        return ()
    notices = []
    areas = np.array([np.count_nonzero(plane) for plane in labels])
    first, last = _with_body(scan)
    ends = (("first", areas[first] / areas.max()), ("last", areas[last] / areas.max()))
    cut = [
        f"the {end} slice still shows {share:.0%} of their largest area"
        for end, share in ends
        if share > TRUNCATED_AREA
    ]
    if cut:
        text = f"The lungs are cut off: {' and '.join(cut)}"
        notices.append(Notice("truncated-scan", text))
    if scan.voxel_ml is not None:
        volume_ml = float(areas.sum()) * scan.voxel_ml
        if not USUAL_ML[0] <= volume_ml <= USUAL_ML[1]:
            text = (
                f"The lung volume is {volume_ml:.0f} ml; usual are "
                f"{USUAL_ML[0]:.0f} to {USUAL_ML[1]:.0f} ml"
            )
            notices.append(Notice("lung-volume", text))
    return tuple(notices)


def _with_body(scan: Scan) -> tuple[int, int]:
    """The first and the last slice that show the body; all others beyond them hold air alone."""
    body = find_levels(scan).lung
    shown = [np.count_nonzero(plane[::4, ::4] >= body) for plane in scan.values]
    least = BODY_PART * scan.values[0, ::4, ::4].size
    seen = np.flatnonzero(np.array(shown) > least)
    return (int(seen[0]), int(seen[-1])) if len(seen) else (0, len(shown) - 1)
