"""How many connections there may be: from one network, and of one account. Who is who, others decide.

A program shows its token only in Socket.IO's CONNECT, so strangers may begin, in a bounded number that
`silent_clients.py` keeps. A browser's cookie, or a token in a header, is looked at before anything is kept.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from errors import TooManyRequests
from networks import network_of
from rate_limits import RateLimits
from realtime.client_groups import ClientGroups

log = logging.getLogger(__name__)

NETWORK_MAX = 3_000
"""Connections from one network, behind which there may be an office of 500 with a few windows each."""
ACCOUNT_MAX = 200
"""Connections of one account: windows, and the programs that have its tokens."""
HANDSHAKES = "6000 per minute"
"""From one network: an office that comes back after a restart takes a tenth of them."""
RETRY_S = 10
"""After how many seconds a refused client is told to come back."""
WARNING_S = 60.0
"""How long after a warning of a full network no further one is logged."""

Environ = Mapping[str, Any]


class OpenAdmission:
    """The admission of a server without accounts: everybody may connect."""

    def admit(self, environ: Environ) -> None:
        """Let a client begin an Engine.IO handshake, of which nothing is kept so far."""

    def opened(self, sid: str, environ: Environ) -> bool:
        """Take note of a connection; return whether it is a stranger's."""
        return True

    def connected(self, sid: str, account_id: str) -> None:
        """Let the client of a connection connect to Socket.IO in an account's name."""

    def closed(self, sid: str) -> None:
        """Forget a connection."""


class Admission(OpenAdmission):
    """The connections of a server with accounts."""

    def __init__(
        self,
        known_account: Callable[[Environ], str],
        *,
        network_max: int = NETWORK_MAX,
        account_max: int = ACCOUNT_MAX,
        handshakes: str = HANDSHAKES,
    ) -> None:
        """`known_account(environ)` returns the id of the account that a request shows; empty if none."""
        self._known_account = known_account
        self._network_max = network_max
        self._account_max = account_max
        self._handshakes = handshakes
        self._rate_limits = RateLimits()  # not in Redis: what is protected is this process
        self._networks = ClientGroups()
        self._accounts = ClientGroups()
        self._warned_at = -math.inf

    def admit(self, environ: Environ) -> None:
        """Raise `TooManyRequests` for a client of a network, or of an account, that has enough."""
        network = _network(environ)
        if self._networks.size(network) >= self._network_max:
            self._warn(network)
            raise TooManyRequests(RETRY_S)
        self._rate_limits.count(self._handshakes, "handshakes", network)
        if self._has_enough(self._known_account(environ)):
            raise TooManyRequests(RETRY_S)

    def opened(self, sid: str, environ: Environ) -> bool:
        self._networks.add(sid, _network(environ))
        account_id = self._known_account(environ)
        if account_id:
            self._accounts.add(sid, account_id)
        return not account_id

    def connected(self, sid: str, account_id: str) -> None:
        """Raise `TooManyRequests` if the account has enough connections beside this one."""
        if self._accounts.holds(sid, account_id):
            return
        if self._has_enough(account_id):
            raise TooManyRequests(RETRY_S)
        self._accounts.discard(sid)  # of another account, whose cookie the handshake showed
        self._accounts.add(sid, account_id)

    def closed(self, sid: str) -> None:
        self._networks.discard(sid)
        self._accounts.discard(sid)

    def _warn(self, network: str) -> None:
        if time.monotonic() - self._warned_at >= WARNING_S:
            self._warned_at = time.monotonic()
            log.warning(
                "%s 에서 온 연결이 %d개라 더 받지 않습니다. 프록시의 주소라면 TRUSTED_PROXIES를 확인하세요.",
                network,
                self._network_max,
            )

    def _has_enough(self, account_id: str) -> bool:
        return bool(account_id) and self._accounts.size(account_id) >= self._account_max


def _network(environ: Environ) -> str:
    return network_of(environ.get("REMOTE_ADDR", ""))
