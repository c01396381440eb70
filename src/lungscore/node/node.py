"""A node: its parts, each in a thread of its own, from start to stop."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from lungscore.batch.standing import StandingWorkers
from lungscore.errors import InputError, LungscoreError, ResourceError
from lungscore.files import lock_folder, unlock, write_error
from lungscore.node.config import NodeConfig
from lungscore.node.intake import Intake
from lungscore.node.journal import Journal, quieten
from lungscore.node.monitor import Monitor, server
from lungscore.node.names import read_names
from lungscore.node.receive import Receiver
from lungscore.node.retention import adopt, clear_up, expire
from lungscore.node.send import Sender, give_up_unknown
from lungscore.node.state import State
from lungscore.node.tables import FILE
from lungscore.node.watch import Watch
from lungscore.node.work import Work

#: Seconds between two looks of a part that found nothing to do.
_PAUSE_S, _LOOK_S, _EXPIRE_S = 0.3, 2.0, 600.0
#: Seconds after an unforeseen failure.
_AFTER_FAILURE_S = 5.0


def run_node(config: NodeConfig, stop: threading.Event, *, tell: Callable[[str], None]) -> None:
    """Run a node until ``stop`` is set, or forever. tell: takes the lines of its log.

    It may be killed at any moment: the next one on the same folder goes on where it was.

    Raises ResourceError ``node-running`` where another one uses the folder, ``address-in-use``,
    ``node-damaged``, ``output-not-writable``, and ``library-missing``.
    """
    quieten()
    journal = Journal(tell)
    journal.own_threads()
    with ExitStack() as stack:
        _make_folders(config)
        stack.callback(unlock, _lock(config))
        names = read_names(config.folder)
        state = State(config.folder / FILE)
        stack.callback(state.close)
        intake = Intake(config, names, state, journal)
        recovered, adopted = state.recover(), adopt(config, state, intake)
        removed = clear_up(config, state)
        give_up_unknown(config, state, journal)
        parts = _Parts(stop, journal)
        stack.callback(parts.join)
        receivers = []
        if config.listen is not None:
            longest = config.limits.image_mib * 2**20
            receiver = Receiver(config.listen, intake, state, names, journal, most_bytes=longest)
            receivers.append(receiver)
            stack.callback(receiver.stop)
        monitored = config.monitoring
        if monitored.port:
            monitor = Monitor(config, state, journal, parts.stopped)
            listening = server(monitor, monitored.address, monitored.port)
            stack.callback(listening.server_close)
            stack.callback(listening.shutdown)
            parts.start("monitor", listening.serve_forever)
        workers = stack.enter_context(
            StandingWorkers(config.analyze_settings, workers=config.analysis.workers)
        )
        stack.callback(stop.set)
        work = Work(config, state, journal, workers.analyze)
        for number in range(config.analysis.workers):
            parts.repeat(f"work-{number + 1}", work.one)
        for destination in config.destinations:
            sender = Sender(config, destination, state, journal)
            parts.repeat(f"send-{destination.name}", sender.all_due)
        parts.repeat("queue", partial(_queue, config, state, journal))
        parts.repeat("retention", partial(expire, config, state, journal), every=_EXPIRE_S)
        if config.watch is not None:
            watch = Watch(config.watch, config, intake, names, journal)
            parts.repeat("watch", watch.look, every=_LOOK_S)
        for receiver in receivers:
            parts.start("receive", receiver.serve)
        journal.say("started", recovered=recovered, adopted=adopted, removed=removed)
        while not stop.wait(1.0):
            pass
        journal.say("stopping")


class _Parts:
    """The threads of a node."""

    def __init__(self, stop: threading.Event, journal: Journal) -> None:
        self._stop, self._journal = stop, journal
        self._threads: list[threading.Thread] = []

    def start(self, name: str, work: Callable[[], object]) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def repeat(self, name: str, work: Callable[[], object], *, every: float | None = None) -> None:
        """Call ``work`` again and again: every so many seconds, or at once while it says that
        there was something to do. What it raises does not end it."""

        def loop() -> None:
            while not self._stop.is_set():
                pause = _PAUSE_S if every is None else every
                try:
                    if work() and every is None:
                        continue
                except LungscoreError as error:  # the disk is full, say
                    self._journal.say("failing", code=error.code, where=name)
                    pause = _AFTER_FAILURE_S
                except Exception as error:
                    if self._stop.is_set():
                        return
                    self._journal.bug(name, error)
                    pause = _AFTER_FAILURE_S
                self._stop.wait(pause)

        self.start(name, loop)

    def stopped(self) -> list[str]:
        """The parts that should run and do not."""
        return [thread.name for thread in self._threads if not thread.is_alive()]

    def join(self) -> None:
        """Wait for what ends by itself, for a moment: all can be killed."""
        deadline = time.monotonic() + 1.0
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def _queue(config: NodeConfig, state: State, journal: Journal) -> None:
    for study in state.queue_quiet(time.time() - config.quiet_s):
        journal.say("complete", study=study, images=state.images(study))


def _make_folders(config: NodeConfig) -> None:
    try:
        config.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (config.incoming, config.results, config.dead):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        hint = "Choose another 'folder' in the settings, which the node's user may write to"
        raise write_error(config.folder, error, hint=hint) from error
    if config.watch is not None and not config.watch.is_dir():
        raise InputError(
            "input-not-found",
            f"The drop folder does not exist or is not a folder: {config.watch}",
            hint="Create it, or set 'watch' to another folder in the settings",
        )


def _lock(config: NodeConfig) -> int | None:
    lock = lock_folder(config.folder, wait=False)
    if lock is None and os.name == "posix":
        raise ResourceError(
            "node-running",
            "Another node uses the folder",
            hint="Stop it, or give this one a folder of its own",
        )
    return lock
