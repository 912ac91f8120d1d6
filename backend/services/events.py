"""Use cases of events: list, get, create, update, delete, restore, history."""

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from domain import (
    Change,
    ChangeType,
    Created,
    Event,
    EventFilter,
    EventKey,
    Position,
    Receipt,
    Write,
    new_id,
    timestamp,
    utc_now,
)
from errors import (
    DepartmentNotFound,
    EventChanged,
    EventIdTaken,
    EventNotFound,
    IdempotencyKeyReused,
)
from models import DynamoDBDatabase
from services.event_chunks import EventsJson
from services.group_commit import GroupCommit, WriteRefused
from services.history import EventHistory, HistoryPage
from services.one_at_a_time import OneAtATime
from services.snapshot import Snapshot
from services.snapshots import Snapshots
from text_order import fold_text
from tokens import order_token

ExpectedRevisions: TypeAlias = Collection[str] | None
"""The revisions of an event that its editor accepts, as text; None for any."""

Authorize: TypeAlias = Callable[[str], object]
"""Raises `DepartmentNotFound` for a department that an editor may not see, `NotAllowed` for one that it may
only read.
"""

SHORT_SEARCH_CHUNKS = 20
"""A search of so few chunks, some 10 ms, waits for no other one."""

ID_SCOPE = "events"
"""Scope of the receipts of ids that clients chose: one for all departments, as events are found by id."""


@dataclass(frozen=True, slots=True)
class EventList:
    """The events of a department that were asked for, and the position at which they were read."""

    position: Position
    events: EventsJson | None
    """The events in order; None if the caller holds them already."""
    next_page_token: str = ""
    """Token of the next page; empty when there is none."""


