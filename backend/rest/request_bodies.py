"""Refuses request bodies of other media or larger than a route takes, with or without a `Content-Length`.

Routes take JSON of 1 MiB, or with `takes_file` files of calendars.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from schemas import BODY_MAX, FILE_MAX

View = TypeVar("View", bound=Callable[..., Any])


def takes_file(*media: str) -> Callable[[View], View]:
    """Have a route take files of these media types, up to `FILE_MAX`, and nothing else."""

    def mark(view: View) -> View:
        vars(view)["file_media"] = media
        return view

    return mark


def install(app: Flask) -> None:
    """Refuse such bodies before a route runs."""
    app.config["MAX_CONTENT_LENGTH"] = BODY_MAX
    app.before_request(_refuse_other_media)
    app.before_request(_bound_body)


def _file_media() -> tuple[str, ...]:
    """Return the media types of the files that the route of this request takes; none if it takes JSON."""
    media: tuple[str, ...] = vars(current_app.view_functions[request.endpoint or ""]).get("file_media", ())
    return media


def _refuse_other_media() -> None:
    if request.routing_exception or request.method not in ("POST", "PUT"):
        return
    if media := _file_media():
        if request.mimetype not in media:
            raise UnsupportedMediaType()
    elif not request.is_json and (
        request.content_length or request.content_type or request.headers.get("Transfer-Encoding")
    ):
        raise UnsupportedMediaType()


def _bound_body() -> None:
    """Give a file its limit, and refuse a chunked body that is too large.

    Werkzeug would cut a chunked body off at the limit, and accept the beginning.
    """
    takes_files = not request.routing_exception and _file_media()
    most = FILE_MAX if takes_files else BODY_MAX
    request.max_content_length = most
    if request.content_length is None and request.headers.get("Transfer-Encoding"):
        request.max_content_length = most + 1
        if len(request.get_data()) > most:
            raise RequestEntityTooLarge()
