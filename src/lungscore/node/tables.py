"""Where a node's state lies in SQLite, and what is said when it cannot be read or noted."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lungscore.errors import ResourceError

FILE = "node.sqlite"

TABLES = """
CREATE TABLE IF NOT EXISTS studies (
  study TEXT PRIMARY KEY, revision INTEGER NOT NULL, state TEXT NOT NULL, code TEXT,
  images INTEGER NOT NULL, attempts INTEGER NOT NULL, due REAL NOT NULL,
  arrived REAL NOT NULL, changed REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS images (
  study TEXT NOT NULL, image TEXT NOT NULL, syntax TEXT NOT NULL, content TEXT NOT NULL,
  PRIMARY KEY (study, image)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deliveries (
  study TEXT NOT NULL, destination TEXT NOT NULL, state TEXT NOT NULL, code TEXT,
  attempts INTEGER NOT NULL, due REAL NOT NULL, since REAL NOT NULL,
  PRIMARY KEY (study, destination)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
  study TEXT NOT NULL, destination TEXT NOT NULL, object TEXT NOT NULL, state TEXT NOT NULL,
  PRIMARY KEY (study, destination, object)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS studies_by_state ON studies (state, due);
"""


_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
#: On a full disk the index of the log is the first that cannot grow.
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_FORBIDDEN = (
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
)
OWN_USER = "Run the command as the user that the node runs as"


def open_base(path: Path) -> sqlite3.Connection:
    """The state in ``path``, which is made where there is none. Raises as ``noted``."""
    with noted():
        base = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        try:
            base.execute("PRAGMA journal_mode=WAL")
            base.execute("PRAGMA synchronous=FULL")
            base.executescript(TABLES)
        except BaseException:
            base.close()
            raise
        return base


@contextmanager
def noted() -> Iterator[None]:
    """What SQLite cannot do is a ResourceError: ``disk-full`` for lack of room, ``node-damaged``
    where it is not a base, or a damaged one, and else ``output-not-writable``."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        damaged = code is not None and code & 0xFF in _DAMAGE
        if code is None or not (damaged or isinstance(error, sqlite3.OperationalError)):
            raise  # a closed base, or a bug: SQLite itself has no complaint
        raise _failure(code, error.sqlite_errorname) from error


def _failure(code: int, name: str) -> ResourceError:
    """What a code of SQLite means. Extended codes have their kind in the lowest byte."""
    if code & 0xFF in _DAMAGE:
        return ResourceError(
            "node-damaged",
            f"{FILE} of the node is damaged ({name})",
            hint="Restore it from a backup, or move it away: all studies are then new",
        )
    if code in _NO_ROOM:
        found = f"No disk space is left for {FILE}"
        return ResourceError("disk-full", found, hint="Free some disk space")
    hint = "Check the disk of the node's folder"
    if code & 0xFF in _FORBIDDEN:
        hint = f"{OWN_USER}, and check the permissions of the node's folder"
    elif code & 0xFF in _BUSY:
        hint = "Another program holds it: try again, or stop that program"
    found = f"{FILE} of the node cannot be opened or written ({name})"
    return ResourceError("output-not-writable", found, hint=hint)
