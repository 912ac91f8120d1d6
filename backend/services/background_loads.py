"""One load in the background for all callers that wait for the same department, and few in the process."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from deadlines import timeout_s
from errors import OutOfTime
from services.one_at_a_time import OneAtATime

Result = TypeVar("Result")


class BackgroundLoads(Generic[Result]):
    """Run loads in threads, at most one at a time for a key; more than a few of them wait in turn.

    A caller waits until its deadline; the load goes on without it, and whoever comes next finds it further.
    A caller may join a load that began before it, so the result may be older than the call. Where that must
    not be, `CoalescedReads` is used.
    """

    def __init__(self, turns: OneAtATime) -> None:
        """`turns` may be shared with other loads that take as much memory."""
        self._turns = turns
        self._lock = threading.Lock()
        self._running: dict[str, Future[Result]] = {}

    def wait(self, key: str, load: Callable[[], Result]) -> Result:
        """Return the result of the load of this key that is running, or run a new one; raise what it raised.

        Raises `OutOfTime` when the caller's deadline comes first.
        """
        with self._lock:
            running = self._running.get(key)
            if running is None:
                running = self._running[key] = Future()
                threading.Thread(target=self._run, args=(key, load, running), daemon=True).start()
        try:
            return running.result(timeout_s())
        except TimeoutError as error:
            raise OutOfTime("큰 부서를 읽는 중입니다. 잠시 후 다시 시도하세요.") from error

    def _run(self, key: str, load: Callable[[], Result], running: "Future[Result]") -> None:
        try:
            with self._turns.hold(key):
                result = load()
        except BaseException as error:  # noqa: BLE001 - handed to each caller, which raises it
            self._forget(key)
            running.set_exception(error)
        else:
            self._forget(key)
            running.set_result(result)

    def _forget(self, key: str) -> None:
        with self._lock:
            del self._running[key]
