"""`/sign-in`, `/setup`, `/invite`, `/reset`: the pages on which people come in, and go.

The secret of a link follows the `#` of its address, so only the page's script sees it, and only the button
spends it.
"""

from apiflask import APIBlueprint
from flask import Response, make_response, render_template, request

from errors import SetupError, StoreUnavailable
from rest.callers import principal_or_none

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGES = ("sign-in", "setup", "invite", "reset")


def blueprint(*, provider_url: str) -> APIBlueprint:
    bp = APIBlueprint("sign_in_pages", __name__, enable_openapi=False)

    @bp.get(f"/<any({', '.join(map(repr, PAGES))}):page>")
    def sign_in_page(page: str) -> Response:
        language = request.accept_languages.best_match(["ko", "en"], "ko")
        answer = make_response(
            render_template(
                "sign_in.html",
                language=language,
                page=page,
                provider_url=provider_url,
                signed_in_as=_name_of_caller(),
            )
        )
        answer.content_language.add(language)
        answer.vary.add("Accept-Language")
        answer.headers["Content-Security-Policy"] = CSP
        return answer

    return bp


def _name_of_caller() -> str:
    """Return the name of who is signed in; empty for a stranger, or while the store is out of reach."""
    try:
        caller = principal_or_none()
    except (SetupError, StoreUnavailable):
        return ""
    return caller.name if caller else ""
