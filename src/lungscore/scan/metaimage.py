"""MetaImage files: data attached (.mha) or in one file beside the header (.mhd), raw or deflated.

Format: the MetaIO library's "Key = Value" header, which ends with the line that says where the data
are. Its patient axes are LPS; rows of TransformMatrix are the directions of the file's axes. As in
ITK, CenterOfRotation and AnatomicalOrientation are ignored.
"""

import os
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from lungscore.errors import InputError, Notice
from lungscore.scan.affine import check_affine, check_shape
from lungscore.scan.planes import Inflated, check_promise, read_planes, to_the_end
from lungscore.scan.volume import Stored

#: Bytes of a header; those of scanners stay below 10 KB.
MAX_HEADER = 2**16

#: The format's names of number types; MET_LONG has four bytes on every machine. Source: MetaIO
#: documentation, "ElementType".
TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}

#: Synonyms of the format.
_DIRECTIONS = ("TransformMatrix", "Orientation", "Rotation")
_ORIGIN = ("Offset", "Position", "Origin")

#: Part by which a direction may miss the length 1: rounding in headers stays far below.
_LENGTH_TOLERANCE = 0.01


@contextmanager
def open_metaimage(path: Path, name: str | None = None) -> Iterator[Stored]:
    """The volume of a MetaImage file, its header checked before memory is taken.

    Raises InputError as ``nifti.open_nifti`` does, and ``format-not-recognised`` for data that are
    text, begin after a skip, or lie anywhere but in one file of the same folder.
    """
    source = name or path.name
    header, start = _header(path, source)
    _check_encoding(header, source)
    shape, dtype = _shape(header, source), _dtype(header, source)
    affine, notices, oriented = _affine(header, source)
    check_affine(affine, source)
    beside = _find_data(header, path, source)
    with _opened(beside or path, source) as file:
        file.seek(0 if beside else start)
        size = os.fstat(file.fileno()).st_size - file.tell()
        deflated = bool(_is_true(header, "CompressedData"))
        check_promise(shape, dtype, size, deflated=deflated, source=source)
        planes = _planes(file, deflated, shape, dtype, source)
        yield Stored(shape, affine, planes, oriented, tuple(notices))


def read_metaimage_header(path: Path) -> dict[str, str]:
    """key -> value of the header, as they stand there. Raises InputError and OSError."""
    return _header(path, path.name)[0]


def find_data(path: Path) -> Path | None:
    """The file beside the header at ``path`` that holds its data; None where they are attached.

    Raises InputError ``format-not-recognised`` for any but the plain name of one file, and
    ``input-unreadable`` where there is no such file; OSError.
    """
    return _find_data(_header(path, path.name)[0], path, path.name)


def _opened(path: Path, source: str) -> IO[bytes]:
    try:
        return open(path, "rb")
    except OSError as error:
        raise InputError(
            "input-unreadable", f"{source}: cannot be read: {error.strerror}"
        ) from None


def _header(path: Path, source: str) -> tuple[dict[str, str], int]:
    """The header, and at which byte attached data begin."""
    header: dict[str, str] = {}
    left = MAX_HEADER
    with open(path, "rb") as file:
        while "ElementDataFile" not in header:
            line = file.readline(left)
            left -= len(line)
            key, equals, value = line.decode("latin-1").partition("=")
            if not equals or left <= 0:
                fault = f"{source}: the MetaImage header cannot be read"
                raise InputError("input-unreadable", fault)
            header[key.strip()] = value.strip()
        return header, file.tell()


def _find_data(header: Mapping[str, str], path: Path, source: str) -> Path | None:
    """As ``find_data``. No message repeats the name: it may be older than the file's own."""
    name = header["ElementDataFile"]
    if name.upper() == "LOCAL":
        return None
    if re.fullmatch(r"|\.\.?|LIST.*|.*[/\\:%\0].*", name) or name == path.name:
        raise InputError(
            "format-not-recognised",
            f"{source} keeps its data in several files, in another folder or nowhere",
            expected="MetaImage with its data attached (.mha) or in one file next to it (.mhd)",
        )
    data = path.parent / os.fsdecode(name.encode("latin-1"))
    if not os.path.isfile(data):  # unlike Path.is_file no name makes it raise
        raise InputError(
            "input-unreadable",
            f"{source}: the file named by ElementDataFile is missing",
            expected="header and data in one folder, with their original names",
        )
    return data


def _planes(
    file: IO[bytes], deflated: bool, shape: tuple[int, int, int], dtype: np.dtype, source: str
) -> Iterator[np.ndarray]:
    """All planes, and nothing behind them: longer data have another shape or type than stated."""
    inflated = Inflated(file, zlib.decompressobj(wbits=47))  # gzip or zlib by its head
    planes = read_planes(inflated.read if deflated else file.read, shape, dtype, source=source)
    yield from to_the_end(
        planes, inflated.is_at_end if deflated else lambda: not file.read(1), source
    )


