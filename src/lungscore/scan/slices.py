"""PNG and JPEG slices: grey levels without Hounsfield units and without a voxel size."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from lungscore.errors import InputError
from lungscore.scan.affine import check_shape
from lungscore.scan.limits import MAX_SLICE_PIXELS
from lungscore.scan.volume import Volume
from lungscore.scan.voxels import check_grey_levels

#: Voxel (slice, row, column) to RAS+ for slices as they are shown: first slice superior, first row
#: anterior, first column on the patient's right; unit voxels.
SHOWN_AFFINE = np.array(
    [[0.0, 0.0, -1.0, 0.0], [0.0, -1.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)

#: A pixel is coloured when its channels differ by more than this; JPEG blurs colour a little.
COLOUR_DIFFERENCE = 16

#: Share of coloured pixels that a burnt-in mark may take.
COLOUR_SHARE = 1e-3

#: A full slice shows air along most of its border, a crop of the lungs shows the chest's wall.
AIR_BORDER_SHARE = 0.5

#: A chest across is wider than it is deep; a transposed slice is the other way round.
BODY_WIDTH_TO_DEPTH = 1.1


def read_slices(files: Sequence[Path]) -> Volume:
    """Slice images, sorted by name as people count (2 before 10), the first one superior.

    Several slices, and one that shows the whole body in its usual position, are taken as they are
    shown: patient's right at the image's left. A lone crop does not say which side is which.
    Raises InputError ``slices-differ-in-size``, ``colour-image``, ``constant-image``,
    ``not-hounsfield``, ``volume-too-large`` or ``input-unreadable``.
    """
    files = sorted(files, key=natural_order)
    first = read_slice_image(files[0])
    check_shape((len(files), *first.shape), files[0].parent.name)
    values = np.empty((len(files), *first.shape), dtype=np.uint8)
    values[0] = first
    for index, file in enumerate(files[1:], start=1):
        image = read_slice_image(file, mask_allowed=True)
        if image.shape != first.shape:
            raise InputError(
                "slices-differ-in-size",
                f"{file.name} has {_size(image)} pixels, {files[0].name} has {_size(first)}",
                expected="slices of one volume, all of one size",
                hint="Give single slices one by one",
            )
        values[index] = image
    return Volume(
        values=values,
        affine=SHOWN_AFFINE.copy(),
        units="grey",
        kind="slices" if len(files) > 1 else "slice",
        spacing_known=False,
        sides_known=len(files) > 1 or shows_whole_body(first),
    )


def read_slice_image(path: Path, *, mask_allowed: bool = False) -> np.ndarray:
    """(H, W) uint8 grey levels of a PNG or JPEG image, 8 or 16 bit, grey or grey stored as colour.

    mask_allowed: do not reject few grey levels (an empty slice at the end of a volume has few).
    Raises InputError as ``read_slices``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                if image.width * image.height > MAX_SLICE_PIXELS:
                    raise _too_large(path, f"{image.height} × {image.width} pixels")
                grey = _grey(image, path)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(path, "more pixels than a slice has") from error
    except (OSError, SyntaxError, ValueError, EOFError, UnidentifiedImageError) as error:
        raise InputError(
            "input-unreadable",
            f"{path.name} cannot be decoded",
            hint="Copy it again from its source",
        ) from error
    if not mask_allowed:
        check_grey_levels(grey, path.name)
    return grey


def natural_order(path: Path) -> tuple:
    """Sort key in which numbers within names count as numbers; folders first."""
    return tuple(
        [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in _pieces(name)]
        for name in path.parts
    )


def _pieces(name: str) -> list[str]:
    return [piece for piece in re.split(r"([0-9]{1,18})", name.casefold()) if piece]


def shows_whole_body(grey: np.ndarray) -> bool:
    """Whether (H, W) ``grey`` is a full axial slice in its usual position, not a crop.

    It is when more than half of its border is dark (Otsu's threshold) and the largest bright part,
    the body, is at least 1.1 times as wide as deep.
    """
    from scipy import ndimage

    bright = grey > otsu_threshold(grey)
    border = np.concatenate([bright[0], bright[-1], bright[:, 0], bright[:, -1]])
    if 1 - border.mean() <= AIR_BORDER_SHARE:
        return False
    parts, count = ndimage.label(bright)
    if count == 0:
        return False
    body = int(np.argmax(np.bincount(parts.ravel())[1:])) + 1
    rows, columns = ndimage.find_objects(parts, max_label=body)[body - 1]
    return (columns.stop - columns.start) >= BODY_WIDTH_TO_DEPTH * (rows.stop - rows.start)


def otsu_threshold(grey: np.ndarray) -> int:
    """The grey level that best parts uint8 values into two classes (Otsu 1979, equation 16)."""
    counts = np.bincount(grey.ravel(), minlength=256).astype(np.float64)
    share = counts.cumsum() / counts.sum()
    mean = (counts * np.arange(256)).cumsum() / counts.sum()
    within = share * (1 - share)
    between = np.zeros(256)
    parted = within > 0
    between[parted] = (mean[-1] * share[parted] - mean[parted]) ** 2 / within[parted]
    return int(np.argmax(between))


def _grey(image: Image.Image, path: Path) -> np.ndarray:
    if image.mode in ("L", "1"):
        return np.asarray(image.convert("L"))
    if image.mode.startswith("I"):
        return _from_16_bit(np.asarray(image), path)
    colours = np.asarray(image.convert("RGB"))
    spread = colours.max(axis=2).astype(np.int16) - colours.min(axis=2)
    coloured = float(np.mean(spread > COLOUR_DIFFERENCE))
    if coloured > COLOUR_SHARE:
        raise InputError(
            "colour-image",
            f"{path.name}: {100 * coloured:.1f} % of the pixels are coloured",
            expected="grey levels",
        )
    return np.ascontiguousarray(colours[..., 1])  # green: JPEG keeps it best


def _from_16_bit(values: np.ndarray, path: Path) -> np.ndarray:
    """16-bit grey over its full range becomes 8-bit; 12-bit numbers in it mean something else."""
    highest = int(values.max())
    if highest <= 255:
        return values.astype(np.uint8)
    if highest < 2**15:
        raise InputError(
            "not-hounsfield",
            f"{path.name}: 16-bit values up to {highest}, neither grey levels nor a CT's file",
            expected="8-bit grey, or 16-bit grey up to 65535",
            hint="Give the DICOM or NIfTI file",
        )
    return (values // 257).astype(np.uint8)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[0]} × {image.shape[1]}"


def _too_large(path: Path, found: str) -> InputError:
    return InputError(
        "volume-too-large",
        f"{path.name}: {found}",
        expected=f"at most {MAX_SLICE_PIXELS} pixels in a slice",
    )
