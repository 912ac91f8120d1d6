"""Lets one caller at a time do long work for a department, and few in all; the others wait in turn."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from deadlines import timeout_s
from errors import OutOfTime

IN_PROCESS = 2
"""How many work at once: each holds some megabytes, and clients of one department must not delay another."""


@dataclass(eq=False, slots=True)
class _Caller:
    key: str
    may_go: threading.Event = field(default_factory=threading.Event)


class OneAtATime:
    """Locks of keys that are given in the order of the calls, and no more than a few at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Caller] = []
        self._working: set[str] = set()

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Hold the lock of a key within the block. Raises `OutOfTime` when the deadline comes first."""
        caller = _Caller(key)
        with self._lock:
            self._waiting.append(caller)
            self._admit()
        try:
            if not caller.may_go.wait(timeout_s()):
                raise OutOfTime("다른 큰 요청을 처리하는 중입니다. 잠시 후 다시 시도하세요.")
            yield
        finally:
            with self._lock:
                if caller.may_go.is_set():
                    self._working.remove(key)
                else:
                    self._waiting.remove(caller)
                self._admit()

    @property
    def waiting(self) -> int:
        """How many callers wait."""
        return len(self._waiting)

    def _admit(self) -> None:
        for caller in list(self._waiting):
            if len(self._working) == IN_PROCESS:
                return
            if caller.key not in self._working:
                self._waiting.remove(caller)
                self._working.add(caller.key)
                caller.may_go.set()
