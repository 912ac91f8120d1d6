"""Use cases of events: list, read, create, change, delete, deltas. Knows no HTTP, no Socket.IO, no AWS."""

import contextlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import orjson

from domain import (
    Change,
    ChangeType,
    Created,
    Event,
    EventOrder,
    Receipt,
    SyncToken,
    Write,
    fold_text,
    new_id,
    page_token,
    timestamp,
    utc_now,
)
from errors import (
    DepartmentNotFound,
    EventChanged,
    EventIdTaken,
    EventNotFound,
    IdempotencyKeyReused,
    SyncTokenExpired,
)
from models import DynamoDBDatabase
from services.change_log import ChangeLog, WriteRefused
from services.snapshots import Place, Snapshot, Snapshots

Expected: TypeAlias = Collection[str] | None

CHOSEN_IDS = "events"
"""The receipts of ids that clients chose."""
EDITABLE = ("event_date", "title", "description", "time", "url")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """Part of a list: inclusive ISO dates, text in title or description, and a page's place and length."""

    first: str | None = None
    last: str | None = None
    q: str = ""
    limit: int | None = None
    after: EventOrder | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Events in order, the place they were read at, and where the next page begins, if there is one."""

    place: Place
    events: Sequence[Event]
    next_page_token: str

    def json(self) -> bytes:
        return orjson.dumps(self.events)


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A change of one event, and the texts it changed, each `{from, to}`."""

    change: Change
    changed: dict[str, dict[str, str]]

    def public(self) -> dict[str, Any]:
        return {**self.change.public(), "changed": self.changed}


@dataclass(frozen=True, slots=True)
class Delta:
    """Changes after a token, in order; `sync_token` stands after the last of them."""

    changes: list[Change]
    sync_token: str
    has_more: bool


