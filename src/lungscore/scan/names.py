"""The name of a case: from the user's own file name, safe as the name of a folder."""

import hashlib
import unicodedata
from pathlib import Path

#: Endings that name a format; others belong to the name (a folder may be called ``scan.2``).
ENDINGS = (
    *(".nii.gz", ".nii", ".nrrd", ".mha", ".dcm", ".dicom"),
    *(".zip", ".png", ".jpg", ".jpeg"),
)

#: Names that Windows keeps for devices.
RESERVED = {"con", "prn", "aux", "nul"} | {f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10)}

#: Bytes of a name, so that every file inside the folder still has room for its own.
MAX_BYTES = 120


def case_name(path: Path, name: str | None = None) -> str:
    """``name``, or the own name of ``path`` without its format's ending, as a safe folder name."""
    return safe_name(name if name is not None else _stem(path))


def safe_name(text: str) -> str:
    """``text`` as the name of one folder on every system.

    Separators, control and formatting characters become ``_``; leading ``-`` and ``.`` go (options
    and hidden files); names that Windows reserves get a ``_``; a long name is cut and ends in eight
    digits of its SHA-256. Never empty.
    """
    text = unicodedata.normalize("NFC", text)
    letters = ("_" if _unsafe(letter) else letter for letter in text)
    result = "".join(letters).strip().lstrip("-.").rstrip(". ").strip()
    if result.split(".")[0].strip().lower() in RESERVED:
        result = f"_{result}"
    if len(result.encode()) > MAX_BYTES:
        digest = hashlib.sha256(result.encode()).hexdigest()[:8]
        result = result.encode()[: MAX_BYTES - 9].decode(errors="ignore") + "-" + digest
    return result or "case"


def _unsafe(letter: str) -> bool:
    return letter in '/\\:*?"<>|' or unicodedata.category(letter)[0] == "C"


def _stem(path: Path) -> str:
    own = path.name or path.resolve().name
    if own == "..":
        own = path.resolve().name
    for ending in ENDINGS:
        if own.lower().endswith(ending) and len(own) > len(ending):
            return own[: -len(ending)]
    return own
