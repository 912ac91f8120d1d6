"""Answers every failure of REST in the envelope, whatever raised it."""

import logging
from typing import Any

import orjson
from apiflask import APIFlask
from flask import Response, g, request
from werkzeug.exceptions import HTTPException

import security_log
from errors import (
    CalendarError,
    NotSignedIn,
    SetupError,
    StoreUnavailable,
    http_failure,
)
from recognition import shows_credentials

log = logging.getLogger(__name__)

Reply = tuple[dict[str, Any], int, dict[str, str]]

BODY_HEADERS = frozenset(
    ("accept-ranges", "content-disposition", "content-length", "content-type", "etag", "last-modified")
)
"""Headers that describe the body, which the envelope replaces."""


def _note(error: CalendarError) -> None:
    """Write a refusal into the security log, but not that somebody came without credentials."""
    if isinstance(error, NotSignedIn) and not shows_credentials(request.environ):
        return
    caller = g.get("principal")
    security_log.note_refusal(
        error,
        account_id=caller.account_id if caller else "",
        address=request.remote_addr,
        method=request.method,
        path=request.path,
    )


def install(app: APIFlask) -> None:
    @app.errorhandler(CalendarError)
    def known(error: CalendarError) -> Reply:
        _note(error)
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

    @app.after_request
    def replace_body(response: Response) -> Response:
        """Replace a failure that Flask returns without raising it, such as a 412 for a file."""
        if response.status_code < 400 or response.mimetype == "application/json":
            return response
        response.close()  # closes the file
        kept = [(name, value) for name, value in response.headers if name.lower() not in BODY_HEADERS]
        body = orjson.dumps(http_failure(response.status_code))
        return Response(body, response.status_code, kept, mimetype="application/json")
