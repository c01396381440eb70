"""Slices of both examinations side by side: the same levels of the lungs, one scale.

Pure functions from cases to PIL images; nothing is written here.
"""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from lungscore.followup import Case, FollowUp
from lungscore.followup.registration import Rigid, register, resampled_plane
from lungscore.labels import CONSOLIDATION, GGO
from lungscore.report.pictures import (
    TILE_SIZE,
    Picture,
    Plane,
    bounds,
    draw,
    length_mm,
    montage,
    widened,
    windowed,
)

LEVELS = 5
#: Mean distance of the surfaces up to which registered lungs are taken for the same lungs.
MOST_RESIDUAL_MM = 6.0


@dataclass(frozen=True)
class Pair:
    """One level in both examinations, pictures of equal size; level: 0 apex, 1 base.

    difference: of opacity, where the examinations are registered.
    """

    level: float
    earlier: Picture
    later: Picture
    difference: Picture | None = None


def pairs(follow_up: FollowUp) -> list[Pair]:
    """Five levels from apex to base, the one with the most infected slice among them.

    A level is a slice of the earlier scan, and what of the later one lies there once the lungs are
    registered. Without voxel sizes it is a part of each scan's own lung height. Fewer than five
    where a scan has fewer slices; empty without lungs.
    """
    cases = (follow_up.earlier, follow_up.later)
    if not all(case.lungs.any() for case in cases):
        return []
    transform = register(*cases)
    if transform is not None and transform.residual_mm <= MOST_RESIDUAL_MM:
        return [_registered(follow_up, transform, level) for level in matched_levels(*cases)]
    sizes = np.array([_size_mm(case) for case in cases])
    # One scale for both; without a voxel size there is none, and each fills its own frame.
    known = all(case.spacing_mm for case in cases)
    first, second = (TILE_SIZE / (sizes if known else size).max() for size in sizes)
    height, width = np.ceil(np.maximum(sizes[0] * first, sizes[1] * second)).astype(int)
    frame = (int(width), int(height))
    return [
        Pair(
            level,
            _tile(follow_up.earlier, level, first, frame),
            _tile(follow_up.later, level, second, frame),
        )
        for level in matched_levels(*cases)
    ]


def matched_levels(earlier: Case, later: Case) -> list[float]:
    """Parts of the lungs' height, ascending: even steps, the nearest to the worst slice moved."""
    heights = [_occupied(case).size for case in (earlier, later)]
    count = min(LEVELS, *heights)
    levels = (np.arange(count) + 0.5) / count
    worst = [_worst(case) for case in (earlier, later)]
    infected, level = max(worst)
    if infected > 0:
        levels[np.abs(levels - level).argmin()] = level
    return [float(level) for level in levels]


def slice_at(case: Case, level: float) -> int:
    """The slice at ``level`` (0 apex, 1 base) of the lungs' height."""
    occupied = _occupied(case)
    height = occupied[-1] + 1 - occupied[0]
    return int(occupied[0] + min(int(level * height), height - 1))


def side_by_side(shown: list[Pair]) -> Image.Image:
    """All pairs in one RGB image: the earlier above, the later below, apex at the left."""
    tiles = [
        replace(picture, caption=f"{name} · {picture.caption}")
        for name in ("earlier", "later", "difference")
        for picture in (getattr(pair, name) for pair in shown)
        if picture is not None
    ]
    return montage(tiles, columns=len(shown))


def _registered(follow_up: FollowUp, transform: Rigid, level: float) -> Pair:
    """Both examinations on the pixels of the earlier one, and what differs."""
    earlier, later = follow_up.earlier, follow_up.later
    scale = TILE_SIZE / max(_size_mm(earlier))
    z, box = slice_at(earlier, level), _box(earlier)
    first = _tile(earlier, level, scale, None)
    values, lungs, lesions = resampled_plane(transform, earlier, later, (z, *box))
    grey = _grey(values, lungs, later.units)
    inside = np.count_nonzero(lungs)
    share = f"{100 * np.count_nonzero(lesions[lungs > 0]) / inside:.1f} %" if inside else "no lung"
    middle = transform(np.array([z, *((e.start + e.stop) / 2 for e in box)]) * _mm(earlier))
    near = int(np.clip(round(middle[0] / _mm(later)[0]), 0, len(later.lungs) - 1))
    letters = ("R", "L") if _sides_as_seen(earlier) and _sides_as_seen(later) else ("", "")
    plane = Plane(grey, lungs, lesions, None, _pixel_mm(earlier))
    caption = f"about slice {near + 1} of {len(later.lungs)} · {share}"
    second = draw(plane, scale, letters, caption=caption, name=f"level_{level:.2f}")
    before, after = earlier.lesions[(z, *box)] > 0, lesions > 0
    # Drawn as the two kinds of lesions are: what has gone plain, what is new hatched.
    change = np.where(after & ~before, np.uint8(CONSOLIDATION), np.uint8(0))
    change[before & ~after] = GGO
    third = draw(
        replace(plane, lesions=change),
        scale,
        letters,
        caption=f"new {np.count_nonzero(after & ~before) * _pixel_ml(earlier):.1f} ml, "
        f"gone {np.count_nonzero(before & ~after) * _pixel_ml(earlier):.1f} ml",
        name=f"difference_{level:.2f}",
    )
    return Pair(level, first, second, third)


