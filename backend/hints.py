"""The doorbell between servers: `department revision` over Redis, sent after commits, heard by the others.

Losing hints loses nothing, the poll of `broadcasts.py` finds every change; so nothing waits for Redis, and
what cannot be sent is dropped. Knows nothing of what a change is.
"""

import logging
import queue
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import redis

from domain import Change, Head

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
        self._redis = redis.Redis.from_url(
            url,
            socket_connect_timeout=TIMEOUT_S,
            socket_timeout=TIMEOUT_S,
            health_check_interval=HEALTH_CHECK_S,
        )
        self._waiting: queue.Queue[str] = queue.Queue(QUEUE_LIMIT)
        self._reachable: bool | None = None

    def start(self, heard: Callable[[str, int], None]) -> None:
        """Call `heard(department_id, revision)` for each hint from now on, ours included."""
        self._tasks.start_background_task(self._send)
        self._tasks.start_background_task(self._listen, heard)

    def on_commit(self, department_id: str, head: Head, _changes: Sequence[Change]) -> None:
        """Tell the other servers that a department has reached a revision; never waits."""
        try:
            self._waiting.put_nowait(f"{department_id} {head.revision}")
        except queue.Full:
            log.debug("hint dropped: %s", department_id)

    def _send(self) -> None:
        while True:
            hint = self._waiting.get()
            try:
                self._redis.publish(CHANNEL, hint)
            except redis.RedisError as error:
                self._note(error)
                self._tasks.sleep(PAUSE_S)

    def _listen(self, heard: Callable[[str, int], None]) -> None:
        while True:
            try:
                with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:  # type: ignore[no-untyped-call]
                    subscription.subscribe(CHANNEL)
                    self._note(None)
                    while True:
                        message = subscription.get_message(timeout=TIMEOUT_S / 2)
                        if message:
                            self._hear(message["data"], heard)
            except redis.RedisError as error:
                self._note(error)
                self._tasks.sleep(PAUSE_S)

    @staticmethod
    def _hear(data: bytes, heard: Callable[[str, int], None]) -> None:
        department_id, _, revision = data.decode(errors="replace").partition(" ")
        if revision.isdigit():
            try:
                heard(department_id, int(revision))
            except Exception:  # the next hint, or the poll, tries again
                log.exception("a hint about %s could not be followed", department_id)

    def _note(self, error: Exception | None) -> None:
        """Say once that Redis is gone, and once that it is back."""
        reachable = error is None
        if reachable != self._reachable and (error or self._reachable is not None):
            log.warning("Redis: %s", f"{error}; every server polls instead" if error else "reachable again")
        self._reachable = reachable
