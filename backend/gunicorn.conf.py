"""Worker settings; gunicorn reads this file by itself when started in this folder."""

import signal
from types import FrameType
from typing import Any

# Each WebSocket counts as a connection; at the limit not even health checks would be answered.
worker_connections = 10_000
# An open WebSocket would otherwise hold up SIGTERM for the whole of it.
graceful_timeout = 5
control_socket_disable = True
accesslog = None


def post_worker_init(worker: Any) -> None:
    """Let go of the clients first when the worker is told to stop."""
    stop = signal.getsignal(signal.SIGTERM)

    def leave(number: int, frame: FrameType | None) -> None:
        worker.wsgi.extensions["calendar"].shut_down()
        if callable(stop):
            stop(number, frame)

    signal.signal(signal.SIGTERM, leave)
