"""What Werkzeug's development server does with a connection that has served a WebSocket."""

import socket
import threading
from collections.abc import Iterator

import pytest
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from rest import development_server


def end_websocket(_environ, _start_response):
    """Behave as a WSGI app that has used the socket itself."""
    raise ConnectionError


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BaseWSGIServer]:
    for name in ("connection_dropped", "send_error", "default_request_version"):
        monkeypatch.setattr(WSGIRequestHandler, name, getattr(WSGIRequestHandler, name))
    development_server.install()
    server = make_server("127.0.0.1", 0, end_websocket, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_a_client_sends_after_its_websocket_is_not_read_as_a_request(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\x88\x82close\r\n\r\n")
        assert client.recv(1_000) == b""
