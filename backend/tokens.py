"""Sync tokens and page tokens: what clients hand back without parsing it."""

import base64
import binascii
import json
import re
from typing import TypeAlias

EventOrder: TypeAlias = tuple[str, int, str, str, str]
"""The sort key of an event in lists: date, minute of the day, time, creation, id."""


def order_token(order: EventOrder | None) -> str:
    """Return the token of the page after an event of this order; it stays valid while events come and go.

    None, for no further page, gives an empty token.
    """
    return "" if order is None else encode_token(json.dumps(order, ensure_ascii=False))


def number_token(number: int | None) -> str:
    """Return a page token that is a revision, or another number that says where a page begins.

    None, for no further page, gives an empty token.
    """
    return "" if number is None else encode_token(str(number))


def parse_number_token(token: str) -> int | None:
    """Return the number of a page token; None when the token is malformed."""
    # DynamoDB takes numbers of 38 digits at most.
    match = re.fullmatch(r"[1-9][0-9]{0,30}", decode_token(token), re.ASCII)
    return int(match[0]) if match else None


def parse_order_token(token: str) -> EventOrder | None:
    """Return the sort key after which a page begins; None when the token is malformed."""
    try:
        order = json.loads(decode_token(token))
    except (ValueError, RecursionError):
        return None
    if not isinstance(order, list) or [type(part) for part in order] != [str, int, str, str, str]:
        return None
    return order[0], order[1], order[2], order[3], order[4]


def encode_token(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_token(token: str) -> str:
    """Undo `encode_token`; return an empty text for a malformed token."""
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
