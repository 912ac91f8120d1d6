"""Turns: the edits of one entity in this process run one after another instead of racing each other."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from errors import StoreUnavailable


@dataclass(slots=True)
class _Turn:
    lock: threading.Lock = field(default_factory=threading.Lock)
    takers: int = 0
    """How many callers hold the lock or wait for it; the last of them removes it."""


class Turns:
    """A lock for each key in use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[str, _Turn] = {}

    @contextmanager
    def turn(self, key: str, deadline: float) -> Iterator[None]:
        """Hold the lock of a key; `deadline` is by `time.monotonic`.

        Raises `StoreUnavailable` when the lock is not free by then.
        """
        with self._lock:
            mine = self._turns.setdefault(key, _Turn())
            mine.takers += 1
        try:
            if not mine.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise StoreUnavailable()
            try:
                yield
            finally:
                mine.lock.release()
        finally:
            with self._lock:
                mine.takers -= 1
                if not mine.takers:
                    del self._turns[key]

    @property
    def is_idle(self) -> bool:
        """Whether no caller holds a lock or waits for one."""
        return not self._turns
