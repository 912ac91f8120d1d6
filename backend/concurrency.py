"""The concurrency model of this process, and what the other modules need of it."""

import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

REAL_THREADS = 2
"""How many real threads there are for long computations. Each keeps for itself the memory that one takes."""
NICENESS = 10
"""How far these threads stand back. On a machine with other work, two that compute all the time made the one
that serves everybody wait for a second; with this, for 60 ms.
"""


class Tasks(Protocol):
    """Waiting and background tasks in the model of the process: a `socketio.Server`, or Flask-SocketIO."""

    def sleep(self, seconds: float) -> None: ...

    def start_background_task(self, target: Any, *args: Any, **kwargs: Any) -> Any: ...


def async_mode() -> str:
    """Return Flask-SocketIO's name of the mode: `eventlet`, `gevent` or `threading`.

    It goes by which library has patched the process: eventlet may be installed without being used.
    """
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched("socket"):
        return "eventlet"
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("socket"):
        return "gevent"
    return "threading"


def in_real_thread(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a call returns that computes for long: others go on meanwhile, in whichever mode."""
    mode = async_mode()
    if mode == "eventlet":
        tpool = importlib.import_module("eventlet.tpool")
        tpool.set_num_threads(REAL_THREADS)  # before the first call starts them; the default is 20
        return tpool.execute(_nicely, call, *arguments)
    if mode == "gevent":
        return _gevent_threads().apply(_nicely, (call, *arguments))
    return call(*arguments)


@functools.cache
def _gevent_threads() -> Any:
    """Threads of our own: the hub has ten, which also look up names."""
    return importlib.import_module("gevent.threadpool").ThreadPool(REAL_THREADS)


def _nicely(call: Callable[..., Any], *arguments: Any) -> Any:
    if sys.platform == "linux":  # where 0 is this thread, elsewhere the process
        os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    return call(*arguments)


@contextmanager
def time_limit(seconds: float, error: Exception) -> Iterator[None]:
    """Raise `error` wherever the code inside waits when the time is over.

    Real threads cannot be interrupted: in the mode `threading` of the development server each wait inside has
    a timeout of its own.
    """
    mode = async_mode()
    if mode == "threading":
        yield
        return
    with importlib.import_module(mode).Timeout(seconds, error):
        yield
