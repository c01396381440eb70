"""To whom the results of a study go, within a transaction of the state."""

import sqlite3
from collections.abc import Collection, Sequence


def address(
    base: sqlite3.Connection, study: str, destination: str, objects: Sequence[str], now: float
) -> None:
    """Let the objects of a study wait for a destination."""
    base.execute(
        "INSERT INTO deliveries VALUES (?,?,'waiting',NULL,0,0,?)", (study, destination, now)
    )
    base.executemany(
        "INSERT INTO objects VALUES (?,?,?,'waiting')",
        [(study, destination, name) for name in objects],
    )


def address_again(
    base: sqlite3.Connection, study: str, destinations: Collection[str], now: float
) -> bool:
    """Let what was not sent of a study wait again; False where there is nothing such.

    destinations: those of the settings. Each of them that was not to get the results before does
    so now; what is left for any other is forgotten.
    """
    rows = base.execute("SELECT destination, state FROM deliveries WHERE study=?", (study,))
    states = dict(rows.fetchall())
    unsent = {destination for destination, state in states.items() if state != "sent"}
    if not unsent:
        return False
    rows = base.execute("SELECT DISTINCT object FROM objects WHERE study=?", (study,))
    objects = [row[0] for row in rows.fetchall()]
    for gone in unsent.difference(destinations):
        base.execute("DELETE FROM deliveries WHERE study=? AND destination=?", (study, gone))
        base.execute("DELETE FROM objects WHERE study=? AND destination=?", (study, gone))
    for new in set(destinations).difference(states):
        address(base, study, new, objects, now)
    waiting = base.execute(
        "UPDATE deliveries SET state='waiting', code=NULL, attempts=0, due=0, since=?"
        " WHERE study=? AND state<>'sent'",
        (now, study),
    ).rowcount
    base.execute(
        "UPDATE studies SET state=?, code=NULL, attempts=0, due=0, changed=? WHERE study=?",
        ("done" if waiting else "sent", now, study),
    )
    return True
