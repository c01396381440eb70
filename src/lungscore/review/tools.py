"""What each tool would do to the masks: voxels and their new labels, as pure functions."""

from collections.abc import Callable
from functools import singledispatch
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from lungscore.labels import CONSOLIDATION, GGO
from lungscore.review.masks import HIGHEST, Layer, Masks
from lungscore.review.pieces import connected_voxels
from lungscore.review.planes import invalid, voxels_of_runs
from lungscore.review.requests import (
    Clear,
    Component,
    Copy,
    Edit,
    FillBetween,
    KeepHu,
    Paint,
    Smooth,
)


class Wish(NamedTuple):
    """New labels of one layer, before the lungs have their say.

    voxels: (n,) ascending places in the flattened volume. labels: (n,) uint8.
    anywhere: lesions may be put outside the lungs, which then is only counted.
    """

    layer: Layer
    voxels: np.ndarray
    labels: np.ndarray


@singledispatch
def wish_of(edit: Edit, masks: Masks) -> Wish:
    """What ``edit`` asks of ``masks``. Raises InputError ``review-invalid``."""
    raise TypeError(f"no such tool: {type(edit).__name__}")


@wish_of.register
def _(edit: Paint, masks: Masks) -> Wish:
    labels = _labels(masks, edit.layer)
    _check_label(edit.layer, edit.label)
    pictures = [voxels_of_runs(edit.plane, p.index, p.runs, masks.shape) for p in edit.slices]
    voxels = np.unique(np.concatenate([np.zeros(0, np.int64), *pictures]))
    if edit.over is not None:
        voxels = voxels[np.isin(labels.reshape(-1)[voxels], edit.over)]
    if edit.hu is not None:
        values = _hounsfield(masks).reshape(-1)[voxels]
        voxels = voxels[(values >= edit.hu[0]) & (values <= edit.hu[1])]
    return _all(edit.layer, voxels, edit.label)


@wish_of.register
def _(edit: Component, masks: Masks) -> Wish:
    _check_label(edit.layer, edit.label)
    return _all(edit.layer, component_at(masks, edit.layer, edit.at), edit.label)


@wish_of.register
def _(edit: KeepHu, masks: Masks) -> Wish:
    values = _hounsfield(masks).reshape(-1)
    if edit.low > edit.high:
        raise invalid("the lower bound is above the upper one")
    plane = masks.lungs[0].size
    if edit.scope == "all":
        voxels = np.flatnonzero(masks.lesions)
    elif edit.scope == "slice" and edit.index is not None:
        z = _checked_slice(edit.index, masks)
        voxels = np.flatnonzero(masks.lesions[z]) + z * plane
    elif edit.scope == "component" and edit.at is not None:
        voxels = component_at(masks, "lesions", edit.at)
    else:
        raise invalid(f"the scope {edit.scope} lacks its place")
    concerned = np.isin(masks.lesions.reshape(-1)[voxels], edit.labels)
    outside = (values[voxels] < edit.low) | (values[voxels] > edit.high)
    return _all("lesions", voxels[concerned & outside], 0)


@wish_of.register
def _(edit: Smooth, masks: Masks) -> Wish:
    labels = _labels(masks, edit.layer)

    def smoothed(z: int) -> np.ndarray:
        if not 0 < z < len(labels) - 1:
            return labels[z]
        above, own, below = labels[z - 1], labels[z], labels[z + 1]
        # Two of three agree, or the voxel stays as it is.
        return np.where(above == below, above, own)

    return _of_slices(edit.layer, masks, _span(edit.slices, masks), smoothed, lung=edit.lung)


@wish_of.register
def _(edit: Copy, masks: Masks) -> Wish:
    labels = _labels(masks, edit.layer)
    source = labels[_checked_slice(edit.source, masks)]
    target = _checked_slice(edit.to, masks)

    def copied(z: int) -> np.ndarray:
        return np.where(source > 0, source, labels[z]) if edit.add else source

    return _of_slices(edit.layer, masks, range(target, target + 1), copied, lung=edit.lung)


