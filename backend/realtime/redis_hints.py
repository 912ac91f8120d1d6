"""The doorbell between servers: `department revision` over Redis, sent after commits, heard by the others.

Losing hints loses nothing, the poll of `broadcasts.py` finds every change; so nothing waits for Redis, and
what cannot be sent is dropped. Knows nothing of what a change is.
"""

import contextlib
import logging
import queue
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import redis

from domain import Change, Position
from errors import SetupError

log = logging.getLogger(__name__)

CHANNEL = "department-calendar:changes"
QUEUE_LIMIT = 1_000
"""Hints that wait to be sent; beyond it, the poll does their work."""
TIMEOUT_S = 2.0
PAUSE_S = 1.0
HEALTH_CHECK_S = 5


class Tasks(Protocol):
    """What is used of Flask-SocketIO."""

    def start_background_task(self, target: Any, *args: Any, **kwargs: Any) -> Any: ...

    def sleep(self, seconds: float) -> None: ...


class Hints:
    """Send and hear hints through one Redis, in background tasks of their own."""

    def __init__(self, url: str, tasks: Tasks) -> None:
        self._tasks = tasks
        try:
            self._redis = redis.Redis.from_url(
                url,
                socket_connect_timeout=TIMEOUT_S,
                socket_timeout=TIMEOUT_S,
                health_check_interval=HEALTH_CHECK_S,
            )
            pool = self._redis.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # as the first use would make it
        except (TypeError, ValueError) as error:  # of its query
            raise SetupError(f"REDIS_URL 값을 쓸 수 없습니다: {error}") from error
        self._waiting: queue.Queue[str] = queue.Queue(QUEUE_LIMIT)
        self._failing: set[str] = set()

    def start(self, heard: Callable[[str, int], None]) -> None:
        """Call `heard(department_id, revision)` for each hint from now on, ours included."""
        self._tasks.start_background_task(self._send)
        self._tasks.start_background_task(self._listen, heard)

    def on_commit(self, department_id: str, reached: Position, _changes: Sequence[Change]) -> None:
        """Tell the other servers that a department has reached a revision; never waits."""
        try:
            self._waiting.put_nowait(f"{department_id} {reached.revision}")
        except queue.Full:
            log.debug("hint dropped: %s", department_id)

    def _send(self) -> None:
        while True:
            hint = self._waiting.get()
            try:
                self._redis.publish(CHANNEL, hint)
            except redis.RedisError as error:
                self._note("send", error)
                self._wait_until_sendable()

    def _wait_until_sendable(self) -> None:
        while "send" in self._failing:
            self._tasks.sleep(PAUSE_S)
            with contextlib.suppress(redis.RedisError):
                self._redis.ping()
                self._note("send", None)

    def _listen(self, heard: Callable[[str, int], None]) -> None:
        while True:
            try:
                with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:  # type: ignore[no-untyped-call]
                    subscription.subscribe(CHANNEL)
                    self._note("listen", None)
                    while True:
                        message = subscription.get_message(timeout=TIMEOUT_S / 2)
                        if message:
                            self._hear(message["data"], heard)
            except redis.RedisError as error:
                self._note("listen", error)
                self._tasks.sleep(PAUSE_S)

    @staticmethod
    def _hear(data: bytes, heard: Callable[[str, int], None]) -> None:
        department_id, _, revision = data.decode(errors="replace").partition(" ")
        if revision.isdigit():
            try:
                heard(department_id, int(revision))
            except Exception:  # the next hint, or the poll, tries again
                log.exception("부서 %s의 변경 힌트를 처리하지 못했습니다", department_id)

    def _note(self, task: str, error: Exception | None) -> None:
        """Say once that Redis is gone, and once that it is back for both tasks."""
        failed_before = bool(self._failing)
        if error:
            self._failing.add(task)
            if not failed_before:
                log.warning("Redis: %s. 그동안 서버마다 2초 간격으로 변경을 찾습니다.", error)
        else:
            self._failing.discard(task)
            if failed_before and not self._failing:
                log.warning("Redis에 다시 닿습니다.")
