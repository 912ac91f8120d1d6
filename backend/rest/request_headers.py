"""Refuses requests with a header that is longer than one line may be; no client of ours sends several lines.

Werkzeug, Flask-CORS and the Socket.IO libraries parse headers of any length, and take up to a second for the
700 KB that a hundred lines can have. So this stands before all of them.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from failure_answers import answer_failure

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HEADER_MAX = 8_190
"""Characters of a header's value, its lines taken together; gunicorn's limit of a line."""


def bounded(app: "WSGIApplication") -> "WSGIApplication":
    """Wrap an app so that it does not see such requests."""

    def serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        for name, value in environ.items():
            if type(value) is str and len(value) > HEADER_MAX and name.startswith("HTTP_"):
                return answer_failure(environ, start_response, 431)
        return app(environ, start_response)

    return serve
