"""Who sends the present request, the role that it needs, and the cookie that the answer sets."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from flask import Flask, Response, g, jsonify, request

from errors import NotSignedIn
from people import Account, Role
from recognition import COOKIE, SECURE_COOKIE, cookie_name, session_cookie
from schemas import parse_id
from services.accounts.access import Access, Principal
from services.accounts.credentials import Credential
from services.accounts.sessions import SESSION_S, Visit

View = TypeVar("View", bound=Callable[..., Any])


class Recognises(Protocol):
    def of_request(self, environ: Any) -> Principal: ...


def open_to_strangers(view: View) -> View:
    """Let a route below `/api` answer without credentials."""
    vars(view)["open_to_strangers"] = True
    return view


def recognise(app: Flask, recognition: Recognises) -> Principal | None:
    """Find out who sends a request below `/api`; None for a stranger to a route that is open to them.

    Raises `NotSignedIn`, `CrossSite`, `StoreUnavailable`.
    """
    g.recognition = recognition
    if request.routing_exception or request.method == "OPTIONS" or not request.path.startswith("/api/"):
        return None
    found = principal_or_none()
    if found is None and not vars(app.view_functions[request.endpoint or ""]).get("open_to_strangers"):
        raise NotSignedIn()
    return found


def principal_or_none() -> Principal | None:
    """Return who sends this request; None for a stranger. Raises `CrossSite`, `StoreUnavailable`."""
    if "principal" not in g:
        try:
            g.principal = g.recognition.of_request(request.environ)
        except NotSignedIn:
            g.principal = None
    found: Principal | None = g.principal
    return found


def principal() -> Principal:
    """Return who sends this request. Raises `NotSignedIn`."""
    found = principal_or_none()
    if found is None:
        raise NotSignedIn()
    return found


def require_role(access: Access, department_id: str, needed: Role) -> str:
    """Return the parsed id of a department in which the caller has a role.

    Raises `InvalidId`, and what `Access.require` raises.
    """
    parsed = parse_id(department_id)
    access.require(principal(), parsed, needed)
    return parsed


def visit() -> Visit:
    """Return from where this request comes."""
    return Visit(address=request.remote_addr or "", agent=request.headers.get("User-Agent", ""))


def with_session(response: Response, credential: Credential) -> Response:
    """Give the browser a session."""
    return _with_cookie(response, str(credential))


def welcome(account: Account, credential: Credential, status: int = 200) -> Response:
    """Answer who has come in with the account, and give the browser the session."""
    answer = jsonify(success=True, account=account.public())
    answer.status_code = status
    return with_session(answer, credential)


def with_session_renewed(response: Response) -> Response:
    """Have the browser keep its session for as long as the server now does."""
    return _with_cookie(response, session_cookie(request.environ) or "")


def _with_cookie(response: Response, value: str) -> Response:
    response.set_cookie(
        cookie_name(request.environ),
        value,
        max_age=SESSION_S,
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return response


def without_session(response: Response) -> Response:
    """Take the session from the browser."""
    for name in (COOKIE, SECURE_COOKIE) if request.is_secure else (COOKIE,):
        response.delete_cookie(name, secure=request.is_secure, httponly=True, samesite="Lax")
    return response
