"""Results are sent until they are confirmed, or given up as a dead letter."""

import sqlite3
import time
from pathlib import Path

from lungscore.errors import LungscoreError, ResourceError
from lungscore.node.config import Destination, NodeConfig
from lungscore.node.destinations import Open, Refused, connected
from lungscore.node.journal import Journal
from lungscore.node.names import case_of
from lungscore.node.state import Delivery, ObjectState, State
from lungscore.node.work import pause, remove_dead, write_dead
from lungscore.pacs.dicomweb import in_order
from lungscore.report.case_folder import DICOM


class Sender:
    """Sends what is due at one destination.

    An object is marked before it is sent, and again when it is confirmed. One that was left between
    the two, since the node was killed or the connection was lost, may have arrived: the destination
    is asked before it is sent again.
    """

    def __init__(
        self, config: NodeConfig, destination: Destination, state: State, journal: Journal
    ) -> None:
        self._config, self._destination = config, destination
        self._state, self._journal = state, journal

    def all_due(self) -> int:
        """Deliver what is due; how many deliveries that were."""
        due = self._state.deliveries(self._destination.name, time.time())
        for delivery in due:
            self._one(delivery)
        return len(due)

    def _one(self, delivery: Delivery) -> None:
        try:
            sent = self._deliver(delivery)
        except LookupError:  # the study got new images, or was purged: nothing to deliver
            return
        except LungscoreError as error:
            self._failed(delivery, error)
            return
        except sqlite3.ProgrammingError:  # the node has stopped
            raise
        except Exception as error:  # it must not keep back the deliveries behind it
            self._journal.bug(f"send-{self._destination.name}", error)
            what = f"Sending ended in {type(error).__name__}"
            self._failed(delivery, ResourceError("internal", what))
            return
        self._state.delivered(delivery, time.time())
        remove_dead(self._config, delivery.study, self._destination.name)
        self._journal.count("deliveries", "sent")
        self._say("sent", delivery, objects=sent)

    def _deliver(self, delivery: Delivery) -> int:
        """Send the objects that are not confirmed; how many objects the delivery has."""
        objects = self._state.objects(delivery)
        if not objects:
            raise LookupError(delivery.study)
        case = case_of(delivery.study, delivery.revision)
        folder = self._config.results / case / DICOM
        left = in_order([folder / name for name, state in objects.items() if state != "sent"])
        if not left:
            return len(objects)
        if not all(path.is_file() for path in left):
            raise ResourceError("case-incomplete", f"Objects of the case {case} are missing")
        with connected(self._destination, case, left) as destination:
            for path in left:
                self._send(delivery, destination, path, objects[path.name])
        return len(objects)

    def _send(self, delivery: Delivery, destination: Open, path: Path, state: ObjectState) -> None:
        if state == "sending" and destination.has(path):
            self._state.mark(delivery, path.name, "sent")
            self._journal.count("objects", "was-there")
            return
        self._state.mark(delivery, path.name, "sending")
        try:
            destination.send(path)
        except Refused:
            self._state.mark(delivery, path.name, "waiting")
            raise
        self._state.mark(delivery, path.name, "sent")
        self._journal.count("objects", "sent")

    def _failed(self, delivery: Delivery, error: LungscoreError) -> None:
        now = time.time()
        self._journal.count("deliveries", error.code)
        if now - delivery.since > self._config.retry.give_up_h * 3600:
            write_dead(self._config, delivery.study, self._destination.name, error)
            self._state.give_up(delivery, error.code, now)
            self._say("given-up", delivery, code=error.code, reason=error.found)
            return
        due = now + pause(self._config, delivery.attempts)
        self._state.deliver_later(delivery, error.code, due)
        seconds = round(due - now)
        self._say("send-later", delivery, code=error.code, reason=error.found, seconds=seconds)

    def _say(self, event: str, delivery: Delivery, **facts: object) -> None:
        self._journal.say(event, study=delivery.study, destination=self._destination.name, **facts)


def give_up_unknown(config: NodeConfig, state: State, journal: Journal) -> None:
    """Give up what waits for destinations that the settings no longer name.

    Else nobody would send it, and its studies would be kept for ever.
    """
    names = [destination.name for destination in config.destinations]
    for delivery in state.addressed_elsewhere(names):
        error = ResourceError(
            "destination-unknown",
            f"The settings of the node no longer name the destination {delivery.destination}",
            expected=", ".join(names) or "no destination",
            hint="Name it again, or let the results go to the destinations of today with "
            "lungscore node retry",
        )
        write_dead(config, delivery.study, delivery.destination, error)
        state.give_up(delivery, error.code, time.time())
        journal.count("deliveries", error.code)
        facts = {"study": delivery.study, "destination": delivery.destination}
        journal.say("given-up", **facts, code=error.code, reason=error.found)
