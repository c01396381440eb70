"""What a node knows of its studies, in SQLite: on disk before anybody is told, whole after a kill.

    received ──quiet──► queued ──► running ──► done ──► sent
        ▲                                └──────► failed ◄── a delivery given up
        └── a new image, at any time

Nothing of a patient is in it: studies and images have the names of names.py, failures their codes.
"""

import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from lungscore.node.deliveries import address, address_again
from lungscore.node.tables import noted, open_base

STATES = ("received", "queued", "running", "done", "sent", "failed")

#: Of a study: no destination is still to get its results.
_NOTHING_WAITS = (
    "NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.study=studies.study AND d.state='waiting')"
)

#: Deliveries that wait, with the revisions of their studies.
_WAITING = (
    "SELECT study, revision, destination, deliveries.attempts, since FROM deliveries"
    " JOIN studies USING (study) WHERE deliveries.state='waiting'"
)

Arrival = Literal["new", "repeated", "differs"]
#: Of an object on its way: waiting, on the way (it may have arrived), or confirmed.
ObjectState = Literal["waiting", "sending", "sent"]


class Claim(NamedTuple):
    """A study as somebody works on it: void once its revision is another."""

    study: str
    revision: int
    attempts: int


class Delivery(NamedTuple):
    """The results of a study on their way to one destination, since some time."""

    study: str
    revision: int
    destination: str
    attempts: int
    since: float


class Row(NamedTuple):
    """One study, as ``node status`` lists it. code: of its failure, or of the last attempt."""

    study: str
    revision: int
    state: str
    code: str | None
    images: int
    attempts: int
    changed: float


