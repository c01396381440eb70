"""NRRD files with their data attached."""

import bz2
import io
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import nrrd
import numpy as np

from lungscore.errors import InputError, Notice
from lungscore.scan.affine import check_affine, check_shape
from lungscore.scan.planes import Inflated, check_promise, read_planes, to_the_end
from lungscore.scan.volume import Stored

#: Bytes of a header; segmentations with hundreds of segments stay below 1 MiB.
_LONGEST_HEADER = 2**22

#: The format's names of number types. Source: NRRD definition, field "type".
TYPES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, "
    "int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
DTYPES = {name: code for code, names in TYPES.items() for name in names.split(", ")}

#: Patient axes of a space, as signs that turn them into RAS+.
SPACES = {
    "left-posterior-superior": (-1, -1, 1),
    "lps": (-1, -1, 1),
    "right-anterior-superior": (1, 1, 1),
    "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "las": (-1, 1, 1),
}


@contextmanager
def open_nrrd(path: Path, name: str | None = None) -> Iterator[Stored]:
    """The volume of an NRRD file, its header checked before memory is taken.

    Raises InputError as ``open_nifti`` does, and ``format-not-recognised`` for a header whose data
    lie in another file.
    """
    source = name or path.name
    with open(path, "rb") as file:
        header = _without_axes_of_one(_header(file, source))
        shape = _shape(header, source)
        dtype = _dtype(header, source)
        affine, notices, oriented = _affine(header, shape, source)
        check_affine(affine, source)
        _check_start(header, source)
        encoding = str(header.get("encoding")).lower()
        size = os.fstat(file.fileno()).st_size - file.tell()
        read, is_at_end = _reader(file, encoding, source)
        # bzip2 could shrink more than deflate, but no image of a patient does.
        check_promise(shape, dtype, size, deflated=encoding != "raw", source=source)
        planes = to_the_end(read_planes(read, shape, dtype, source=source), is_at_end, source)
        yield Stored(shape, affine, planes, oriented, tuple(notices))


def _header(file: IO[bytes], source: str) -> dict[str, Any]:
    head = bytearray()
    while not head.endswith((b"\n\n", b"\n\r\n")):
        line = file.readline(_LONGEST_HEADER - len(head))
        if not line and b"data file:" in head.lower().replace(b"datafile:", b"data file:"):
            break  # a header alone, of which the last line need not be blank
        if not line:
            raise InputError("input-unreadable", f"{source}: the NRRD header has no end")
        head += line
    try:
        header = nrrd.read_header(io.BytesIO(head))
    except Exception as error:  # a parser fed by strangers may fail in any way
        raise InputError(
            "input-unreadable",
            f"{source}: the NRRD header cannot be read ({type(error).__name__})",
        ) from error
    if "data file" in header or "datafile" in header:
        raise InputError(
            "format-not-recognised",
            f"{source} keeps its data in another file",
            expected="NRRD with attached data",
        )
    return header


def _without_axes_of_one(header: dict[str, Any]) -> dict[str, Any]:
    """``header`` with three axes where all further ones have one voxel: of a list, of a colour.

    Those without a direction in space go first, then the slowest. A plane becomes one slice, if
    the header says how thick it is.
    """
    sizes = [int(size) for size in header.get("sizes", ())]
    axes = list(range(len(sizes)))
    spatial = _directions(header, len(sizes))
    while len(axes) > 3:
        single = [axis for axis in axes if sizes[axis] == 1]
        if not single:
            return header
        outside = [axis for axis in single if spatial is not None and spatial[axis] is None]
        axes.remove((outside or single)[-1])
    if len(axes) == len(sizes):
        return header
    result = header | {"sizes": [sizes[axis] for axis in axes]}
    for key in ("spacings", "thicknesses"):
        if key in header and len(header[key]) == len(sizes):
            result[key] = [header[key][axis] for axis in axes]
    if spatial is not None:
        kept = [spatial[axis] for axis in axes]
        result["space directions"] = [
            (np.nan,) * 3 if direction is None else direction for direction in kept
        ]
    return result


def _directions(header: dict[str, Any], axes: int) -> list[Any] | None:
    """The direction of every axis, None for one that is none of space ("none" in the file)."""
    directions = header.get("space directions")
    if directions is None or len(directions) != axes:
        return None
    return [
        None if direction is None or np.isnan(np.asarray(direction, float)).any() else direction
        for direction in directions
    ]


def _shape(header: dict[str, Any], source: str) -> tuple[int, int, int]:
    sizes = tuple(int(size) for size in header.get("sizes", ()))
    check_shape(sizes, source)
    if len(sizes) != 3:
        code = "volume-4d" if len(sizes) > 3 else "geometry-invalid"
        raise InputError(code, f"{source}: {len(sizes)} axes", expected="three axes")
    return sizes[0], sizes[1], sizes[2]


def _dtype(header: dict[str, Any], source: str) -> np.dtype:
    code = DTYPES.get(str(header.get("type")).lower())
    if code is None:
        raise InputError(
            "not-hounsfield", f"{source}: voxels of an unknown type", expected="numbers"
        )
    order = ">" if str(header.get("endian", "little")).lower() == "big" else "<"
    return np.dtype(order + code)


def _affine(
    header: dict[str, Any], shape: tuple[int, int, int], source: str
) -> tuple[np.ndarray, list[Notice], bool]:
    """The affine in RAS+, notices, and whether the file states an orientation."""
    directions = header.get("space directions")
    signs = SPACES.get(str(header.get("space", "")).lower())
    affine = np.eye(4)
    if directions is None or signs is None:
        spacings = np.array(header.get("spacings", (np.nan,) * 3), dtype=np.float64)
        if directions is not None:  # of a space that is not the patient's: their lengths hold
            spacings = np.linalg.norm(np.array(directions, dtype=np.float64), axis=-1)
        if spacings.shape != (3,) or not np.isfinite(spacings).all():
            raise InputError(
                "geometry-invalid",
                f"{source}: no space directions and no spacings",
                expected="a space such as left-posterior-superior, with directions",
            )
        affine[:3, :3] = np.diag([-1, -1, 1]) * spacings
        text = "No patient space is stated: the orientation is unknown"
        return affine, [Notice("header-incomplete", text)], False
    axes = np.array(directions, dtype=np.float64)
    origin = np.array(header.get("space origin", (0, 0, 0)), dtype=np.float64)
    if axes.shape != (3, 3) or origin.shape != (3,):
        raise InputError("geometry-invalid", f"{source}: space directions of {axes.shape}")
    affine[:3, :3] = np.diag(signs) @ axes.T
    affine[:3, 3] = np.array(signs) * origin
    return affine, [], True


def _check_start(header: dict[str, Any], source: str) -> None:
    if int(header.get("line skip", 0)) or int(header.get("byte skip", 0)):
        raise InputError("format-not-recognised", f"{source}: data that begin after a skip")


def _reader(
    file: IO[bytes], encoding: str, source: str
) -> tuple[Callable[[int], bytes], Callable[[], bool]]:
    """What reads the voxels, and what tells behind them whether they were whole."""
    if encoding == "raw":
        return file.read, lambda: True
    if encoding in ("gzip", "gz"):
        inflated = Inflated(file, zlib.decompressobj(wbits=47))  # gzip or zlib by its head
        return inflated.read, inflated.is_at_end
    if encoding in ("bzip2", "bz2"):
        unpacked = bz2.BZ2File(file)
        return unpacked.read, lambda: not unpacked.read(1)
    raise InputError(
        "format-not-recognised", f"{source}: an unknown encoding", expected="raw, gzip or bzip2"
    )
