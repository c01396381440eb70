"""Compressed pixels, told by what they are and not by the transfer syntax that a file states."""

from typing import Any

#: Syntaxes whose last frame ends in an end-of-image marker: JPEG, JPEG-LS, JPEG 2000.
JPEG_FAMILY = "1.2.840.10008.1.2.4."
END_OF_IMAGE = b"\xff\xd9"

#: JPEG proper, whose decoders take what is missing from whatever follows.
HUFFMAN_JPEG = {f"{JPEG_FAMILY}{number}" for number in (50, 51, 57, 70)}
#: What no encoder writes behind an image.
SOMETHING_ELSE = bytes((0x55, 0xAA, 0x13)) * 30

#: How an item of a sequence of fragments begins.
ITEM = b"\xfe\xff\x00\xe0"
UNDEFINED_LENGTH = 0xFFFFFFFF

RLE = "1.2.840.10008.1.2.5"
JPEG_2000 = "1.2.840.10008.1.2.4.90"

#: The second byte of the marker that begins a frame, to the transfer syntax. Source: ITU T.81,
#: table B.1, and ITU T.87, C.1.1.
_FRAMES = {
    0xC0: "1.2.840.10008.1.2.4.50",
    0xC1: "1.2.840.10008.1.2.4.51",
    0xC3: "1.2.840.10008.1.2.4.57",
    0xF7: "1.2.840.10008.1.2.4.80",
}


def is_encapsulated(raw: Any) -> bool:
    """Whether an element of pixels holds fragments, that is compressed pixels."""
    if getattr(raw, "length", None) == UNDEFINED_LENGTH or getattr(
        raw, "is_undefined_length", False
    ):
        return True
    # Fragments under a stated length: the offset table's item, and another one behind it.
    data = raw.value
    if data[:4] != ITEM:
        return False
    size = int.from_bytes(data[4:8], "little")
    return size % 4 == 0 and data[8 + size : 12 + size] == ITEM


def syntax_of(data: bytes) -> str:
    """The transfer syntax of the first frame in a sequence of fragments, "" where it is unknown."""
    start = 8 + int.from_bytes(data[4:8], "little")
    frame = data[start + 8 :]
    if frame.startswith(b"\xff\x4f\xff\x51"):
        return JPEG_2000
    if frame.startswith(b"\xff\xd8"):
        return _jpeg(frame)
    segments = int.from_bytes(frame[:4], "little")
    if 1 <= segments <= 15 and int.from_bytes(frame[4:8], "little") == 64:
        return RLE
    return ""


def _jpeg(frame: bytes) -> str:
    offset = 2
    while offset + 4 <= len(frame) and frame[offset] == 0xFF:
        marker = frame[offset + 1]
        if marker in _FRAMES:
            return _FRAMES[marker]
        if marker == 0xFF:  # a fill byte
            offset += 1
            continue
        offset += 2 + int.from_bytes(frame[offset + 2 : offset + 4], "big")
    return ""
