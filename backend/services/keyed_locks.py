"""A lock for each key: writers of one entity in this process wait for each other instead of racing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from deadlines import acquire_in_time
from errors import OutOfTime


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
    def hold(self, key: str) -> Iterator[None]:
        """Hold the lock of a key within the block. Raises `OutOfTime` when it is not free by the deadline."""
        with self._lock:
            mine = self._locks.setdefault(key, _KeyedLock())
            mine.users += 1
        try:
            if not acquire_in_time(mine.lock):
                raise OutOfTime()
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
