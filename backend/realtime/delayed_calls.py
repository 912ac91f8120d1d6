"""Does one thing for each client after the same time, from one task for all of them."""

import threading
import time
from collections.abc import Callable
from typing import Any


class DelayedCalls:
    """The clients of one Engine.IO server that wait, the soonest due first: all wait equally long.

    A task for each client, as the library starts for pings, would keep its connection although it is gone.
    """

    def __init__(self, engine: Any, delay_s: float, call: Callable[[str], object]) -> None:
        self._engine = engine
        self._delay_s = delay_s
        self._call = call
        self._lock = threading.Lock()
        self._due_at: dict[str, float] = {}
        """By `time.monotonic`."""
        self._running = False

    def schedule(self, sid: str) -> None:
        """Call with a client's id after the delay."""
        with self._lock:
            self._due_at[sid] = time.monotonic() + self._delay_s
            starts, self._running = not self._running, True
        if starts:
            self._engine.start_background_task(self._run)

    def cancel(self, sid: str) -> bool:
        """Call for a client no more; return whether it was waited for."""
        with self._lock:
            return self._due_at.pop(sid, None) is not None

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._due_at:
                    self._running = False
                    return
                sid, due_at = next(iter(self._due_at.items()))
                left = due_at - time.monotonic()
                if left <= 0:
                    del self._due_at[sid]
            if left > 0:
                self._engine.sleep(left)
            else:
                self._call(sid)
