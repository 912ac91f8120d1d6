"""One load in the background for all callers that wait for the same key. Knows nothing of what is loaded."""

import math
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from deadlines import remaining_s, without_deadline
from errors import StoreUnavailable

Result = TypeVar("Result")


class BackgroundLoads(Generic[Result]):
    """Run `load(key)` in a thread, at most once at a time for a key.

    A caller waits until its deadline; the load goes on without it, and whoever comes next finds it further.
    """

    def __init__(self, load: Callable[[str], Result]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._running: dict[str, Future[Result]] = {}

    def wait(self, key: str) -> Result:
        """Return the result of the load that is running, or of a new one; raise what the load raised.

        Raises `StoreUnavailable` when the caller's deadline comes first.
        """
        with self._lock:
            load = self._running.get(key)
            if load is None:
                load = self._running[key] = Future()
                threading.Thread(
                    target=without_deadline, args=(lambda: self._run(key, load),), daemon=True
                ).start()
        left = remaining_s()
        try:
            return load.result(None if left == math.inf else max(0.0, left))
        except TimeoutError as error:
            raise StoreUnavailable("큰 부서를 읽는 중입니다. 잠시 후 다시 시도하세요.") from error

    def _run(self, key: str, load: "Future[Result]") -> None:
        try:
            result = self._load(key)
        except BaseException as error:  # noqa: BLE001 - handed to each caller, which raises it
            self._forget(key)
            load.set_exception(error)
        else:
            self._forget(key)
            load.set_result(result)

    def _forget(self, key: str) -> None:
        with self._lock:
            del self._running[key]
