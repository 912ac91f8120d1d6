"""Who asks, and what they may do: the one place that decides, for requests, messages and broadcasts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from acting import Actor
from domain import Department
from errors import DepartmentNotFound, NotAllowed, NotSignedIn
from people import (
    Account,
    AccountsChange,
    DeviceToken,
    Invitation,
    Link,
    Membership,
    Role,
    Scope,
    Session,
    Visibility,
)
from services.accounts.credentials import is_expired
from services.accounts.view import AccountsView, People


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request or message comes from: an account, by a session or a device token."""

    account_id: str = ""
    name: str = ""
    session_id: str = ""
    token_id: str = ""
    scope: Scope = Scope.WRITE

    @property
    def is_program(self) -> bool:
        """Whether it is a device token, which never touches accounts, members, invitations or tokens."""
        return bool(self.token_id)

    @property
    def actor(self) -> Actor:
        """In whose name it writes."""
        return Actor(self.account_id, self.name)


@dataclass(frozen=True, slots=True)
class RightsChange:
    """Whose rights have changed where; an empty id stands for all accounts, or for all departments."""

    account_id: str = ""
    department_id: str = ""


def rights_changes(changes: Sequence[AccountsChange] | None) -> list[RightsChange]:
    """Return whose rights changes of the accounts have touched; for None, unknown changes, everybody's.

    Sessions and tokens that end are not among them: `Push` asks `Access.is_valid` after every change.
    """
    if changes is None:
        return [RightsChange()]
    found: list[RightsChange] = []
    for change in changes:
        for record in change.puts:
            if isinstance(record, Membership):
                found.append(RightsChange(record.account_id, record.department_id))
            elif isinstance(record, Visibility):
                found.append(RightsChange(department_id=record.id))
            elif isinstance(record, Account):
                found.append(RightsChange(account_id=record.id))
        for kind, id in change.removes:
            if kind == Membership.kind:
                department_id, account_id = Membership.ids_of(id)
                found.append(RightsChange(account_id, department_id))
    return found


ANYBODY = Principal()
"""Who every request and message comes from without accounts."""


class Access(Protocol):
    """Decisions. What a method raises does not tell whether a department exists."""

    def known_role(self, principal: Principal, department_id: str) -> Role | None:
        """Return what somebody may do in a department, as far as is known; None if it may not see it."""

    def require(self, principal: Principal, department_id: str, needed: Role) -> None:
        """Raise `DepartmentNotFound` where somebody may see nothing, `NotAllowed` for too low a role."""

    def require_admin(self, principal: Principal, *, writes: bool = True) -> None:
        """Raise `NotAllowed` unless it is an administrator, who may write if that is asked for."""

    def require_person(self, principal: Principal) -> None:
        """Raise `NotAllowed` for a program, `NotSignedIn` for a session that has ended on any server."""

    def require_manager(self, principal: Principal) -> None:
        """Raise `NotAllowed` unless somebody manages a department, or is an administrator."""

    def is_valid(self, principal: Principal) -> bool:
        """Whether the session or token that somebody came with still holds, as far as is known here."""

    def roles(self, principal: Principal, departments: Iterable[Department]) -> dict[str, Role]:
        """Return what somebody may do in each of the departments that it may see, by their ids."""

    def visibility(self, department_id: str) -> Mapping[str, str]:
        """Return what clients are told of a department besides its fields: its `visibility`, if any."""


class OpenAccess:
    """The decisions of a server without accounts: everybody may do everything."""

    def known_role(self, _principal: Principal, _department_id: str) -> Role | None:
        return Role.MANAGER

    def require(self, _principal: Principal, _department_id: str, _needed: Role) -> None:
        return

    def require_admin(self, _principal: Principal, *, writes: bool = True) -> None:
        return

    def require_person(self, _principal: Principal) -> None:
        return

    def require_manager(self, _principal: Principal) -> None:
        return

    def is_valid(self, _principal: Principal) -> bool:
        return True

    def roles(self, _principal: Principal, departments: Iterable[Department]) -> dict[str, Role]:
        return dict.fromkeys((one.id for one in departments), Role.MANAGER)

    def visibility(self, _department_id: str) -> Mapping[str, str]:
        return {}


