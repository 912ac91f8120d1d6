"""Who belongs to a department, in which role, and whether every account may read it."""

from dataclasses import dataclass, replace
from typing import Any

from errors import AccountNotFound, NotAllowed
from people import ACCOUNTS, Account, AccountsWrite, Act, Membership, Role, Visibility
from services.accounts.access import Principal, manages
from services.accounts.edits import edit
from services.accounts.view import AccountsView
from services.group_commit import GroupCommit

FORGOTTEN_AT_ONCE = 90
"""Records in one transaction, which takes a hundred items."""


@dataclass(frozen=True, slots=True)
class Member:
    """An account and its role in a department."""

    account: Account
    role: Role

    def public(self) -> dict[str, Any]:
        return {
            "account_id": self.account.id,
            "name": self.account.name,
            "email": self.account.email,
            "role": self.role.label,
        }


class Members:
    """The members of the departments of one store. The callers have decided that they may."""

    def __init__(self, group_commit: GroupCommit, view: AccountsView) -> None:
        self._group_commit = group_commit
        self._view = view

    def list_members(self, department_id: str) -> list[Member]:
        """Return the members of a department, by name."""
        people = self._view.latest()
        members = people.members(department_id).items()
        found = [Member(account, role) for id, role in members if (account := people.find(Account, id))]
        return sorted(found, key=lambda member: (member.account.name.casefold(), member.account.id))

    def give(self, principal: Principal, department_id: str, account_id: str, role: Role) -> Member:
        """Give an account a role, in place of the one that it had.

        Raises `AccountNotFound`, and `NotAllowed` for who has ceased to be a manager meanwhile: with requests
        without pause one could else undo its own removal.
        """
        account = self._view.latest().find(Account, account_id)
        if account is None:
            raise AccountNotFound()

        def prepare() -> AccountsWrite | None:
            id = Membership.id_of(department_id, account_id)
            people = self._view.latest()
            if account_id == principal.account_id and not manages(people, principal, department_id):
                raise NotAllowed()
            before = people.find(Membership, id)
            if before and before.role == role:
                return None
            known = before or Membership(id=id, account_id=account_id, department_id=department_id, role=role)
            return AccountsWrite(
                type=Act.ROLE_GIVEN,
                puts=(replace(known, role=role),),
                about={"account_id": account_id, "department_id": department_id, "role": role.label},
            )

        edit(self._group_commit, principal.actor, prepare)
        return Member(account, role)

    def take(self, principal: Principal, department_id: str, account_id: str) -> None:
        """Take the role of an account; nothing happens if it has none."""

        def prepare() -> AccountsWrite | None:
            before = self._view.latest().find(Membership, Membership.id_of(department_id, account_id))
            if before is None:
                return None
            about = {
                "account_id": account_id,
                "department_id": department_id,
                "role": before.role.label,
            }
            return AccountsWrite(type=Act.ROLE_TAKEN, removes=(before,), about=about)

        edit(self._group_commit, principal.actor, prepare)

    def set_visibility(self, principal: Principal, department_id: str, company: bool) -> None:
        """Let every account read a department, or only its members."""

        def prepare() -> AccountsWrite | None:
            before = self._view.latest().find(Visibility, department_id)
            if (before.company if before else False) == company:
                return None
            known = before or Visibility(id=department_id, company=company)
            about = {"department_id": department_id, "visibility": "company" if company else "members"}
            return AccountsWrite(
                type=Act.VISIBILITY_CHANGED, puts=(replace(known, company=company),), about=about
            )

        edit(self._group_commit, principal.actor, prepare)

    def forget(self, department_id: str) -> None:
        """Remove all roles in a department that is no more."""
        people = self._view.latest()
        ids = [Membership.id_of(department_id, account_id) for account_id in people.members(department_id)]
        found = [people.find(Membership, id) for id in ids] + [people.find(Visibility, department_id)]
        left = [record for record in found if record]
        for begin in range(0, len(left), FORGOTTEN_AT_ONCE):
            self._group_commit.commit(
                ACCOUNTS,
                AccountsWrite(
                    type=Act.DEPARTMENT_PURGED,
                    removes=tuple(left[begin : begin + FORGOTTEN_AT_ONCE]),
                    about={"department_id": department_id},
                ),
            )
