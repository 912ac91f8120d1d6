"""The conditional headers of REST: `If-Match`, `If-None-Match`, `Idempotency-Key`, `ETag`."""

import re

from flask import Response, request

from errors import ValidationFailed
from rest.callers import principal_or_none
from schemas import KEY_MAX
from services.accounts.access import ANYBODY

IF_MATCH_MAX = 4_096
_ETAG = r'(?:W/)?"[!\x23-\x7e\x80-\xff]*+"'
_ETAGS = re.compile(rf"[ \t,]*+{_ETAG}(?:[ \t]*+,[ \t,]*+{_ETAG})*+[ \t,]*+")
"""A list of ETags (RFC 9110, 8.8.3 and 5.6.1). Possessive quantifiers keep the time linear in the length."""
KEY_PATTERN = r"^[!-~\u00c0-\u00ff][ -~\u0080-\u00ff]*$"
"""ASCII or UTF-8; WSGI passes each byte of a header as a character of latin-1."""
_KEY = re.compile(KEY_PATTERN)
_STRONG_REVISION = re.compile(r'(?<!W/)"([0-9]{1,15})"', re.ASCII)


def expected_revisions() -> frozenset[str] | None:
    """Return the revisions that `If-Match` names, as text; None when the client accepts any.

    Leaves out ETags that no event can have, such as weak ones. Raises `ValidationFailed` for a header that is
    no list of ETags.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    if len(header) > IF_MATCH_MAX or not _ETAGS.fullmatch(header):
        message = '이벤트의 ETag를 따옴표까지 그대로 보내야 합니다. 예: If-Match: "3"'
        raise ValidationFailed.of("If-Match", "invalid_etag", message)
    return frozenset(_STRONG_REVISION.findall(header))


def idempotency_key() -> str | None:
    """Return the `Idempotency-Key`, if any.

    Raises `ValidationFailed` when it is empty, too long or holds control characters.
    """
    key = request.headers.get("Idempotency-Key")
    if key is not None and (len(key) > KEY_MAX or not _KEY.fullmatch(key)):
        message = f"제어 문자 없이 1자 이상 {KEY_MAX}자 이하여야 합니다."
        raise ValidationFailed.of("Idempotency-Key", "string_length", message)
    return key


def is_held(etag: str) -> bool:
    """Tell whether the client holds the state with this ETag, by its `If-None-Match`."""
    return request.if_none_match.contains_weak(etag)  # a proxy that compresses makes the ETag weak


def not_modified(etag: str) -> Response:
    return with_etag(Response(status=304), etag)


def with_etag(response: Response, etag: str) -> Response:
    """Set the ETag of an answer. Clients may keep the answer, and must revalidate it for each use.

    What an account was answered, or who knows a secret address, no cache that others share may keep. With
    `no-store` ETags would be useless; a browser in which somebody has signed out gets no 304, so it shows
    nothing of what it has kept.
    """
    response.set_etag(etag)
    is_shared = principal_or_none() == ANYBODY
    response.headers["Cache-Control"] = "no-cache" if is_shared else "private, no-cache"
    return response
