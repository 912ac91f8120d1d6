"""Who sends a request or opens a connection, from its WSGI environ: by session cookie or device token.

A browser sends its cookie whichever page makes it do so. So with a cookie, what changes something must come
from a page of ours; a program's token is never sent by itself.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from werkzeug.http import parse_cookie

from errors import CrossSite, NotSignedIn
from services.accounts.access import ANYBODY, Principal
from services.accounts.sessions import Sessions

COOKIE = "session"
SECURE_COOKIE = "__Host-session"
"""Its name over HTTPS: browsers let no other host of the domain set a cookie with this prefix."""
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
"""Those that change nothing (RFC 9110, 9.2.1)."""
AUTHORIZATION_MAX = 1_000
"""Characters of the header `Authorization` that are looked at."""
TELL_THE_PAGE = frozenset(("HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE"))
"""What browsers tell of the page that sends a request: at least one of them, if it is another origin's."""

Environ = Mapping[str, Any]


def cookie_name(environ: Environ) -> str:
    return SECURE_COOKIE if environ["wsgi.url_scheme"] == "https" else COOKIE


def session_cookie(environ: Environ) -> str | None:
    """Return the value of the session cookie; None if there is none."""
    return parse_cookie(environ.get("HTTP_COOKIE")).get(cookie_name(environ))


def shows_credentials(environ: Environ) -> bool:
    """Tell whether a request came with a cookie or a token, good or not."""
    return "HTTP_AUTHORIZATION" in environ or session_cookie(environ) is not None


class Recognition:
    """Recognises the callers of one server."""

    def __init__(self, sessions: Sessions, public_url: str) -> None:
        self._sessions = sessions
        self._public_url = urlsplit(public_url)

    def of_request(self, environ: Environ) -> Principal:
        """Return who sends a request. Raises `NotSignedIn`, `CrossSite`, `StoreUnavailable`."""
        return self._of(environ, needs_our_page=environ["REQUEST_METHOD"] not in SAFE_METHODS)

    def of_handshake(self, environ: Environ, auth: object) -> Principal:
        """Return who opens a Socket.IO connection, by the token in `auth` or as for a request.

        By cookie only for pages of ours: those of CORS_ORIGINS would read whatever the account may.
        """
        token = auth.get("token") if isinstance(auth, dict) else None
        if isinstance(token, str) and token:
            return self._sessions.of_token(token, environ.get("REMOTE_ADDR", ""))
        is_told = not TELL_THE_PAGE.isdisjoint(environ)
        return self._of(environ, needs_our_page=is_told or _is_websocket(environ))

    def _of(self, environ: Environ, *, needs_our_page: bool) -> Principal:
        token = _bearer_token(environ)
        if token is not None:
            return self._sessions.of_token(token, environ.get("REMOTE_ADDR", ""))
        cookie = session_cookie(environ)
        if cookie is None:
            raise NotSignedIn()
        if needs_our_page:
            self._require_our_page(environ)
        return self._sessions.of_cookie(cookie)

    def known_account(self, environ: Environ) -> str:
        """Return the id of the account that a request's headers show, without a read; empty if unknown."""
        token = _bearer_token(environ)
        return self._sessions.account_known_by(token or session_cookie(environ) or "")

    def _require_our_page(self, environ: Environ) -> None:
        """Raise `CrossSite` unless the browser says that a page of ours sends this."""
        site = environ.get("HTTP_SEC_FETCH_SITE")
        if site is not None:
            is_ours = site == "same-origin"
        else:
            origin = urlsplit(environ.get("HTTP_ORIGIN", ""))
            here = (environ["wsgi.url_scheme"], environ.get("HTTP_HOST", "").lower())
            ours = (here, (self._public_url.scheme, self._public_url.netloc.lower()))
            is_ours = bool(origin.netloc) and (origin.scheme, origin.netloc.lower()) in ours
        if not is_ours:
            raise CrossSite()


class NoRecognition:
    """The recognition of a server without accounts: every caller is `ANYBODY`."""

    def of_request(self, _environ: Environ) -> Principal:
        return ANYBODY

    def of_handshake(self, _environ: Environ, _auth: object) -> Principal:
        return ANYBODY


def _bearer_token(environ: Environ) -> str | None:
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "")[:AUTHORIZATION_MAX].partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _is_websocket(environ: Environ) -> bool:
    return str(environ.get("HTTP_UPGRADE", "")).strip().lower() == "websocket"
