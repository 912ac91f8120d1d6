"""Finds the concurrency model of this process: by which library has patched it, not by what is installed."""

import sys


def async_mode() -> str:
    """Return Flask-SocketIO's name of the mode: `eventlet`, `gevent` or `threading`."""
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched("socket"):
        return "eventlet"
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("socket"):
        return "gevent"
    return "threading"
