"""Who is who, under a key: the same patient, study and image get the same new names again."""

import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path

from pydicom.dataset import Dataset

from lungscore.errors import InputError
from lungscore.files import write_error
from lungscore.scan.dicom.elements import text

LENGTH = 32
#: Days by which dates may be moved, back in time.
MOST_DAYS = 3650


@dataclass(frozen=True)
class Key:
    """Makes new names of old ones. Who lacks it cannot go back, not even by trying."""

    secret: bytes

    def uid(self, old: str) -> str:
        """A UID in place of ``old``: a UUID of version 8 as DICOM has it (2.25.…)."""
        digest = bytearray(self._digest("uid", old)[:16])
        digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
        return f"2.25.{int.from_bytes(digest)}"

    def patient(self, old: str) -> str:
        """A name and number in place of a patient's."""
        return f"ANON-{self._digest('patient', old).hex()[:12].upper()}"

    def moved(self, day: str, patient: str) -> str:
        """A DICOM date, moved by days that depend on the patient alone; "" for one that is none."""
        try:
            original = date.fromisoformat(f"{day[:4]}-{day[4:6]}-{day[6:8]}")
            days = 1 + int.from_bytes(self._digest("days", patient)[:8]) % MOST_DAYS
            return (original - timedelta(days)).strftime("%Y%m%d")
        except (ValueError, OverflowError):
            return ""

    def _digest(self, kind: str, text: str) -> bytes:
        return hmac.digest(self.secret, f"{kind}/{text}".encode(), hashlib.sha256)


class MadeIdentifiers:
    """Identifiers for the images of an input that have none, as in some collections.

    They follow from what the files hold, so that other images never get the same ones: that of an
    image from its own file, those of studies and series from all files of the input. Images
    without a study are of one study if they are of one patient and have the series, the frame of
    reference or the folder in common; images without a series, if they lie in one folder.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._root = Path(os.path.commonpath([file.parent for file in files]))
        self._studies: dict[tuple[str, ...], str] = {}

    def fill(self, dataset: Dataset, path: Path) -> None:
        """Give ``dataset``, read from ``path``, what it lacks."""
        folder = str(path.parent.relative_to(self._root))
        if not text(dataset, "SOPInstanceUID"):
            dataset.SOPInstanceUID = f"image {_sha256(path)}"
        if not text(dataset, "StudyInstanceUID"):
            dataset.StudyInstanceUID = self._study(dataset, folder)
        if not text(dataset, "SeriesInstanceUID"):
            study = text(dataset, "StudyInstanceUID")
            dataset.SeriesInstanceUID = f"series {study}/{folder}/{self._input}"

    def _study(self, dataset: Dataset, folder: str) -> str:
        patient = text(dataset, "PatientID") or text(dataset, "PatientName")
        shared = [("folder", patient, folder)]
        for keyword in ("SeriesInstanceUID", "FrameOfReferenceUID"):
            if uid := text(dataset, keyword):
                shared.append((keyword, patient, uid))
        known = [self._studies[entry] for entry in shared if entry in self._studies]
        study = known[0] if known else f"study {len(self._studies)}/{self._input}"
        for entry in shared:
            self._studies.setdefault(entry, study)
        return study

    @cached_property
    def _input(self) -> str:
        """What tells this input from others, whatever its files are called."""
        digests = sorted(_sha256(file) for file in self._files)
        return hashlib.sha256("".join(digests).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def random_key() -> Key:
    """A key for one run, which nobody keeps."""
    return Key(secrets.token_bytes(LENGTH))


def read_key(path: Path) -> Key:
    """The key in a file, which is made where there is none, for this user alone.

    Raises InputError ``input-unreadable`` and ResourceError ``output-not-writable``.
    """
    try:
        if not path.exists():
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(LENGTH))
        secret = path.read_bytes()
    except OSError as error:
        raise write_error(path, error) from error
    if len(secret) != LENGTH:
        raise InputError(
            "input-unreadable",
            f"{path.name} is not a key: it holds {len(secret)} bytes",
            expected=f"a file of {LENGTH} bytes that lungscore made",
        )
    return Key(secret)
