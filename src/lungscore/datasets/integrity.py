"""Whether one image file of a dataset is whole, and its checksum."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from lungscore.datasets.dataset import Companion, Entry, Problem
from lungscore.errors import InputError
from lungscore.scan.dicom.header import read_header
from lungscore.scan.dicom.pixels import read_hounsfield
from lungscore.scan.metaimage import open_metaimage
from lungscore.scan.nifti import open_nifti

#: Pixels of one picture; no CT slice has more, and X-rays are left out before they are decoded.
MAX_PIXELS = 2**26


@dataclass(frozen=True)
class Looked:
    """What a look at one entry found. sha256: of the image file, mask_sha256: of its mask."""

    entry: Entry
    sha256: str | None
    mask_sha256: str | None = None
    problems: tuple[Problem, ...] = ()


@dataclass
class _File:
    """What is known of one file: a checksum, the size of its image, the values of a mask."""

    sha256: str | None = None
    shape: tuple[int, ...] | None = None
    values: frozenset[int] = field(default_factory=frozenset)
    problem: Problem | None = None


def look(root: Path, entry: Entry) -> Looked:
    """Read an image to its end, and what goes with it; faults are told, none is raised."""
    image = _file(root, entry.path, _READERS[entry.kind])
    problems = [] if image.problem is None else [image.problem]
    digests = []
    labels = [] if entry.mask is None else [Companion(entry.mask, entry.mask_values)]
    for label in (*labels, *entry.companions):
        beside = _file(root, label.path, _MASK_READERS[entry.kind])
        digests.append(beside.sha256)
        if beside.problem is not None:
            problems.append(beside.problem)
        elif image.problem is None:
            problems += _disagreements(label, image, beside)
    return Looked(entry, image.sha256, digests[0] if labels else None, tuple(problems))


def _disagreements(label: Companion, image: _File, beside: _File) -> list[Problem]:
    found = []
    if image.shape != beside.shape:
        sizes = (" × ".join(map(str, shape or ())) for shape in (beside.shape, image.shape))
        text = "it is {}, its image {}".format(*sizes)
        found.append(Problem("sizes-differ", label.path, text))
    if label.values and not beside.values <= set(label.values):
        other = sorted(beside.values - set(label.values))
        text = f"it holds {', '.join(map(str, other[:6]))}; known are {label.values}"
        found.append(Problem("label-values", label.path, text))
    return found


Reader = Callable[[Path, _File], None]


def _file(root: Path, place: str, read: Reader) -> _File:
    """A file read by ``read``, which fills in what it finds and raises what is wrong."""
    path, known = root / place, _File()
    try:
        if not path.is_file():
            known.problem = Problem("file-missing", place, "there is no such file")
        elif path.stat().st_size == 0:
            known.problem = Problem("image-empty", place, "the file holds no bytes")
        else:
            with open(path, "rb") as file:
                known.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            read(path, known)
    except InputError as error:
        code = "image-constant" if error.code == "constant-image" else "image-unreadable"
        known.problem = Problem(code, place, error.found)
    except OSError as error:
        known.problem = Problem("image-unreadable", place, error.strerror or "it cannot be read")
    return known


def _constant() -> InputError:
    return InputError("constant-image", "all pixels have one value")


def _picture(path: Path) -> np.ndarray:
    """The pixels as they are stored: palette indices of a palette picture."""
    try:
        with Image.open(io.BytesIO(path.read_bytes()), formats=("PNG", "JPEG")) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise InputError("input-unreadable", f"{picture.width} × {picture.height} pixels")
            return np.asarray(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise InputError("input-unreadable", "it is no whole PNG or JPEG") from None


def _read_slice(path: Path, known: _File) -> None:
    pixels = _picture(path)
    known.shape = pixels.shape[:2]
    if pixels.size == 0 or pixels.min() == pixels.max():
        raise _constant()


def _read_slice_mask(path: Path, known: _File) -> None:
    pixels = _picture(path)
    if pixels.ndim == 3:  # grey levels stored as colours
        if (pixels[..., :3] != pixels[..., :1]).any():
            raise InputError("input-unreadable", "a label in colours")
        pixels = pixels[..., 0]
    known.shape, known.values = pixels.shape, frozenset(np.unique(pixels).tolist())


def _read_volume(path: Path, known: _File) -> None:
    values = _read_planes(path, known)
    if len(values) < 2:
        raise _constant()


def _read_volume_mask(path: Path, known: _File) -> None:
    found = _read_planes(path, known)
    if any(value != int(value) for value in found):
        raise InputError("input-unreadable", "a label with values that are no whole numbers")
    known.values = frozenset(int(value) for value in found)


#: So many different values tell any image from a constant one and any label from a wrong one.
_ENOUGH_VALUES = 64


def _read_planes(path: Path, known: _File) -> set[float]:
    """Read every plane; some of the values that occur, all of them where they are few."""
    found: set[float] = set()
    open_volume = open_metaimage if path.suffix.lower() == ".mha" else open_nifti
    with open_volume(path) as stored:
        known.shape = stored.shape
        for plane in stored.planes:
            if len(found) < _ENOUGH_VALUES:
                finite = plane[np.isfinite(plane)]
                found.update(np.unique(finite)[:_ENOUGH_VALUES].tolist())
    return found


def _read_dicom(path: Path, known: _File) -> None:
    header = read_header(path)
    if header is None:
        raise InputError("input-unreadable", "it is a DICOM file without an image")
    values, _ = read_hounsfield(header)
    known.shape = values.shape
    if values.min() == values.max():
        raise _constant()


def _no_mask(path: Path, known: _File) -> None:
    raise InputError("input-unreadable", "labels beside single DICOM images are not known")


_READERS: dict[str, Reader] = {
    "slice": _read_slice,
    "volume": _read_volume,
    "dicom": _read_dicom,
}
_MASK_READERS: dict[str, Reader] = {
    "slice": _read_slice_mask,
    "volume": _read_volume_mask,
    "dicom": _no_mask,
}
