"""The deadline of the request that this thread or greenlet serves.

Set where a request enters the process, read wherever it may have to wait: for the store, or for another
request. Background tasks have no deadline.
"""

import contextvars
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

REQUEST_S = 10.0
"""Within how many seconds every request is answered."""

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


def without_deadline(task: Callable[[], object]) -> None:
    """Run a task that others will use, too. gevent's greenlets inherit the deadline of their creator."""
    contextvars.Context().run(task)