class State:
    """The state of one node, for all its threads. Every method is one transaction.

    Where it cannot be read or noted, each raises ResourceError ``disk-full``,
    ``output-not-writable`` or ``node-damaged``; what was noted before stays.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._base = open_base(path)

    def close(self) -> None:
        """No method may be called after it."""
        with self._lock:
            self._base.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, noted():
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
                self._base.execute("COMMIT")  # on a full disk it may fail, and stay open
            except BaseException:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[tuple]:
        with self._lock, noted():
            return self._base.execute(query, values).fetchall()

    # Images arrive

    def arrival(self, study: str, image: str, syntax: str, content: str) -> Arrival:
        """Whether an image is new, there already, or there with another content."""
        rows = self._rows(
            "SELECT syntax, content FROM images WHERE study=? AND image=?", (study, image)
        )
        if not rows:
            return "new"
        # In another syntax the same image has other bytes: nobody can say that it differs.
        return "differs" if rows[0][0] == syntax and rows[0][1] != content else "repeated"

    def images(self, study: str) -> int | None:
        """How many images of a study there are; None of one that is unknown."""
        rows = self._rows("SELECT images FROM studies WHERE study=?", (study,))
        return rows[0][0] if rows else None

    def receive(self, study: str, image: str, syntax: str, content: str, now: float) -> str | None:
        """Note an image whose file is in its place; the state that the study was in, if any.

        A study that was already queued, or beyond, is another one from now on: its revision counts
        up, and what was made of the earlier one is void.
        """
        with self._transaction() as base:
            before = base.execute("SELECT state FROM studies WHERE study=?", (study,)).fetchone()
            added = base.execute(
                "INSERT OR IGNORE INTO images VALUES (?,?,?,?)", (study, image, syntax, content)
            ).rowcount
            if not added:
                return str(before[0])
            if before is None:
                base.execute(
                    "INSERT INTO studies VALUES (?,1,'received',NULL,1,0,0,?,?)", (study, now, now)
                )
                return None
            base.execute(
                "UPDATE studies SET images=images+1, changed=?, state='received', code=NULL, due=0,"
                " attempts=0, revision=revision+(state<>'received') WHERE study=?",
                (now, study),
            )
            for table in ("deliveries", "objects"):
                base.execute(f"DELETE FROM {table} WHERE study=?", (study,))  # noqa: S608
            return str(before[0])

    def names_of_images(self, study: str) -> set[str]:
        """The images of a study."""
        return {row[0] for row in self._rows("SELECT image FROM images WHERE study=?", (study,))}

    def announce(self, study: str, images: set[str]) -> bool:
        """Queue a study that is said to be complete, if all ``images`` are there."""
        if not images or not images <= self.names_of_images(study):
            return False
        with self._transaction() as base:
            return bool(
                base.execute(
                    "UPDATE studies SET state='queued' WHERE study=? AND state='received'", (study,)
                ).rowcount
            )

    def queue_quiet(self, before: float) -> list[str]:
        """Queue the studies that got no image since ``before``."""
        with self._transaction() as base:
            return [
                row[0]
                for row in base.execute(
                    "UPDATE studies SET state='queued' WHERE state='received' AND changed<=?"
                    " RETURNING study",
                    (before,),
                ).fetchall()
            ]

    # Studies are analysed

    def recover(self) -> int:
        """Queue what a killed node was working on; how many studies that were."""
        with self._transaction() as base:
            return base.execute(
                "UPDATE studies SET state='queued', due=0 WHERE state='running'"
            ).rowcount

    def claim(self, now: float) -> Claim | None:
        """The study that has waited longest, which nobody else gets."""
        with self._transaction() as base:
            row = base.execute(
                "SELECT study, revision, attempts FROM studies WHERE state='queued' AND due<=?"
                " ORDER BY changed LIMIT 1",
                (now,),
            ).fetchone()
            if row is None:
                return None
            base.execute("UPDATE studies SET state='running' WHERE study=?", (row[0],))
            return Claim(*row)

    def finish(
        self, claim: Claim, objects: Sequence[str], destinations: Sequence[str], now: float
    ) -> bool:
        """A study is analysed, and its objects wait for each destination.

        False where the study got new images meanwhile: what was made of it is void.
        """
        with self._transaction() as base:
            if not self._end(base, claim, "done" if destinations else "sent", None, now):
                return False
            for destination in destinations:
                address(base, claim.study, destination, objects, now)
            return True

    def fail(self, claim: Claim, code: str, now: float) -> bool:
        """A study cannot be analysed; False as ``finish``."""
        with self._transaction() as base:
            return self._end(base, claim, "failed", code, now)

    def postpone(self, claim: Claim, code: str, due: float) -> bool:
        """A study is tried again at ``due``; False as ``finish``."""
        with self._transaction() as base:
            return bool(
                base.execute(
                    "UPDATE studies SET state='queued', code=?, attempts=attempts+1, due=?"
                    " WHERE study=? AND revision=? AND state='running'",
                    (code, due, claim.study, claim.revision),
                ).rowcount
            )

    @staticmethod
    def _end(
        base: sqlite3.Connection, claim: Claim, state: str, code: str | None, now: float
    ) -> bool:
        return bool(
            base.execute(
                "UPDATE studies SET state=?, code=?, attempts=attempts+1, changed=?"
                " WHERE study=? AND revision=? AND state='running'",
                (state, code, now, claim.study, claim.revision),
            ).rowcount
        )

    # Results are sent

    def deliveries(self, destination: str, now: float) -> list[Delivery]:
        """What is due at a destination, longest waiting first."""
        rows = self._rows(
            f"{_WAITING} AND destination=? AND deliveries.due<=? ORDER BY since LIMIT 20",
            (destination, now),
        )
        return [Delivery(*row) for row in rows]

    def addressed_elsewhere(self, destinations: Collection[str]) -> list[Delivery]:
        """What waits for other destinations than these: nobody would ever send it."""
        waiting = [Delivery(*row) for row in self._rows(_WAITING)]
        return [delivery for delivery in waiting if delivery.destination not in destinations]

    def objects(self, delivery: Delivery) -> dict[str, ObjectState]:
        """Object -> how far it is."""
        rows = self._rows(
            "SELECT object, objects.state FROM objects JOIN studies USING (study)"
            " WHERE study=? AND destination=? AND revision=?",
            (delivery.study, delivery.destination, delivery.revision),
        )
        return dict(rows)

    def mark(self, delivery: Delivery, name: str, state: ObjectState) -> None:
        """Note how far an object is. Raises LookupError where the delivery is void."""
        with self._transaction() as base:
            changed = base.execute(
                "UPDATE objects SET state=? WHERE study=? AND destination=? AND object=? AND EXISTS"
                " (SELECT 1 FROM studies WHERE studies.study=objects.study AND revision=?)",
                (state, delivery.study, delivery.destination, name, delivery.revision),
            ).rowcount
        if not changed:
            raise LookupError(name)

    def delivered(self, delivery: Delivery, now: float) -> None:
        """All objects are confirmed; the study is ``sent`` when no other delivery is open."""
        self._close(delivery, "sent", None, now)

    def give_up(self, delivery: Delivery, code: str, now: float) -> None:
        """A destination failed for too long: the study has failed."""
        self._close(delivery, "failed", code, now)

    def _close(self, delivery: Delivery, state: str, code: str | None, now: float) -> None:
        with self._transaction() as base:
            base.execute(
                "UPDATE deliveries SET state=?, code=? WHERE study=? AND destination=? AND EXISTS"
                " (SELECT 1 FROM studies WHERE studies.study=deliveries.study AND revision=?)",
                (state, code, delivery.study, delivery.destination, delivery.revision),
            )
            base.execute(
                "UPDATE studies SET changed=?, code=coalesce(?, code), state=CASE WHEN EXISTS"
                " (SELECT 1 FROM deliveries d WHERE d.study=studies.study AND d.state='failed')"
                " THEN 'failed'"
                " WHEN EXISTS (SELECT 1 FROM deliveries d WHERE d.study=studies.study"
                " AND d.state='waiting') THEN 'done' ELSE 'sent' END"
                " WHERE study=? AND revision=? AND state IN ('done', 'failed')",
                (now, code, delivery.study, delivery.revision),
            )

    def deliver_later(self, delivery: Delivery, code: str, due: float) -> None:
        """Try a delivery again at ``due``."""
        with self._transaction() as base:
            base.execute(
                "UPDATE deliveries SET code=?, attempts=attempts+1, due=?"
                " WHERE study=? AND destination=? AND since=?",
                (code, due, delivery.study, delivery.destination, delivery.since),
            )

    # People look and decide

    def counts(self) -> dict[str, int]:
        """State -> studies in it."""
        rows = self._rows("SELECT state, count(*) FROM studies GROUP BY state")
        return dict.fromkeys(STATES, 0) | dict(rows)

    def waiting(self) -> int:
        """Studies that are not analysed yet."""
        counts = self.counts()
        return counts["received"] + counts["queued"] + counts["running"]

    def studies(self, state: str | None = None) -> list[Row]:
        """All studies, or those in ``state``; what changed last comes first."""
        rows = self._rows(
            "SELECT study, revision, state, coalesce(code, (SELECT max(code) FROM deliveries d"
            " WHERE d.study=studies.study)), images, attempts, changed FROM studies"
            " WHERE ? IS NULL OR state=? ORDER BY changed DESC",
            (state, state),
        )
        return [Row(*row) for row in rows]

    def retry(self, study: str, destinations: Collection[str], now: float) -> bool:
        """Try again what failed of a study, or is postponed; whether there was anything.

        destinations: those of the settings, to which results go that were not sent.
        """
        with self._transaction() as base:
            return address_again(base, study, destinations, now) or bool(
                base.execute(
                    "UPDATE studies SET state='queued', code=NULL, attempts=0, due=0, changed=?"
                    " WHERE study=? AND (state='failed' OR (state='queued' AND due>0))",
                    (now, study),
                ).rowcount
            )

    def ended(self, state: str, before: float) -> list[str]:
        """The studies that have been in ``state`` since ``before`` and have nothing to send."""
        rows = self._rows(
            f"SELECT study FROM studies WHERE state=? AND changed<=? AND {_NOTHING_WAITS}",  # noqa: S608
            (state, before),
        )
        return [row[0] for row in rows]

    def forget(self, study: str, state: str, removing: Callable[[], object]) -> bool:
        """Forget a study that is in ``state`` and has nothing to send; whether it was.

        removing: takes its images out of their place while nobody can note new ones.
        """
        with self._transaction() as base:
            if not base.execute(
                f"DELETE FROM studies WHERE study=? AND state=? AND {_NOTHING_WAITS}",  # noqa: S608
                (study, state),
            ).rowcount:
                return False
            for table in ("images", "deliveries", "objects"):
                base.execute(f"DELETE FROM {table} WHERE study=?", (study,))  # noqa: S608
            removing()
            return True
