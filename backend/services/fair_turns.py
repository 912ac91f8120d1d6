"""Lets few callers work at once; the others wait, and who comes in a crowd waits for the crowd."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from deadlines import timeout_s
from errors import OutOfTime


class FairTurns:
    """Turns that go round the keys of who waits, and among the callers of a key in their order."""

    def __init__(self, at_once: int) -> None:
        self._lock = threading.Lock()
        self._free = at_once
        self.waiting: dict[str, deque[threading.Event]] = {}
        """Who waits, by key; the key whose turn is next comes first."""

    @contextmanager
    def turn(self, key: str) -> Iterator[None]:
        """Have a turn within the block. Raises `OutOfTime` when the deadline comes first."""
        may_go = threading.Event()
        with self._lock:
            self.waiting.setdefault(key, deque()).append(may_go)
            self._admit()
        try:
            if not may_go.wait(timeout_s()):
                raise OutOfTime()
            yield
        finally:
            with self._lock:
                if may_go.is_set():
                    self._free += 1
                else:
                    self._withdraw(key, may_go)
                self._admit()

    def _admit(self) -> None:
        while self._free and self.waiting:
            key = next(iter(self.waiting))
            callers = self.waiting.pop(key)
            callers.popleft().set()
            self._free -= 1
            if callers:
                self.waiting[key] = callers  # behind all other keys

    def _withdraw(self, key: str, may_go: threading.Event) -> None:
        callers = self.waiting[key]
        callers.remove(may_go)
        if not callers:
            del self.waiting[key]
