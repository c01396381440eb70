"""MetaImage files (.mha) with their data attached, raw or deflated.

Format: the MetaIO library's "Key = Value" header, which ends with the line that says where the data
are. Its patient axes are LPS; rows of TransformMatrix are the directions of the file's axes.
"""

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from lungscore.errors import InputError, Notice
from lungscore.scan.affine import check_affine, check_shape
from lungscore.scan.planes import Inflated, read_planes
from lungscore.scan.volume import Stored, Volume
from lungscore.scan.voxels import gather_volume

#: Bytes of a header; those of scanners stay below 10 KB.
MAX_HEADER = 2**16

#: The format's names of number types. Source: MetaIO documentation, "ElementType".
TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}


@contextmanager
def open_metaimage(path: Path) -> Iterator[Stored]:
    """The volume of a MetaImage file, its header checked before memory is taken.

    Raises InputError as ``nifti.open_nifti`` does, and ``format-not-recognised`` for a header
    whose data lie in another file.
    """
    source = path.name
    with open(path, "rb") as file:
        header = _header(file, source)
        shape, dtype = _shape(header, source), _dtype(header, source)
        affine, notices = _affine(header, source)
        check_affine(affine, source)
        deflated = header.get("CompressedData", "").lower() == "true"
        read = Inflated(file, zlib.decompressobj(wbits=47)).read if deflated else file.read
        planes = read_planes(read, shape, dtype, source=source)
        yield Stored(shape, affine, planes, not notices, tuple(notices))


def read_metaimage(path: Path) -> Volume:
    """The one volume of a MetaImage file, in its own axis order. Raises as ``nifti.read_nifti``."""
    with open_metaimage(path) as stored:
        return gather_volume(stored, "metaimage", source=path.name)


def read_metaimage_header(path: Path) -> dict[str, str]:
    """key -> value of the header, as they stand there. Raises InputError and OSError."""
    with open(path, "rb") as file:
        return _header(file, path.name)


def _header(file: IO[bytes], source: str) -> dict[str, str]:
    """The header; ``file`` then stands where the data begin."""
    header: dict[str, str] = {}
    left = MAX_HEADER
    while "ElementDataFile" not in header:
        line = file.readline(left)
        left -= len(line)
        key, equals, value = line.decode("latin-1").partition("=")
        if not equals or left <= 0:
            raise InputError("input-unreadable", f"{source}: the MetaImage header cannot be read")
        header[key.strip()] = value.strip()
    if header["ElementDataFile"] != "LOCAL":
        raise InputError(
            "format-not-recognised",
            f"{source} keeps its data in another file",
            expected="MetaImage with its data attached (.mha)",
        )
    return header


def _numbers(header: Mapping[str, str], count: int, *keys: str) -> np.ndarray | None:
    """The numbers under the first of ``keys`` that is there; None where none is, or is wrong."""
    text = next((header[key] for key in keys if key in header), "")
    try:
        numbers = np.array([float(part) for part in text.split()])
    except ValueError:
        return None
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None


def _shape(header: Mapping[str, str], source: str) -> tuple[int, int, int]:
    axes = _numbers(header, 1, "NDims")
    if axes is None or axes[0] != 3:
        raise InputError(
            "volume-4d" if axes is not None and axes[0] > 3 else "geometry-invalid",
            f"{source}: {header.get('NDims', 'no')[:8]} axes",
            expected="three axes",
        )
    if header.get("ElementNumberOfChannels", "1") != "1":
        raise InputError("colour-image", f"{source}: the voxels are colours", expected="numbers")
    sizes = _numbers(header, 3, "DimSize")
    if sizes is None:
        raise InputError("geometry-invalid", f"{source}: DimSize is missing or wrong")
    shape = (int(sizes[0]), int(sizes[1]), int(sizes[2]))
    check_shape(shape, source)
    return shape


def _dtype(header: Mapping[str, str], source: str) -> np.dtype:
    code = TYPES.get(header.get("ElementType", ""))
    if code is None:
        found = header.get("ElementType", "unknown")[:20]
        raise InputError("not-hounsfield", f"{source}: voxels of type {found}", expected="numbers")
    orders = (header.get(f"{kind}ByteOrderMSB", "").lower() for kind in ("BinaryData", "Element"))
    return np.dtype((">" if "true" in orders else "<") + code)


def _affine(header: Mapping[str, str], source: str) -> tuple[np.ndarray, list[Notice]]:
    """The affine in RAS+, and a notice where the file states no orientation."""
    spacing = _numbers(header, 3, "ElementSpacing", "ElementSize")
    if spacing is None:
        raise InputError("geometry-invalid", f"{source}: ElementSpacing is missing or wrong")
    directions = _numbers(header, 9, "TransformMatrix", "Orientation", "Rotation")
    origin = _numbers(header, 3, "Offset", "Position", "Origin")
    notices = []
    if directions is None:
        text = "no TransformMatrix is stated: the orientation is not known"
        notices.append(Notice("header-incomplete", text))
        directions = np.eye(3).ravel()
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1, -1, 1]) @ (directions.reshape(3, 3).T * spacing)
    affine[:3, 3] = np.array([-1, -1, 1]) * (np.zeros(3) if origin is None else origin)
    return affine, notices
