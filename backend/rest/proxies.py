"""What is believed of what proxies tell of a client: as much as TRUSTED_PROXIES says."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SCHEME_HEADERS = ("HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_PROTOCOL", "HTTP_X_FORWARDED_SSL")
"""By these gunicorn sets the scheme, when they come from its own machine."""


def trusting(app: "WSGIApplication", proxies: int) -> "WSGIApplication":
    """Wrap an app so that it sees the client's address and scheme as this many proxies tell, or no proxy.

    Of the schemes the last counts: load balancers and nginx replace that header, and extend the one of
    addresses. The host is not taken from them: the proxies of our guides pass `Host` on, and would pass on a
    forged `X-Forwarded-Host`, too.
    """
    if not proxies:
        return _without_told_scheme(app)
    return ProxyFix(_with_scheme_of_http(app), x_for=proxies, x_proto=1, x_host=0)


def _without_told_scheme(app: "WSGIApplication") -> "WSGIApplication":
    def serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if any(name in environ for name in SCHEME_HEADERS):
            environ["wsgi.url_scheme"] = "http"
        return app(environ, start_response)

    return serve


def _with_scheme_of_http(app: "WSGIApplication") -> "WSGIApplication":
    """Some proxies tell `wss` for a WebSocket; and no other word of theirs may get into addresses."""

    def serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        is_secure = environ["wsgi.url_scheme"].lower() in ("https", "wss")
        environ["wsgi.url_scheme"] = "https" if is_secure else "http"
        return app(environ, start_response)

    return serve
