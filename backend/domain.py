"""The entities, their changes and receipts, and the positions in a log.

The shapes clients send are in `schemas.py`; how entities are stored is in `store/items.py`.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from acting import NOBODY, Actor, current_actor
from text_times import time_order
from tokens import EventOrder, decode_token, encode_token

Entity = TypeVar("Entity")

Attributes: TypeAlias = Mapping[str, Any] | None
"""Attributes with DynamoDB's typed values; None if there are none."""

CHANGE_RETENTION = timedelta(days=30)
"""How long changes are kept, and deleted departments can be restored."""
DEFAULT_TIMEZONE = "Asia/Seoul"
LATER_DEFAULTS: Mapping[str, Any] = {
    "end_date": "",
    "start_time": "",
    "end_time": "",
    "location": "",
    "category": "",
    "rrule": "",
    "exdates": (),
    "timezone": DEFAULT_TIMEZONE,
    "color": "",
}
"""The fields of events and departments that servers before 1.5 do not know, and what they are when absent."""
UID_DOMAIN = "department-calendar"
"""What follows the id of an event in its iCalendar UID."""
UID_MAX = 255
"""Characters of the iCalendar UID of an imported event."""
REGISTRY = "departments"
"""The log partition of the list of departments itself; every other partition is a department's id."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """Write an aware datetime as `2024-01-15T10:30:00.000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def new_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True, kw_only=True)
class Department:
    id: str
    name: str
    description: str = ""
    timezone: str = DEFAULT_TIMEZONE
    """The IANA name of its `zone`."""
    color: str = ""
    """`#rrggbb` in lower case."""
    created_at: str = ""
    updated_at: str = ""
    revision: int = 0
    """Revision in the registry's log of the change that wrote this state; clients do not get it."""
    _unknown: Attributes = field(default=None, compare=False, repr=False)

    def public(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "timezone": self.timezone,
            "color": self.color,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the times of its events."""
        return ZoneInfo(self.timezone)

    @property
    def unknown(self) -> Attributes:
        """The same as `Event.unknown`."""
        return self._unknown

    def at_revision(self, revision: int) -> Self:
        return replace(self, revision=revision)


class EventKey(NamedTuple):
    """The key of an event in its table. Two departments can each have an event of the same id."""

    id: str
    department_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A calendar entry. One with an `rrule` is a series: it stands for all occurrences of the rule."""

    id: str
    department_id: str
    event_date: str
    """ISO date on which it begins; of a series its first occurrence, even if the rule does not match it."""
    title: str
    description: str = ""
    time: str = ""
    """The time of day as a person wrote it."""
    url: str = ""
    end_date: str = ""
    """The last ISO date, inclusive; empty for one day, or for an end in the night that follows."""
    start_time: str = ""
    """`HH:MM` in the zone of the department, as is `end_time`; empty when `time` is no clock time."""
    end_time: str = ""
    location: str = ""
    category: str = ""
    rrule: str = ""
    """A recurrence rule of RFC 5545 without `RRULE:`, in the form that `rrule_text` writes."""
    exdates: tuple[str, ...] = ()
    """ISO dates of occurrences that are removed, in order."""
    recurring_event_id: str = ""
    """Of an event that replaces an occurrence the id of the series, and in `original_date` the occurrence."""
    original_date: str = ""
    created_at: str = ""
    last_modified: str = ""
    revision: int = 0
    # orjson leaves out names with `_`.
    _imported_uid: str = field(default="", repr=False)
    _unknown: Attributes = field(default=None, compare=False, repr=False)

    def public(self) -> dict[str, Any]:
        """Return what clients get."""
        return {name: getattr(self, name) for name in _EVENT_FIELDS} | {"exdates": list(self.exdates)}

    @property
    def unknown(self) -> Attributes:
        """The attributes of the stored item that this server does not know.

        Newer servers and other tools wrote them. They survive edits, deletion with restoration, and the log.
        """
        return self._unknown

    @property
    def imported_uid(self) -> str:
        """The UID of the iCalendar entry from which it was imported; empty for other events."""
        return self._imported_uid

    @property
    def uid(self) -> str:
        """The UID in iCalendar. A replacement has the one of its series."""
        return self._imported_uid or f"{self.recurring_event_id or self.id}@{UID_DOMAIN}"

    def at_revision(self, revision: int) -> Self:
        return replace(self, revision=revision)

    @property
    def key(self) -> EventKey:
        return EventKey(self.id, self.department_id)

    def order(self) -> EventOrder:
        """Sort key of lists: by date, then time of day, then age."""
        minute, text = time_order(self.time)
        if self.start_time:
            minute = int(self.start_time[:2]) * 60 + int(self.start_time[3:])
        return (self.event_date, minute, text, self.created_at, self.id)


_EVENT_FIELDS = tuple(f.name for f in fields(Event) if not f.name.startswith("_"))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """A part of a department's list: inclusive ISO dates, text in an event, and a page."""

    first: str | None = None
    last: str | None = None
    text: str = ""
    limit: int | None = None
    after: EventOrder | None = None
    """The sort key of the last event of the page before."""
    expand: bool = False
    """Whether to list occurrences instead of series; needs both dates."""

    @property
    def is_range(self) -> bool:
        return bool(self.first or self.last)

    def is_after_page(self, order: EventOrder) -> bool:
        """Tell whether a sort key comes after the page before."""
        return self.after is None or order > self.after

    def bounds(self) -> tuple[EventOrder, EventOrder | None]:
        """Return the sort keys between which the events of the range and page lie, the second exclusive."""
        begin: EventOrder = (self.first or "", -1, "", "", "")
        if self.after:
            begin = max(begin, (*self.after[:4], self.after[4] + "\0"))
        return begin, (self.last + "\0", -1, "", "", "") if self.last else None


class ChangeType(StrEnum):
    """Kinds of change; the broadcast of a change has the same name."""

    EVENT_CREATED = "event_created"
    EVENT_UPDATED = "event_updated"
    EVENT_DELETED = "event_deleted"
    DEPARTMENT_CREATED = "department_created"
    DEPARTMENT_UPDATED = "department_updated"
    DEPARTMENT_DELETED = "department_deleted"


DELETIONS = (ChangeType.EVENT_DELETED, ChangeType.DEPARTMENT_DELETED)


def lasting_form(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields as they are hashed: without unused later ones, so that all versions get the same hash."""
    return {n: value for n, value in fields.items() if n not in LATER_DEFAULTS or value != LATER_DEFAULTS[n]}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class StoredReceipt(Generic[Entity]):
    """A receipt as stored: the hash of the request, what it created, and the id of the write."""

    request_hash: str
    entity: Entity
    write_id: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """The record of a creation that is stored with it: a hashed key in a scope, and a hash of the request.

    A later creation with the same scope and key is a repetition if its request hash is the same.
    """

    scope: str
    key: str
    request_hash: str
    replaces: StoredReceipt[Any] | None = None
    """The stored receipt that this one replaces; if its request was the same, its answer is kept."""

    @classmethod
    def of(cls, scope: str, key: str, fields: Mapping[str, Any]) -> Self:
        """Make the receipt of a creation with these fields; `key` may have any length."""
        request = json.dumps(lasting_form(fields), sort_keys=True, ensure_ascii=False)
        return cls(scope, _digest(key), _digest(request))


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A wanted change: `entity` as it will be, and `before`, the state that it was made from.

    `id` is unique and stored in the log, so that a server whose answer from the store was lost finds its own
    row there instead of a conflict with itself.
    """

    type: ChangeType
    entity: Event | Department
    before: Event | Department | None = None
    releases_name: bool = True
    """Whether this write removes the row of the old name; false when the department does not own that row."""
    restores: "Change | DeletedDepartment | None" = None
    """The deletion that a creation takes back: of an event, or of a department; None for something new."""
    receipts: tuple[Receipt, ...] = ()
    actor: Actor = field(default_factory=current_actor)
    at: str = field(default_factory=lambda: timestamp(utc_now()))
    id: str = field(default_factory=new_id)

    def at_revision(self, revision: int) -> "Change":
        """Return the change that this write becomes at a revision."""
        previous = self.before or self.restores
        return Change(
            revision=revision,
            type=self.type,
            entity=self.entity.at_revision(revision),
            at=self.at,
            actor=self.actor,
            write_id=self.id,
            previous=previous.revision if previous else 0,
        )


@dataclass(frozen=True, slots=True)
class WriteSet:
    """Writes of different entities that are committed in one transaction or not at all, in this order."""

    writes: tuple[Write, ...]

    def __post_init__(self) -> None:
        entities = {(type(write.entity), write.entity.id) for write in self.writes}
        if not self.writes or len(entities) < len(self.writes):
            raise ValueError("a set of writes has at least one, and one of each entity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An entry of a log: `entity` as it is after the change, or what a deletion deleted."""

    revision: int
    type: ChangeType
    entity: Event | Department
    at: str
    actor: Actor = NOBODY
    """Who made the change."""
    write_id: str = ""
    previous: int | None = 0
    """Revision of the entity's change before this one, 0 if there is none; None if its server did not say."""

    def payload(self) -> dict[str, Any]:
        """Return what clients get: the entity, or after a deletion what identifies it (ids, revision)."""
        if self.type is ChangeType.DEPARTMENT_DELETED:
            return {"id": self.entity.id}
        if self.type is ChangeType.EVENT_DELETED and isinstance(self.entity, Event):
            return {
                "id": self.entity.id,
                "department_id": self.entity.department_id,
                "revision": self.revision,
            }
        return self.entity.public()

    def broadcast(self) -> dict[str, Any]:
        """Return what a room is told: what clients get, and for events who did it."""
        if not isinstance(self.entity, Event):
            return self.payload()
        return {**self.payload(), "by": self.actor.id, "by_name": self.actor.name}

    def public(self) -> dict[str, Any]:
        return {
            "revision": self.revision,
            "type": self.type.value,
            "event": self.payload(),
            "at": self.at,
            "by": self.actor.id,
            "by_name": self.actor.name,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownChange:
    """An entry of a log of which this server knows no more than that it is there.

    Its kind is that of a newer server, or it has no entity. It is passed over; its revision counts.
    """

    revision: int
    at: str = ""
    write_id: str = ""
    previous: int | None = None


class LogEntry(Protocol):
    """An entry of any log."""

    @property
    def revision(self) -> int: ...

    @property
    def at(self) -> str: ...

    @property
    def write_id(self) -> str: ...

    @property
    def previous(self) -> int | None: ...


def known_changes(entries: Iterable[LogEntry]) -> list[Change]:
    return [entry for entry in entries if isinstance(entry, Change)]


@dataclass(frozen=True, slots=True)
class Created(Generic[Entity]):
    """The answer to a creation. `repeated`: an earlier request with the same key created the entity."""

    entity: Entity
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedDepartment:
    """A deleted department that can be restored; `at` and `actor` tell of its deletion."""

    department: Department
    revision: int
    """Of its deletion in the registry."""
    at: str
    actor: Actor
    number: int
    """Its number among the deleted departments: those with a lower one are purged before."""

    def public(self) -> dict[str, Any]:
        return {
            "department": self.department.public(),
            "revision": self.revision,
            "at": self.at,
            "by": self.actor.id,
            "by_name": self.actor.name,
        }


@dataclass(frozen=True, slots=True)
class Feed:
    """A department as one account may read it, for whoever knows the secret. `str()` is what clients send."""

    department_id: str
    account_id: str
    """Empty on a server without accounts."""
    secret: str

    @staticmethod
    def id_of(department_id: str, account_id: str) -> str:
        """Return the id of the one feed that an account has of a department."""
        return _digest(f"{department_id} {account_id}")[:32]

    @staticmethod
    def may_be_id(text: str) -> bool:
        return re.fullmatch("[0-9a-f]{32}", text) is not None

    @property
    def id(self) -> str:
        return self.id_of(self.department_id, self.account_id)

    def __str__(self) -> str:
        return f"{self.id}-{self.secret}"


@dataclass(frozen=True, slots=True)
class PendingPurge:
    """A deleted department that is to be purged, and the partition and number of the row that says so."""

    partition: str
    number: int
    department_id: str


@dataclass(frozen=True, slots=True)
class Position:
    """A point in the log of a partition: an epoch and a revision in it.

    The epoch changes when the log is rebuilt; positions of different epochs cannot be compared.
    """

    epoch: str
    revision: int

    def at(self, revision: int) -> Self:
        """Return another position of the same epoch."""
        return replace(self, revision=revision)

    def has_reached(self, other: "Position") -> bool:
        """Tell whether this is at or after another position of the same epoch."""
        return self.epoch == other.epoch and self.revision >= other.revision

    @property
    def sync_token(self) -> str:
        """The position as text for clients, which do not parse it."""
        return encode_token(str(self))

    @classmethod
    def from_sync_token(cls, token: str) -> Self | None:
        """Parse a token; None when it is malformed. Callers treat that as an expired token."""
        match = re.fullmatch(r"([0-9a-f]*)\.([0-9]{1,15})", decode_token(token), re.ASCII)
        return cls(match[1], int(match[2])) if match else None

    def __str__(self) -> str:
        return f"{self.epoch}.{self.revision}"