@wish_of.register
def _(edit: FillBetween, masks: Masks) -> Wish:
    first, last = sorted(_checked_slice(z, masks) for z in edit.slices)
    ends = [
        np.where(edit.lung is None or masks.lungs[z] == edit.lung, masks.lesions[z], 0)
        for z in (first, last)
    ]
    if not all(end.any() for end in ends):
        raise invalid("one of the two slices has no lesions", hint="Mark the lesion in both first")
    infected = [_depth_outside(end > 0) for end in ends]
    dense = [_depth_outside(end == CONSOLIDATION) for end in ends]

    def between(z: int) -> np.ndarray:
        share = (z - first) / (last - first)
        inside, solid = (
            (1 - share) * upper + share * lower <= 0 for upper, lower in (infected, dense)
        )
        return np.where(inside, np.where(solid, CONSOLIDATION, GGO), 0).astype(np.uint8)

    return _of_slices("lesions", masks, range(first + 1, last), between, lung=edit.lung)


@wish_of.register
def _(edit: Clear, masks: Masks) -> Wish:
    labels = _labels(masks, edit.layer)

    def cleared(z: int) -> np.ndarray:
        chosen = labels[z] > 0 if edit.label is None else labels[z] == edit.label
        return np.where(chosen, np.uint8(0), labels[z])

    return _of_slices(
        edit.layer, masks, _span(edit.slices, masks), cleared, erasing=True, lung=edit.lung
    )


def component_at(masks: Masks, layer: Layer, at: tuple[int, int, int]) -> np.ndarray:
    """Ascending places of all that is connected with the voxel ``at``.

    Of lesions both labels, but never across the two lungs; else voxels of the same label. Raises
    InputError ``review-invalid`` where nothing is marked there.
    """
    labels = _labels(masks, layer)
    if any(index >= size for index, size in zip(at, masks.shape, strict=True)):
        raise invalid("the place lies outside the volume")
    if not (label := labels[at]):
        raise invalid("nothing is marked there", hint="Click on a marked voxel")
    side = masks.lungs[at]

    def mask_of(z: int) -> np.ndarray:
        if layer == "lesions":
            return (labels[z] > 0) & (masks.lungs[z] == side)
        return np.asarray(labels[z] == label)

    return connected_voxels(mask_of, len(labels), at)


def _of_slices(
    layer: Layer,
    masks: Masks,
    slices: range,
    new: Callable[[int], np.ndarray],
    *,
    erasing: bool = False,
    lung: int | None = None,
) -> Wish:
    """The wish that each of ``slices`` had the labels that ``new`` gives for it.

    No lobe is taken from lung that goes on, unless ``erasing``. lung: only in that lung.
    """
    labels, plane = _labels(masks, layer), masks.lungs[0].size
    voxels, wanted = [np.zeros(0, np.int64)], [np.zeros(0, np.uint8)]
    for z in slices:
        after = new(z)
        differs = after != labels[z]
        if layer == "lobes" and not erasing:
            differs &= (after > 0) | (masks.lungs[z] == 0)
        if lung is not None:
            differs &= masks.lungs[z] == lung
        places = np.flatnonzero(differs)
        voxels.append(places + z * plane)
        wanted.append(after.reshape(-1)[places])
    return Wish(layer, np.concatenate(voxels), np.concatenate(wanted))


def _all(layer: Layer, voxels: np.ndarray, label: int) -> Wish:
    return Wish(layer, voxels, np.full(len(voxels), label, np.uint8))


def _labels(masks: Masks, layer: Layer) -> np.ndarray:
    labels = masks.layers.get(layer)
    if labels is None:
        raise invalid(f"the case has no {layer}")
    return labels


def _check_label(layer: Layer, label: int) -> None:
    if label > HIGHEST[layer]:
        raise invalid(f"{layer} have no label {label}", expected=f"0 to {HIGHEST[layer]}")


def _hounsfield(masks: Masks) -> np.ndarray:
    if masks.hu is None:
        raise invalid("it needs Hounsfield units, and there is no CT", hint="Name it with --scans")
    return masks.hu


def _checked_slice(z: int, masks: Masks) -> int:
    if z >= len(masks.lungs):
        raise invalid(f"there is no slice {z}", expected=f"0 to {len(masks.lungs) - 1}")
    return z


def _span(slices: tuple[int, int], masks: Masks) -> range:
    first, last = sorted(_checked_slice(z, masks) for z in slices)
    return range(first, last + 1)


def _depth_outside(mask: np.ndarray) -> np.ndarray:
    """Distance to the border of ``mask`` in pixels, negative inside; far away without any."""
    if not mask.any():
        return np.full(mask.shape, float(sum(mask.shape)))
    return ndimage.distance_transform_edt(~mask) - ndimage.distance_transform_edt(mask) + 0.5
