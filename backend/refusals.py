"""Around Flask and Engine.IO: what neither of them refuses in the shape of every other failure.

Flask answers in that shape by itself, see rest/failures.py. Knows HTTP and WebSocket handshakes, nothing of
calendars. `gunicorn.conf.py` does the same for what gunicorn refuses.
"""

import contextlib
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import orjson
from werkzeug.serving import WSGIRequestHandler
from werkzeug.wsgi import ClosingIterator

from errors import failure_envelope, http_failure

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_NAME = re.compile(r"HTTP_[A-Z0-9_]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # a cookie of another program may be any text

SOCKET_IO_PATH = "/socket.io/"
WEBSOCKET_VERSION = "13"
REASON_MAX = 200
OF_THE_REPLACED = frozenset(
    ("accept-ranges", "content-disposition", "content-length", "content-type", "etag", "last-modified")
)
"""Headers about a body that the envelope takes the place of."""

_ENGINE_IO = {
    "Invalid session": (
        "unknown_session",
        "서버가 모르는 Socket.IO 세션입니다. 다시 연결하세요. 폴링은 늘 같은 서버 프로세스에 닿아야 합니다.",
    ),
    "Not an accepted origin": (
        "origin_not_allowed",
        "이 출처(Origin)에서는 연결할 수 없습니다. 서버의 CORS_ORIGINS를 확인하세요.",
    ),
    "The client is using an unsupported version": (
        "unsupported_protocol",
        "Socket.IO 프로토콜 5(Engine.IO 4)를 쓰는 클라이언트가 필요합니다.",
    ),
}
"""How the reasons of python-engineio begin, and what a client is told. Any other is a bad request."""


def guarded(wsgi: Wsgi) -> Wsgi:
    """Refuse malformed WebSocket handshakes, and put each failure that has no envelope into one."""

    def serve(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        # No WebSocket negotiates permessage-deflate: it costs a third of the CPU of every fan-out.
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        if refusal := _handshake_refusal(environ):
            status, reason, headers = refusal
            return _refuse(environ, start_response, status, headers, reason)

        bare: list[tuple[HTTPStatus, Headers]] = []

        def start(status: str, headers: Headers, exc_info: Any = None) -> Any:
            code = int(status.split(" ")[0])
            if code < 400 or _content_type(headers) == "application/json":
                return start_response(status, headers, exc_info)
            bare.append((HTTPStatus(code), headers))
            return _ignore

        answer = wsgi(environ, start)
        if not bare:
            return answer
        status, headers = bare[-1]
        with contextlib.closing(ClosingIterator(answer)) as replaced:
            reason = _reason(replaced) if environ["PATH_INFO"].startswith(SOCKET_IO_PATH) else ""
        return _refuse(environ, start_response, status, headers, reason)

    return serve


def refuse_in_envelopes() -> None:
    """Have the development server, which `flask run` starts without asking us, refuse in the envelope."""

    def send_error(self: Any, code: int, message: str | None = None, explain: str | None = None) -> None:
        body = orjson.dumps(http_failure(code, {"reason": message} if message else None))
        self.log_error("code %d, message %s", code, message)
        self.send_response(code)
        self.send_header("Connection", "close")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    WSGIRequestHandler.send_error = send_error  # type: ignore[method-assign]
    WSGIRequestHandler.default_request_version = "HTTP/1.0"  # else input that is not HTTP gets no status line


def _handshake_refusal(environ: Environ) -> tuple[int, str, Headers] | None:
    """Return why a request for a WebSocket cannot have one: the WebSocket libraries end with a traceback."""
    if not environ["PATH_INFO"].startswith(SOCKET_IO_PATH):
        return None
    if environ.get("HTTP_UPGRADE", "").strip().lower() != "websocket":
        return None
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION", "").strip() != WEBSOCKET_VERSION:
        return 426, "Unsupported WebSocket version", [("Sec-WebSocket-Version", WEBSOCKET_VERSION)]
    asked = {part.strip().lower() for part in environ.get("HTTP_CONNECTION", "").split(",")}
    if (
        "upgrade" not in asked
        or not environ.get("HTTP_SEC_WEBSOCKET_KEY")
        or not environ.get("HTTP_HOST")
        or "HTTP_TRANSFER_ENCODING" in environ
        or any(_is_malformed(name, value) for name, value in environ.items() if name.startswith("HTTP_"))
    ):
        return 400, "Invalid WebSocket handshake", []
    return None


def _is_malformed(name: str, value: str) -> bool:
    """Tell whether a header, by its name in WSGI, is one that a WebSocket library cannot read."""
    if name.startswith(("HTTP_HOST", "HTTP_SEC_WEBSOCKET_")) and not value.isascii():
        return True
    return not (_NAME.fullmatch(name) and _VALUE.fullmatch(value))


def _refuse(
    environ: Environ, start_response: Callable[..., Any], status: int, headers: Headers, reason: str
) -> list[bytes]:
    failure = http_failure(status, {"reason": reason} if reason else None)
    if status == HTTPStatus.BAD_REQUEST and environ["PATH_INFO"].startswith(SOCKET_IO_PATH):
        failure["message"] = "Socket.IO 요청이 올바르지 않습니다. details.reason에 이유가 있습니다."
    for beginning, (code, message) in _ENGINE_IO.items():
        if reason.startswith(beginning):
            failure = failure_envelope(code, message, {"reason": reason})
    body = orjson.dumps(failure)
    kept = [(name, value) for name, value in headers if name.lower() not in OF_THE_REPLACED]
    kept += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        kept.append(("Allow", "GET, POST, OPTIONS"))
    start_response(f"{status} {HTTPStatus(status).phrase}", kept)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _reason(answer: Iterable[bytes]) -> str:
    """Return the sentence of a refusal, which python-engineio writes as a JSON string, mostly."""
    body = b"".join(answer)[:REASON_MAX]
    try:
        return str(orjson.loads(body))
    except orjson.JSONDecodeError:
        return body.decode(errors="replace")


def _content_type(headers: Headers) -> str:
    return next((value for name, value in headers if name.lower() == "content-type"), "")


def _ignore(_data: bytes) -> None:
    """Take what a refusal that is replaced would have written."""
