"""A proxy between a program and a store: a test reads, changes or drops the requests and answers."""

import http.client
import json
import sys
import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

Answer = tuple[int, bytes]
"""The status and the JSON body of a response."""


class Request:
    """A request for the store; `number` counts them from 1, `operation` is a name such as `GetItem`."""

    def __init__(self, number: int, operation: str, content: bytes, send: Callable[[bytes], Answer]) -> None:
        self.number = number
        self.operation = operation
        self.content = content
        self._send = send

    @cached_property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.content)
        return body

    def forward(self, body: Mapping[str, Any] | None = None) -> Answer:
        """Send the request to the store, with another body if one is given, and return the answer."""
        return self._send(self.content if body is None else json.dumps(body).encode())


Hook = Callable[[Request], Answer]
"""Answers a request instead of the store; raising `ConnectionError` cuts the connection without an answer."""


class StoreProxy:
    """Listens on loopback within a `with` block, and passes every request to its `hook`.

    For each connection of a client it opens one connection to the store, and closes it with the client's.
    """

    def __init__(self, store_url: str, hook: Hook = Request.forward) -> None:
        self.hook = hook
        self.count = 0
        """The number of requests so far."""
        self._counting = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler(urlsplit(store_url).netloc))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _next_number(self) -> int:
        with self._counting:
            self.count += 1
            return self.count

    def _handler(self, store: str) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: a second packet would wait for an acknowledgement
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                self._store = http.client.HTTPConnection(store)

            def finish(self) -> None:
                self._store.close()
                super().finish()

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                content = self.rfile.read(length)
                if len(content) < length:
                    raise ConnectionError("the client ended in the middle of its request")
                operation = self.headers["X-Amz-Target"].rpartition(".")[2]
                status, body = proxy.hook(Request(proxy._next_number(), operation, content, self._send))
                self.send_response_only(status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _send(self, content: bytes) -> Answer:
                headers = {**self.headers, "Host": store, "Content-Length": str(len(content))}
                self._store.request("POST", "/", content, headers)
                answer = self._store.getresponse()
                return answer.status, answer.read()

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print no traceback for cut connections: hooks cut them on purpose, and tests kill clients."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def refusal(code: str) -> Answer:
    """Return DynamoDB's answer to a request that it refuses with an error code."""
    return 400, json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": code}).encode()
