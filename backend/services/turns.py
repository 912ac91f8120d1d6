"""Lets one caller at a time do long work; the others wait for their turn until their deadline."""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from deadlines import remaining_s
from errors import StoreUnavailable


class Turns:
    """A lock that nobody waits for longer than a request may last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the lock. Raises `StoreUnavailable` when the deadline comes first."""
        left = remaining_s()
        if not self._lock.acquire(timeout=-1 if left == math.inf else max(0.0, left)):
            raise StoreUnavailable("다른 큰 요청을 처리하는 중입니다. 잠시 후 다시 시도하세요.")
        try:
            yield
        finally:
            self._lock.release()
