"""What a node calls studies and images: keyed hashes of their UIDs, which tell nothing."""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from lungscore.errors import ResourceError
from lungscore.files import write_error

KEY = "key"
_LENGTH = 32


@dataclass(frozen=True)
class Names:
    """Names under one key. Without the key nobody can tell whose they are, not even by trying."""

    key: bytes

    def study(self, uid: str) -> str:
        """The name of the study ``uid``."""
        return self._hash("study", uid)

    def image(self, uid: str) -> str:
        """The name of the image ``uid``."""
        return self._hash("image", uid)

    def content(self, content: bytes) -> str:
        """What tells one content from another."""
        return hmac.digest(self.key, content, hashlib.sha256).hex()

    def file(self, path: str) -> str:
        """The name of a file that somebody else named."""
        return self._hash("file", path)

    def _hash(self, kind: str, text: str) -> str:
        return hmac.digest(self.key, f"{kind}/{text}".encode(), hashlib.sha256).hex()[:24]


def case_of(study: str, revision: int) -> str:
    """The name of the case: of the first analysis that of the study."""
    return study if revision == 1 else f"{study}-{revision}"


def read_names(folder: Path) -> Names:
    """The names of the node in ``folder``; its key is made where there is none.

    Raises ResourceError ``output-not-writable``, or ``node-damaged`` where the key is none.
    """
    path = folder / KEY
    try:
        if not path.exists():
            _write_key(path)
        key = path.read_bytes()
    except OSError as error:
        raise write_error(path, error) from error
    if len(key) != _LENGTH:
        raise ResourceError(
            "node-damaged",
            f"The file {KEY} of the node holds {len(key)} bytes",
            expected=f"{_LENGTH} bytes",
            hint="Put the file back from a backup; without it studies would get other names",
        )
    return Names(key)


def _write_key(path: Path) -> None:
    """A new key, whole or not at all, for this user alone. Only one process may call it."""
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(secrets.token_bytes(_LENGTH))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
