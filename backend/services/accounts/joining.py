"""How people get an account, and a new password: the setup address, invitations, reset links.

Each is a link with a secret that is good once: looking at it changes nothing, so that previews of messengers
do no harm.
"""

import time
from dataclasses import dataclass, replace
from typing import TypeVar

from acting import NOBODY, Actor
from domain import new_id, timestamp, utc_now
from errors import (
    AccountNotFound,
    EmailTaken,
    InvitationNotFound,
    LinkExpired,
    NotInvited,
    SignInFailed,
)
from field_types import NAME_MAX
from models import DynamoDBDatabase
from people import (
    ACCOUNTS,
    Account,
    AccountsWrite,
    Act,
    Admins,
    Claim,
    Invitation,
    Link,
    Membership,
    Password,
    Purpose,
    Record,
    Role,
    fold_email,
)
from services.accounts import passwords
from services.accounts.access import Principal, is_backed, may_invite
from services.accounts.credentials import Credential, fits, is_expired, parse
from services.accounts.edits import edit
from services.accounts.provider import Identity
from services.accounts.sessions import end_surplus, records_to_end
from services.accounts.view import AccountsView, People
from services.group_commit import GroupCommit, WriteRefused

SETUP_S = 30 * 60
RESET_S = 24 * 3600
INVITATION_S = 7 * 24 * 3600
"""How long the links are good."""

L = TypeVar("L", Link, Invitation)


