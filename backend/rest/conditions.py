"""The conditional headers of REST: `If-Match`, `If-None-Match`, `Idempotency-Key`, `ETag`."""

import re

from flask import Response, request

from errors import ValidationFailed
from schemas import KEY_MAX

_REVISION = re.compile(r'\s*"([0-9]{1,15})"\s*', re.ASCII)


def expected_revision() -> str | None:
    """Return the revision that `If-Match` names, as text; None when any will do.

    What cannot be the ETag of an event is returned as it came, and matches none.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    match = _REVISION.fullmatch(header)
    return match[1] if match else header


def idempotency_key() -> str | None:
    """Return `Idempotency-Key`. Raises `ValidationFailed` when it is empty or too long."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 1 <= len(key.strip()) <= KEY_MAX:
        message = f"1자 이상 {KEY_MAX}자 이하여야 합니다."
        raise ValidationFailed([{"field": "Idempotency-Key", "rule": "string_length", "message": message}])
    return key


def not_modified(etag: str) -> Response | None:
    """Return a 304 when the client holds this very state already."""
    if not request.if_none_match.contains(etag):
        return None
    return tagged(Response(status=304), etag)


def tagged(response: Response, etag: str) -> Response:
    """Give an answer its ETag, and let clients keep it as long as they ask whether it still holds."""
    response.set_etag(etag)
    response.headers["Cache-Control"] = "no-cache"
    return response
