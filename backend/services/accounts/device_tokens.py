"""Device tokens: the credentials of programs, which people make for themselves."""

import time

from domain import timestamp, utc_now
from errors import NotSignedIn, TooManyTokens
from models import DynamoDBDatabase
from people import AccountsWrite, Act, DeviceToken, Scope, Session
from services.accounts.access import Principal
from services.accounts.credentials import TOKEN_PREFIX, Credential, is_expired
from services.accounts.edits import edit
from services.accounts.view import AccountsView
from services.group_commit import GroupCommit

DAY_S = 24 * 3600
TOKENS_MAX = 40
"""Device tokens of one account; see `SESSIONS_MAX`."""


class DeviceTokens:
    """The device tokens of one store."""

    def __init__(self, db: DynamoDBDatabase, group_commit: GroupCommit, view: AccountsView) -> None:
        self._db = db
        self._group_commit = group_commit
        self._view = view

    def list_tokens(self, account_id: str) -> list[DeviceToken]:
        """Return an account's device tokens, the newest first."""
        known = self._view.latest().held_by(DeviceToken, account_id)
        # The log does not tell of their use.
        read = (self._db.find_record(DeviceToken.kind, one.id) for one in known)
        found = [token for token in read if isinstance(token, DeviceToken)]
        return sorted(found, key=lambda token: token.created_at, reverse=True)

    def create(
        self, principal: Principal, name: str, scope: Scope, expires_in_days: int | None
    ) -> tuple[DeviceToken, str]:
        """Make a device token; return it, and the text that its program sends, which nobody can see again.

        Raises `TooManyTokens`, and `NotSignedIn` when the caller's session has ended meanwhile.
        """
        if len(self.list_tokens(principal.account_id)) >= TOKENS_MAX:
            raise TooManyTokens()
        credential = Credential.new()
        token = DeviceToken(
            id=credential.id,
            account_id=principal.account_id,
            hash=credential.hash,
            name=name,
            scope=scope,
            created_at=timestamp(utc_now()),
            expires_at=int(time.time()) + expires_in_days * DAY_S if expires_in_days else 0,
        )

        def prepare() -> AccountsWrite:
            session = self._view.latest().find(Session, principal.session_id)
            if session is None:
                raise NotSignedIn()
            # A reset that ends the session at this moment must not leave the token.
            return AccountsWrite(
                type=Act.TOKEN_CREATED, puts=(token,), unchanged=(session,), about=_about(token)
            )

        edit(self._group_commit, principal.actor, prepare)
        return token, f"{TOKEN_PREFIX}{credential}"

    def end(self, principal: Principal, token_id: str) -> None:
        """End one of the account's own tokens; nothing happens if there is no such."""

        def prepare() -> AccountsWrite | None:
            token = self._view.latest().find(DeviceToken, token_id)
            if token is None or is_expired(token.expires_at) or token.account_id != principal.account_id:
                return None
            return AccountsWrite(type=Act.TOKEN_ENDED, removes=(token,), about=_about(token))

        edit(self._group_commit, principal.actor, prepare)


def _about(token: DeviceToken) -> dict[str, str]:
    return {"account_id": token.account_id, "name": token.name, "scope": token.scope.value}