@dataclass(frozen=True, slots=True)
class NewPerson:
    """What somebody tells of itself to get an account."""

    email: str
    name: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What an invitation offers."""

    email: str
    name: str = ""
    department_id: str = ""
    role: Role | None = None
    admin: bool = False


class Joining:
    """How the accounts of one store are created, and their passwords set."""

    def __init__(self, db: DynamoDBDatabase, group_commit: GroupCommit, view: AccountsView) -> None:
        self._db = db
        self._group_commit = group_commit
        self._view = view

    # The first administrator

    def begin_setup(self) -> Credential | None:
        """Make a setup link; None if there is an administrator. Others that are not too old stay good."""
        if self._view.latest().has_admin():
            return None
        return self._make_link(Purpose.SETUP, SETUP_S, "")

    def set_up(self, token: str, person: NewPerson) -> Account:
        """Create the first administrator. Raises `LinkExpired`, also when somebody else was faster."""
        link = self._get(Link, token)
        if link.purpose is not Purpose.SETUP or self._view.current().has_admin():
            raise LinkExpired()
        return self.create_admin(person, spent=(link,))

    def create_admin(self, person: NewPerson, spent: tuple[Link, ...] = ()) -> Account:
        """Create an administrator, from a setup link or a terminal. Raises `EmailTaken`, `LinkExpired`."""
        admins = self._view.latest().find(Admins, Admins.ID) or Admins()
        if spent and admins.account_ids:
            raise LinkExpired()
        account = _new_account(person, admin=True)
        write = AccountsWrite(
            type=Act.ACCOUNT_CREATED,
            puts=(
                *_records_of(account, person.password),
                replace(admins, account_ids=(*admins.account_ids, account.id)),
            ),
            removes=spent,
            about={"account_id": account.id, "email": account.email},
            by=account.id,
            by_name=account.name,
        )
        self._commit(write, account)
        return account

    # Invitations

    def invite(self, principal: Principal, offer: Offer) -> tuple[Invitation, Credential]:
        """Invite the owner of an e-mail address. The caller has decided that `principal` may."""
        credential = Credential.new()
        invitation = Invitation(
            id=credential.id,
            hash=credential.hash,
            email=offer.email,
            name=offer.name,
            department_id=offer.department_id,
            role=offer.role or 0,
            admin=offer.admin,
            created_at=timestamp(utc_now()),
            expires_at=int(time.time()) + INVITATION_S,
            made_by=principal.account_id,
        )
        self._group_commit.commit(
            ACCOUNTS, _by(principal, Act.INVITED, puts=(invitation,), about=_about(invitation))
        )
        return invitation, credential

    def list_invitations(self, principal: Principal) -> list[Invitation]:
        """Return the open invitations that somebody may withdraw, the newest first."""
        people = self._view.latest()
        found = [
            one
            for one in people.all(Invitation)
            if _is_open(people, one) and may_invite(people, principal, one)
        ]
        return sorted(found, key=lambda invitation: invitation.created_at, reverse=True)

    def withdraw(self, principal: Principal, invitation_id: str) -> None:
        """Withdraw an invitation. Raises `InvitationNotFound`, also for one of somebody else's department."""
        people = self._view.latest()
        invitation = people.find(Invitation, invitation_id)
        if invitation is None or not may_invite(people, principal, invitation):
            raise InvitationNotFound()
        try:
            self._group_commit.commit(
                ACCOUNTS,
                _by(principal, Act.INVITATION_WITHDRAWN, removes=(invitation,), about=_about(invitation)),
            )
        except WriteRefused as error:
            raise InvitationNotFound() from error

    def accept(self, token: str, person: NewPerson) -> Account:
        """Create the account that an invitation offers.

        Raises `LinkExpired`, also for an e-mail address that was not invited, and `EmailTaken`.
        """
        invitation = self._get(Invitation, token)
        if fold_email(invitation.email) != fold_email(person.email):
            raise LinkExpired()
        account = _new_account(person, admin=invitation.admin)
        write = AccountsWrite(
            type=Act.INVITATION_ACCEPTED,
            puts=(*_records_of(account, person.password), *self._granted(invitation, account)),
            removes=(invitation,),
            about={**_about(invitation), "account_id": account.id},
            by=account.id,
            by_name=account.name,
        )
        self._commit(write, account)
        return account

    def enter(self, identity: Identity, *, everybody: bool, invitation: str = "") -> Account:
        """Return the account of somebody whom the provider knows, made now if invited or with `everybody`.

        Only an e-mail address that the provider has verified finds an account or an invitation; with
        `everybody`, an account is made without an address that is not. The secret
        of an `invitation` opens that one for any address that is the invited one, as it does with a password;
        it never opens an account that exists, as whoever invites knows it, too.
        Raises `NotInvited`, `LinkExpired`, `EmailTaken`, and `SignInFailed` for a disabled account.
        """
        account = self._view.latest().account_of_identity(identity.issuer, identity.subject)
        if account is None:
            try:
                return self._enter_first(identity, everybody, invitation)
            except (EmailTaken, LinkExpired):
                account = self._view.latest().account_of_identity(identity.issuer, identity.subject)
                if account is None:
                    raise
                return account  # another tab was faster
        if account.disabled:
            raise SignInFailed()
        return self._accept_too(account, invitation)

    def _enter_first(self, identity: Identity, everybody: bool, token: str) -> Account:
        email = fold_email(identity.email)
        invited = self._get(Invitation, token) if token else None
        if invited and fold_email(invited.email) != email:
            raise LinkExpired()
        if not email or not (identity.email_verified or invited):
            if not everybody:
                raise NotInvited()
            return self._create(replace(identity, email=""), None)
        people = self._view.latest()
        if account := people.account_with_email(email):
            # Of one issuer, another subject is another person, who may have got the address of a former one.
            if not identity.email_verified or account.issuer == identity.issuer:
                raise EmailTaken()
            if account.disabled:
                raise SignInFailed()
            return self._accept_too(self._attach_identity(account, identity), token)
        if invited is None:
            open_ones = (one for one in people.all(Invitation) if _is_open(people, one))
            invited = next((one for one in open_ones if fold_email(one.email) == email), None)
        if invited is None and not everybody:
            raise NotInvited()
        return self._create(identity, invited)

    def _accept_too(self, account: Account, token: str) -> Account:
        return self.accept_as(Principal(account.id, account.name), token) if token else account

    def _attach_identity(self, account: Account, identity: Identity) -> Account:
        """Let an account be entered by an identity, no more by one of a provider that was used before."""
        former = self._db.find_record(Claim.kind, _claim_id(account.issuer, account.subject))
        linked = replace(account, issuer=identity.issuer, subject=identity.subject)
        write = AccountsWrite(
            type=Act.ACCOUNT_UPDATED,
            puts=(linked, _claim_of(identity, account.id)),
            removes=(former,) if former else (),
            about={"account_id": account.id, "issuer": identity.issuer},
            by=account.id,
            by_name=account.name,
        )
        self._commit(write, account)
        return linked

    def _create(self, identity: Identity, invited: Invitation | None) -> Account:
        account = Account(
            id=new_id(),
            email=identity.email,
            name=(identity.name or identity.email or identity.subject)[:NAME_MAX],
            admin=bool(invited and invited.admin),
            issuer=identity.issuer,
            subject=identity.subject,
            created_at=timestamp(utc_now()),
        )
        claims = [_claim_of(identity, account.id)]
        if account.email:
            claims.append(_claim_of_email(account))
        write = AccountsWrite(
            type=Act.INVITATION_ACCEPTED if invited else Act.ACCOUNT_CREATED,
            puts=(account, *claims, *(self._granted(invited, account) if invited else ())),
            removes=(invited,) if invited else (),
            about={
                **(_about(invited) if invited else {}),
                "account_id": account.id,
                "issuer": identity.issuer,
            },
            by=account.id,
            by_name=account.name,
        )
        self._commit(write, account)
        return account

    def accept_as(self, principal: Principal, token: str) -> Account:
        """Give an account what an invitation to its e-mail address offers. Raises `LinkExpired`."""
        invitation = self._get(Invitation, token)
        account = self._view.current().find(Account, principal.account_id)
        if account is None or fold_email(account.email) != fold_email(invitation.email):
            raise LinkExpired()
        puts: tuple[Record, ...] = self._granted(invitation, account)
        if invitation.admin and not account.admin:
            account = replace(account, admin=True)
            puts = (account, *puts)
        write = _by(
            principal, Act.INVITATION_ACCEPTED, puts=puts, removes=(invitation,), about=_about(invitation)
        )
        self._commit(write, account)
        return account

    def _granted(self, invitation: Invitation, account: Account) -> tuple[Membership | Admins, ...]:
        people = self._view.current()
        granted: list[Membership | Admins] = []
        if invitation.department_id:
            id = Membership.id_of(invitation.department_id, account.id)
            before = people.find(Membership, id)
            role = max(Role(invitation.role), before.role if before else Role.READER)
            granted.append(
                replace(before, role=role)
                if before
                else Membership(
                    id=id, account_id=account.id, department_id=invitation.department_id, role=role
                )
            )
        admins = people.find(Admins, Admins.ID) or Admins()
        if invitation.admin and account.id not in admins.account_ids:
            granted.append(replace(admins, account_ids=(*admins.account_ids, account.id)))
        return tuple(granted)

    # New passwords

    def begin_reset(self, principal: Principal, account_id: str) -> Credential:
        """Make a link by which somebody sets a new password, in place of earlier ones.

        Raises `AccountNotFound`.
        """
        account = self._view.latest().find(Account, account_id)
        if account is None:
            raise AccountNotFound()
        return self._make_link(Purpose.RESET, RESET_S, account.id, principal)

    def begin_reset_by_email(self, email: str) -> Credential:
        """Make a link for a new password of the account with an e-mail address. Raises `AccountNotFound`."""
        account = self._view.latest().account_with_email(fold_email(email))
        if account is None:
            raise AccountNotFound()
        return self._make_link(Purpose.RESET, RESET_S, account.id)

    def reset(self, token: str, password: str) -> Account:
        """Set a new password, and end all sessions, device tokens and other links. Raises `LinkExpired`."""
        link = self._get(Link, token)
        account = self._view.current().find(Account, link.account_id)
        if link.purpose is not Purpose.RESET or account is None or account.disabled:
            raise LinkExpired()
        hashed = passwords.hash_password(password, account.id)
        actor = Actor(account.id, account.name)
        end_surplus(self._group_commit, self._view, actor, account.id)

        def prepare() -> AccountsWrite:
            spent = self._get(Link, token)
            before = self._db.find_record(Password.kind, account.id)
            return password_write(self._view.latest(), account.id, hashed, before, spent=(spent,))

        edit(self._group_commit, actor, prepare)
        return account

    # Inside

    def _make_link(
        self, purpose: Purpose, lasts_s: int, account_id: str, principal: Principal | None = None
    ) -> Credential:
        credential = Credential.new()
        link = Link(
            id=credential.id,
            hash=credential.hash,
            purpose=purpose,
            account_id=account_id,
            expires_at=int(time.time()) + lasts_s,
            made_by=principal.account_id if principal else "",
        )
        about = {"account_id": account_id, "purpose": purpose.value}

        def prepare() -> AccountsWrite:
            earlier = self._view.latest().held_by(Link, account_id) if account_id else ()
            return AccountsWrite(type=Act.LINK_MADE, puts=(link,), removes=tuple(earlier), about=about)

        edit(self._group_commit, principal.actor if principal else NOBODY, prepare)
        return credential

    def _get(self, record_type: type[L], token: str) -> L:
        shown = parse(token)
        people = self._view.latest()
        found = people.find(record_type, shown.id) if shown else None
        if shown is None or found is None or not fits(shown, found.hash) or not _is_open(people, found):
            raise LinkExpired()
        return found

    def _commit(self, write: AccountsWrite, account: Account) -> None:
        """Commit what spends a link. Raises `EmailTaken` or `LinkExpired` when a condition fails."""
        try:
            self._group_commit.commit(ACCOUNTS, write)
        except WriteRefused as error:
            owner = self._view.latest().account_with_email(fold_email(account.email))
            raise (EmailTaken() if owner and owner.id != account.id else LinkExpired()) from error


