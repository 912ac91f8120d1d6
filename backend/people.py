"""People and what they may do: accounts, sessions, device tokens, invitations, links, roles; their changes.

All of it is one log, of the partition `ACCOUNTS`: the state of a process is what the log says up to a
revision. How records are stored is in `store/account_rows.py`.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any, ClassVar, Self, TypeAlias

from domain import Change, Write, WriteSet, new_id, timestamp, utc_now

ACCOUNTS = "accounts"
"""The log partition of all that is in this module."""
AUDIT_RETENTION = timedelta(days=365)
"""How long the log of the accounts is kept."""


class Role(IntEnum):
    """What an account may do in a department; each role includes those before it."""

    READER = 1
    WRITER = 2
    MANAGER = 3

    @property
    def label(self) -> str:
        """The role as clients get and send it."""
        return self.name.lower()

    @classmethod
    def of(cls, label: str) -> "Role":
        return cls[label.upper()]


class Scope(StrEnum):
    """What a device token may do."""

    READ = "read"
    WRITE = "write"


class Purpose(StrEnum):
    """What a link is for."""

    SETUP = "setup"
    RESET = "reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A part of the state, found by its kind and id.

    `revision` is that of the change which wrote it; 0 in a record that is to be new.
    """

    kind: ClassVar[str] = ""
    logged: ClassVar[bool] = True
    """Whether the log has the fields; of other records it only says that they were written."""

    id: str
    revision: int = 0
    unknown: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Attributes as stored that a newer server has written; they are kept."""

    def at_revision(self, revision: int) -> Self:
        return replace(self, revision=revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(Record):
    """A person."""

    kind: ClassVar[str] = "account"

    email: str
    """Empty for somebody whose provider vouches for none."""
    name: str
    admin: bool = False
    disabled: bool = False
    issuer: str = ""
    subject: str = ""
    """Who this is to an OpenID provider; both empty for an account with a password."""
    created_at: str = ""

    def public(self) -> dict[str, Any]:
        return {"id": self.id, "email": self.email, "name": self.name, "admin": self.admin}


@dataclass(frozen=True, slots=True, kw_only=True)
class Password(Record):
    """The hash of an account's password; `id` is that of the account."""

    kind: ClassVar[str] = "password"
    logged: ClassVar[bool] = False

    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(Record):
    """Makes something unique: `id` is what nobody else may have, such as `email#a@b.kr`."""

    kind: ClassVar[str] = "claim"
    logged: ClassVar[bool] = False

    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Admins(Record):
    """Who the company's administrators are, so that the last one cannot leave. There is one such record."""

    kind: ClassVar[str] = "admins"
    ID: ClassVar[str] = "company"

    id: str = ID
    account_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Session(Record):
    """A browser in which somebody has signed in."""

    kind: ClassVar[str] = "session"

    account_id: str
    hash: str
    """SHA-256 of the secret in the cookie, in hexadecimal."""
    created_at: str
    seen_at: str
    expires_at: int
    """Seconds since 1970."""
    agent: str = ""
    address: str = ""

    def public(self) -> dict[str, Any]:
        names = ("id", "created_at", "seen_at", "agent", "address")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceToken(Record):
    """The credentials of a program that acts for an account."""

    kind: ClassVar[str] = "token"

    account_id: str
    hash: str
    name: str
    scope: Scope
    created_at: str
    used_at: str = ""
    used_from: str = ""
    """When and from which network address it was last used; the log does not tell of this."""
    expires_at: int = 0
    """Seconds since 1970; 0 if it does not expire."""

    def public(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "scope": self.scope.value,
            "created_at": self.created_at,
            "used_at": self.used_at,
            "expires_at": _time(self.expires_at),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation(Record):
    """An offer of an account, or of a role in a department, to the owner of one e-mail address."""

    kind: ClassVar[str] = "invitation"

    hash: str
    email: str
    name: str = ""
    department_id: str = ""
    role: int = 0
    """A `Role`; 0 without a department."""
    admin: bool = False
    created_at: str = ""
    expires_at: int = 0
    made_by: str = ""
    """The account whose rights the offer rests on: without them it is void."""

    @property
    def role_label(self) -> str:
        return Role(self.role).label if self.role else ""

    def public(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "email": self.email,
            "name": self.name,
            "department_id": self.department_id,
            "role": self.role_label,
            "admin": self.admin,
            "created_at": self.created_at,
            "expires_at": _time(self.expires_at),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(Record):
    """A link that can be used once: to become the first administrator, or to set a new password."""

    kind: ClassVar[str] = "link"

    hash: str
    purpose: Purpose
    account_id: str = ""
    expires_at: int = 0
    made_by: str = ""
    """The administrator who made it; empty for one from a terminal or a start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership(Record):
    """The role of an account in a department."""

    kind: ClassVar[str] = "membership"

    account_id: str
    department_id: str
    role: Role

    @staticmethod
    def id_of(department_id: str, account_id: str) -> str:
        return f"{department_id}#{account_id}"

    @staticmethod
    def ids_of(id: str) -> tuple[str, str]:
        """Return the ids of the department and of the account."""
        department_id, _, account_id = id.partition("#")
        return department_id, account_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility(Record):
    """Whether every account may read a department; `id` is the department's."""

    kind: ClassVar[str] = "visibility"

    company: bool


RECORDS: Mapping[str, type[Record]] = {
    record.kind: record
    for record in (
        Account,
        Password,
        Claim,
        Admins,
        Session,
        DeviceToken,
        Invitation,
        Link,
        Membership,
        Visibility,
    )
}


class Act(StrEnum):
    """Kinds of change in the log of the accounts."""

    LINK_MADE = "link_made"
    ACCOUNT_CREATED = "account_created"
    ACCOUNT_UPDATED = "account_updated"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - no password
    SIGNED_IN = "signed_in"
    SESSION_SEEN = "session_seen"
    SESSION_ENDED = "session_ended"
    TOKEN_CREATED = "token_created"  # noqa: S105 - no token
    TOKEN_ENDED = "token_ended"  # noqa: S105 - no token
    INVITED = "invited"
    INVITATION_ACCEPTED = "invitation_accepted"
    INVITATION_WITHDRAWN = "invitation_withdrawn"
    ROLE_GIVEN = "role_given"
    ROLE_TAKEN = "role_taken"
    VISIBILITY_CHANGED = "visibility_changed"
    DEPARTMENT_PURGED = "department_purged"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsChange:
    """An entry of the log of the accounts: the records as they are after it, and those that it removed."""

    revision: int
    type: Act
    puts: tuple[Record, ...] = ()
    removes: tuple[tuple[str, str], ...] = ()
    """Kind and id of each removed record."""
    about: Mapping[str, str] = field(default_factory=dict)
    """Of whom and what the audit tells: `account_id`, `department_id`, `role`, `address` and the like."""
    at: str = ""
    by: str = ""
    by_name: str = ""
    write_id: str = ""

    @property
    def previous(self) -> int | None:
        """The log of the accounts does not say."""
        return None

    def public(self) -> dict[str, Any]:
        """Return what the audit shows."""
        return {
            "revision": self.revision,
            "type": self.type.value,
            "at": self.at,
            "by": self.by,
            "by_name": self.by_name,
            "about": dict(self.about),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsWrite:
    """A wanted change of the accounts: all of it happens or nothing.

    A record in `puts` replaces the one with the revision that it has, or is new if it has none. A record in
    `removes` or `unchanged` must still be as it is given. `id` is unique, as in `domain.Write`.
    """

    type: Act
    puts: tuple[Record, ...] = ()
    removes: tuple[Record, ...] = ()
    unchanged: tuple[Record, ...] = ()
    """Records on which the write depends, and which it leaves as they are."""
    about: Mapping[str, str] = field(default_factory=dict)
    by: str = ""
    by_name: str = ""
    at: str = field(default_factory=lambda: timestamp(utc_now()))
    id: str = field(default_factory=new_id)

    def at_revision(self, revision: int) -> AccountsChange:
        """Return the change that this write becomes at a revision."""
        return AccountsChange(
            revision=revision,
            type=self.type,
            puts=tuple(record.at_revision(revision) for record in self.puts),
            removes=tuple((record.kind, record.id) for record in self.removes),
            about=self.about,
            at=self.at,
            by=self.by,
            by_name=self.by_name,
            write_id=self.id,
        )


AnyWrite: TypeAlias = Write | AccountsWrite
AnyWrites: TypeAlias = AnyWrite | WriteSet
"""What is committed in one transaction or not at all: a write, or several."""
AnyChange: TypeAlias = Change | AccountsChange


def each_write(wanted: AnyWrites) -> Sequence[AnyWrite]:
    return wanted.writes if isinstance(wanted, WriteSet) else (wanted,)


def _time(seconds: int) -> str:
    """Return a time in seconds since 1970 as clients get it; empty for 0."""
    return timestamp(datetime.fromtimestamp(seconds, UTC)) if seconds else ""


def fold_email(email: str) -> str:
    """Return an e-mail address as it is compared: no two accounts have the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", email).casefold())
