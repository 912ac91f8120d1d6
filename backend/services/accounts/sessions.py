"""Signing in and out, and who a cookie or device token belongs to."""

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

from cachetools import LRUCache

import security_log
from acting import Actor
from domain import timestamp, utc_now
from errors import NotSignedIn, SignInFailed, TooManyRequests
from models import DynamoDBDatabase
from networks import network_of
from people import (
    ACCOUNTS,
    Account,
    AccountsWrite,
    Act,
    DeviceToken,
    Link,
    Password,
    Record,
    Session,
    fold_email,
)
from services.accounts import passwords
from services.accounts.access import Principal
from services.accounts.credentials import TOKEN_PREFIX, Credential, fits, hash_of, is_expired, parse
from services.accounts.edits import edit
from services.accounts.view import AccountsView, People
from services.group_commit import GroupCommit, WriteRefused

SESSION_S = 30 * 24 * 3600
"""How long a session lasts after it was last used."""
SESSIONS_MAX = 40
"""Sessions of one account; a further one ends the one that was not used for longest."""
SEEN_EVERY_S = 24 * 3600
"""How often the use of a session is written down, which extends it."""
HOUR = len("2024-01-01T00")
"""Characters of a timestamp that tell the hour: the use of a token is written down once in each."""
USES_KEPT = 10_000
"""Device tokens whose last use is remembered here."""
ADDRESSES_KEPT = 50
"""Network addresses of one token that are remembered; the security log does not tell of further ones."""
FAILURES_HERE = 10
"""Failed sign-ins for an account, from one network address, after which more are refused for a while."""
FAILURES_ANYWHERE = 100
"""The same from all addresses; so many that nobody is locked out by one other address."""
FAILURES_S = 900
"""How long after the last failure the count begins anew."""
ENDED_AT_ONCE = 80
"""Sessions and tokens that one transaction ends. An account has more when many were made at one moment."""
NOBODY_ID = "nobody"
"""Looked up for an unknown e-mail address, so that its answer takes as long."""

Held = TypeVar("Held", Session, DeviceToken)
Ending: TypeAlias = Link | Session | DeviceToken
"""What opens an account, and ends with its password."""


@dataclass(slots=True)
class Uses:
    """The use of a token: the hour in which it was last written down, and from which addresses."""

    hour: str = ""
    """The first `HOUR` characters of a timestamp."""
    addresses: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Visit:
    """From where somebody signs in; for the list of sessions and the audit."""

    address: str
    agent: str


