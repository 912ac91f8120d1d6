"""Mends Werkzeug's development server: the answers to malformed HTTP, and the end of a WebSocket.

Malformed HTTP never reaches the app; it is answered in the envelope of every other failure, as under gunicorn
by `gunicorn.conf.py`.
"""

from typing import Any

import orjson
from werkzeug.serving import WSGIRequestHandler

from errors import http_failure
from security_headers import HEADERS


def install() -> None:
    """Patch the request handler: `flask run` starts the server without asking the app for one."""

    def send_error(self: Any, code: int, message: str | None = None, explain: str | None = None) -> None:
        body = orjson.dumps(http_failure(code, {"reason": message} if message else None))
        self.log_error("code %d, message %s", code, message)
        self.send_response(code)
        self.send_header("Connection", "close")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for header in HEADERS:
            self.send_header(*header)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def connection_dropped(self: Any, error: BaseException, environ: object = None) -> None:
        # Else what a client sends after its WebSocket is read as the next HTTP request.
        self.close_connection = True

    WSGIRequestHandler.connection_dropped = connection_dropped  # type: ignore[method-assign]
    WSGIRequestHandler.send_error = send_error  # type: ignore[method-assign]
    WSGIRequestHandler.default_request_version = "HTTP/1.0"  # else input that is not HTTP gets no status line
