"""Where a node's state lies in SQLite, and what is said when it cannot be noted."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def noted() -> Iterator[None]:
    """What SQLite cannot do for lack of room, or of a disk that works, is a ResourceError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL:
            raise ResourceError(
                "disk-full", f"No disk space is left for {FILE}", hint="Free some disk space"
            ) from error
        raise ResourceError(
            "output-not-writable",
            f"{FILE} of the node cannot be written ({error.sqlite_errorname})",
        ) from error
