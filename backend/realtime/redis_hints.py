"""Hints between servers over Redis: the text `department revision`, published after each commit.

The poll of `push.py` finds every change, so a lost hint only costs time. No commit waits for Redis, and a
hint that cannot be sent is dropped. Knows nothing of what a change is.
"""

import contextlib
import logging
import queue
from collections.abc import Callable, Sequence

import redis

from concurrency import Tasks
from domain import LogEntry, Position
from errors import SetupError

log = logging.getLogger(__name__)

CHANNEL = "department-calendar:changes"
QUEUE_LIMIT = 1_000
"""Hints that may wait to be sent; further ones are dropped."""
TIMEOUT_S = 2.0
PAUSE_S = 1.0
HEALTH_CHECK_S = 5


class Hints:
    """Sends and receives hints through one Redis, in two background tasks."""

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
            pool.connection_class(
                **pool.connection_kwargs
            )  # a bad query in the URL fails now, not at the first use
        except (TypeError, ValueError) as error:
            raise SetupError(f"REDIS_URL 값을 쓸 수 없습니다: {error}") from error
        self._unsent: queue.Queue[str] = queue.Queue(QUEUE_LIMIT)
        self._failing: set[str] = set()

    def start(self, on_hint: Callable[[str, int], None]) -> None:
        """Send hints, and call `on_hint(department_id, revision)` for each one received.

        That includes the hints that this server has sent.
        """
        self._tasks.start_background_task(self._send)
        self._tasks.start_background_task(self._listen, on_hint)

    def on_commit(self, department_id: str, reached: Position, _changes: Sequence[LogEntry]) -> None:
        """Queue a hint that a department has reached a revision; drop it when the queue is full."""
        try:
            self._unsent.put_nowait(f"{department_id} {reached.revision}")
        except queue.Full:
            log.debug("hint dropped: %s", department_id)

    def _send(self) -> None:
        while True:
            hint = self._unsent.get()
            try:
                self._redis.publish(CHANNEL, hint)
            except redis.RedisError as error:
                self._report("send", error)
                self._wait_until_sendable()

    def _wait_until_sendable(self) -> None:
        while "send" in self._failing:
            self._tasks.sleep(PAUSE_S)
            with contextlib.suppress(redis.RedisError):
                self._redis.ping()
                self._report("send", None)

    def _listen(self, on_hint: Callable[[str, int], None]) -> None:
        while True:
            try:
                with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:  # type: ignore[no-untyped-call]
                    subscription.subscribe(CHANNEL)
                    self._report("listen", None)
                    while True:
                        message = subscription.get_message(timeout=TIMEOUT_S / 2)
                        if message:
                            self._receive(message["data"], on_hint)
            except redis.RedisError as error:
                self._report("listen", error)
                self._tasks.sleep(PAUSE_S)

    @staticmethod
    def _receive(data: bytes, on_hint: Callable[[str, int], None]) -> None:
        department_id, _, revision = data.decode(errors="replace").partition(" ")
        if revision.isdigit():
            try:
                on_hint(department_id, int(revision))
            except Exception:  # the next hint, or the poll, tries again
                log.exception("부서 %s의 변경 힌트를 처리하지 못했습니다", department_id)

    def _report(self, task: str, error: Exception | None) -> None:
        """Log once that Redis is out of reach, and once that both tasks reach it again."""
        failed_before = bool(self._failing)
        if error:
            self._failing.add(task)
            if not failed_before:
                log.warning("Redis: %s. 그동안 서버마다 2초 간격으로 변경을 찾습니다.", error)
        else:
            self._failing.discard(task)
            if failed_before and not self._failing:
                log.warning("Redis에 다시 닿습니다.")