class EventService:
    """The events of all departments."""

    def __init__(self, db: DynamoDBDatabase, change_log: ChangeLog, snapshots: Snapshots) -> None:
        self._db = db
        self._log = change_log
        self._snapshots = snapshots

    def department(self, department_id: str) -> Place:
        """Return where the department stands, with its events unless it is large.

        Raises `DepartmentNotFound`.
        """
        return self._snapshots.current(department_id)

    def whole(self, place: Place) -> Snapshot:
        """Return all events of a department at a place or later."""
        return self._snapshots.whole(place)

    def page(self, place: Place, query: ListQuery) -> Page:
        """Return the part of a department's list that a query names."""
        snapshot = self._snapshots.whole(place, query.first, query.last)
        found = snapshot.ordered
        begin = bisect_left(found, query.first or "", key=_date)
        end = bisect_right(found, query.last, key=_date) if query.last else len(found)
        if query.after:
            begin = max(begin, bisect_right(found, query.after, key=Event.order))
        found = found[begin:end]
        if sought := fold_text(query.q):
            found = [e for e in found if sought in fold_text(e.title) or sought in fold_text(e.description)]
        more = query.limit is not None and len(found) > query.limit
        found = found[: query.limit]
        return Page(snapshot, found, page_token(found[-1]) if more else "")

    def get_event(self, department_id: str, event_id: str) -> Event:
        """Raises `DepartmentNotFound`, `EventNotFound`."""
        place = self.department(department_id)
        event = place.events.get(event_id) if isinstance(place, Snapshot) else self._db.find_event(event_id)
        if event is None or event.department_id != department_id:
            raise EventNotFound()
        return event

    def create_event(
        self, department_id: str, fields: Mapping[str, Any], key: str | None = None
    ) -> Created[Event]:
        """Create an event from validated fields, once, however often it is asked for under one key.

        An `id` among the fields is the client's choice, and a key by itself. Raises `DepartmentNotFound`,
        `EventIdTaken`, `IdempotencyKeyReused`.
        """
        chosen = fields.get("id")
        by_key = Receipt.of(department_id, f"key {key}", fields) if key else None
        # One scope for all departments: events are found by their id alone.
        by_id = Receipt.of(CHOSEN_IDS, chosen, {**fields, "department_id": department_id}) if chosen else None
        if chosen and (there := self._db.find_event(chosen)) and there.department_id != department_id:
            return self._first_answer(by_key, by_id)
        now = timestamp(utc_now())
        event = Event(
            **{"id": new_id(), **fields}, department_id=department_id, created_at=now, last_modified=now
        )
        try:
            return self._commit_creation(event, by_key, by_id)
        except WriteRefused:
            if freed := self._freed(by_key, by_id):
                with contextlib.suppress(WriteRefused):  # somebody was faster
                    return self._commit_creation(event, by_key, freed)
            return self._first_answer(by_key, by_id)

    def _commit_creation(self, event: Event, *receipts: Receipt | None) -> Created[Event]:
        write = Write(
            type=ChangeType.EVENT_CREATED,
            entity=event,
            receipts=tuple(receipt for receipt in receipts if receipt),
            at=event.last_modified,
        )
        return Created(_event_of(self._log.commit(event.department_id, write)))

    def _freed(self, by_key: Receipt | None, by_id: Receipt | None) -> Receipt | None:
        """Return the receipt for an id that was chosen before, for an event that is gone by now."""
        if by_id is None or (by_key and self._db.created_event(by_key)):
            return None
        first = self._db.created_event(by_id)  # before the event: who restores it writes both
        if first is None or first.request_hash == by_id.request_hash or self._db.find_event(first.entity.id):
            return None
        return replace(by_id, replaces=first)

    def _first_answer(self, by_key: Receipt | None, by_id: Receipt | None) -> Created[Event]:
        """Answer a creation that has happened before. Raises `EventIdTaken`, `IdempotencyKeyReused`."""
        receipt = by_key or by_id
        first = self._db.created_event(receipt) if receipt else None
        if receipt is None or first is None:
            raise EventIdTaken()
        if first.request_hash != receipt.request_hash:
            raise IdempotencyKeyReused() if by_key else EventIdTaken()
        return Created(first.entity, repeated=True)

    def update_event(self, event_id: str, fields: Mapping[str, Any], expected: Expected = None) -> Event:
        """Change the given fields alone. Raises `EventNotFound`.

        `expected` are the revisions that the caller would change; `EventChanged` tells that the last is none
        of them.
        """

        if not fields:
            event = self._seen(event_id, expected)
            if not self._is_live(event.department_id):
                raise EventNotFound()
            return event

        def write(before: Event) -> Write:
            now = timestamp(utc_now())
            after = replace(before, **fields, last_modified=now)
            return Write(type=ChangeType.EVENT_UPDATED, entity=after, before=before, at=now)

        return self._edit(event_id, write, expected)

    def delete_event(self, event_id: str, expected: Expected = None) -> None:
        """Raises `EventNotFound`, `EventChanged`."""
        self._edit(event_id, lambda e: Write(type=ChangeType.EVENT_DELETED, entity=e, before=e), expected)

    def restore_event(self, department_id: str, event_id: str) -> Event:
        """Bring a deleted event back as it was, while the log holds it.

        Raises `DepartmentNotFound`, `EventNotFound` when the log knows of no deletion, `EventIdTaken` when
        it is there.
        """
        # The receipt first, the log last: whoever brings the event to life meanwhile replaces the receipt.
        by_id = Receipt.of(CHOSEN_IDS, event_id, {"restored": event_id})
        if first := self._db.created_event(by_id):
            of_here = first.entity.department_id == department_id
            request_hash = first.request_hash if of_here else by_id.request_hash
            by_id = replace(by_id, request_hash=request_hash, replaces=first)
        if self._db.find_event(event_id):
            self._require_department(department_id)
            raise EventIdTaken()
        changes = self._db.changes_of_event(department_id, event_id)
        if not changes or changes[-1].type is not ChangeType.EVENT_DELETED:
            self._require_department(department_id)
            raise EventNotFound()
        event = replace(_event_of(changes[-1]), last_modified=timestamp(utc_now()))
        try:
            return self._commit_creation(event, by_id).entity
        except WriteRefused as error:
            raise EventIdTaken() from error

    def history(self, department_id: str, event_id: str) -> list[HistoryEntry]:
        """Return what the log still holds of an event, oldest first. Raises `DepartmentNotFound`."""
        self._require_department(department_id)
        entries: list[HistoryEntry] = []
        before: Event | None = None
        for change in self._db.changes_of_event(department_id, event_id):
            entries.append(HistoryEntry(change, _changed_fields(before, change)))
            before = _event_of(change)
        return entries

    def changes_since(self, department_id: str, token: str, limit: int) -> Delta:
        """Return what followed a token, `limit` changes at most.

        Raises `SyncTokenExpired` when the log no longer reaches back to it or history was rebuilt since,
        `DepartmentNotFound`.
        """
        token_place = SyncToken.parse(token)
        here = self.department(department_id)
        if token_place is None or token_place.epoch != here.epoch or token_place.revision > here.revision:
            raise SyncTokenExpired()
        begin = token_place.revision
        known = here.changes_after(begin) if isinstance(here, Snapshot) else None
        if known is None and begin < here.revision:
            known = self._db.changes_after(department_id, begin, limit)
            if begin + len(known) < min(here.revision, begin + limit):
                raise SyncTokenExpired()
        changes = list(known or ())[:limit]
        reached = begin + len(changes)
        return Delta(changes, str(SyncToken(here.epoch, reached)), has_more=reached < here.revision)

    def _require_department(self, department_id: str) -> None:
        if not self._is_live(department_id):
            raise DepartmentNotFound()

    def _is_live(self, department_id: str) -> bool:
        """Tell whether a department exists; events of one that is being deleted may still be there."""
        head = self._db.read_head(department_id)
        return head is not None and not head.deleted

    def _seen(self, event_id: str, expected: Expected) -> Event:
        """Read an event that stands as its editor saw it. Raises `EventNotFound`, `EventChanged`."""
        event = self._db.find_event(event_id)
        if event is None:
            raise EventNotFound()
        if expected is not None and str(event.revision) not in expected:
            if not self._is_live(event.department_id):
                raise EventNotFound()
            raise EventChanged(details={"event": event.public()})
        return event

    def _edit(self, event_id: str, write: Callable[[Event], Write], expected: Expected) -> Event:
        def prepare() -> tuple[str, Write]:
            before = self._seen(event_id, expected)
            return before.department_id, write(before)

        try:
            return _event_of(self._log.edit(event_id, prepare))
        except DepartmentNotFound as error:
            raise EventNotFound() from error


def _event_of(change: Change) -> Event:
    assert isinstance(change.entity, Event)  # noqa: S101 - narrows the type for mypy
    return change.entity


def _date(event: Event) -> str:
    return event.event_date


def _changed_fields(before: Event | None, change: Change) -> dict[str, dict[str, str]]:
    """Say which texts an edit changed, from what to what; the log may no longer hold what was before."""
    after = change.entity
    if change.type is not ChangeType.EVENT_UPDATED or before is None or not isinstance(after, Event):
        return {}
    return {
        name: {"from": getattr(before, name), "to": getattr(after, name)}
        for name in EDITABLE
        if getattr(before, name) != getattr(after, name)
    }
