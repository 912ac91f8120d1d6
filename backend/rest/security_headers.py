"""Puts the protecting headers on every answer of the app, those of Socket.IO included, and those of CORS."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_cors import CORS

from security_headers import HEADERS, STRICT_TRANSPORT

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

EXPOSED_HEADERS = ("ETag", "Retry-After", "Idempotent-Replayed")


def allow_origins(app: Flask, cors_origins: Sequence[str]) -> None:
    """Let pages of these origins read answers of REST; without any, no other origin may."""
    if cors_origins:
        # Compiled, because Flask-CORS guesses whether a string is a pattern.
        origins = [o if o == "*" else re.compile(re.escape(o) + r"\Z") for o in cors_origins]
        CORS(app, origins=origins, resources=r"/(api|static)/.*", expose_headers=EXPOSED_HEADERS)


def secured(app: "WSGIApplication") -> "WSGIApplication":
    """Wrap an app so that its answers have all these headers. The scheme must be known by then."""

    def serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            given = {name.lower() for name, _ in headers}
            missing = [header for header in HEADERS if header[0].lower() not in given]
            if environ["wsgi.url_scheme"] == "https":
                missing.append(STRICT_TRANSPORT)
            return start_response(status, [*headers, *missing], *exc_info)

        return app(environ, start)

    return serve
