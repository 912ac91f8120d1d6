"""What the workers of eventlet and gevent share: how a connection is served, and when none is accepted.

Nothing here may be imported by `app`, or load what a worker patches: gunicorn's master loads it.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

from gunicorn.http.body import ChunkedReader
from gunicorn.workers.base_async import AsyncWorker

from failure_answers import answer_failure
from turns import give_turn
from workers.client_socket import Bodies, ClientSocket

CHUNKED_LIMIT = 2 * 1024 * 1024
"""Bytes of a chunked body, of which 1 MiB may be content. gunicorn reads the line before a chunk, and what
follows the last, without a limit, and takes the square of their length.
"""
SPARE = 64
"""Connections that are accepted beyond the limit for clients, to be told so."""
HEALTH = {"/healthz", "/readyz"}
ACCEPT_PAUSE_S = 0.2
ACCEPT_WARNING_S = 60.0


class AcceptFailures:
    """Reports that connections cannot be accepted: once, then at most once a minute."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._reported_at = -math.inf

    def report(self, error: OSError) -> None:
        if time.monotonic() - self._reported_at >= ACCEPT_WARNING_S:
            self._reported_at = time.monotonic()
            self._log.warning("새 연결을 받지 못했습니다. 잠시 뒤 다시 시도합니다: %s", error)


class ConnectionsWorker(AsyncWorker):  # type: ignore[misc] # no types
    """Serves each connection within limits. A second base of a worker; gunicorn's own methods come first."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.accept_failures = AcceptFailures(self.log)
        self._clients_max = self.worker_connections - min(SPARE, self.worker_connections // 2)
        self._bodies = Bodies()
        self._waiting: dict[ClientSocket, None] = {}
        """Connections whose next request is not here yet, in the order in which they began to wait."""
        self._serving = 0

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.wsgi.wsgi_app = self._admitting(self.wsgi.wsgi_app)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        sock = ClientSocket(client, self._bodies)
        if self._serving + len(self._waiting) >= self._clients_max and self._waiting:
            self._disconnect_longest_waiting()
        self._waiting[sock] = None
        try:
            super().handle(listener, sock, addr)
        finally:
            self._waiting.pop(sock, None)

    def handle_request(self, listener_name: Any, req: Any, sock: ClientSocket, addr: Any) -> Any:
        give_turn()  # a client may send thousands of requests without waiting for an answer
        self._waiting.pop(sock, None)
        self._serving += 1
        sock.begin_body(CHUNKED_LIMIT if isinstance(req.body.reader, ChunkedReader) else math.inf)
        if self._is_full():
            req.force_close()
        try:
            return super().handle_request(listener_name, req, sock, addr)
        finally:
            sock.end_body()
            self._serving -= 1
            self._waiting[sock] = None

    def _is_full(self) -> bool:
        return bool(self._serving + len(self._waiting) > self._clients_max)

    def _disconnect_longest_waiting(self) -> None:
        longest = next(iter(self._waiting))
        del self._waiting[longest]
        longest.hang_up()

    def _admitting(self, app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """Wrap a WSGI app: at the limit a client learns at once that it should try again or elsewhere.

        Not accepted it would wait in the kernel without knowing for what, and health checks with it.
        """

        def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            environ["gunicorn.socket"] = environ["gunicorn.socket"].plain
            if not self._is_full() or environ["PATH_INFO"] in HEALTH:
                return app(environ, start_response)
            return answer_failure(environ, start_response, 503, ("Retry-After", "2"))

        return serve
