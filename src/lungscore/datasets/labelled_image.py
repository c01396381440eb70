"""One image of a manifest of one's own labels, its mask and its lungs, read and checked."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lungscore.anatomy import Lungs, find_lungs
from lungscore.datasets.labelled_manifest import LabelledRow, checksum
from lungscore.errors import InputError
from lungscore.labels import LEFT_LUNG
from lungscore.scan import Scan, read_scan
from lungscore.scan.masks import read_labels

#: What a picture of infection may hold besides 0, and what of classes (labels.py).
_PICTURE_LABELS = {"infection": (1, 255), "classes": (1, 2)}


@dataclass(frozen=True)
class LabelledImage:
    """A scan or slice with its labels.

    labels: (D, H, W) uint8 on the axes of ``scan``: 0, then 1 infection, or 1 ground-glass opacity
    and 2 consolidation where the row says "classes". lungs: None for a lone slice without. slices:
    those that were marked.
    """

    scan: Scan
    labels: np.ndarray
    lungs: Lungs | None
    slices: range


def read_labelled_image(row: LabelledRow, folder: Path) -> LabelledImage:
    """The image of ``row``, a row of a manifest in ``folder``.

    Raises InputError: ``content-changed`` for another checksum than the row's, ``mask-geometry``
    for a mask of another size, spacing or position, ``mask-labels`` for values that the row's
    labels do not have, ``mask-empty``, ``manifest-invalid`` for slices that are not there,
    ``no-lungs``, and what ``scan.read_scan`` raises.
    """
    _check_sums(row, folder)
    scan = read_scan(folder / row.image, name=row.case)
    slices = _slices(row, scan)
    labels = np.zeros(scan.shape, np.uint8)
    if row.mask is not None:
        labels = _read_mask(folder / row.mask, scan, row)
    _check_marked(row, labels[slices.start : slices.stop])
    return LabelledImage(scan, labels, _lungs(row, scan, folder), slices)


def _check_sums(row: LabelledRow, folder: Path) -> None:
    for path, expected in ((row.image, row.sha256), (row.mask, row.mask_sha256)):
        if path is None or expected is None:
            continue
        try:
            actual = checksum(folder / path)
        except FileNotFoundError:
            raise InputError("input-not-found", f"No such file: {path}") from None
        except (OSError, ValueError) as error:
            raise InputError("input-unreadable", f"{path} ({type(error).__name__})") from None
        if actual != expected:
            raise InputError(
                "content-changed",
                f"{path} is not what it was when the manifest was written",
                expected=f"SHA-256 {expected[:12]}…",
                hint="Write the manifest again with lungscore data prepare",
            )


def _slices(row: LabelledRow, scan: Scan) -> range:
    depth = scan.shape[0]
    first = 0 if row.first_slice is None else row.first_slice
    last = depth - 1 if row.last_slice is None else row.last_slice
    if not first <= last < depth:
        raise InputError(
            "manifest-invalid",
            f"Its slices are {first} to {last}",
            expected=f"slices of 0 to {depth - 1}",
        )
    return range(first, last + 1)


def _check_marked(row: LabelledRow, labels: np.ndarray) -> None:
    marked = int(np.count_nonzero(labels))
    if row.negative and marked:
        raise InputError(
            "mask-labels",
            f"{marked} pixels are marked in an image that is said to be negative",
            expected="an empty mask, or negative: no",
        )
    if not row.negative and not marked:
        raise InputError(
            "mask-empty",
            f"{row.mask} marks nothing",
            expected="marked infection, or negative: yes where the image shows none",
        )


def _read_mask(path: Path, scan: Scan, row: LabelledRow) -> np.ndarray:
    """(D, H, W) uint8 on the axes of ``scan``: 0, 1, and 2 where the row has classes."""
    if not is_png(path):
        labels = read_labels(path, scan, "lesions")
        if row.labels == "infection" and labels.max() > 1:
            raise _unknown(path, [2], "0 and 1")
        return labels
    stored = read_mask_picture(path)
    allowed = _PICTURE_LABELS[row.labels]
    if unknown := sorted(set(np.unique(stored).tolist()) - {0, *allowed}):
        raise _unknown(path, unknown, f"0, {' and '.join(map(str, allowed))}")
    labels = np.where(stored == 255, 1, stored).astype(np.uint8)
    return _on_axes_of(scan, labels, path)


def _lungs(row: LabelledRow, scan: Scan, folder: Path) -> Lungs | None:
    if row.lungs is None:
        try:
            return find_lungs(scan)
        except InputError as error:
            # A lone slice without lungs is seen whole, as it is in use.
            if error.code != "no-lungs" or scan.shape[0] > 1:
                raise
            return None
    path = folder / row.lungs
    if is_png(path):
        stored = read_mask_picture(path)
        labels = _on_axes_of(scan, np.where(stored == 255, 1, stored).astype(np.uint8), path)
        if labels.max() > LEFT_LUNG:
            raise _unknown(path, [int(labels.max())], "0, 1 right lung, 2 left lung, or 0 and 255")
    else:
        labels = read_labels(path, scan, "lungs")
    if not labels.any():
        raise InputError("no-lungs", f"{path.name} is empty", expected="1 right lung, 2 left lung")
    return Lungs(labels, bool((labels == LEFT_LUNG).any()))


def _on_axes_of(scan: Scan, stored: np.ndarray, path: Path) -> np.ndarray:
    """A picture's labels as (1, H, W) on the axes of ``scan``; pixels lie as they are stored."""
    # A DICOM image is kept as columns, rows, slices; a picture as slices, rows, columns.
    labels = stored.T[..., None] if scan.kind == "dicom" else stored[None]
    if scan.kind not in ("dicom", "slice") or scan.geometry.shape != labels.shape:
        rows, columns = stored.shape
        raise InputError(
            "mask-geometry",
            f"{path.name} is one picture of {rows} rows and {columns} columns",
            expected=f"{scan.shape[0]} × {scan.shape[1]} × {scan.shape[2]} (slices, rows, columns)"
            + ("" if scan.kind in ("dicom", "slice") else ", in the format of its image"),
        )
    return np.ascontiguousarray(scan.geometry.to_canonical(labels))


