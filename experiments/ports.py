"""Ports that are still free when the process that is told of them comes to listen."""

import random
import socket

LOCAL = "127.0.0.1"
#: Below the ports that Linux, macOS and Windows hand out to whatever connects. A system that is
#: asked for "any" port gives one of those, and another connection may have it a moment later.
LOWEST, HIGHEST = 10_000, 32_000


def free_port() -> int:
    """A port that nobody listens at, and that no outgoing connection will be given."""
    while True:
        port = random.SystemRandom().randint(LOWEST, HIGHEST)
        with socket.socket() as probe:
            try:
                probe.bind((LOCAL, port))
            except OSError:
                continue
            return port
