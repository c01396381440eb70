"""PNG and JPEG slices: grey levels without Hounsfield units and without a voxel size."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from lungscore.errors import InputError, Notice
from lungscore.scan.affine import check_shape
from lungscore.scan.bounded_file import BoundedFile
from lungscore.scan.limits import MAX_SLICE_PIXELS
from lungscore.scan.slice_files import ORIENTATION_TAG, find_masks, stored_affine, upright
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


def read_slices(files: Sequence[Path], names: Sequence[str] | None = None) -> Volume:
    """Slice images, sorted by name as people count (2 before 10), the first one superior.

    Several slices, and one that shows the whole body in its usual position, are taken as they are
    shown: patient's right at the image's left. A lone crop does not say which side is which.
    names: what messages call the files; by default their own names.
    Raises InputError ``slices-differ-in-size``, ``colour-image``, ``constant-image``,
    ``not-hounsfield``, ``volume-too-large`` or ``input-unreadable``.
    """
    called = dict(zip(files, names or [file.name for file in files], strict=True))
    files = sorted(files, key=natural_order)
    if len(files) == 1:
        return _lone_slice(files[0], called[files[0]])
    images: list[np.ndarray] = []
    coloured: dict[int, InputError] = {}
    for number, file in enumerate(files):
        try:
            stored, orientation = _read_image(file, called[file])
        except InputError as error:
            if error.code != "colour-image":
                raise
            coloured[number] = error
            images.append(np.zeros((1, 1), np.uint8))
            continue
        images.append(upright(stored, orientation))
        check_shape((len(files), *images[-1].shape), f"{len(files)} slices")
    masks = set(find_masks(files, images))
    if slices_in_colour := sorted(coloured.keys() - masks):
        raise coloured[slices_in_colour[0]]
    slices = [number for number in range(len(files)) if number not in masks]
    if len({files[number].parent for number in slices}) > 1:
        raise InputError(
            "several-inputs",
            f"The {len(slices)} slices lie in several folders",
            expected="the slices of one scan in one folder",
            hint="Give one of the folders",
        )
    first = slices[0]
    values = np.empty((len(slices), *images[first].shape), dtype=np.uint8)
    for index, number in enumerate(slices):
        if images[number].shape != images[first].shape:
            raise InputError(
                "slices-differ-in-size",
                f"{called[files[number]]} has {_size(images[number])} pixels, "
                f"{called[files[first]]} has {_size(images[first])}",
                expected="slices of one volume, all of one size",
                hint="Give single slices one by one",
            )
        values[index] = images[number]
    check_grey_levels(values, f"{len(slices)} slices")
    notices: tuple[Notice, ...] = ()
    if masks:
        text = f"{len(masks)} masks or coloured pictures beside {len(slices)} slices were ignored"
        notices = (Notice("files-ignored", text),)
    return Volume(
        values=values,
        affine=SHOWN_AFFINE.copy(),
        units="grey",
        kind="slices" if len(slices) > 1 else "slice",
        spacing_known=False,
        sides_known=len(slices) > 1 or shows_whole_body(values[0]),
        notices=notices,
    )


def _lone_slice(file: Path, name: str) -> Volume:
    """One image, its pixels as they are stored; its affine turns them as Exif says."""
    stored, orientation = _read_image(file, name)
    check_grey_levels(stored, name)
    check_shape((1, *stored.shape), name)
    height, width = stored.shape
    return Volume(
        values=stored[None],
        affine=stored_affine((height, width), orientation, SHOWN_AFFINE),
        units="grey",
        kind="slice",
        spacing_known=False,
        sides_known=shows_whole_body(upright(stored, orientation)),
    )


def read_slice_image(
    path: Path, *, mask_allowed: bool = False, name: str | None = None
) -> np.ndarray:
    """(H, W) uint8 grey levels of a PNG or JPEG image, 8 or 16 bit, grey or grey stored as colour.

    mask_allowed: do not reject few grey levels (an empty slice at the end of a volume has few).
    name: what messages call it; by default its own name. Upright, as Exif says.
    Raises InputError as ``read_slices``.
    """
    name = path.name if name is None else name
    grey, orientation = _read_image(path, name)
    if not mask_allowed:
        check_grey_levels(grey, name)
    return upright(grey, orientation)


def _read_image(path: Path, name: str) -> tuple[np.ndarray, int]:
    """(H, W) uint8 grey levels as they are stored, and how Exif says to turn them (1 to 8)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            size = path.stat().st_size
            with (
                open(path, "rb") as file,
                Image.open(BoundedFile(file, size), formats=("PNG", "JPEG")) as image,  # type: ignore[arg-type]
            ):
                if image.width * image.height > MAX_SLICE_PIXELS:
                    raise _too_large(name, f"{image.height} × {image.width} pixels")
                return _grey(image, name), _orientation(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name, "more pixels than a slice has") from error
    except (OSError, SyntaxError, ValueError, EOFError, UnidentifiedImageError) as error:
        raise InputError(
            "input-unreadable",
            f"{name} cannot be decoded",
            hint="Copy it again from its source",
        ) from error


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # metadata of strangers may be broken in any way
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def natural_order(path: Path) -> tuple:
    """Sort key in which numbers within names count as numbers; folders first."""
    return tuple(
        [
            (piece[0] in _DIGITS, int(piece) if piece[0] in _DIGITS else 0, piece)
            for piece in _pieces(name)
        ]
        for name in path.parts
    )


#: Those that ``_pieces`` parts off; others, such as ² or ①, are not numbers to ``int``.
_DIGITS = "0123456789"


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
    components, count = ndimage.label(bright)
    if count == 0:
        return False
    body = int(np.argmax(np.bincount(components.ravel())[1:])) + 1
    rows, columns = ndimage.find_objects(components, max_label=body)[body - 1]
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


def _grey(image: Image.Image, name: str) -> np.ndarray:
    if image.mode in ("L", "1"):
        return np.asarray(image.convert("L"))
    if image.mode.startswith("I"):
        return _from_16_bit(np.asarray(image), name)
    colours = np.asarray(image.convert("RGB"))
    spread = colours.max(axis=2).astype(np.int16) - colours.min(axis=2)
    coloured = float(np.mean(spread > COLOUR_DIFFERENCE))
    if coloured > COLOUR_SHARE:
        raise InputError(
            "colour-image",
            f"{name}: {100 * coloured:.1f} % of the pixels are coloured",
            expected="grey levels",
        )
    return np.ascontiguousarray(colours[..., 1])  # green: JPEG keeps it best


def _from_16_bit(values: np.ndarray, name: str) -> np.ndarray:
    """16-bit grey over its full range becomes 8-bit; 12-bit numbers in it mean something else."""
    highest = int(values.max())
    if highest <= 255:
        return values.astype(np.uint8)
    if highest < 2**15:
        raise InputError(
            "not-hounsfield",
            f"{name}: 16-bit values up to {highest}, neither grey levels nor a CT's file",
            expected="8-bit grey, or 16-bit grey up to 65535",
            hint="Give the DICOM or NIfTI file",
        )
    return (values // 257).astype(np.uint8)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[0]} × {image.shape[1]}"


def _too_large(name: str, fault: str) -> InputError:
    return InputError(
        "volume-too-large",
        f"{name}: {fault}",
        expected=f"at most {MAX_SLICE_PIXELS} pixels in a slice",
    )
