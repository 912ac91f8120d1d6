"""Turns every failure of the REST door into the envelope, whatever raised it."""

import logging
from typing import Any

from apiflask import APIFlask
from flask import request
from werkzeug.exceptions import HTTPException

from errors import CalendarError, SetupError, StoreUnavailable, failure_envelope

log = logging.getLogger(__name__)

Reply = tuple[dict[str, Any], int, dict[str, str]]

_HTTP = {
    400: ("bad_request", "요청을 읽을 수 없습니다. 본문은 UTF-8 JSON이어야 합니다."),
    404: ("not_found", "주소를 찾을 수 없습니다."),
    405: ("method_not_allowed", "이 주소에서 쓸 수 없는 메서드입니다."),
    413: ("payload_too_large", "본문이 너무 큽니다. 최대 1 MiB입니다."),
    415: ("unsupported_media_type", "Content-Type은 application/json이어야 합니다."),
}


def install(app: APIFlask) -> None:
    @app.errorhandler(CalendarError)
    def known(error: CalendarError) -> Reply:
        headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
        return error.envelope(), error.status, headers

    @app.errorhandler(SetupError)
    def needs_operator(error: SetupError) -> Reply:
        log.error("%s", error)
        return known(StoreUnavailable())

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Reply:
        status = error.code or 500
        code, message = _HTTP.get(status, (f"http_{status}", error.description or error.name))
        headers = {k: v for k, v in error.get_headers() if k.lower() in ("allow", "location", "retry-after")}
        return failure_envelope(code, message), status, headers

    @app.errorhandler(Exception)
    def unknown(error: Exception) -> Reply:
        log.error("%s %s: 예상하지 못한 오류", request.method, request.path, exc_info=error)
        return failure_envelope("internal_error", "서버 오류가 발생했습니다."), 500, {}
