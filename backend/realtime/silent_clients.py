"""Ends Engine.IO connections whose clients never connect to Socket.IO, and bounds how many there are."""

from typing import Any

from realtime.client_groups import ClientGroups
from realtime.delayed_calls import DelayedCalls

CONNECT_S = 10.0
"""Time for a client from its Engine.IO handshake to its CONNECT. Client libraries send it at once."""
SILENT_MAX = 1_000
"""Most strangers that are waited for. A further one ends the oldest of the network that has most of them: of
honest clients few wait at a time, and those are among the newest.
"""


class SilentClients:
    """The clients of one Engine.IO server that have not sent CONNECT so far."""

    def __init__(self, engine: Any, connect_s: float = CONNECT_S, silent_max: int = SILENT_MAX) -> None:
        self._engine = engine
        self._silent_max = silent_max
        self._strangers = ClientGroups()
        self._ends = DelayedCalls(engine, connect_s, self._end)

    def watch(self, sid: str, network: str, *, is_stranger: bool = True) -> None:
        """Wait for a client's CONNECT. A stranger has shown no credentials, and so counts."""
        self._ends.schedule(sid)
        if is_stranger:
            self._strangers.add(sid, network)
            if len(self._strangers) > self._silent_max:
                self._end(self._strangers.first_of_largest())

    def forget(self, sid: str) -> bool:
        """Stop watching a client that has sent CONNECT or is gone; return whether it was watched."""
        self._strangers.discard(sid)
        return self._ends.cancel(sid)

    def _end(self, sid: str) -> None:
        self.forget(sid)
        self._engine.hang_up(sid)
