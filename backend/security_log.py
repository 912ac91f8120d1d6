"""The security log: a line of JSON for each sign-in, refusal, grant, and use of a token from a new address.

It never holds a secret. The lines go where the other lines go, told apart by their beginning, `{"security":`.
"""

import logging
import re
import threading
import time

import orjson

from domain import timestamp, utc_now
from errors import CalendarError, CrossSite, NotAllowed, NotSignedIn, SignInFailed, TooManyRequests

_CONTROL = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What JSON leaves as it is, but a terminal or a reader may take for the end of a line, or for a command."""

log = logging.getLogger("calendar.security")

NOTED = (CrossSite, NotAllowed, NotSignedIn, SignInFailed, TooManyRequests)
"""The refusals that the log tells of."""
REFUSALS_MAX = 600
"""Refusals in a minute after which further ones are only counted: nobody may fill the disk with them."""
MINUTE_S = 60.0
PATH_MAX = 200


class Refusals:
    """How many refusals have been written in the present minute, and how many left out since the last one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._written = 0
        self._left_out = 0

    def next(self) -> int | None:
        """Return how many were left out before this one; None if this one is left out, too."""
        now = time.monotonic()
        with self._lock:
            if now >= self._until:
                self._until, self._written = now + MINUTE_S, 0
            if self._written >= REFUSALS_MAX:
                self._left_out += 1
                return None
            self._written += 1
            left_out, self._left_out = self._left_out, 0
            return left_out


_refusals = Refusals()


def note(event: str, **facts: object) -> None:
    """Write down what has happened, with what is known of it: `account_id`, `address` and the like."""
    line = orjson.dumps({"security": event, "at": timestamp(utc_now()), **facts}).decode()
    log.info("%s", _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", line))


def note_refusal(
    error: CalendarError, *, account_id: str = "", address: str | None, method: str, path: str
) -> None:
    """Write down that a request or message was refused, if the error is one of `NOTED`."""
    if not isinstance(error, NOTED) or (left_out := _refusals.next()) is None:
        return
    note(
        "refused",
        error=error.code,
        account_id=account_id,
        address=address,
        method=method,
        path=path[:PATH_MAX],
        **({"left_out": left_out} if left_out else {}),
    )
