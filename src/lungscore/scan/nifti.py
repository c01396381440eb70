"""NIfTI-1 and NIfTI-2 files, compressed or not, whatever they are called."""

import gzip
import io
import logging
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from lungscore.errors import InputError, Notice
from lungscore.scan.affine import check_affine, check_shape
from lungscore.scan.limits import MAX_HEADER_BYTES
from lungscore.scan.planes import check_promise
from lungscore.scan.volume import Stored

#: Part of the largest entry by which sform and qform may differ and still be called equal, and part
#: of a voxel's size by which they may differ about it.
FORM_TOLERANCE, SIZE_TOLERANCE = 1e-3, 0.01


@contextmanager
def open_nifti(path: Path, name: str | None = None) -> Iterator[Stored]:
    """The one volume of a NIfTI file, its header checked before memory is taken.

    name: what messages call it; by default its own name.
    Raises InputError ``input-unreadable``, ``volume-too-large``, ``volume-4d``, ``colour-image``,
    ``geometry-invalid``, ``gantry-tilt``, ``spacing-out-of-range`` or ``not-hounsfield`` (voxels
    that are not numbers).
    """
    import nibabel as nib
    from nibabel.arrayproxy import ArrayProxy

    source = name or path.name
    with _opened(path) as file, _heard_repairs() as repairs:
        try:
            head = file.read(nib.Nifti1Header.sizeof_hdr)
            two = head[4:8] == b"n+2\0"
            form = nib.Nifti2Header if two else nib.Nifti1Header
            head += file.read(form.sizeof_hdr - len(head))
            # Without the header's extensions: they are not needed, and may be gigabytes.
            header = form.from_fileobj(io.BytesIO(head[: form.sizeof_hdr] + bytes(4)))
            dtype, shape = header.get_data_dtype(), tuple(int(n) for n in header.get_data_shape())
            offset = int(header.get_data_offset())
            header.get_slope_inter()  # raises where the one is a number and the other is not
        except InputError:
            raise
        except Exception as error:  # a parser fed by strangers may fail in any way
            raise _unreadable(source, error) from error
        if not 0 <= offset <= MAX_HEADER_BYTES:
            raise InputError(
                "volume-too-large",
                f"{source}: the voxels begin at byte {offset}",
                expected=f"at most {MAX_HEADER_BYTES} bytes before them",
            )
        shape = _three_axes(shape, source)
        _check_type(dtype, source)
        deflated = isinstance(file, gzip.GzipFile)
        check_promise(shape, dtype, path.stat().st_size, deflated=deflated, source=source)
        affine, notices, oriented = _affine(header, source)
        check_affine(affine, source)
        if repairs:
            text = "The NIfTI header was repaired: " + "; ".join(repairs)
            notices = [*notices, Notice("geometry-repaired", text)]
        yield Stored(
            shape,
            affine,
            _slices(ArrayProxy(file, header), file, shape, source),
            oriented,
            tuple(notices),
        )


@contextmanager
def _heard_repairs() -> Iterator[list[str]]:
    """What nibabel says of a header that it repairs, instead of its printing that.

    Repairs of no consequence (below the level of a warning) are not heard.
    """
    from nibabel.imageglobals import logger

    repairs: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            repairs.append(record.getMessage())

    before = logger.handlers[:], logger.propagate
    logger.handlers[:], logger.propagate = [Listener(logging.WARNING)], False
    try:
        yield repairs
    finally:
        logger.handlers[:], logger.propagate = before


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield unpacked  # type: ignore[misc]


def _three_axes(shape: tuple[int, ...], source: str) -> tuple[int, int, int]:
    check_shape(shape, source)
    if any(length > 1 for length in shape[3:]):
        raise InputError(
            "volume-4d",
            f"{source}: {' × '.join(map(str, shape))} voxels",
            expected="one volume of three axes",
            hint="Split it and choose one",
        )
    columns, rows, slices = (*shape, 1, 1, 1)[:3]
    return columns, rows, slices


