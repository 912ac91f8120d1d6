"""Turns every failure of a route into the envelope, whatever raised it."""

import logging
from typing import Any

from apiflask import APIFlask
from flask import request
from werkzeug.exceptions import HTTPException

from errors import CalendarError, SetupError, StoreUnavailable, http_failure

log = logging.getLogger(__name__)

Reply = tuple[dict[str, Any], int, dict[str, str]]


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
        headers = {k: v for k, v in error.get_headers() if k.lower() in ("allow", "location", "retry-after")}
        return http_failure(status), status, headers

    @app.errorhandler(Exception)
    def unknown(error: Exception) -> Reply:
        log.error("%s %s: 예상하지 못한 오류", request.method, request.path, exc_info=error)
        return http_failure(500), 500, {}
