"""The concurrency model of this process, and what the other modules need of it."""

import sys
from typing import Any, Protocol


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
