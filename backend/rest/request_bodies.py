"""Refuses request bodies that are not JSON or larger than the limit, with or without a `Content-Length`."""

from flask import Flask, request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from schemas import BODY_MAX


def install(app: Flask) -> None:
    """Refuse such bodies before a route runs."""
    app.config["MAX_CONTENT_LENGTH"] = BODY_MAX
    app.before_request(_refuse_other_media)
    app.before_request(_bound_chunked_body)


def _refuse_other_media() -> None:
    if request.routing_exception or request.method not in ("POST", "PUT") or request.is_json:
        return
    if request.content_length or request.content_type or request.headers.get("Transfer-Encoding"):
        raise UnsupportedMediaType()


def _bound_chunked_body() -> None:
    """Refuse a chunked body that is too large: Werkzeug would cut it off and accept the beginning."""
    if request.content_length is None and request.headers.get("Transfer-Encoding"):
        request.max_content_length = BODY_MAX + 1
        if len(request.get_data()) > BODY_MAX:
            raise RequestEntityTooLarge()
