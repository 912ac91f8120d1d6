"""A lock for each key: writers of one entity in this process wait for each other instead of racing."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from errors import StoreUnavailable


@dataclass(slots=True)
class _KeyedLock:
    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    """How many callers hold the lock or wait for it; the last of them removes it."""


class KeyedLocks:
    """The locks of the keys that are in use at the moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, _KeyedLock] = {}

    @contextmanager
    def hold(self, key: str, deadline: float) -> Iterator[None]:
        """Hold the lock of a key within the block.

        Raises `StoreUnavailable` when it is not free by the deadline, a time of `time.monotonic`.
        """
        with self._lock:
            mine = self._locks.setdefault(key, _KeyedLock())
            mine.users += 1
        try:
            if not mine.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise StoreUnavailable()
            try:
                yield
            finally:
                mine.lock.release()
        finally:
            with self._lock:
                mine.users -= 1
                if not mine.users:
                    del self._locks[key]

    @property
    def are_unused(self) -> bool:
        """Whether no caller holds a lock or waits for one."""
        return not self._locks
