"""Mutations of an input: of bytes, of DICOM elements, of JSON and of text. Drawn from a Random."""

import gzip
import json
import re
import struct
from copy import deepcopy
from random import Random
from typing import Any

Files = dict[str, bytes]

#: Numbers at the edges of what headers hold.
_EDGES = (0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
#: Text in place of a number.
_ODD_NUMBERS = (
    *(b"-1", b"0", b"nan", b"inf", b"-inf", b"1e309", b"1e39", b"9" * 30, b"", b"1,5", b"0x1F"),
    *("①".encode(), "٣".encode(), b"1e-320", b"-0", b"1_000", b" ", b"1/2", b"65536"),
)
_ODD_TEXTS = (
    *(b"", b"\0", b"../../x", b"\xff\xfe", "’\u202eabc".encode(), b"=1+1", b"A" * 300, b"\\\\"),
    *(b"LOCALIZER", b"RGB", b"MR", b"\x1b[2J", b"!!timestamp x", b"[" * 500, b"2026-13-45", b"~"),
)
_ODD_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 10**30, 1e308, -1e308, float("nan"), float("inf"), "", "x", "\ud800", "①"),
    *([], {}, [[]], {"a": {}}, [None], "A" * 300, 2**63, 0.5, [1e308] * 3, "\x1b[2J", "../x"),
)
_REPRESENTATIONS = (
    *(b"US", b"DS", b"IS", b"UI", b"SQ", b"OB", b"OW", b"UT", b"UN", b"FD", b"FL", b"CS", b"AT"),
    *(b"\0\0", b"ZZ", b"PN", b"SL", b"OF"),
)
_LONG = {b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"}

#: What the content of a reader's inputs is, beyond bytes.
KINDS = {
    "dicom": "dicom",
    "series": "dicom",
    "compressed": "dicom",
    "nifti": "nifti",
    "result": "json",
    "card": "json",
    "patient-model": "json",
    "safetensors": "safetensors",
    "nrrd": "text",
    "metaimage": "text",
    "manifest-csv": "text",
    "table": "text",
    "experiment": "text",
}


def mutated(files: Files, donors: list[Files], random: Random, reader: str) -> Files:
    """A mutant of ``files``. others: seeds of the same reader, to take pieces from."""
    result = dict(files)
    if len(files) > 2 and random.random() < 0.1:  # a folder loses or gains a file
        name = random.choice(sorted(result))
        if random.random() < 0.5 and name != "input":
            del result[name]
        else:
            result["copy of it"] = result[name]
    names = sorted(result)
    fixed = reader in ("card", "metaimage", "experiment") and random.random() < 0.9
    chosen = (
        ["input"]
        if fixed and "input" in result
        else random.sample(names, min(len(names), random.choice((1, 1, 1, 2, len(names)))))
    )
    donor = random.choice(list(random.choice(donors).values()))
    state = random.getstate()
    for name in chosen:
        if len(chosen) == len(names) and random.random() < 0.7:
            random.setstate(state)  # the same fault in every slice
        result[name] = _content(result[name], donor, random, KINDS.get(reader, ""))
    return result


def _content(data: bytes, donor: bytes, random: Random, kind: str) -> bytes:
    draw = random.random()
    if kind == "dicom" and draw < 0.6:
        for _ in range(random.choice((1, 1, 2, 3))):
            data = _element(data, random)
        return data
    if kind == "json" and draw < 0.75:
        return _json(data, random)
    if kind == "safetensors" and draw < 0.6 and len(data) > 8:
        size = struct.unpack("<Q", data[:8])[0]
        if size <= len(data) - 8:
            head = _json(data[8 : 8 + size], random)
            stated = len(head) if random.random() < 0.9 else random.choice(_EDGES)
            return struct.pack("<Q", stated) + head + data[8 + size :]
    if kind == "text" and draw < 0.6:
        return _text(data, random)
    if kind == "nifti" and draw < 0.8:
        packed = data[:2] == b"\x1f\x8b"
        plain = _header(gzip.decompress(data) if packed else data, random)
        return gzip.compress(plain, 1, mtime=0) if packed or random.random() < 0.2 else plain
    return _bytes(data, donor, random)


def _bytes(data: bytes, donor: bytes, random: Random) -> bytes:
    mutant = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
        if not mutant:
            return bytes(mutant)
        end = min(len(mutant), random.choice((64, 512, 4096, len(mutant))))
        offset = random.randrange(end)
        draw = random.randrange(9)
        if draw == 0:
            mutant[offset] ^= 1 << random.randrange(8)
        elif draw == 1:
            mutant[offset] = random.randrange(256)
        elif draw == 2:
            size = random.choice((1, 2, 4, 8))
            order = random.choice(("little", "big"))
            number = random.choice(_EDGES) % 256**size
            mutant[offset : offset + size] = number.to_bytes(size, order)
        elif draw == 3:
            del mutant[offset : offset + random.choice((1, 2, 16, 256, 4096))]
        elif draw == 4:
            piece = mutant[offset : offset + random.choice((1, 8, 64, 512))]
            mutant[offset:offset] = piece * random.choice((1, 2, 9))
        elif draw == 5:
            mutant[offset:offset] = random.randbytes(random.choice((1, 2, 8, 64)))
        elif draw == 6:
            del mutant[random.randrange(len(mutant)) :]
        elif draw == 7 and donor:
            start = random.randrange(len(donor))
            piece = donor[start : start + random.choice((4, 64, 1024))]
            mutant[offset : offset + len(piece)] = piece
        else:
            text = random.choice(_ODD_TEXTS)
            mutant[offset : offset + len(text)] = text
    return bytes(mutant)


def _text(data: bytes, random: Random) -> bytes:
    for _ in range(random.choice((1, 1, 2, 4))):
        end = min(len(data), 4096)
        spans = [match.span() for match in re.finditer(rb"[0-9.+-]+|[A-Za-z_]+", data[:end])]
        if not spans:
            return data
        start, stop = random.choice(spans)
        draw = random.randrange(5)
        if draw < 2:
            piece = random.choice(_ODD_NUMBERS)
        elif draw == 2:
            piece = random.choice(_ODD_TEXTS)
        elif draw == 3:
            first, last = random.choice(spans)
            piece = data[first:last]
        else:
            lines = data[:end].split(b"\n")
            piece = data[start:stop] + b"\n" + random.choice(lines) + b"\n"
        data = data[:start] + piece + data[stop:]
    return data


def _header(data: bytes, random: Random) -> bytes:
    """A NIfTI header with another number in one of its fields."""
    mutant = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 3))):
        offset = random.choice(
            (
                *range(40, 56, 2),
                *range(68, 124, 4),
                70,
                72,
                252,
                254,
                *range(256, 328, 4),
                348,
                352,
                356,
                *range(0, 540, 4),
            )
        )
        packed = random.choice(
            (
                struct.pack("<h", random.choice(_EDGES) % 32768 - random.choice((0, 1))),
                struct.pack(
                    "<f", random.choice((0, 1, -1, 1e-30, 3e38, float("nan"), float("inf")))
                ),
                struct.pack("<f", random.uniform(-3, 400)),
                struct.pack("<i", random.choice(_EDGES) % 2**31),
                struct.pack("<d", random.choice((0.0, 1e300, float("nan"), -1.0))),
            )
        )
        mutant[offset : offset + len(packed)] = packed
    return bytes(mutant)


