"""Lets one caller at a time do long work; the others wait until their deadline."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from deadlines import acquire_in_time
from errors import OutOfTime


class OneAtATime:
    """A lock that nobody waits for longer than a request may last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock. Raises `OutOfTime` when the deadline comes first."""
        if not acquire_in_time(self._lock):
            raise OutOfTime("다른 큰 요청을 처리하는 중입니다. 잠시 후 다시 시도하세요.")
        try:
            yield
        finally:
            self._lock.release()
