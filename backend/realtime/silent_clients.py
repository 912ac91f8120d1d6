"""Ends Engine.IO connections whose clients never connect to Socket.IO, and bounds how many there are."""

from typing import Any

from realtime.delayed_calls import DelayedCalls

CONNECT_S = 10.0
"""Time for a client from its Engine.IO handshake to its CONNECT. Client libraries send it at once."""
SILENT_MAX = 1_000
"""Most clients that are waited for. A further one ends the oldest: honest clients are among the newest."""


class SilentClients:
    """The clients of one Engine.IO server that have not sent CONNECT so far."""

    def __init__(self, engine: Any, connect_s: float = CONNECT_S, silent_max: int = SILENT_MAX) -> None:
        self._engine = engine
        self._silent_max = silent_max
        self._ends = DelayedCalls(engine, connect_s, engine.hang_up)

    def watch(self, sid: str) -> None:
        self._ends.schedule(sid)
        if oldest := self._ends.pop_above(self._silent_max):
            self._engine.hang_up(oldest)

    def forget(self, sid: str) -> bool:
        """Stop watching a client that has sent CONNECT or is gone; return whether it was watched."""
        return self._ends.cancel(sid)
