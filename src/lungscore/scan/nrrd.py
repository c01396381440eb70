"""NRRD files with their data attached."""

import bz2
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import nrrd
import numpy as np

from lungscore.errors import InputError, Notice
from lungscore.scan.affine import check_affine, check_shape
from lungscore.scan.planes import Inflated, read_planes
from lungscore.scan.volume import Stored

#: The format's names of number types. Source: NRRD definition, field "type".
TYPES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
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
def open_nrrd(path: Path) -> Iterator[Stored]:
    """The volume of an NRRD file, its header checked before memory is taken.

    Raises InputError as ``open_nifti`` does, and ``format-not-recognised`` for a header whose data
    lie in another file.
    """
    source = path.name
    with open(path, "rb") as file:
        header = _header(file, source)
        shape = _shape(header, source)
        dtype = _dtype(header, source)
        affine, notices, oriented = _affine(header, shape, source)
        check_affine(affine, source)
        _check_start(header, source)
        read = _reader(file, str(header.get("encoding")).lower(), source)
        planes = read_planes(read, shape, dtype, source=source)
        yield Stored(shape, affine, planes, oriented, tuple(notices))


def _header(file: IO[bytes], source: str) -> dict[str, Any]:
    try:
        header = nrrd.read_header(file)
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
            "not-hounsfield", f"{source}: voxels of type {header.get('type')}", expected="numbers"
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


def _reader(file: IO[bytes], encoding: str, source: str) -> Any:
    if encoding == "raw":
        return file.read
    if encoding in ("gzip", "gz"):
        return Inflated(file, zlib.decompressobj(wbits=47)).read  # gzip or zlib by its head
    if encoding in ("bzip2", "bz2"):
        return bz2.BZ2File(file).read
    raise InputError(
        "format-not-recognised", f"{source}: encoding {encoding!r}", expected="raw, gzip or bzip2"
    )
