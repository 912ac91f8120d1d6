"""The headers that protect browsers: content policy, caching, and which origins may read answers (CORS)."""

import re
from collections.abc import Sequence

from flask import Flask, Response
from flask_cors import CORS

API_CSP = "default-src 'none'; frame-ancestors 'none'"
EXPOSED_HEADERS = ("ETag", "Retry-After", "Idempotent-Replayed")


def install(app: Flask, cors_origins: Sequence[str]) -> None:
    """Set these headers on every answer. Without `cors_origins` no other origin may read answers."""
    if cors_origins:
        # Compiled, because Flask-CORS guesses whether a string is a pattern.
        origins = [o if o == "*" else re.compile(re.escape(o) + r"\Z") for o in cors_origins]
        CORS(app, origins=origins, resources=r"/(api|static)/.*", expose_headers=EXPOSED_HEADERS)
    app.after_request(_secure)


def _secure(response: Response) -> Response:
    """Set the headers; the pages have set a policy of their own before."""
    response.headers.setdefault("Content-Security-Policy", API_CSP)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.setdefault("Cache-Control", "no-store")
    return response
