"""The conditional headers of REST: `If-Match`, `If-None-Match`, `Idempotency-Key`, `ETag`."""

import re

from flask import Response, request

from errors import ValidationFailed
from schemas import KEY_MAX

_ETAGS = re.compile(r'(?:W/)?"[^"]*"(?:[\s,]*,[\s,]*(?:W/)?"[^"]*")*')
_STRONG_REVISION = re.compile(r'(?<!W/)"([0-9]{1,15})"', re.ASCII)


def expected_revisions() -> frozenset[str] | None:
    """Return the revisions that `If-Match` names, as text; None when any will do.

    What cannot be the ETag of an event, a weak one included, matches none.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    return frozenset(_STRONG_REVISION.findall(header) if _ETAGS.fullmatch(header.strip()) else ())


def idempotency_key() -> str | None:
    """Return `Idempotency-Key`. Raises `ValidationFailed` when it is empty or too long."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 1 <= len(key.strip()) <= KEY_MAX:
        message = f"1자 이상 {KEY_MAX}자 이하여야 합니다."
        raise ValidationFailed([{"field": "Idempotency-Key", "rule": "string_length", "message": message}])
    return key


def not_modified(etag: str) -> Response | None:
    """Return a 304 when the client holds this very state already."""
    if not request.if_none_match.contains_weak(etag):  # a proxy that compresses weakens it
        return None
    return tagged(Response(status=304), etag)


def tagged(response: Response, etag: str) -> Response:
    """Give an answer its ETag, and let clients keep it as long as they ask whether it still holds."""
    response.set_etag(etag)
    response.headers["Cache-Control"] = "no-cache"
    return response