class AccountAccess:
    """The decisions on the state of one store's accounts."""

    def __init__(self, view: AccountsView) -> None:
        self._view = view

    def known_role(self, principal: Principal, department_id: str) -> Role | None:
        return _role(self._view.known(), principal, department_id)

    def require(self, principal: Principal, department_id: str, needed: Role) -> None:
        # Managers give roles: one who has just lost its own could else take it back through another server.
        if needed < Role.MANAGER and _allows(self._view.current(), principal, department_id, needed):
            return
        people = self._view.latest()
        if _allows(people, principal, department_id, needed):
            return
        if _role(people, principal, department_id) is None:
            raise DepartmentNotFound()
        raise NotAllowed()

    def require_admin(self, principal: Principal, *, writes: bool = True) -> None:
        if writes and principal.scope is not Scope.WRITE:
            raise NotAllowed()
        if not _is_admin(self._view.latest(), principal):
            raise NotAllowed()

    def require_person(self, principal: Principal) -> None:
        if principal.is_program:
            raise NotAllowed()
        if not _is_valid(self._view.latest(), principal):
            raise NotSignedIn()

    def require_manager(self, principal: Principal) -> None:
        if not any(_manages(people(), principal) for people in (self._view.current, self._view.latest)):
            raise NotAllowed()

    def is_valid(self, principal: Principal) -> bool:
        return _is_valid(self._view.known(), principal)

    def roles(self, principal: Principal, departments: Iterable[Department]) -> dict[str, Role]:
        people = self._view.latest()
        found = ((one.id, _role(people, principal, one.id)) for one in departments)
        return {id: role for id, role in found if role is not None}

    def visibility(self, department_id: str) -> Mapping[str, str]:
        return {"visibility": "company" if self._view.known().is_open(department_id) else "members"}


def manages(people: People, principal: Principal, department_id: str) -> bool:
    """Whether somebody is a manager of a department."""
    return _role(people, principal, department_id) is Role.MANAGER


def may_invite(people: People, principal: Principal, invitation: Invitation) -> bool:
    """Whether an invitation is one that somebody could have made."""
    if _is_admin(people, principal):
        return True
    if invitation.admin or not invitation.department_id:
        return False
    return manages(people, principal, invitation.department_id)


def is_backed(people: People, link: Link | Invitation) -> bool:
    """Whether whoever made a link still has the right to make it."""
    maker = Principal(link.made_by)
    if isinstance(link, Invitation):
        return may_invite(people, maker, link)
    return not link.made_by or _is_admin(people, maker)


def _is_valid(people: People, principal: Principal) -> bool:
    account = people.find(Account, principal.account_id)
    held = (
        people.find(DeviceToken, principal.token_id)
        if principal.is_program
        else people.find(Session, principal.session_id)
    )
    return bool(account and not account.disabled and held and not is_expired(held.expires_at))


def _allows(people: People, principal: Principal, department_id: str, needed: Role) -> bool:
    role = _role(people, principal, department_id)
    if role is None or role < needed:
        return False
    return needed is Role.READER or principal.scope is Scope.WRITE


def _is_admin(people: People, principal: Principal) -> bool:
    account = people.find(Account, principal.account_id)
    return account is not None and account.admin and not account.disabled


def _manages(people: People, principal: Principal) -> bool:
    held = (one for one in people.all(Membership) if one.account_id == principal.account_id)
    return _is_admin(people, principal) or any(one.role == Role.MANAGER for one in held)


def _role(people: People, principal: Principal, department_id: str) -> Role | None:
    account = people.find(Account, principal.account_id)
    if account is None or account.disabled:
        return None
    if account.admin:
        return Role.MANAGER
    given = people.members(department_id).get(account.id)
    if given is None and people.is_open(department_id):
        return Role.READER
    return given
