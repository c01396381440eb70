"""A DICOM series as a volume."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.errors import InputError, Notice
from lungscore.scan.affine import check_affine, check_shape
from lungscore.scan.continuity import shown_ranges
from lungscore.scan.dicom.belonging import check_acquisitions
from lungscore.scan.dicom.decode import read_images
from lungscore.scan.dicom.header import Header, quiet_pydicom, read_header
from lungscore.scan.dicom.series import Series, choose_series, group_series, left_out
from lungscore.scan.dicom.stack import (
    Stack,
    arrange,
    common_directions,
    gap_text,
    volume_affine,
)
from lungscore.scan.volume import Volume

#: Difference of direction cosines below which those of a series are equal.
EQUAL_DIRECTIONS = 1e-3


@dataclass(frozen=True)
class DicomInput:
    """The series among some files. not_images: DICOM files without an image."""

    groups: tuple[Series, ...]
    not_images: int


def read_groups(files: Sequence[Path], names: Sequence[str] | None = None) -> DicomInput:
    """The headers of ``files`` by series. Raises InputError ``dicom-unreadable`` and the like.

    names: what messages call the files; by default their own names.
    """
    names = names or [file.name for file in files]
    headers = [read_header(file, name) for file, name in zip(files, names, strict=True)]
    images = [header for header in headers if header is not None]
    if not images:
        raise InputError("input-empty", "No DICOM file contains an image")
    return DicomInput(tuple(group_series(images)), len(headers) - len(images))


def read_dicom(groups: DicomInput, *, series: str | None, allow_gaps: bool) -> Volume:
    """The chosen series as a Volume. Raises InputError; see docs/errors.md."""
    chosen = choose_series(groups.groups, series)
    unused = left_out(groups.groups, chosen)
    with quiet_pydicom():
        _check_readable(chosen.headers)
        headers, repeated = _unique(chosen.headers)
        _check_alike(headers)
        volume = _read_volume(headers, allow_gaps=allow_gaps)
    notices = list(_notices(chosen, headers, repeated=repeated, unused=unused))
    return Volume(
        values=volume.values,
        affine=volume.affine,
        units="hu",
        kind="dicom",
        spacing_known=volume.spacing_known,
        sides_known=volume.sides_known,
        notices=(*notices, *volume.notices),
        series_uid=chosen.uid or None,
        left_out=unused,
    )


def _check_readable(headers: Sequence[Header]) -> None:
    """Geometry that is there but cannot be read is not absent: raise ``geometry-invalid``."""
    needed = {"ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"}
    if len(headers) == 1:
        needed.add("SliceThickness")  # nothing else tells the voxels of a lone slice
    counts = Counter(keyword for header in headers for keyword in header.unreadable)
    bad = {keyword: count for keyword, count in counts.items() if keyword in needed}
    if bad:
        texts = [f"{keyword} of {count} images" for keyword, count in sorted(bad.items())]
        raise InputError(
            "geometry-invalid",
            f"{', '.join(texts)} (of {len(headers)}) cannot be read as numbers",
            expected="as many numbers as DICOM requires, separated by backslashes",
            hint="Export the series again, or correct these elements",
        )


def _unique(headers: Sequence[Header]) -> tuple[list[Header], list[Header]]:
    """Headers without repeated images, and the repeated ones.

    Two images are one when they stand at one position and have one SOPInstanceUID and equal
    pixels, or are equal files; any other pair at one position is rejected as
    ``duplicate-position``.
    """
    if len(headers) > 1 and any(header.position is None for header in headers):
        return _unique_files(headers)
    kept: dict[tuple[float, ...] | None, Header] = {}
    repeated: list[Header] = []
    clashes: list[tuple[Header, Header]] = []
    for header in headers:
        key = None if header.position is None else tuple(np.round(header.position, 3))
        first = kept.setdefault(key, header)
        if first is header:
            continue
        if _same_image(first, header):
            repeated.append(header)
        else:
            clashes.append((first, header))
    if clashes:
        first, second = clashes[0]
        raise InputError(
            "duplicate-position",
            f"{len(clashes)} pairs of different images have the same position, "
            f"{first.name} and {second.name} among them",
            expected="one image at every position",
            hint="Give one phase or one reconstruction",
        )
    return list(kept.values()), repeated


def _unique_files(headers: Sequence[Header]) -> tuple[list[Header], list[Header]]:
    kept: list[Header] = []
    repeated: list[Header] = []
    contents: set[bytes] = set()
    for header in headers:
        content = header.path.read_bytes()
        (repeated if content in contents else kept).append(header)
        contents.add(content)
    return kept, repeated


def _same_image(first: Header, second: Header) -> bool:
    if first.path.read_bytes() == second.path.read_bytes():
        return True
    if not first.sop_uid or first.sop_uid != second.sop_uid:
        return False
    if (first.rows, first.columns) != (second.rows, second.columns):
        return False
    check_shape((1, first.rows, first.columns), "a slice")
    pair = np.empty((2, first.rows, first.columns), dtype=np.int16)
    read_images([first, second], pair, [0, 1])
    return np.array_equal(pair[0], pair[1])


def _check_alike(headers: Sequence[Header]) -> None:
    sizes = {(header.rows, header.columns) for header in headers}
    if len(sizes) > 1:
        text = " and ".join(f"{rows} × {columns}" for rows, columns in sorted(sizes)[:3])
        raise InputError(
            "mixed-geometry", f"Slices of {text} pixels in one series", expected="one size"
        )
    spacings = [header.pixel_spacing for header in headers]
    if len({spacing is None for spacing in spacings}) > 1:
        raise InputError("mixed-geometry", "Some slices state no PixelSpacing, others do")
    if spacings[0] is not None and np.ptp(np.array(spacings), axis=0).max() > 1e-3 * spacings[0][0]:
        raise InputError(
            "mixed-geometry",
            f"{len(set(spacings))} different pixel spacings in one series",
            expected="one pixel spacing",
        )


@dataclass(frozen=True)
class _Read:
    values: np.ndarray
    affine: np.ndarray
    spacing_known: bool
    sides_known: bool
    notices: tuple[Notice, ...]


def _read_volume(headers: list[Header], *, allow_gaps: bool) -> _Read:
    """Pixels and geometry of ``headers``, each at another position."""
    source = f"series of {len(headers)} slices"
    spacing = headers[0].pixel_spacing
    pixel_spacing = (spacing[0], spacing[1]) if spacing else (1.0, 1.0)
    placed = all(header.position and header.orientation for header in headers)
    notices: list[Notice] = []
    if len(headers) == 1:
        stack, affine, thickness_known = _single(headers[0], pixel_spacing)
        spacing_known = spacing is not None and thickness_known
    else:
        if not placed:
            raise InputError(
                "geometry-invalid",
                f"{source}: ImagePositionPatient or ImageOrientationPatient is missing",
                expected="both in every slice",
                hint="Give one slice, or a complete export",
            )
        stack, affine, notices = _placed(headers, pixel_spacing, source=source, gaps=allow_gaps)
        spacing_known = spacing is not None
    if spacing_known:
        check_affine(affine, source)
    check_shape((stack.depth, headers[0].rows, headers[0].columns), source)
    values = np.empty((stack.depth, headers[0].rows, headers[0].columns), dtype=np.int16)
    ordered = [headers[index] for index in stack.order]
    scales = read_images(ordered, values, stack.slots.tolist())
    _check_scales(scales, stack)
    _interpolate(values, stack)
    if not scales[0]:
        text = "RescaleSlope and RescaleIntercept are missing: the values were taken as HU"
        notices.append(Notice("rescale-missing", text))
    # Columns, rows, slices, as converters to NIfTI have them: so masks look as viewers expect, and
    # lie in files in the order in which they lie here.
    by_column = np.ascontiguousarray(affine[:, [2, 1, 0, 3]])
    return _Read(values.transpose(2, 1, 0), by_column, spacing_known, placed, tuple(notices))


def _check_scales(scales: Sequence[str], stack: Stack) -> None:
    """Raise ``rescale-inconsistent`` where slices differ in how they state their scale."""
    usual = Counter(scales).most_common(1)[0][0]
    deviating = [number for number, scale in enumerate(scales) if scale != usual]
    if not deviating:
        return
    shown = shown_ranges(tuple(int(stack.slots[number]) for number in deviating))
    stated = scales[deviating[0]] or "neither"
    raise InputError(
        "rescale-inconsistent",
        f"Slices {shown} of {stack.depth} state {stated} of RescaleSlope and RescaleIntercept, "
        f"the others {usual or 'neither'}",
        expected="both in every slice",
        hint="Export the series again from its source",
    )


def _placed(
    headers: list[Header], pixel_spacing: tuple[float, float], *, source: str, gaps: bool
) -> tuple[Stack, np.ndarray, list[Notice]]:
    """Stack and affine of two or more slices that state where they lie."""
    positions = np.array([header.position for header in headers], dtype=np.float64)
    orientations = np.array([header.orientation for header in headers], dtype=np.float64)
    directions = common_directions(orientations, source)
    sorted_slices = np.argsort(positions @ np.cross(*directions), kind="stable")
    check_acquisitions([headers[index] for index in sorted_slices])
    stack = arrange(positions, directions, source=source, pixel_mm=min(pixel_spacing))
    notices = []
    if stack.missing:
        heights = positions[stack.order] @ np.cross(*directions)
        where = gap_text(stack, heights)
        if not gaps:
            raise InputError(
                "slice-gap",
                f"{len(stack.missing)} slices are missing: {where}",
                expected=f"a slice every {np.linalg.norm(stack.step):.3f} mm",
                hint="Export the whole series, or pass --allow-gaps to interpolate",
            )
        notices.append(
            Notice(
                "gaps-interpolated",
                f"{len(stack.missing)} missing slices were interpolated: {where}",
            )
        )
    if stack.rounded:
        notices.append(
            Notice(
                "geometry-repaired",
                "The slice positions are rounded: the slices were taken as evenly spaced",
            )
        )
    if np.ptp(orientations, axis=0).max() > EQUAL_DIRECTIONS:
        text = "The directions of the slices differ by less than 0.25 degrees: their mean was used"
        notices.append(Notice("geometry-repaired", text))
    affine = volume_affine(
        positions[stack.order[0]], stack.step, directions, pixel_spacing=pixel_spacing
    )
    return stack, affine, notices


def _single(header: Header, pixel_spacing: tuple[float, float]) -> tuple[Stack, np.ndarray, bool]:
    """Stack and affine of one slice, and whether its thickness is known.

    Without a stated orientation the rows run from right to left and the columns from front to back,
    as slices are shown.
    """
    orientation = header.orientation or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    directions = common_directions(np.array([orientation]), header.name)
    thickness = header.thickness or header.spacing_between
    step = np.cross(*directions) * (thickness or 1.0)
    zero = np.zeros(1, dtype=int)
    stack = Stack(zero, zero, 1, step, False)
    origin = np.array(header.position or (0.0, 0.0, 0.0))
    affine = volume_affine(origin, step, directions, pixel_spacing=pixel_spacing)
    return stack, affine, thickness is not None


def _interpolate(values: np.ndarray, stack: Stack) -> None:
    """Fill missing slices linearly between their neighbours, in place."""
    for before, after in zip(stack.slots[:-1], stack.slots[1:], strict=True):
        for slot in range(before + 1, after):
            fraction = np.float32((slot - before) / (after - before))
            low, high = values[before].astype(np.float32), values[after].astype(np.float32)
            values[slot] = np.rint(low + fraction * (high - low)).astype(np.int16)


def _notices(
    chosen: Series,
    headers: list[Header],
    *,
    repeated: list[Header],
    unused: tuple[dict[str, Any], ...],
) -> list[Notice]:
    notices = []
    if unused:
        reasons = sorted({entry["reason"] for entry in unused})
        text = f"{len(unused)} further series were not used: " + ", ".join(reasons)
        notices.append(Notice("series-left-out", text))
    if chosen.other_images:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(chosen.strangers.items()))
        text = (
            f"{len(chosen.other_images)} images of the series are not its slices and were ignored"
        )
        notices.append(Notice("files-ignored", f"{text}: {kinds}"))
    if chosen.merged:
        text = f"Each of {len(headers)} images has a series UID of its own and agrees in all else"
        notices.append(Notice("series-merged", f"{text}: they were read as one series"))
    identifiers = [header.sop_uid for header in headers if header.sop_uid]
    if len(set(identifiers)) < len(identifiers):
        text = f"{len(identifiers)} different images share {len(set(identifiers))} SOPInstanceUIDs"
        notices.append(Notice("uid-repeated", text))
    if len({header.person for header in headers}) > 1:
        text = "Images under one patient ID differ in the patient's name, birth date or sex"
        notices.append(Notice("patient-differs", text))
    if any(header.averaged for header in headers):
        text = "The images are averages over slices or phases: small lesions fade in them"
        notices.append(Notice("averaged-images", text))
    elif any(header.described for header in headers):
        text = "The description of the series calls the images averages or projections (MIP, MinIP)"
        notices.append(Notice("averaged-images", f"{text}, which hide small lesions or air"))
    if repeated:
        names = ", ".join([header.name for header in repeated][:3])
        text = f"{len(repeated)} images occurred twice; one copy of each was used: {names}"
        notices.append(Notice("duplicate-file", text))
    if any(header.contrast for header in headers):
        notices.append(
            Notice(
                "contrast", "A contrast agent was given: densities are higher than in a native scan"
            )
        )
    if any(header.lossy for header in headers):
        notices.append(Notice("lossy-compression", "The images were compressed lossily"))
    missing = sorted({item for header in headers for item in header.missing})
    if missing:
        notices.append(Notice("header-incomplete", "The header lacks: " + ", ".join(missing)))
    return notices