def _is_true(header: Mapping[str, str], *keys: str) -> bool | None:
    """What the first of ``keys`` that is there says, by its first letter as in MetaIO."""
    text = next((header[key] for key in keys if key in header), None)
    return None if text is None else text[:1] in ("T", "t", "1")


def _numbers(
    header: Mapping[str, str], source: str, count: int, *keys: str, whole: bool = False
) -> np.ndarray | None:
    """The numbers under ``keys``, which are synonyms; None where none of them is there.

    Raises InputError ``geometry-invalid`` for anything but ``count`` numbers, and for synonyms
    that contradict each other.
    """
    agreed = None
    for key in (key for key in keys if key in header):
        try:
            # Blanks part the numbers, so a comma can only be a decimal sign.
            texts = header[key].replace(",", ".").split()
            numbers = np.array([(int if whole else float)(text) for text in texts])
            wrong = len(numbers) != count or not np.isfinite(numbers.astype(np.float64)).all()
        except (ValueError, OverflowError):
            wrong = True
        if wrong or (agreed is not None and not np.array_equal(agreed, numbers)):
            kind = "whole numbers" if whole else "numbers"
            expected = f"{count} {kind}, and the same under every name of it"
            raise InputError("geometry-invalid", f"{source}: {key} is wrong", expected=expected)
        agreed = numbers
    return agreed


def _shape(header: Mapping[str, str], source: str) -> tuple[int, int, int]:
    axes = _numbers(header, source, 1, "NDims", whole=True)
    if axes is None or axes[0] != 3:
        raise InputError(
            "volume-4d" if axes is not None and axes[0] > 3 else "geometry-invalid",
            f"{source}: {header.get('NDims', 'no')[:8]} axes",
            expected="three axes",
        )
    if header.get("ElementNumberOfChannels", "1") != "1":
        raise InputError("colour-image", f"{source}: the voxels are colours", expected="numbers")
    sizes = _numbers(header, source, 3, "DimSize", whole=True)
    if sizes is None:
        raise InputError("geometry-invalid", f"{source}: DimSize is missing")
    shape = (int(sizes[0]), int(sizes[1]), int(sizes[2]))
    check_shape(shape, source)
    return shape


def _dtype(header: Mapping[str, str], source: str) -> np.dtype:
    code = TYPES.get(header.get("ElementType", ""))
    if code is None:
        fault = f"{source}: voxels of an unknown ElementType"
        raise InputError("not-hounsfield", fault, expected="numbers such as MET_SHORT")
    big = _is_true(header, "BinaryDataByteOrderMSB", "ElementByteOrderMSB")
    return np.dtype((">" if big else "<") + code)


def _check_encoding(header: Mapping[str, str], source: str) -> None:
    if _is_true(header, "BinaryData") is False:
        raise InputError("format-not-recognised", f"{source}: voxels written as text")
    if header.get("HeaderSize", "0") != "0":
        raise InputError("format-not-recognised", f"{source}: data that begin after a skip")
    for key, neutral in (("Slope", 1), ("Offset", 0)):
        number = _numbers(header, source, 1, f"ElementToIntensityFunction{key}")
        if number is not None and number[0] != neutral:
            # ITK leaves them out: nobody can say whether the voxels or these lines are right.
            raise InputError(
                "not-hounsfield",
                f"{source}: the header asks for another scale (ElementToIntensityFunction{key})",
                expected="values stored as Hounsfield units",
            )


def _affine(header: Mapping[str, str], source: str) -> tuple[np.ndarray, list[Notice], bool]:
    """The affine in RAS+, notices, and whether the file states an orientation."""
    spacing = _numbers(header, source, 3, "ElementSpacing")
    if spacing is None:
        spacing = _numbers(header, source, 3, "ElementSize")
    if spacing is None:
        raise InputError("geometry-invalid", f"{source}: ElementSpacing is missing")
    directions = _numbers(header, source, 9, *_DIRECTIONS)
    origin = _numbers(header, source, 3, *_ORIGIN)
    notices = []
    if directions is None:
        text = "No TransformMatrix is stated: the orientation is unknown"
        notices.append(Notice("header-incomplete", text))
    axes = np.eye(3) if directions is None else directions.reshape(3, 3).T
    lengths = np.linalg.norm(axes, axis=0)
    if (abs(lengths - 1) > _LENGTH_TOLERANCE).any():
        shown = " ".join(f"{length:.4g}" for length in lengths)
        raise InputError(
            "geometry-invalid",
            f"{source}: directions of length {shown} in TransformMatrix",
            expected="length 1, with the voxel size in ElementSpacing",
        )
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1, -1, 1]) @ (axes * spacing)
    affine[:3, 3] = np.array([-1, -1, 1]) * (np.zeros(3) if origin is None else origin)
    return affine, notices, directions is not None
