"""Sends the pings of all connections of one Engine.IO server."""

import time
from typing import Any

import engineio

from realtime.delayed_calls import DelayedCalls


class Pings:
    """When each client is to be pinged next."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._calls = DelayedCalls(engine, engine.ping_interval, self._ping)

    def schedule(self, sid: str) -> None:
        """Ping a client after the interval, unless its last ping waits for an answer or for its turn."""
        connection = self._engine.sockets.get(sid)
        if connection is not None and connection.last_ping is not None:
            connection.last_ping = None
            self._calls.schedule(sid)

    def _ping(self, sid: str) -> None:
        connection = self._engine.sockets.get(sid)
        if connection is not None and not connection.closed:
            connection.last_ping = time.time()
            self._engine.send_packet(sid, engineio.packet.Packet(engineio.packet.PING))
