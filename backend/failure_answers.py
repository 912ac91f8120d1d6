"""Failures as whole HTTP answers, for what answers without Flask: the servers, and what is before the app."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from errors import http_failure
from security_headers import HEADERS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def failure_answer(
    status: int, *headers: tuple[str, str], envelope: Mapping[str, Any] | None = None
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return status line, headers and body; `envelope` is that of the status by default."""
    body = orjson.dumps(http_failure(status) if envelope is None else envelope)
    of_body = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    return f"{status:d} {HTTPStatus(status).phrase}", [*headers, *of_body, *HEADERS], body


def answer_failure(
    environ: "WSGIEnvironment", start_response: "StartResponse", status: int, *headers: tuple[str, str]
) -> Iterable[bytes]:
    """Answer a WSGI request with a failure."""
    line, all_headers, body = failure_answer(status, *headers)
    start_response(line, all_headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