def _check_type(dtype: np.dtype, source: str) -> None:
    if dtype.fields:
        raise InputError("colour-image", f"{source}: the voxels are colours", expected="numbers")
    if dtype.kind not in "iuf":
        raise InputError("not-hounsfield", f"{source}: voxels of type {dtype}", expected="numbers")


def _affine(header: Any, source: str) -> tuple[np.ndarray, list[Notice], bool]:
    """The affine that counts, notices, and whether the file states an orientation at all.

    sform goes before qform. They may differ a little; where they disagree about which way the
    patient lies the file is rejected.
    """
    from nibabel import aff2axcodes

    try:
        sform, scode = header.get_sform(coded=True)
        qform, qcode = header.get_qform(coded=True)
        affine = np.asarray(header.get_best_affine(), dtype=np.float64)
    except Exception as error:  # quaternions of no rotation raise several kinds
        raise InputError("geometry-invalid", f"{source}: the qform is not a rotation") from error
    if not scode and not qcode:
        text = "Neither sform nor qform is set: the orientation is unknown"
        return affine, [Notice("header-incomplete", text)], False
    if not scode or not qcode or not np.isfinite(sform).all() or not np.isfinite(qform).all():
        return affine, [], True
    if not np.abs(sform[:3, :3]).max() or abs(np.linalg.det(sform[:3, :3])) < 1e-9:
        return affine, [], True  # singular: for check_affine to say
    if aff2axcodes(sform) != aff2axcodes(qform):
        raise InputError(
            "geometry-invalid",
            f"{source}: sform says {''.join(aff2axcodes(sform))}, "
            f"qform says {''.join(aff2axcodes(qform))}",
            expected="one orientation",
            hint="Repair the header; right and left depend on it",
        )
    sizes = [np.linalg.norm(form[:3, :3], axis=0) for form in (sform, qform)]
    unit = sform[:3, :3] / sizes[0]
    sheared = np.abs(unit.T @ unit - np.eye(3)).max() > SIZE_TOLERANCE  # for check_affine to say
    if not sheared and (np.abs(sizes[0] - sizes[1]) > SIZE_TOLERANCE * sizes[0]).any():
        texts = [" × ".join(f"{size:g}" for size in np.round(form, 3)) for form in sizes]
        raise InputError(
            "geometry-invalid",
            f"{source}: a voxel is {texts[0]} mm by the sform and {texts[1]} mm by the qform",
            expected="one voxel size",
            hint="Repair the header, or convert the scan again from DICOM; volumes depend on it",
        )
    if np.abs(sform - qform)[:3, :3].max() > FORM_TOLERANCE * np.abs(sform[:3, :3]).max():
        return (
            affine,
            [Notice("geometry-repaired", "The sform and the qform differ: the sform is used")],
            True,
        )
    return affine, [], True


def _slices(
    proxy: Any, file: IO[bytes], shape: tuple[int, int, int], source: str
) -> Iterator[np.ndarray]:
    """2-D planes along the last axis, scaled as the header says; then the checksum is looked at."""
    data = proxy.reshape(shape)
    for index in range(shape[2]):
        try:
            yield np.asarray(data[..., index])
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise InputError(
                "input-unreadable",
                f"{source} ends or is damaged at slice {index + 1} of {shape[2]}",
                hint="Copy it again from its source",
            ) from error
    if isinstance(file, gzip.GzipFile):
        _check_sum(file, source)


def _check_sum(file: gzip.GzipFile, source: str) -> None:
    """Read on to the checksum, which stands behind the last byte and is compared on arrival.

    Most damage inflates to other voxels without a fault.
    """
    left = MAX_HEADER_BYTES
    try:
        while left > 0 and (rest := file.read(2**16)):
            left -= len(rest)
    except (OSError, EOFError, zlib.error) as error:
        if "Not a gzipped file" in str(error):
            return  # the checksum was right, and something else follows
        raise InputError(
            "input-unreadable",
            f"{source}: the checksum is wrong",
            hint="Copy it again from its source",
        ) from error


def _unreadable(source: str, error: Exception) -> InputError:
    return InputError(
        "input-unreadable",
        f"{source}: the NIfTI header cannot be read ({type(error).__name__})",
        hint="Copy it again from its source",
    )
