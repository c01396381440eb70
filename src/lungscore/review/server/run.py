"""Running the server until it is told to stop."""

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from lungscore.errors import ResourceError
from lungscore.review.log import SYNC_S
from lungscore.review.server.desk import Desk
from lungscore.review.server.guard import Access, Guard
from lungscore.review.server.routes import application

#: Names by which this computer alone is reached.
LOOPBACK = ("127.0.0.1", "localhost", "::1")

#: Connections at once, and seconds in which the head of a request must be there.
MOST_CONNECTIONS, HEAD_S = 64, 30.0


@dataclass(frozen=True)
class ServerSettings:
    """Where the server is reached. names: further names by which browsers reach it.

    token: what browsers must bring; needed unless ``host`` is LOOPBACK.
    """

    host: str = "127.0.0.1"
    port: int = 0
    names: tuple[str, ...] = field(default=())
    token: str | None = None


class _Patient(H11Protocol):
    """Gives a connection up that does not say what it wants."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the head of the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of a head, no longer than for all of it."""
        if self._waiting is None and self._is_idle():
            self._wait()
        super().data_received(data)
        if not self._is_idle():
            self._wait_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEAD_S, self._give_up)

    def _wait_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if self._is_idle() and not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    """Tells when it is ready, and ends quietly when it is told to."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[int], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: Any = None) -> None:
        """Listen, then say where."""
        await super().startup(sockets)
        if self.started:
            self._ready(self.servers[0].sockets[0].getsockname()[1])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End the serving on the first signal, and nothing else."""
        if threading.current_thread() is not threading.main_thread():
            yield  # elsewhere no signal arrives
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        wakeup = signal.set_wakeup_fd(-1)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(desk: Desk, settings: ServerSettings, ready: Callable[[str], None]) -> None:
    """Serve ``desk`` until SIGINT or SIGTERM. ready: is told the address to open.

    Raises ResourceError ``port-in-use`` where it cannot listen.
    """
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    access = Access(token=settings.token)
    guard = Guard(application(desk, access), access)

    def listening(port: int) -> None:
        access.hosts = hosts_of(settings, port)
        ready(address_of(settings, port))

    config = uvicorn.Config(
        guard,
        host=settings.host,
        port=settings.port,
        http=_Patient,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
    )
    server = _Server(config, listening)
    try:
        asyncio.run(_serve(server, desk))
    except SystemExit:
        server.started = False
    finally:
        desk.close_all()
    if not server.started:
        raise ResourceError(
            "port-in-use",
            f"The server cannot listen on {settings.host}, port {settings.port}",
            hint="Choose another with --port, or --port 0 for any that is free",
        )


async def _serve(server: uvicorn.Server, desk: Desk) -> None:
    async def housekeeping() -> None:
        while True:
            await asyncio.sleep(SYNC_S)
            await asyncio.to_thread(desk.sync)
            await asyncio.to_thread(desk.close_idle)

    keeping = asyncio.create_task(housekeeping())
    try:
        await server.serve()
    finally:
        keeping.cancel()


def hosts_of(settings: ServerSettings, port: int) -> set[str]:
    """What the header Host may say of the server, in lower case.

    By a name of ``settings.names`` browsers may reach a proxy instead, which listens at the port
    of that name or, as most do, at the usual one, which browsers leave out.
    """
    own = LOOPBACK if settings.host in LOOPBACK else (settings.host,)
    hosts = {_at_port(name, port) for name in (*own, *settings.names)}
    hosts |= {_bracketed(name) for name in settings.names}
    if port == 80:
        hosts |= {_bracketed(name) for name in own}
    return {host.lower() for host in hosts}


def address_of(settings: ServerSettings, port: int) -> str:
    """The address that a browser opens, with the token if one is needed."""
    query = "" if settings.token is None else f"?token={settings.token}"
    name = settings.names[0] if settings.names else settings.host
    return f"http://{_at_port(name, port)}/{query}"


def _at_port(name: str, port: int) -> str:
    return name if _has_port(name) else f"{_bracketed(name)}:{port}"


def _has_port(name: str) -> bool:
    """Whether a name ends in a port; an IPv6 address without brackets has more than one colon."""
    return name.count(":") == 1 or "]:" in name


def _bracketed(name: str) -> str:
    plain = _has_port(name) or name.startswith("[")
    return f"[{name}]" if ":" in name and not plain else name