def _mm(case: Case) -> np.ndarray:
    return np.array(case.spacing_mm or (1.0, 1.0, 1.0))


def _pixel_ml(case: Case) -> float:
    """Millilitres of one voxel."""
    return float(np.prod(_mm(case))) / 1000


def _grey(values: np.ndarray | None, lungs: np.ndarray, units: str | None) -> np.ndarray:
    if values is None or units is None:
        return np.where(lungs > 0, np.uint8(70), np.uint8(0))
    return windowed(values, units)


def _tile(case: Case, level: float, scale: float, frame: tuple[int, int] | None) -> Picture:
    """The slice at ``level``, in the middle of a frame of (width, height) pixels."""
    z = slice_at(case, level)
    where = (z, *_box(case))
    lungs = case.lungs[where]
    grey = _grey(None if case.values is None else case.values[where], lungs, case.units)
    plane = Plane(grey, lungs, case.lesions[where], None, _pixel_mm(case))
    percent = case.result["slices"][z]["infection_percent"]
    share = "no lung" if percent is None else f"{percent:.1f} %"
    caption = f"slice {z + 1} of {case.lungs.shape[0]} · {share}"
    letters = ("R", "L") if _sides_as_seen(case) else ("", "")
    picture = draw(plane, scale, letters, caption=caption, name=f"level_{level:.2f}")
    if frame is None:
        return picture
    width, height = picture.image.size
    corner = ((frame[0] - width) // 2, (frame[1] - height) // 2)
    image = Image.new("L", frame)
    image.paste(picture.image, corner)
    contours = Image.new("P", frame)
    contours.putpalette(picture.contours.getpalette() or [])
    contours.info["transparency"] = picture.contours.info["transparency"]
    contours.paste(picture.contours, corner)
    return replace(picture, image=image, contours=contours)


def _box(case: Case) -> tuple[slice, slice]:
    """Rows and columns of the lungs with a margin."""
    _, rows, columns = bounds(case.lungs)
    _, height, width = case.lungs.shape
    down, across = _pixel_mm(case)
    return widened(rows, height, down), widened(columns, width, across)


def _size_mm(case: Case) -> tuple[float, float]:
    """Height and width of what is shown of a slice; pixels without a voxel size."""
    (rows, columns), (down, across) = _box(case), _pixel_mm(case)
    return length_mm(rows, down), length_mm(columns, across)


def _pixel_mm(case: Case) -> tuple[float, float]:
    return case.spacing_mm[1:] if case.spacing_mm else (1.0, 1.0)


def _occupied(case: Case) -> np.ndarray:
    """Indices of the slices that hold lung."""
    return np.flatnonzero(case.lungs.any(axis=(1, 2)))


def _worst(case: Case) -> tuple[float, float]:
    """(infected area, level of the middle) of the slice with most infection; mm², or pixels."""
    pixels = np.count_nonzero(case.lesions, axis=(1, 2))
    z, occupied = int(pixels.argmax()), _occupied(case)
    level = (z - occupied[0] + 0.5) / (occupied[-1] + 1 - occupied[0])
    return float(pixels[z] * np.prod(_pixel_mm(case))), float(level)


def _sides_as_seen(case: Case) -> bool:
    """Whether the right lung is known and lies at the picture's left, where the letters say so."""
    if not case.result["input"]["sides_known"]:
        return False
    columns = [np.flatnonzero((case.lungs == side).any(axis=(0, 1))) for side in (1, 2)]
    return all(c.size == 0 for c in columns) or not (
        columns[0].size and columns[1].size and columns[0].mean() > columns[1].mean()
    )
