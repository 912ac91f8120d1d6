"""Sends the pings of all connections of one Engine.IO server from one task."""

import threading
import time
from collections import deque
from typing import Any

import engineio


class Pings:
    """When each client is to be pinged next.

    The library starts a task for each ping, which keeps its connection for 25 s though the client is gone.
    """

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._due: deque[tuple[float, str]] = deque()
        """The soonest first: all wait equally long. By `time.monotonic`."""
        self._running = False

    def schedule(self, sid: str) -> None:
        """Ping a client after the interval, unless its last ping waits for an answer or for its turn."""
        connection = self._engine.sockets.get(sid)
        if connection is None or connection.last_ping is None:
            return
        connection.last_ping = None
        with self._lock:
            self._due.append((time.monotonic() + self._engine.ping_interval, sid))
            starts, self._running = not self._running, True
        if starts:
            self._engine.start_background_task(self._run)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._due:
                    self._running = False
                    return
                when, sid = self._due[0]
                left = when - time.monotonic()
                if left <= 0:
                    self._due.popleft()
            if left > 0:
                self._engine.sleep(left)
            else:
                self._ping(sid)

    def _ping(self, sid: str) -> None:
        connection = self._engine.sockets.get(sid)
        if connection is not None and not connection.closed:
            connection.last_ping = time.time()
            self._engine.send_packet(sid, engineio.packet.Packet(engineio.packet.PING))
