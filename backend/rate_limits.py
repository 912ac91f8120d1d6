"""How often something may happen: counted in Redis, for all servers, or without it in each process.

No request waits long for Redis, or fails because of it: while it is out of reach, this process counts alone.
"""

import functools
import logging
import math
import threading
import time

import redis
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from concurrency import Tasks
from errors import SetupError, TooManyRequests

log = logging.getLogger(__name__)

TIMEOUT_S = 0.25
"""How long a request waits for Redis, which answers in a millisecond."""
PAUSE_S = 5.0
"""How long Redis is left alone after it was out of reach."""


class RateLimits:
    """Counters that forget, with two numbers for each key."""

    def __init__(self, redis_url: str = "", tasks: Tasks | None = None) -> None:
        """`tasks` runs what looks for Redis in the background; only without `redis_url` it may be None."""
        self._here = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._storage = _redis_storage(redis_url) if redis_url else None
        self._shared = SlidingWindowCounterRateLimiter(self._storage) if self._storage else None
        self._tasks = tasks
        self._lock = threading.Lock()
        self._reached = False
        self._looking = False
        self._lost = False

    def count(self, rule: str, *key: str) -> None:
        """Count one more for a key by a rule, such as `5 per minute`. Raises `TooManyRequests`."""
        item = _parsed(rule)
        if self._shared and self._is_reached():
            try:
                return _count(self._shared, item, key)
            except redis.RedisError as error:
                self._lose(error)
        return _count(self._here, item, key)

    def _is_reached(self) -> bool:
        """Tell whether Redis answered when it was last asked. No request looks for it: a task does."""
        with self._lock:
            starts = not self._reached and not self._looking
            self._looking = self._looking or starts
        if starts and self._tasks:
            self._tasks.start_background_task(self._look, self._tasks)
        return self._reached

    def _lose(self, error: redis.RedisError) -> None:
        with self._lock:
            was_reached, self._reached, self._lost = self._reached, False, True
        if was_reached:
            log.warning("Redis: %s. 그동안 요청 수를 서버마다 따로 셉니다.", error)

    def _look(self, tasks: Tasks) -> None:
        assert self._storage  # noqa: S101 - else nobody looks for it
        if self._lost:
            tasks.sleep(PAUSE_S)
        while not self._storage.check():
            tasks.sleep(PAUSE_S)
        with self._lock:
            self._reached, self._looking = True, False
        if self._lost:
            log.warning("요청 수를 다시 Redis에서 모든 서버가 함께 셉니다.")


def _count(limiter: SlidingWindowCounterRateLimiter, item: RateLimitItem, key: tuple[str, ...]) -> None:
    if not limiter.hit(item, *key):
        wait_s = limiter.get_window_stats(item, *key).reset_time - time.time()
        raise TooManyRequests(max(1, math.ceil(wait_s)))


@functools.cache
def _parsed(rule: str) -> RateLimitItem:
    return parse(rule)


def _redis_storage(url: str) -> RedisStorage:
    try:
        return RedisStorage(
            f"redis+{url}" if url.startswith("unix://") else url,
            key_prefix="department-calendar:limits",
            socket_connect_timeout=TIMEOUT_S,
            socket_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type] # its types leave out what redis-py takes
        )
    except (TypeError, ValueError) as error:
        raise SetupError(f"REDIS_URL 값을 쓸 수 없습니다: {error}") from error