def _unknown(path: Path, levels: list[int], expected: str) -> InputError:
    return InputError(
        "mask-labels",
        f"{path.name} contains {', '.join(map(str, levels[:8]))}",
        expected=expected,
    )


def is_png(path: Path) -> bool:
    """Whether the file is a PNG, by its content. Raises input-not-found or input-unreadable."""
    try:
        with open(path, "rb") as file:
            return file.read(8) == b"\x89PNG\r\n\x1a\n"
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise InputError("input-not-found", f"No such mask: {path.name}") from None
    except OSError as error:
        raise InputError("input-unreadable", f"{path.name}: {error.strerror}") from None


def read_mask_picture(path: Path) -> np.ndarray:
    """(H, W) uint8 of a PNG as it is stored: indices of a palette, 0 and 1 of one bit.

    Grey stored as colour is grey. Raises input-unreadable, and mask-labels for colours.
    """
    try:
        with Image.open(io.BytesIO(path.read_bytes()), formats=("PNG",)) as picture:
            grey_bands = picture.getbands()[0] in "L1PI"
            values = np.asarray(picture)
    except Exception as error:  # decoders raise anything
        raise InputError(
            "input-unreadable", f"{path.name} is not a complete PNG ({type(error).__name__})"
        ) from None
    if values.ndim == 3:
        if not grey_bands and (values[..., :3] != values[..., :1]).any():
            fault = f"{path.name} is in colour"
            raise InputError("mask-labels", fault, expected="one value per class")
        values = values[..., 0]
    if values.max(initial=0) > 255 or values.min(initial=0) < 0:
        raise InputError(
            "mask-labels", f"{path.name} contains {values.max()}", expected="values of 8 bits"
        )
    return values.astype(np.uint8)
