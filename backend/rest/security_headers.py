"""The headers that keep browsers safe: content policy, caching, and which origins may read answers."""

import re
from collections.abc import Sequence

from flask import Flask, Response
from flask_cors import CORS

API_CSP = "default-src 'none'; frame-ancestors 'none'"
EXPOSED_HEADERS = ("ETag", "Retry-After", "Idempotent-Replayed")


def install(app: Flask, cors_origins: Sequence[str]) -> None:
    """Set them on every answer; without origins other sites' pages may read nothing."""
    if cors_origins:
        # Compiled: of a string, Flask-CORS guesses whether it is a pattern.
        origins = [o if o == "*" else re.compile(re.escape(o) + r"\Z") for o in cors_origins]
        CORS(app, origins=origins, resources=r"/(api|static)/.*", expose_headers=EXPOSED_HEADERS)
    app.after_request(_secure)


def _secure(response: Response) -> Response:
    """Set what every answer carries; a page has brought a policy of its own."""
    response.headers.setdefault("Content-Security-Policy", API_CSP)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.setdefault("Cache-Control", "no-store")
    return response