class Sessions:
    """The sessions and credentials of one store."""

    def __init__(self, db: DynamoDBDatabase, group_commit: GroupCommit, view: AccountsView) -> None:
        self._db = db
        self._group_commit = group_commit
        self._view = view
        self._uses: LRUCache[str, Uses] = LRUCache(USES_KEPT)
        """What is known here of the use of each token."""

    def sign_in(self, email: str, password: str, visit: Visit) -> tuple[Account, Credential]:
        """Begin a session. Raises `SignInFailed`, in the same time whether the address is known or not.

        Raises `TooManyRequests` after too many failures for the address, whoever tried.
        """
        folded = fold_email(email)
        network = network_of(visit.address)
        counters = ((hash_of(f"{folded} {network}"), FAILURES_HERE), (hash_of(folded), FAILURES_ANYWHERE))
        self._require_few_failures(counters)
        account = self._view.latest().account_with_email(folded)
        kept = self._db.find_record(Password.kind, account.id if account else NOBODY_ID)
        right = passwords.is_password(password, kept.hash if isinstance(kept, Password) else None, network)
        self._require_few_failures(counters)  # of guesses that came together all passed the first time
        if account is None or account.disabled or not right:
            for counter, _ in counters:
                self._db.note_sign_in_failure(counter, FAILURES_S)
            raise SignInFailed()
        return account, self.begin(account, visit, kept)

    def _require_few_failures(self, counters: Iterable[tuple[str, int]]) -> None:
        """Raise `TooManyRequests` if one of these counters, each with its limit, has reached it."""
        if any(self._db.count_sign_in_failures(counter) >= most for counter, most in counters):
            raise TooManyRequests(FAILURES_S)

    def begin(self, account: Account, visit: Visit, proof: Record | None = None) -> Credential:
        """Begin a session of somebody who has shown who it is, by the password in the record `proof` or else.

        Raises `SignInFailed` when the password was changed, or the account disabled, meanwhile.
        """
        credential, now = Credential.new(), timestamp(utc_now())
        session = Session(
            id=credential.id,
            account_id=account.id,
            hash=credential.hash,
            created_at=now,
            seen_at=now,
            expires_at=int(time.time()) + SESSION_S,
            agent=visit.agent[:200],
            address=visit.address,
        )
        about = {"account_id": account.id, "address": visit.address}

        def prepare() -> AccountsWrite:
            present = self._view.latest().find(Account, account.id)
            if present is None or present.disabled:
                raise SignInFailed()
            if proof and self._db.find_record(Password.kind, account.id) != proof:
                raise SignInFailed()
            return AccountsWrite(
                type=Act.SIGNED_IN,
                puts=(session,),
                removes=tuple(self.list_sessions(account.id)[SESSIONS_MAX - 1 :][:ENDED_AT_ONCE]),
                unchanged=(present, proof) if proof else (present,),
                about=about,
            )

        edit(self._group_commit, Actor(account.id, account.name), prepare)
        return credential

    def of_cookie(self, text: str) -> Principal:
        """Return who a session belongs to. Raises `NotSignedIn`."""
        shown = parse(text)
        if shown is None:
            raise NotSignedIn()
        for people in (self._view.current, self._view.latest):
            if found := _find_held(people(), Session, shown):
                session, account = found
                self._extend(session)
                return Principal(account.id, account.name, session_id=session.id)
        raise NotSignedIn()

    def of_token(self, text: str, address: str) -> Principal:
        """Return who a device token acts for, which comes from a network address. Raises `NotSignedIn`."""
        shown = parse(text.removeprefix(TOKEN_PREFIX)) if text.startswith(TOKEN_PREFIX) else None
        if shown is None:
            raise NotSignedIn()
        for people in (self._view.current, self._view.latest):
            if found := _find_held(people(), DeviceToken, shown):
                token, account = found
                self._note_use(token, address)
                return Principal(account.id, account.name, token_id=token.id, scope=token.scope)
        raise NotSignedIn()

    def account_known_by(self, text: str) -> str:
        """Return the id of the account of a cookie's or token's text, as far as it is known without a read.

        Empty if it is nobody's, or not known.
        """
        people = self._view.known()
        shown = parse(text.removeprefix(TOKEN_PREFIX))
        if shown is None:
            return ""
        if text.startswith(TOKEN_PREFIX):
            of_token = _find_held(people, DeviceToken, shown)
            return of_token[1].id if of_token else ""
        of_session = _find_held(people, Session, shown)
        return of_session[1].id if of_session else ""

    def end(self, principal: Principal, session_id: str) -> None:
        """End one of the account's own sessions; nothing happens if there is no such."""

        def prepare() -> AccountsWrite | None:
            session = self._view.latest().find(Session, session_id)
            if (
                session is None
                or is_expired(session.expires_at)
                or session.account_id != principal.account_id
            ):
                return None
            about = {"account_id": principal.account_id}
            return AccountsWrite(type=Act.SESSION_ENDED, removes=(session,), about=about)

        edit(self._group_commit, principal.actor, prepare)

    def list_sessions(self, account_id: str) -> list[Session]:
        """Return the sessions of an account, the last used first."""
        found = self._view.latest().held_by(Session, account_id)
        return sorted(found, key=lambda session: session.seen_at, reverse=True)

    def _extend(self, session: Session) -> None:
        left = session.expires_at - time.time()
        if left > SESSION_S - SEEN_EVERY_S:
            return
        now = timestamp(utc_now())
        seen = replace(session, seen_at=now, expires_at=int(time.time()) + SESSION_S)
        write = AccountsWrite(type=Act.SESSION_SEEN, puts=(seen,), about={"account_id": session.account_id})
        with contextlib.suppress(WriteRefused):  # it has ended, or another server has just done the same
            self._group_commit.commit(ACCOUNTS, write)

    def _note_use(self, token: DeviceToken, address: str) -> None:
        """Write down that a token is used, once an hour, and each address that it is used from."""
        now = timestamp(utc_now())
        known = self._uses.get(token.id)
        if known is None:
            stored = self._db.find_record(DeviceToken.kind, token.id)
            before = stored if isinstance(stored, DeviceToken) else token
            known = self._uses[token.id] = Uses(before.used_at[:HOUR], {before.used_from})
        if address not in known.addresses and len(known.addresses) < ADDRESSES_KEPT:
            known.addresses.add(address)
            known.hour = ""
            security_log.note(
                "token_used_from_new_address",
                account_id=token.account_id,
                token_id=token.id,
                address=address,
            )
        if known.hour != now[:HOUR]:
            known.hour = now[:HOUR]
            self._db.touch_record(DeviceToken.kind, token.id, used_at=now, used_from=address)


def _find_held(people: People, record_type: type[Held], shown: Credential) -> tuple[Held, Account] | None:
    """Find a session or device token by its secret, with its account; None for one that does not hold."""
    held = people.find(record_type, shown.id)
    account = people.find(Account, held.account_id) if held else None
    if held is None or account is None or account.disabled or is_expired(held.expires_at):
        return None
    return (held, account) if fits(shown, held.hash) else None


def records_to_end(people: People, account_id: str, keep: str = "") -> tuple[Ending, ...]:
    """Return an account's reset links, sessions and device tokens, without the one with the id `keep`."""
    held: list[Ending] = [
        *people.held_by(Link, account_id),
        *people.held_by(Session, account_id),
        *people.held_by(DeviceToken, account_id),
    ]
    return tuple(one for one in held if one.id != keep)


def end_surplus(
    group_commit: GroupCommit, view: AccountsView, actor: Actor, account_id: str, keep: str = ""
) -> None:
    """End as many of an account's `records_to_end` as it takes for one transaction to end the rest."""

    def prepare() -> AccountsWrite | None:
        surplus = records_to_end(view.latest(), account_id, keep)[ENDED_AT_ONCE:][:ENDED_AT_ONCE]
        about = {"account_id": account_id}
        return AccountsWrite(type=Act.SESSION_ENDED, removes=surplus, about=about) if surplus else None

    while prepare():
        edit(group_commit, actor, prepare)
