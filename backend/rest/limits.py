"""How many sign-ins there may be from one network, and how much one account may write: 429 beyond that.

Failed sign-ins are counted in the tables, too, by `services/accounts/sessions.py`: on all servers together,
with Redis or without. `realtime/admission.py` counts Socket.IO connections.
"""

from flask import request

from networks import network_of
from rate_limits import RateLimits
from recognition import SAFE_METHODS
from services.accounts.access import Principal

BY_ADDRESS = {
    "sessions.sign_in": "600 per minute",
    "sessions.set_up": "60 per minute",
    "sessions.reset_password": "300 per minute",
    "members.accept_invitation": "600 per minute",
    "provider_sign_in.begin_sign_in": "600 per minute",
    "provider_sign_in.begin_with_invitation": "600 per minute",
    "provider_sign_in.finish_sign_in": "600 per minute",
}
"""For each network, by endpoint. There may be an office of 500 behind it, who all come in within a minute."""
BY_ACCOUNT = {
    "members.invite": "1000 per hour",
    "tokens.create_token": "60 per hour",
    "accounts.create_reset_link": "60 per hour",
    "sessions.update_me": "60 per hour",
}
"""For each account, by endpoint. `update_me` because it tells whether a password is right."""
WRITES = "1200 per minute"
"""For each account, of all that changes something."""


class Limits:
    """The limits of the routes of one app."""

    def __init__(self, rate_limits: RateLimits) -> None:
        self._rate_limits = rate_limits

    def check(self, caller: Principal | None) -> None:
        """Count the present request. Raises `TooManyRequests`."""
        endpoint = request.endpoint or ""
        if rule := BY_ADDRESS.get(endpoint):
            self._rate_limits.count(rule, endpoint, network_of(request.remote_addr or ""))
        if caller and (rule := BY_ACCOUNT.get(endpoint)):
            self._rate_limits.count(rule, endpoint, caller.account_id)
        if caller and request.method not in SAFE_METHODS:
            self._rate_limits.count(WRITES, "writes", caller.account_id)
