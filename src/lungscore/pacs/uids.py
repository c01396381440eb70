"""UIDs that follow from names, so that equal input gives equal UIDs."""

import hashlib

from pydicom.uid import UID


def uid_of(*names: object) -> UID:
    """The UID of what is called ``names``: a UUID of version 8 written as DICOM has it (2.25.…)."""
    digest = bytearray(hashlib.sha256("/".join(map(str, names)).encode()).digest()[:16])
    digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
    return UID(f"2.25.{int.from_bytes(digest)}")