def password_write(
    people: People,
    account_id: str,
    hashed: str,
    before: Record | None,
    *,
    spent: tuple[Link, ...] = (),
    keep: str = "",
) -> AccountsWrite:
    """Return the write that sets a password in place of `before`, if the links `spent` are there still.

    It ends the account's reset links, sessions and device tokens, but not the session `keep`.
    """
    known = before if isinstance(before, Password) else Password(id=account_id, hash=hashed)
    ended = records_to_end(people, account_id, keep)
    return AccountsWrite(
        type=Act.PASSWORD_CHANGED,
        puts=(replace(known, hash=hashed),),
        removes=(*spent, *(one for one in ended if one not in spent)),
        about={"account_id": account_id},
    )


def _is_open(people: People, link: Link | Invitation) -> bool:
    return not is_expired(link.expires_at) and is_backed(people, link)


def _new_account(person: NewPerson, *, admin: bool) -> Account:
    return Account(
        id=new_id(), email=person.email, name=person.name, admin=admin, created_at=timestamp(utc_now())
    )


def _records_of(account: Account, password: str) -> tuple[Account | Claim | Password, ...]:
    return (
        account,
        _claim_of_email(account),
        Password(id=account.id, hash=passwords.hash_password(password, account.id)),
    )


def _claim_of_email(account: Account) -> Claim:
    return Claim(id=f"email#{fold_email(account.email)}", account_id=account.id)


def _claim_of(identity: Identity, account_id: str) -> Claim:
    return Claim(id=_claim_id(identity.issuer, identity.subject), account_id=account_id)


def _claim_id(issuer: str, subject: str) -> str:
    return f"identity#{issuer}#{subject}"


def _about(invitation: Invitation) -> dict[str, str]:
    return {
        "email": invitation.email,
        "department_id": invitation.department_id,
        "role": invitation.role_label,
    }


def _by(principal: Principal | None, act: Act, **parts: object) -> AccountsWrite:
    by, name = (principal.account_id, principal.name) if principal else ("", "")
    return AccountsWrite(type=act, by=by, by_name=name, **parts)  # type: ignore[arg-type]