def _json(data: bytes, random: Random) -> bytes:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return data
    for _ in range(random.choice((1, 1, 2, 3))):
        node, key = content, None
        above: list[tuple[Any, Any]] = []
        while isinstance(node, dict | list) and node:
            key = (
                random.choice(list(node)) if isinstance(node, dict) else random.randrange(len(node))
            )
            above.append((node, key))
            node = node[key]
            if random.random() < 0.15:
                break
        if not above:
            continue
        holder, key = above[-1]
        draw = random.randrange(6)
        if draw == 0:
            del holder[key]
        elif draw == 1 and isinstance(holder, dict):
            holder[random.choice(("x", "", "①", "name"))] = deepcopy(holder[key])
        elif draw == 2 and isinstance(holder[key], int | float):
            holder[key] = holder[key] * random.choice((-1, 1e9, 1e300, 0))
        else:
            holder[key] = deepcopy(random.choice(_ODD_VALUES))
    return json.dumps(content, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")


def _element(data: bytes, random: Random) -> bytes:
    """A DICOM file of explicit little endian with one element changed."""
    elements = list(_elements(data))
    if not elements:
        return data
    start, value, end = random.choice(elements)
    head, content = bytearray(data[start:value]), data[value:end]
    draw = random.randrange(8)
    if draw == 0:
        return data[:start] + data[end:]
    if draw == 1:
        return data[:end] + data[start:end] + data[end:]
    if draw == 2:
        head[4:6] = random.choice(_REPRESENTATIONS)
        return data[:start] + bytes(head) + data[value:]
    if draw == 3:
        size = 4 if bytes(head[4:6]) in _LONG else 2
        head[-size:] = (random.choice(_EDGES) % 256**size).to_bytes(size, "little")
        return data[:start] + bytes(head) + data[value:]
    if draw == 4 and len(content) in (2, 4, 8):
        content = (random.choice(_EDGES) % 256 ** len(content)).to_bytes(len(content), "little")
    elif draw == 5 and b"\\" in content:
        parts = content.split(b"\\")
        parts[random.randrange(len(parts))] = random.choice(_ODD_NUMBERS)
        content = b"\\".join(parts)
    elif draw == 6:
        content = random.choice(_ODD_NUMBERS)
    else:
        content = random.choice(_ODD_TEXTS)
    content += b" " * (len(content) % 2)
    if bytes(head[4:6]) in _LONG:
        head[8:12] = len(content).to_bytes(4, "little")
    else:
        head[6:8] = len(content).to_bytes(2, "little")
    return data[:start] + bytes(head) + content + data[end:]


def _elements(data: bytes) -> Any:
    """Where each top-level element, its value and its end lie."""
    offset = 132 if data[128:132] == b"DICM" else 0
    while offset + 8 <= len(data):
        if data[offset + 4 : offset + 6] in _LONG:
            value = offset + 12
            size = int.from_bytes(data[offset + 8 : value], "little")
        else:
            value = offset + 8
            size = int.from_bytes(data[offset + 6 : value], "little")
        end = value + size
        if end > len(data):
            return
        yield offset, value, end
        offset = end
