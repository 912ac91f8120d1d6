"""`/auth/oidc`: sign-in with the company's identity provider."""

import logging
import re
from typing import Any

from apiflask import APIBlueprint
from flask import Response, make_response, redirect, request

import security_log
from account_schemas import ProviderInvitation
from errors import CalendarError, LinkExpired, NotInvited, ProviderRefused, ProviderUnavailable, SetupError
from rest.callers import principal_or_none, visit, with_session
from services.accounts.accounts import Accounts
from services.accounts.credentials import Credential
from services.accounts.provider import Attempt, Provider

log = logging.getLogger(__name__)

COOKIE = "oidc"
SECURE_COOKIE = "__Host-oidc"
ATTEMPT_S = 600
"""How long somebody may take at the provider."""
ATTEMPTS_MAX = 4
"""Tabs of a browser in which somebody may sign in at the same time; they share the cookie."""
SEPARATOR = "~"
INVITATION = re.compile(r"[A-Za-z0-9_.-]{1,200}")
REASON_MAX = 200


def blueprint(accounts: Accounts, provider: Provider, *, everybody: bool) -> APIBlueprint:
    bp = APIBlueprint("provider_sign_in", __name__, url_prefix="/auth/oidc", enable_openapi=False)

    @bp.get("")
    def begin_sign_in() -> Response:
        attempt = Attempt.new()
        try:
            answer = make_response(redirect(provider.address(attempt)))
        except (CalendarError, SetupError) as error:
            return failed(error)
        return _with_attempts(answer, [attempt, *_attempts()])

    @bp.post("")
    @bp.input(ProviderInvitation, arg_name="body")
    def begin_with_invitation(body: ProviderInvitation) -> Response:
        """Begin a sign-in that accepts an invitation; the page goes to the address that is answered.

        The secret never is in an address that servers see, and only the callback spends it.
        """
        if not INVITATION.fullmatch(body.token):
            raise LinkExpired()
        attempt = Attempt.new(body.token)
        answer = make_response({"success": True, "url": provider.address(attempt)})
        return _with_attempts(answer, [attempt, *_attempts()])

    @bp.get("/callback")
    def finish_sign_in() -> Response:
        begun = _attempts()
        state = request.args.get("state", "")
        attempt = next((one for one in begun if one.state == state), None)
        try:
            if attempt is None:
                raise ProviderRefused() from LookupError("this browser has not begun it, or long ago")
            answer = with_session(make_response(redirect(f"{accounts.public_url}/")), sign_in(attempt))
        except (CalendarError, SetupError) as error:
            answer = failed(error)
        return _with_attempts(answer, [one for one in begun if one != attempt])

    def sign_in(attempt: Attempt) -> Credential:
        before = principal_or_none()
        identity = provider.identify(attempt, request.args)
        try:
            account = accounts.joining.enter(identity, everybody=everybody, invitation=attempt.invitation)
        except NotInvited:
            known = f"email={identity.email!r} email_verified={identity.email_verified}"
            raise NotInvited() from LookupError(known)
        credential = accounts.sessions.begin(account, visit())
        if before:
            accounts.sessions.end(before, before.session_id)
        return credential

    def failed(error: CalendarError | SetupError) -> Response:
        """Show the sign-in page with the reason, which is told in full only to the log."""
        if isinstance(error, SetupError):
            log.error("%s", error)
            error = ProviderUnavailable()
        reason = str(error.__cause__ or "")[:REASON_MAX]
        security_log.note(
            "provider_sign_in_failed", error=error.code, reason=reason, address=request.remote_addr
        )
        return make_response(redirect(f"{accounts.public_url}/sign-in?error={error.code}"))

    return bp


def _cookie() -> str:
    return SECURE_COOKIE if request.is_secure else COOKIE


def _attempts() -> list[Attempt]:
    """Return the attempts that this browser has begun and not finished, the newest first."""
    parsed = map(Attempt.parse, request.cookies.get(_cookie(), "").split(SEPARATOR))
    return [attempt for attempt in parsed if attempt]


def _with_attempts(answer: Response, attempts: list[Attempt]) -> Response:
    """Have the browser keep the newest attempts."""
    flags: dict[str, Any] = {"secure": request.is_secure, "httponly": True, "samesite": "Lax"}
    if attempts:
        text = SEPARATOR.join(map(str, attempts[:ATTEMPTS_MAX]))
        answer.set_cookie(_cookie(), text, max_age=ATTEMPT_S, **flags)
    else:
        answer.delete_cookie(_cookie(), **flags)
    return answer
