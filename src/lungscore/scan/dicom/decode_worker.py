"""The process in which compressed pixels are decoded: it may die of a damaged file alone.

Reads one JSON list per line, the path of a DICOM image and its name in messages, and answers each
with one line of JSON: either ``{"rows", "columns", "scale"}`` followed by the image as native
int16 Hounsfield units, or ``{"code", "found", "expected", "hint"}``.
"""

import json
import sys
from pathlib import Path
from typing import BinaryIO

from lungscore.errors import InputError
from lungscore.scan.dicom.header import quiet_pydicom, read_header
from lungscore.scan.dicom.pixels import read_hounsfield

#: A transfer syntax that the libraries for all of them can decode.
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"

#: Address space of the process: many times what a slice of the largest allowed size needs.
MEMORY_BYTES = 4 * 2**30


def load() -> None:
    """Import what decoding needs before the first request comes."""
    from pydicom.pixels import get_decoder

    get_decoder(JPEG_LOSSLESS).is_available  # noqa: B018 (looking loads the libraries)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer every request until there are no more."""
    for line in requests:
        path, name = json.loads(line)
        answer, pixels = _answer(Path(path), name)
        answers.write(json.dumps(answer).encode() + b"\n" + pixels)
        answers.flush()


def _answer(path: Path, name: str) -> tuple[dict, bytes]:
    try:
        header = read_header(path, name)
        if header is None:
            raise InputError("dicom-unreadable", f"{name} changed while it was read")
        with quiet_pydicom():
            values, scale = read_hounsfield(header)
    except InputError as error:
        fields = ("code", "found", "expected", "hint")
        return {field: getattr(error, field) for field in fields}, b""
    rows, columns = values.shape
    return {"rows": rows, "columns": columns, "scale": scale}, values.tobytes()


def limit_memory() -> None:
    """Keep a decoder that asks for absurd amounts from harming the computer."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_BYTES if most == resource.RLIM_INFINITY else min(MEMORY_BYTES, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))


if __name__ == "__main__":
    limit_memory()
    load()
    serve(sys.stdin.buffer, sys.stdout.buffer)
