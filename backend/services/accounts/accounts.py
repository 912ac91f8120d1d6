"""Builds the use cases of accounts on one store."""

from collections.abc import Sequence
from dataclasses import dataclass

import security_log
from domain import LogEntry, Position
from models import DynamoDBDatabase
from people import AccountsChange
from services.accounts.access import AccountAccess
from services.accounts.administration import Administration
from services.accounts.credentials import Credential
from services.accounts.device_tokens import DeviceTokens
from services.accounts.joining import Joining
from services.accounts.members import Members
from services.accounts.own_account import OwnAccount
from services.accounts.sessions import Sessions
from services.accounts.view import AccountsView
from services.group_commit import GroupCommit


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of one store, and what can be done with them."""

    view: AccountsView
    access: AccountAccess
    sessions: Sessions
    own: OwnAccount
    joining: Joining
    members: Members
    device_tokens: DeviceTokens
    administration: Administration
    public_url: str

    def url(self, page: str, credential: Credential) -> str:
        """Return the address of a page that spends a link; browsers do not send what follows the `#`."""
        return f"{self.public_url}/{page}#{credential}"


def _note(_partition: str, _reached: Position, changes: Sequence[LogEntry]) -> None:
    """Write the changes of the accounts into the security log, too."""
    for change in changes:
        if isinstance(change, AccountsChange):
            security_log.note(change.type.value, by=change.by, by_name=change.by_name, **change.about)


def build_accounts(db: DynamoDBDatabase, group_commit: GroupCommit, public_url: str) -> Accounts:
    view = AccountsView(db)
    group_commit.on_commit(view.on_commit)
    group_commit.on_commit(_note)
    access = AccountAccess(view)
    administration = Administration(db, group_commit, view, access)
    return Accounts(
        view=view,
        access=access,
        sessions=Sessions(db, group_commit, view),
        own=OwnAccount(db, group_commit, view, administration),
        joining=Joining(db, group_commit, view),
        members=Members(group_commit, view),
        device_tokens=DeviceTokens(db, group_commit, view),
        administration=administration,
        public_url=public_url,
    )