class EventService:
    """The events of all departments."""

    def __init__(self, db: DynamoDBDatabase, group_commit: GroupCommit, snapshots: Snapshots) -> None:
        self._db = db
        self._group_commit = group_commit
        self._snapshots = snapshots
        self._history = EventHistory(db)
        self.searches = OneAtATime()
        """A search takes long in a large department, so only one runs there at a time."""

    def list_events(
        self, department_id: str, wanted: EventFilter, is_held: Callable[[Position], bool]
    ) -> EventList:
        """Return the events of a department that a filter selects. Raises `DepartmentNotFound`.

        `is_held(position)` tells whether the caller already holds them as they were at that position.
        """
        reading = self._snapshots.current(department_id, whole=wanted.limit is None)
        if is_held(reading.position):
            return EventList(reading.position, None)
        if reading.snapshot:
            return self._list_kept(reading.snapshot, wanted)
        return self._list_large(department_id, reading.position, wanted)

    def _list_kept(self, snapshot: Snapshot, wanted: EventFilter) -> EventList:
        found = snapshot.chunks.within(wanted)
        if sought := fold_text(wanted.text):
            is_short = len(found.chunks) <= SHORT_SEARCH_CHUNKS
            with contextlib.nullcontext() if is_short else self.searches.hold(snapshot.department_id):
                found = found.matching(containing(sought), wanted.limit + 1 if wanted.limit else None)
        page = found.limited(wanted.limit) if wanted.limit else found
        end = page.chunks[-1].events[-1].order() if page.count() < found.count() else None
        return EventList(snapshot.position, page, order_token(end))

    def _list_large(self, department_id: str, position: Position, wanted: EventFilter) -> EventList:
        large, sought = self._snapshots.large, fold_text(wanted.text)
        if sought and wanted.limit:
            with self.searches.hold(department_id):
                page = large.search(department_id, position, wanted, containing(sought))
            return EventList(page.position, page.events, order_token(page.end))
        if not sought:
            page = large.page(department_id, position, wanted)
            if wanted.limit or page.end is None:
                return EventList(page.position, page.events, order_token(page.end))
        walk = large.walk(department_id, position, wanted, containing(sought) if sought else None)
        return EventList(walk.position, walk)

    def get_event(self, department_id: str, event_id: str) -> Event:
        """Return an event. Raises `DepartmentNotFound`, `EventNotFound`."""
        snapshot = self._snapshots.current(department_id, whole=False).snapshot
        key = EventKey(event_id, department_id)
        event = snapshot.events.get(event_id) if snapshot else self._db.find_event_by_key(key)
        if event is None:
            raise EventNotFound()
        return event

    def create_event(
        self, department_id: str, fields: Mapping[str, Any], key: str | None = None
    ) -> Created[Event]:
        """Create an event from validated fields; a repetition under the same key returns the first one.

        If the client chose an `id`, it is among the fields and works as a key, too. Raises
        `DepartmentNotFound`, `EventIdTaken`, `IdempotencyKeyReused`.
        """
        chosen = fields.get("id")
        by_key = Receipt.of(department_id, f"key {key}", fields) if key else None
        by_id = Receipt.of(ID_SCOPE, chosen, {**fields, "department_id": department_id}) if chosen else None
        if chosen and (existing := self._find_live_event(chosen)) and existing.department_id != department_id:
            return self._earlier_creation(by_key, by_id)
        now = timestamp(utc_now())
        event = Event(
            **{"id": new_id(), **fields}, department_id=department_id, created_at=now, last_modified=now
        )
        with contextlib.suppress(WriteRefused):  # a receipt exists already, or an event with this id
            return self._commit_creation(event, by_key, by_id)
        if replacement := self._receipt_for_freed_id(by_key, by_id):
            with contextlib.suppress(WriteRefused):  # another request was faster
                return self._commit_creation(event, by_key, replacement)
        return self._earlier_creation(by_key, by_id)

    def _commit_creation(
        self, event: Event, *receipts: Receipt | None, restores: Change | None = None
    ) -> Created[Event]:
        write = Write(
            type=ChangeType.EVENT_CREATED,
            entity=event,
            receipts=tuple(receipt for receipt in receipts if receipt),
            restores=restores,
            at=event.last_modified,
        )
        return Created(_event_of(self._group_commit.commit(event.department_id, write)))

    def _receipt_for_freed_id(self, by_key: Receipt | None, by_id: Receipt | None) -> Receipt | None:
        """Return a receipt that replaces the one of a deleted event with the same chosen id.

        None when the event still exists, or when this request is a repetition.
        """
        if by_id is None or (by_key and self._db.find_created_event(by_key)):
            return None
        # The receipt is read first. A restoration between the two reads writes both, and the event shows it.
        earlier = self._db.find_created_event(by_id)
        if (
            earlier is None
            or earlier.request_hash == by_id.request_hash
            or self._find_live_event(earlier.entity.id)
        ):
            return None
        return replace(by_id, replaces=earlier)

    def _earlier_creation(self, by_key: Receipt | None, by_id: Receipt | None) -> Created[Event]:
        """Return what an earlier, equal request created. Raises `EventIdTaken`, `IdempotencyKeyReused`."""
        receipt = by_key or by_id
        earlier = self._db.find_created_event(receipt) if receipt else None
        if receipt is None or earlier is None:
            raise EventIdTaken()
        if earlier.request_hash != receipt.request_hash:
            raise IdempotencyKeyReused() if by_key else EventIdTaken()
        return Created(earlier.entity, repeated=True)

    def update_event(
        self,
        event_id: str,
        fields: Mapping[str, Any],
        expected: ExpectedRevisions = None,
        authorize: Authorize = lambda _department_id: None,
    ) -> Event:
        """Change the given fields only. Raises `EventNotFound`, and what `authorize` raises.

        Raises `EventChanged` when the event is at none of the `expected` revisions.
        """
        if not fields:
            event = self._get_expected(event_id, expected, authorize)
            if not self._is_live(event.department_id):
                raise EventNotFound()
            return event

        def write(before: Event) -> Write:
            now = timestamp(utc_now())
            after = replace(before, **fields, last_modified=now)
            return Write(type=ChangeType.EVENT_UPDATED, entity=after, before=before, at=now)

        return self._edit(event_id, write, expected, authorize)

    def delete_event(
        self,
        event_id: str,
        expected: ExpectedRevisions = None,
        authorize: Authorize = lambda _department_id: None,
    ) -> None:
        """Delete an event. Raises as `update_event` does."""
        self._edit(
            event_id, lambda e: Write(type=ChangeType.EVENT_DELETED, entity=e, before=e), expected, authorize
        )

    def restore_event(self, department_id: str, event_id: str) -> Event:
        """Create a deleted event again as it was, while the log still holds its deletion.

        Raises `DepartmentNotFound`, `EventNotFound` when the log holds no deletion of it, `EventIdTaken` when
        the event exists.
        """
        # The receipt is read before the event and the log: a request that creates the event in between
        # replaces the receipt, and the write below is refused.
        by_id = Receipt.of(ID_SCOPE, event_id, {"restored": event_id})
        if earlier := self._db.find_created_event(by_id):
            same_department = earlier.entity.department_id == department_id
            request_hash = earlier.request_hash if same_department else by_id.request_hash
            by_id = replace(by_id, request_hash=request_hash, replaces=earlier)
        if self._find_live_event(event_id):
            self._require_department(department_id)
            raise EventIdTaken()
        deletion = self._history.find_last_deletion(EventKey(event_id, department_id))
        if deletion is None:
            self._require_department(department_id)
            raise EventNotFound()
        event = replace(_event_of(deletion), last_modified=timestamp(utc_now()))
        try:
            return self._commit_creation(event, by_id, restores=deletion).entity
        except WriteRefused as error:
            raise EventIdTaken() from error

    def page_history(
        self, department_id: str, event_id: str, limit: int, begin: int | None = None
    ) -> HistoryPage:
        """Return `limit` changes of an event at most, newest first, from the one at the revision `begin` on.

        Raises `DepartmentNotFound`.
        """
        self._require_department(department_id)
        return self._history.page(EventKey(event_id, department_id), limit, begin)

    def _require_department(self, department_id: str) -> None:
        if not self._is_live(department_id):
            raise DepartmentNotFound()

    def _is_live(self, department_id: str) -> bool:
        """Tell whether a department exists. The events of a deleted one remain until they are purged."""
        return self._db.read_head(department_id) is not None

    def _find_live_event(self, event_id: str) -> Event | None:
        """Find an event by its id alone, in a department that exists."""
        event = self._db.find_event(event_id)
        return event if event and self._is_live(event.department_id) else None

    def _get_expected(self, event_id: str, expected: ExpectedRevisions, authorize: Authorize) -> Event:
        """Return an event at one of the expected revisions. Raises `EventNotFound`, `EventChanged`."""
        event = self._db.find_event(event_id)
        try:
            # For no event, too: it must take as long as for one that the editor may not see.
            authorize(event.department_id if event else "")
        except DepartmentNotFound as error:
            raise EventNotFound() from error
        if event is None:
            raise EventNotFound()
        if expected is not None and str(event.revision) not in expected:
            if not self._is_live(event.department_id):
                raise EventNotFound()
            raise EventChanged(details={"event": event.public()})
        return event

    def _edit(
        self,
        event_id: str,
        write: Callable[[Event], Write],
        expected: ExpectedRevisions,
        authorize: Authorize,
    ) -> Event:
        def prepare() -> tuple[str, Write]:
            before = self._get_expected(event_id, expected, authorize)
            return before.department_id, write(before)

        try:
            return _event_of(self._group_commit.edit(event_id, prepare))
        except DepartmentNotFound as error:
            raise EventNotFound() from error


def _event_of(change: Change) -> Event:
    assert isinstance(change.entity, Event)  # noqa: S101 - narrows the type for mypy
    return change.entity


def containing(sought: str) -> Callable[[Event], bool]:
    """Return whether the title or the description of an event contains a folded text, as a function."""
    return lambda event: sought in fold_text(event.title) or sought in fold_text(event.description)
