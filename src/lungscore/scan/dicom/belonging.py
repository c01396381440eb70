"""Which images belong to one stack: strangers are set aside, and what was torn apart is joined."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from lungscore.errors import InputError
from lungscore.scan.dicom.header import CT_IMAGE, SECONDARY_CAPTURE, Header

#: Cosine between an image's normal and that of the stack above which they are one direction, and
#: below which the image lies across the stack: a scout or a reformatted picture.
SAME_DIRECTION, ACROSS = 0.97, 0.7

#: Largest part of a series that may be set aside, and the fewest images that are a stack.
STRANGERS, SMALLEST_STACK = 0.2, 3

#: Runs of one acquisition along the body that exceed the number of acquisitions by this are no
#: blocks that follow each other; changes of direction in time as a part of all slices.
MORE_RUNS, TURNS = 3, 0.3


def set_aside(headers: Sequence[Header]) -> tuple[list[Header], dict[str, list[Header]]]:
    """The images of one stack, and those of a series that are not slices of it, by kind.

    Set aside are pictures across the stack (scouts without their name, reformatted views), pictures
    that do not say where they lie where all others do, and derived pictures of another size.
    Slices that are a little turned or of another size without a reason are not: they are
    contradictions for the checks of geometry.
    """
    if len(headers) <= SMALLEST_STACK:
        return list(headers), {}
    strangers: dict[int, str] = {}
    placed = [number for number, header in enumerate(headers) if _is_placed(header)]
    if len(placed) >= (1 - STRANGERS) * len(headers):
        strangers |= dict.fromkeys(set(range(len(headers))) - set(placed), "without a position")
        across = _across([headers[number] for number in placed])
        strangers |= {placed[number]: "across the slices" for number in across}
    rest = [header for number, header in enumerate(headers) if number not in strangers]
    size, kind = _most(_size(header) for header in rest), _most(h.image_type[:2] for h in rest)
    for number, header in enumerate(headers):
        if number not in strangers and _size(header) != size and header.image_type[:2] != kind:
            strangers[number] = "derived, of another size"
    count = len(headers) - len(strangers)
    if len(strangers) > STRANGERS * len(headers) or count < SMALLEST_STACK:
        return list(headers), {}
    kinds: dict[str, list[Header]] = {}
    for number, kind_of_stranger in sorted(strangers.items()):
        kinds.setdefault(kind_of_stranger, []).append(headers[number])
    return [h for number, h in enumerate(headers) if number not in strangers], kinds


def _across(headers: Sequence[Header]) -> list[int]:
    """Which of the placed ``headers`` are pictures across the stack.

    One that looks like the others and stands where a slice is due is none of them: a slice with a
    wrong direction is a contradiction.
    """
    common = _common_normal(headers)
    turned = [n for n, header in enumerate(headers) if abs(_normal(header) @ common) < ACROSS]
    straight = [header for n, header in enumerate(headers) if n not in set(turned)]
    if not turned or len(straight) < SMALLEST_STACK:
        return []
    heights = np.sort([np.dot(header.position, common) for header in straight])  # type: ignore[arg-type]
    step = float(np.median(np.diff(heights)))
    kinds = {(_size(header), header.image_type) for header in straight}

    def is_due(header: Header) -> bool:
        off = np.abs(heights - np.dot(header.position, common)).min()  # type: ignore[arg-type]
        return bool(0.5 * step <= off <= 1.5 * step)

    return [
        number
        for number in turned
        if (_size(headers[number]), headers[number].image_type) not in kinds
        or not is_due(headers[number])
    ]


def joined(groups: dict[str, list[Header]], smallest: int) -> tuple[dict[str, list[Header]], int]:
    """``groups`` of headers by series UID, those torn apart by their UIDs joined, and how many.

    Joined are groups below ``smallest`` slices that agree in patient, study, frame of reference,
    size, spacing, direction and recipe and stand at different places, unless a series of that
    many slices is there.
    """
    slices = {uid: [h for h in members if _is_slice(h)] for uid, members in groups.items()}
    if any(len({h.position for h in members}) >= smallest for members in slices.values()):
        return groups, 0
    frames = [h.frame for members in slices.values() for h in members]
    own_frames = len(set(frames)) == len(frames) > 1
    families: dict[tuple, list[str]] = {}
    for uid, members in groups.items():
        keys = {_family(h, own_frames) for h in members}
        if len(keys) == 1 and len(slices[uid]) == len(members):
            families.setdefault(keys.pop(), []).append(uid)
    result, merged = dict(groups), 0
    for uids in families.values():
        headers = [h for uid in uids for h in groups[uid]]
        positions = {h.position for h in headers}
        if len(uids) < 2 or None in positions or len(positions) < len(headers):
            continue
        for uid in uids:
            del result[uid]
        first = min(uids)
        result[first] = [replace(h, series_uid=first) for h in headers]
        merged += len(uids)
    return result, merged


def check_acquisitions(headers: Sequence[Header]) -> None:
    """Raise ``mixed-acquisitions`` where acquisitions alternate along the stack.

    headers: sorted along the stack. An acquisition may be one turn of the tube or all of them, but
    then its slices lie beside each other, and later ones lie further on.
    """
    recipes = [(header.recipe, header.thickness, header.frame) for header in headers]
    numbers = [header.acquisition for header in headers]
    times = [header.acquired_s for header in headers]
    few = len(set(times)) <= len(times) / SMALLEST_STACK
    mixed = _alternate(recipes)
    mixed |= _alternate(numbers) if len(set(numbers)) <= len(numbers) / 2 else False
    if not mixed and None not in times:
        mixed = _alternate(times) if few else _turns(times) > TURNS * len(times)
    if mixed:
        raise InputError(
            "mixed-acquisitions",
            f"The {len(headers)} slices of the series come from several acquisitions that "
            "alternate along the body",
            expected="the slices of one acquisition",
            hint="Export each acquisition as a series of its own and give one of them",
        )


def _alternate(labels: Sequence) -> bool:
    kinds = len(set(labels))
    runs = 1 + sum(a != b for a, b in pairwise(labels))
    return kinds > 1 and runs >= kinds + MORE_RUNS and runs > 1.5 * kinds


def _turns(times: Sequence) -> int:
    steps = np.diff(np.array(times, dtype=np.float64))
    steps = np.sign(steps[steps != 0])
    return int(np.count_nonzero(steps[1:] != steps[:-1]))


def _is_slice(header: Header) -> bool:
    ct = header.sop_class in ("", CT_IMAGE) and header.modality == "CT"
    return ct and header.position is not None and not header.sop_class.startswith(SECONDARY_CAPTURE)


def _family(header: Header, own_frames: bool) -> tuple:
    direction = None if header.orientation is None else tuple(np.round(header.orientation, 2))
    frame = "" if own_frames else header.frame
    same = (header.patient, header.study, header.modality, header.pixel_spacing, header.thickness)
    return (*same, _size(header), direction, frame, header.recipe)


def _is_placed(header: Header) -> bool:
    return header.position is not None and header.orientation is not None


def _size(header: Header) -> tuple[int, int]:
    return header.rows, header.columns


def _normal(header: Header) -> np.ndarray:
    directions = np.asarray(header.orientation, dtype=np.float64)
    normal = np.cross(directions[:3], directions[3:])
    return normal / max(float(np.linalg.norm(normal)), 1e-9)


def _common_normal(headers: Sequence[Header]) -> np.ndarray:
    """The normal that most images share."""
    normals: list[np.ndarray] = []
    counts: list[int] = []
    for header in headers:
        normal = _normal(header)
        for number, known in enumerate(normals):
            if abs(normal @ known) > SAME_DIRECTION:
                counts[number] += 1
                break
        else:
            normals.append(normal)
            counts.append(1)
    return normals[int(np.argmax(counts))]


def _most(values: object) -> object:
    return Counter(values).most_common(1)[0][0]  # type: ignore[call-overload]
