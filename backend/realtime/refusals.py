"""Builds the refusals of Socket.IO requests, in the envelope of every failure.

For malformed WebSocket handshakes and for what python-engineio refuses. Sends nothing: `engineio_guard.py`
does. Knows HTTP headers, nothing of calendars.
"""

from http import HTTPStatus
from typing import Any

from errors import CalendarError, failure_envelope, http_failure
from failure_answers import failure_answer
from realtime.websocket import answer_handshake

WEBSOCKET_VERSION = "13"
REASON_MAX = 200
METHODS = "GET, POST, OPTIONS"

_REASONS = {
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
"""Code and sentence by the beginning of python-engineio's reason. Any other reason is a `bad_request`."""


def refusal(status: HTTPStatus, reason: str, *headers: tuple[str, str]) -> dict[str, Any]:
    """Return a refusal as the dict that python-engineio answers with: `{status, headers, response}`."""
    envelope = _envelope(status, reason[:REASON_MAX])
    line, all_headers, body = failure_answer(status, *headers, envelope=envelope)
    return {"status": line, "headers": all_headers, "response": body}


def refusal_of(error: CalendarError) -> dict[str, Any]:
    """Return the refusal of a request for a reason of ours."""
    headers = [("Retry-After", str(error.retry_after))] if error.retry_after else []
    line, all_headers, body = failure_answer(error.status, *headers, envelope=error.envelope())
    return {"status": line, "headers": all_headers, "response": body}


def handshake_refusal(environ: dict[str, Any]) -> dict[str, Any] | None:
    """Return the refusal of a malformed WebSocket handshake; None for any other request."""
    if environ.get("HTTP_UPGRADE", "").strip().lower() != "websocket":
        return None
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION", "").strip() != WEBSOCKET_VERSION:
        supported = ("Sec-WebSocket-Version", WEBSOCKET_VERSION)
        return refusal(HTTPStatus.UPGRADE_REQUIRED, "Unsupported WebSocket version", supported)
    if (
        "HTTP_HOST" not in environ
        or "HTTP_TRANSFER_ENCODING" in environ
        or answer_handshake(environ).status_code != HTTPStatus.SWITCHING_PROTOCOLS
    ):
        return refusal(HTTPStatus.BAD_REQUEST, "Invalid WebSocket handshake")
    return None


def _envelope(status: HTTPStatus, reason: str) -> dict[str, Any]:
    details = {"reason": reason}
    for beginning, (code, message) in _REASONS.items():
        if reason.startswith(beginning):
            return failure_envelope(code, message, details)
    failure = http_failure(status, details)
    if status == HTTPStatus.BAD_REQUEST:
        failure["message"] = "Socket.IO 요청이 올바르지 않습니다. details.reason에 이유가 있습니다."
    return failure
