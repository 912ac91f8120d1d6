"""Ends Engine.IO connections whose clients never connect to Socket.IO, and bounds how many there are."""

import threading
import time
from typing import Any

CONNECT_S = 10.0
"""Time for a client from its Engine.IO handshake to its CONNECT. Client libraries send it at once."""
SILENT_MAX = 1_000
"""Most clients that are waited for. A further one ends the oldest: honest clients are among the newest."""


class SilentClients:
    """The clients of one Engine.IO server that have not sent CONNECT so far."""

    def __init__(self, engine: Any, connect_s: float = CONNECT_S, silent_max: int = SILENT_MAX) -> None:
        self._engine = engine
        self._connect_s = connect_s
        self._silent_max = silent_max
        self._lock = threading.Lock()
        self._since: dict[str, float] = {}
        """When they came, by `time.monotonic`; the oldest first."""
        self._watching = False

    def watch(self, sid: str) -> None:
        with self._lock:
            self._since[sid] = time.monotonic()
            oldest = next(iter(self._since)) if len(self._since) > self._silent_max else None
            first, self._watching = not self._watching, True
        if oldest:
            self._end(oldest)
        if first:
            self._engine.start_background_task(self._watch)

    def forget(self, sid: str) -> bool:
        """Stop watching a client that has sent CONNECT or is gone; return whether it was watched."""
        with self._lock:
            return self._since.pop(sid, None) is not None

    def _watch(self) -> None:
        while True:
            with self._lock:
                if not self._since:
                    self._watching = False
                    return
                sid, since = next(iter(self._since.items()))
            left = since + self._connect_s - time.monotonic()
            if left > 0:
                self._engine.sleep(min(left, 1.0))
            else:
                self._end(sid)

    def _end(self, sid: str) -> None:
        self.forget(sid)
        self._engine.hang_up(sid)
