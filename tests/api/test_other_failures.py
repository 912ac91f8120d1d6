"""Failures that no route answers: of Socket.IO requests, of files, and of the HTTP servers under the app."""

import http.client
import re
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
import requests
import socketio

from rest.answer_shapes import Failure

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    failure: dict[str, Any]


def send(server, raw: bytes) -> Answer:
    """Send bytes as they are, and check that the answer is a failure in the one shape."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        body = answer.read()
    assert answer.headers["Content-Type"] == "application/json", body
    failure = orjson.loads(body)
    Failure.model_validate(failure)
    assert any("가" <= char <= "힣" for char in failure["message"])
    return Answer(answer.status, answer.headers, failure)


def lines(first: str, **headers: str) -> bytes:
    return "\r\n".join([first, "Host: x", *(f"{k}: {v}" for k, v in headers.items()), "", ""]).encode()


def engine_io(query: str, method: str = "GET", **headers: str) -> bytes:
    return lines(f"{method} /socket.io/?{query} HTTP/1.1", **headers)


@pytest.mark.parametrize(
    ("method", "query", "status", "code"),
    [
        ("GET", "EIO=4&transport=carrier-pigeon", 400, "bad_request"),
        ("GET", "EIO=4&transport=polling&sid=unknown", 400, "unknown_session"),
        ("POST", "EIO=4&transport=polling&sid=unknown", 400, "unknown_session"),
        ("POST", "EIO=4&transport=polling", 400, "unknown_session"),
        ("GET", f"EIO=4&transport=polling&sid={'x' * 300}", 400, "unknown_session"),
        ("GET", "EIO=3&transport=polling", 400, "unsupported_protocol"),
        ("GET", "EIO=4&transport=polling&j=x", 400, "bad_request"),
        ("GET", "EIO=4&transport=websocket", 400, "bad_request"),
        ("GET", "", 400, "unsupported_protocol"),
        ("PUT", "EIO=4&transport=polling", 405, "method_not_allowed"),
        ("DELETE", "EIO=4&transport=polling&sid=unknown", 405, "method_not_allowed"),
    ],
)
def test_a_refusal_of_engine_io_has_the_envelope(server, method, query, status, code):
    answer = send(server, engine_io(query, method, **{"Content-Length": "0"}))
    assert (answer.status, answer.failure["error"]) == (status, code)
    assert ("Allow" in answer.headers) == (status == 405)
    assert answer.failure["details"]["reason"]


def test_a_refusal_of_engine_io_to_head_has_no_body(server):
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(engine_io("EIO=4&transport=polling", "HEAD", Connection="close"))
        head, _, body = b"".join(iter(lambda: connection.recv(65_536), b"")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nContent-Type: application/json" in head
    assert body == b""


def test_an_origin_that_is_not_allowed_is_refused_without_cors_headers(server):
    answer = send(server, engine_io("EIO=4&transport=polling", Origin="http://evil.example"))
    assert (answer.status, answer.failure["error"]) == (400, "origin_not_allowed")
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_refusal_may_be_read_by_an_origin_that_is_allowed(server):
    request = engine_io("EIO=4&transport=polling&sid=unknown", Origin="http://x")
    answer = send(server, request)
    assert answer.failure["error"] == "unknown_session"
    assert answer.headers["Access-Control-Allow-Origin"] == "http://x"
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"


def test_a_session_id_of_quotes_and_markup_comes_back_as_text(server):
    sid = "%22%5C%3Cscript%3E"
    answer = send(server, engine_io(f"EIO=4&transport=polling&sid={sid}"))
    assert answer.failure["details"] == {"reason": 'Invalid session "\\<script>'}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"Sec-WebSocket-Key": ""}, 400),
        ({"Connection": "close"}, 400),
        ({"Sec-WebSocket-Version": ""}, 426),
        ({"Sec-WebSocket-Version": "8"}, 426),
        ({"Sec-WebSocket-Version": "x"}, 426),
    ],
)
def test_a_malformed_websocket_handshake_is_refused(server, change, status):
    before = len(server.log)
    answer = send(server, engine_io("EIO=4&transport=websocket", **HANDSHAKE | change))
    assert answer.status == status
    assert answer.failure["error"] == {400: "bad_request", 426: "upgrade_required"}[status]
    if status == 426:
        assert answer.headers["Sec-WebSocket-Version"] == "13"
    assert "Traceback" not in server.log[before:]


def test_a_client_library_receives_the_refusal(server):
    failures: list[Any] = []
    client = socketio.Client(reconnection=False)
    client.on("connect_error", failures.append)
    with pytest.raises(socketio.exceptions.ConnectionError):
        client.connect(server.url, headers={"Origin": "http://evil.example"}, transports=["polling"])
    assert [failure["error"] for failure in failures] == ["origin_not_allowed"]


@pytest.mark.parametrize(
    ("raw", "flask", "gunicorn"),
    [
        (b"GARBAGE\r\n\r\n", 400, 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400, 400),
        (lines("GET / HTTP/9.9"), 505, 400),
        (lines("GET /healthz HTTP/1.1", **{f"X-{n}": "1" for n in range(120)}), 431, 431),
        (lines(f"GET /{'a' * 5_000} HTTP/1.1"), 404, 400),
        (lines("GET /healthz HTTP/1.1", Expect="miracles"), None, 417),
        (lines('GET /healthz"\\ HTTP/1.1', **{'"bad" \\ header': "x"}), None, 400),
        (lines("POST /api/departments HTTP/1.1", **{"Content-Length": "x"}), 400, 400),
        (lines("POST /api/departments HTTP/1.1", **{"Transfer-Encoding": "morse"}), 415, 501),
    ],
    ids=["garbage", "tls", "version", "headers", "line", "expect", "header", "length", "coding"],
)
def test_what_the_http_server_refuses_has_the_envelope(server, raw, flask, gunicorn):
    status = gunicorn if "gunicorn" in server.process.args[0] else flask
    if status:  # Werkzeug does not look at it
        assert send(server, raw).status == status


@pytest.mark.parametrize(
    "first", ["GET / HTTP/1.1", "DELETE /api/departments HTTP/1.1", "GET /socket.io/?EIO=4 HTTP/1.1"]
)
@pytest.mark.parametrize("name", ["Accept", "If-None-Match", "Access-Control-Request-Headers", "Connection"])
def test_a_header_of_many_lines_is_refused_before_it_is_parsed(server, first, name):
    """Gunicorn takes 100 lines of 8 KB, whose parsing blocked the server for a second."""
    raw = lines(first).replace(b"\r\n\r\n", b"\r\n" + f"{name}: {'a/b,' * 1_000}\r\n".encode() * 3 + b"\r\n")
    answer = send(server, raw)
    assert (answer.status, answer.failure["error"]) == (431, "headers_too_large")


def test_a_header_as_long_as_a_line_may_be_is_accepted(server):
    answer = requests.get(f"{server.url}/healthz", headers={"Cookie": "a" * 8_180}, timeout=10)
    assert answer.status_code == 200


@pytest.mark.parametrize("beginning", [b"1;", b"0\r\nX: "], ids=["chunk", "trailer"])
def test_a_line_of_a_chunked_body_that_does_not_end_ends_the_connection(server, beginning):
    """Gunicorn would keep all of it, and search it from its start each time that more comes."""
    if "flask" in server.process.args[0]:
        return  # for development only
    head = lines("POST /api/departments HTTP/1.1", **{"Content-Type": "application/json"})
    head = head.replace(b"Host", b"Transfer-Encoding: chunked\r\nHost")
    parts = urlsplit(server.url)
    with (
        socket.create_connection((parts.hostname, parts.port), timeout=10) as connection,
        pytest.raises(ConnectionError),
    ):
        connection.sendall((head + beginning).ljust(100_000_000, b"a"))


def test_more_header_fields_than_any_client_sends_are_refused(server):
    if "flask" not in server.process.args[0]:
        fields = {f"X-{number}": "a" for number in range(64)}
        assert send(server, lines("GET /healthz HTTP/1.1", **fields)).status == 431


def test_a_line_longer_than_the_development_server_reads_has_the_envelope(server):
    if "flask" in server.process.args[0]:  # gunicorn hangs up on a client while that is still sending
        assert send(server, b"GET /".ljust(65_537, b"a")).status == 414


def test_a_range_beyond_a_file_has_the_envelope(api):
    refusal = api("GET", "/static/calendar-sync.js", headers={"Range": "bytes=99999999-"}, status=416)
    assert refusal["error"] == "range_not_satisfiable"


def test_a_handshake_with_a_transfer_encoding_is_refused(server):
    request = engine_io("EIO=4&transport=websocket", **HANDSHAKE)
    answer = send(server, request.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: gzip\r\n\r\n"))
    assert answer.status in (400, 501)  # gunicorn knows no other transfer encoding than chunked


@pytest.mark.parametrize(
    "header",
    [
        b"Cookie: " + "이름=값".encode(),
        b"Sec-WebSocket-Protocol: \xff",
        b"X: a\x0bb",
        b"X: a\x00b",
        b"a(b): c",
    ],
)
def test_a_header_that_the_handshake_does_not_need_breaks_nothing(server, header):
    """Which of these an HTTP server refuses is its own business."""
    request = engine_io("EIO=4&transport=websocket", **HANDSHAKE)
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(request.replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n\r\n"))
        status = connection.recv(100).split()[1]
    assert status == b"101" or (status == b"400" and not header.startswith(b"Cookie"))
    assert "Traceback" not in server.log


def test_a_file_whose_condition_fails_is_refused_without_its_content(server):
    answer = requests.get(
        f"{server.url}/docs/swagger-ui-bundle.js", headers={"If-Match": '"another"'}, timeout=10
    )
    assert answer.status_code == 412
    assert answer.json()["error"] == "precondition_failed"
    assert len(answer.content) < 1000
    assert "ETag" not in answer.headers


def test_what_a_client_sends_ends_no_line_of_the_log(server):
    before = len(server.log)
    send(
        server,
        engine_io("EIO=4&transport=polling&sid=x%0A2026-01-01%2000:00:00,000%20ERROR%20forged%1B%5B2J"),
    )
    send(server, b"GET Running on http://evil.example/ HTTP/1.1\r\nHost: x\r\n\r\n")
    send(server, lines("\x1b[2KF /socket.io/?EIO=4 HTTP/1.1"))
    assert "\x1b" not in server.log[before:]
    assert not re.search("^2026-01-01 .*forged", server.log[before:], re.MULTILINE)
    assert "evil.example/ 에서" not in server.log[before:]
