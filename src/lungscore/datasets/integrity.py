"""Whether one image file of a dataset is whole, and its checksum."""

import gzip
import hashlib
import io
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from lungscore.datasets.records import Companion, Entry, Problem
from lungscore.errors import InputError
from lungscore.scan.dicom.header import read_header
from lungscore.scan.dicom.pixels import read_hounsfield
from lungscore.scan.volume_files import FORMATS, open_volume, volume_format

#: Pixels of one picture; no CT slice has more, and X-rays are left out before they are decoded.
MAX_PIXELS = 2**26

#: The last chunk of a PNG. Decoders do not miss it.
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"


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
    values: frozenset[float] = field(default_factory=frozenset)
    problem: Problem | None = None


def look(root: Path, entry: Entry) -> Looked:
    """Read an image to its end, and what goes with it; faults are told, none is raised."""
    if not _has_text(entry.path) or not _has_text(entry.mask or ""):
        nameless = Problem("image-unreadable", entry.path, "its name is not in UTF-8")
        return Looked(entry, None, problems=(nameless,))
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


def _has_text(path: str) -> bool:
    """Whether a manifest can hold the name; bytes that are not UTF-8 come as lone surrogates."""
    return path.isascii() or path.encode("utf-8", "ignore").decode() == path


def _disagreements(label: Companion, image: _File, beside: _File) -> list[Problem]:
    problems = []
    if image.shape != beside.shape:
        sizes = (" × ".join(map(str, shape or ())) for shape in (beside.shape, image.shape))
        text = "it is {}, its image {}".format(*sizes)
        problems.append(Problem("sizes-differ", label.path, text))
    if label.values and not beside.values <= set(label.values):
        extra = sorted(beside.values - set(label.values))
        text = f"it holds {', '.join(f'{x:g}' for x in extra[:6])}; known are {label.values}"
        problems.append(Problem("label-values", label.path, text))
    return problems


Reader = Callable[[Path, _File], None]


def _file(root: Path, relative: str, read: Reader) -> _File:
    """A file read by ``read``, which fills in what it finds and raises what is wrong."""
    path, known = root / relative, _File()
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            known.problem = Problem("image-unreadable", relative, "it is not a regular file")
        elif status.st_size == 0:
            known.problem = Problem("image-empty", relative, "the file holds no bytes")
        else:
            read(path, known)
    except FileNotFoundError:
        known.problem = Problem("file-missing", relative, "there is no such file")
    except InputError as error:
        known.problem = _problem(relative, error)
    except OSError as error:
        known.problem = Problem("image-unreadable", relative, error.strerror or "it cannot be read")
    return known


def _problem(path: str, error: InputError) -> Problem:
    if error.code == "wrong-modality":
        code = "x-ray" if error.found in _X_RAYS else "not-ct"
        return Problem(code, path, f"its modality is {error.found}; it was left out")
    code = "image-constant" if error.code == "constant-image" else "image-unreadable"
    return Problem(code, path, error.found)


def _constant() -> InputError:
    return InputError("constant-image", "All pixels have the same value")


def _hash(path: Path, known: _File) -> None:
    with open(path, "rb") as file:
        known.sha256 = hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _picture(path: Path, known: _File) -> Iterator[Image.Image]:
    """A PNG or JPEG whose file is read once, and whose decoder may fail in any way."""
    content = path.read_bytes()
    known.sha256 = hashlib.sha256(content).hexdigest()
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as picture:
            if picture.format == "PNG" and PNG_END not in content:
                raise InputError("input-unreadable", "It ends too early")
            picture.verify()  # the checksums of a PNG, which decoding passes over
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise InputError("input-unreadable", f"{picture.width} × {picture.height} pixels")
            known.shape = picture.height, picture.width
            yield picture
    except InputError:
        raise
    except Exception:
        raise InputError("input-unreadable", "It is not a complete PNG or JPEG") from None


def _read_slice(path: Path, known: _File) -> None:
    with _picture(path, known) as picture:
        extremes = np.reshape(picture.getextrema(), (-1, 2))  # a row a band
        seen = [band != "A" for band in picture.getbands()]
        if (extremes[seen, 0] == extremes[seen, 1]).all():
            raise _constant()


def _read_slice_mask(path: Path, known: _File) -> None:
    """Values as they are stored: the indices of a palette, 0 and 1 of one bit."""
    with _picture(path, known) as picture:
        pixels = np.asarray(picture)
        if pixels.ndim == 3:
            grey = picture.getbands()[0] == "L"  # with transparency
            if not grey and (pixels[..., :3] != pixels[..., :1]).any():
                raise InputError("input-unreadable", "A label in colours")
            pixels = pixels[..., 0]
        known.values = frozenset(float(value) for value in np.unique(pixels))


def _read_volume(path: Path, known: _File) -> None:
    if len(_read_planes(path, known)) < 2:
        raise _constant()


def _read_volume_mask(path: Path, known: _File) -> None:
    known.values = frozenset(_read_planes(path, known, numbers_only=False))


#: So many different values tell any image from a constant one and any label from a wrong one.
_ENOUGH_VALUES = 64


def _read_planes(path: Path, known: _File, *, numbers_only: bool = True) -> set[float]:
    """Read every plane; some of the values that occur, all of them where they are few."""
    _hash(path, known)
    _check_packed(path)
    levels: set[float] = set()
    content = volume_format(path)
    if content is None:
        raise InputError("input-unreadable", f"It is not a volume ({FORMATS})")
    with open_volume(path, content) as stored:
        known.shape = stored.shape
        for plane in stored.planes:
            if len(levels) < _ENOUGH_VALUES:
                values = np.unique(plane[np.isfinite(plane)] if numbers_only else plane)
                levels.update(values[:_ENOUGH_VALUES].tolist())
    return levels


def _check_packed(path: Path) -> None:
    """Inflate a gzip file to its end, where its checksum stands; readers of voxels stop before."""
    with open(path, "rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return
        file.seek(0)
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                while unpacked.read(2**20):
                    pass
        except (OSError, EOFError, zlib.error) as error:
            fault = f"it ends too early or was changed ({type(error).__name__})"
            raise InputError("input-unreadable", fault) from None


#: Modalities of projections.
_X_RAYS = frozenset({"CR", "DX", "MG", "RF", "XA"})


def _read_dicom(path: Path, known: _File) -> None:
    _hash(path, known)
    header = read_header(path)
    if header is None:
        raise InputError("input-unreadable", "It is a DICOM file without an image")
    if header.modality not in ("CT", "unknown", ""):
        raise InputError("wrong-modality", header.modality)
    values, _ = read_hounsfield(header)
    known.shape = values.shape
    if values.min() == values.max():
        raise _constant()


def _no_mask(path: Path, known: _File) -> None:
    raise InputError("input-unreadable", "Labels beside single DICOM images are not known")


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
