"""The state of the accounts in this process: read once, then kept current from their log.

A decision costs no read while the view is fresh. What would be refused is decided again on a view that was
read after the question: another server may have given the right a moment ago.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import TypeVar

from domain import LogEntry, Position
from models import DynamoDBDatabase
from people import (
    ACCOUNTS,
    Account,
    AccountsChange,
    Admins,
    DeviceToken,
    Link,
    Membership,
    Record,
    Role,
    Session,
    Visibility,
    fold_email,
)
from services.accounts.credentials import is_expired
from services.coalesced_reads import CoalescedReads

FRESH_S = 10.0
"""How long decisions are made without a look at the log: a right that was taken ends within that."""

POLL_LAG_S = 2.0
"""How old a head is at most that a poll reads, eventually consistent."""

R = TypeVar("R", bound=Record)
Held = TypeVar("Held", Link, Session, DeviceToken)

Listener = Callable[[Sequence[AccountsChange] | None], object]


class People:
    """The records at one revision, and what decisions ask of them. Changed by `apply` only."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records: dict[tuple[str, str], Record] = {}
        self._emails: dict[str, str] = {}
        self._identities: dict[tuple[str, str], str] = {}
        self._roles: dict[str, dict[str, Role]] = {}
        for record in records:
            self._put(record)

    def find(self, record_type: type[R], id: str) -> R | None:
        found = self._records.get((record_type.kind, id))
        return found if isinstance(found, record_type) else None

    def all(self, record_type: type[R]) -> list[R]:
        return [record for record in list(self._records.values()) if isinstance(record, record_type)]

    def held_by(self, record_type: type[Held], account_id: str) -> list[Held]:
        """Return what an account has of a kind; what has expired may be gone from the table already."""
        found = self.all(record_type)
        return [one for one in found if one.account_id == account_id and not is_expired(one.expires_at)]

    def account_with_email(self, email: str) -> Account | None:
        """Find an account by its folded e-mail address."""
        return self.find(Account, self._emails.get(email, ""))

    def account_of_identity(self, issuer: str, subject: str) -> Account | None:
        """Find the account of somebody who is known to an OpenID provider."""
        return self.find(Account, self._identities.get((issuer, subject), ""))

    def has_admin(self) -> bool:
        return bool((admins := self.find(Admins, Admins.ID)) and admins.account_ids)

    def members(self, department_id: str) -> Mapping[str, Role]:
        """Return the roles that accounts were given in a department."""
        return self._roles.get(department_id, {})

    def is_open(self, department_id: str) -> bool:
        """Whether every account may read a department."""
        visibility = self.find(Visibility, department_id)
        return visibility is not None and visibility.company

    def apply(self, change: AccountsChange) -> None:
        for kind, id in change.removes:
            self._remove(kind, id)
        for record in change.puts:
            self._put(record)

    def _put(self, record: Record) -> None:
        before = self._records.get((record.kind, record.id))
        if before and before.revision > record.revision:
            return  # the table was read after this change
        self._records[record.kind, record.id] = record
        if isinstance(record, Account):
            if isinstance(before, Account):
                self._emails.pop(fold_email(before.email), None)
                self._identities.pop((before.issuer, before.subject), None)
            if record.email:
                self._emails[fold_email(record.email)] = record.id
            if record.subject:
                self._identities[record.issuer, record.subject] = record.id
        elif isinstance(record, Membership):
            self._roles.setdefault(record.department_id, {})[record.account_id] = record.role

    def _remove(self, kind: str, id: str) -> None:
        before = self._records.pop((kind, id), None)
        if isinstance(before, Membership):
            self._roles[before.department_id].pop(before.account_id, None)


def _is_known(entry: LogEntry) -> bool:
    return isinstance(entry, AccountsChange)


class AccountsView:
    """The accounts of one store."""

    def __init__(self, db: DynamoDBDatabase, *, fresh_s: float = FRESH_S) -> None:
        self._db = db
        self._fresh_s = fresh_s
        self._lock = threading.Lock()
        """Held while the state is changed."""
        self._people: People | None = None
        self._position = Position("", 0)
        self._read_at = 0.0
        """When the last look at the log began, by `time.monotonic`."""
        self._reads = CoalescedReads(self._read)
        self._listeners: list[Listener] = []

    def on_change(self, listener: Listener) -> None:
        """Call `listener(changes)` after changes of the accounts, of any server; it must not write.

        The changes are None when all was read anew, and nobody knows what has changed.
        """
        self._listeners.append(listener)

    def current(self) -> People:
        """Return the state as it was at most `fresh_s` ago. Raises `StoreUnavailable`."""
        people = self._people
        if people is None or time.monotonic() - self._read_at > self._fresh_s:
            return self.latest()
        return people

    def known(self) -> People:
        """Return the state as far as it is known, without a look at the store; nobody before the first."""
        return self._people or People(())

    def latest(self) -> People:
        """Return the state as it is at this call or later. Raises `StoreUnavailable`."""
        return self._reads(ACCOUNTS)

    def on_commit(self, partition: str, _reached: Position, changes: Sequence[LogEntry]) -> None:
        """Apply a commit of this process if it follows what is known; else the next look at the log does."""
        if partition != ACCOUNTS:
            return
        with self._lock:
            people = self._people
            follows = (
                people is not None
                and changes[0].revision == self._position.revision + 1
                and all(map(_is_known, changes))
            )
            if follows:
                self._apply(changes)
        if follows:
            self._notify(changes)

    def on_hint(self, partition: str, revision: int) -> None:
        """Look at the log when another server says that it has committed."""
        if partition == ACCOUNTS and self._people is not None and revision > self._position.revision:
            self.latest()

    def on_poll(self, head: Position | None, began: float) -> None:
        """Take a head that a poll has read, which began at `began`, by `time.monotonic`."""
        if self._people is None or head is None:
            return
        if head.epoch != self._position.epoch or head.revision > self._position.revision:
            self.latest()
        elif head == self._position:
            self._read_at = max(self._read_at, began - POLL_LAG_S)

    def _read(self, _partition: str) -> People:
        began = time.monotonic()
        head = self._db.read_head(ACCOUNTS) or Position("", 0)
        new: Sequence[LogEntry] = ()
        with self._lock:
            known, position = self._people, self._position
        if known is None or position.epoch not in (head.epoch, ""):
            known = None
        elif head.revision > position.revision:
            new = self._db.changes_after(ACCOUNTS, position.revision)
            if position.revision + len(new) < head.revision or not all(map(_is_known, new)):
                known = None  # the log does not reach back so far, or a newer server wrote it
        if known is None:
            people = People(self._db.logged_records())
            later = takewhile(_is_known, self._db.changes_after(ACCOUNTS, head.revision))
            with self._lock:
                self._people, self._position = people, head
                self._apply(tuple(later))
                self._read_at = began
            self._tell(None)
            return people
        with self._lock:
            new = [change for change in new if change.revision > self._position.revision]
            self._position = Position(head.epoch, self._position.revision)
            self._apply(new)
            self._read_at = began
        self._notify(new)
        return known

    def _apply(self, changes: Sequence[LogEntry]) -> None:
        assert self._people is not None  # noqa: S101 - the callers have looked
        for change in changes:
            if isinstance(change, AccountsChange):
                self._people.apply(change)
            self._position = self._position.at(change.revision)

    def _notify(self, changes: Sequence[LogEntry]) -> None:
        known = [change for change in changes if isinstance(change, AccountsChange)]
        if known:
            self._tell(known)

    def _tell(self, changes: Sequence[AccountsChange] | None) -> None:
        for listener in self._listeners:
            listener(changes)
