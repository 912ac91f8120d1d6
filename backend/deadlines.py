"""The deadline of the request that this thread or greenlet serves.

Set where a request enters the process, read wherever it may have to wait: for the store, or for another
request. Background tasks have no deadline: a new thread or greenlet does not inherit its creator's.
"""

import contextvars
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

REQUEST_S = 9.3
"""How long a request may wait for the store and for other requests. Its answer is promised within 10 s; the
rest of them is left to a new connection to the store.
"""

_ends_at: contextvars.ContextVar[float] = contextvars.ContextVar("ends_at", default=math.inf)
"""By `time.monotonic`."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Give the code inside this many seconds, or fewer if a deadline around it is earlier."""
    token = _ends_at.set(min(_ends_at.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _ends_at.reset(token)


def remaining_s() -> float:
    """Return how many seconds are left: infinite without a deadline, negative after it."""
    return _ends_at.get() - time.monotonic()


def timeout_s() -> float | None:
    """Return what is left as the timeout of a wait: None without a deadline, 0 after it."""
    left = remaining_s()
    return None if left == math.inf else max(0.0, left)


def acquire_in_time(lock: threading.Lock) -> bool:
    """Acquire a lock; return False if the deadline comes first."""
    left = timeout_s()
    return lock.acquire(timeout=-1 if left is None else left)
