"""What administrators do with accounts: look, rename, disable, give and take administration; the audit."""

from dataclasses import dataclass, replace
from typing import Any

from errors import AccountNotFound, LastAdmin
from models import DynamoDBDatabase
from people import Account, AccountsChange, AccountsWrite, Act, Admins, Record, Session
from services.accounts.access import AccountAccess, Principal
from services.accounts.edits import edit
from services.accounts.sessions import end_surplus, records_to_end
from services.accounts.view import AccountsView
from services.group_commit import GroupCommit

TEXT_MIN = 2
"""Characters that a manager must know of a name or e-mail address."""
MATCHES_MAX = 20
"""Accounts that a manager is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFields:
    """What is to be different in an account; None leaves it as it is."""

    name: str | None = None
    admin: bool | None = None
    disabled: bool | None = None


class Administration:
    """The accounts of one store, as its administrators see them. The callers have decided that they may."""

    def __init__(
        self, db: DynamoDBDatabase, group_commit: GroupCommit, view: AccountsView, access: AccountAccess
    ) -> None:
        self._access = access
        self._db = db
        self._group_commit = group_commit
        self._view = view

    def list_accounts(self, principal: Principal, text: str) -> list[dict[str, Any]]:
        """Return the accounts with a text in name or e-mail, by name, as the caller may see them.

        Administrators see all of each. Managers see whom they could take into their department: the first
        `MATCHES_MAX`, and none for a text shorter than `TEXT_MIN`. Raises `NotAllowed` for others.
        """
        self._access.require_manager(principal)
        people = self._view.latest()
        me = people.find(Account, principal.account_id)
        if not (me and me.admin) and len(text) < TEXT_MIN:
            return []
        seen: dict[str, str] = {}
        for session in people.all(Session):
            seen[session.account_id] = max(session.seen_at, seen.get(session.account_id, ""))
        wanted = text.casefold()
        found = [
            a for a in people.all(Account) if wanted in a.name.casefold() or wanted in a.email.casefold()
        ]
        found.sort(key=lambda account: (account.name.casefold(), account.id))
        if not (me and me.admin):
            return [{"id": one.id, "name": one.name, "email": one.email} for one in found[:MATCHES_MAX]]
        return [
            {**one.public(), "disabled": one.disabled, "last_seen": seen.get(one.id, "")} for one in found
        ]

    def change(self, principal: Principal, account_id: str, fields: AccountFields) -> Account:
        """Change an account; a disabled one loses its sessions and device tokens.

        Raises `AccountNotFound`, `LastAdmin`, and `NotAllowed` for who has ceased to be an administrator
        meanwhile: with requests without pause one could else undo its own removal.
        """

        def prepare() -> AccountsWrite:
            write = self._prepare(account_id, fields)
            if fields.admin is not None or fields.disabled is not None:
                self._access.require_admin(principal)
            return write

        if fields.disabled:
            end_surplus(self._group_commit, self._view, principal.actor, account_id)
        edit(self._group_commit, principal.actor, prepare)
        found = self._view.latest().find(Account, account_id)
        if found is None:
            raise AccountNotFound()
        return found

    def page_audit(self, begin: int | None, limit: int) -> tuple[list[AccountsChange], int | None]:
        """Return `limit` changes at most from a revision back, and with which the next page begins."""
        found = self._db.accounts_changes_from(begin, limit + 1)
        return found[:limit], found[limit].revision if len(found) > limit else None

    def _prepare(self, account_id: str, fields: AccountFields) -> AccountsWrite:
        people = self._view.latest()
        account = people.find(Account, account_id)
        admins = people.find(Admins, Admins.ID) or Admins()
        if account is None:
            raise AccountNotFound()
        changed = replace(
            account,
            name=account.name if fields.name is None else fields.name,
            admin=account.admin if fields.admin is None else fields.admin,
            disabled=account.disabled if fields.disabled is None else fields.disabled,
        )
        puts: list[Record] = [changed]
        active = set(admins.account_ids) - {account.id}
        if changed.admin and not changed.disabled:
            active.add(account.id)
        if active != set(admins.account_ids):
            if not active:
                raise LastAdmin()
            puts.append(replace(admins, account_ids=tuple(sorted(active))))
        return AccountsWrite(
            type=Act.ACCOUNT_UPDATED,
            puts=tuple(puts),
            removes=records_to_end(people, account.id) if changed.disabled else (),
            about={
                "account_id": account.id,
                "admin": str(changed.admin).lower(),
                "disabled": str(changed.disabled).lower(),
            },
        )
