"""Use cases of events: list, read, create, change, delete, deltas. Knows no HTTP, no Socket.IO, no AWS."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from change_log import ChangeLog, WriteRefused
from domain import Change, ChangeType, Event, SyncToken, Write, new_id, timestamp, utc_now
from errors import DepartmentNotFound, EventNotFound, StoreUnavailable, SyncTokenExpired
from models import DynamoDBDatabase
from snapshots import Snapshot, Snapshots

EDIT_ATTEMPTS = 10
"""How often an edit is worked out again because others changed the same event in between."""


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

    def department(self, department_id: str) -> Snapshot:
        """Return the department as it stands. Raises `DepartmentNotFound`."""
        return self._snapshots.current(department_id)

    def get_event(self, department_id: str, event_id: str) -> Event:
        """Raises `DepartmentNotFound`, `EventNotFound`."""
        event = self.department(department_id).events.get(event_id)
        if event is None:
            raise EventNotFound()
        return event

    def create_event(self, department_id: str, fields: Mapping[str, Any]) -> Event:
        """Create an event from validated fields. Raises `DepartmentNotFound`."""
        now = timestamp(utc_now())
        event = Event(id=new_id(), department_id=department_id, created_at=now, last_modified=now, **fields)
        return self._commit(department_id, Write(type=ChangeType.EVENT_CREATED, entity=event, at=now))

    def update_event(self, event_id: str, fields: Mapping[str, Any]) -> Event:
        """Change the given fields alone. Raises `EventNotFound`."""
        if not fields:
            return self._find(event_id)

        def write(before: Event) -> Write:
            now = timestamp(utc_now())
            after = replace(before, **fields, last_modified=now)
            return Write(type=ChangeType.EVENT_UPDATED, entity=after, before=before, at=now)

        return self._edit(event_id, write)

    def delete_event(self, event_id: str) -> None:
        """Raises `EventNotFound`."""
        self._edit(event_id, lambda e: Write(type=ChangeType.EVENT_DELETED, entity=e, before=e))

    def changes_since(self, department_id: str, token: str, limit: int) -> Delta:
        """Return what followed a token, `limit` changes at most.

        Raises `SyncTokenExpired` when the log no longer reaches back to it or history was rebuilt since,
        `DepartmentNotFound`.
        """
        place = SyncToken.parse(token)
        head = self._db.read_head(department_id)
        if head is None or head.deleted:
            raise DepartmentNotFound()
        if place is None or place.epoch != head.epoch or place.revision > head.revision:
            raise SyncTokenExpired()
        if place.revision == head.revision:
            return Delta([], token, has_more=False)
        changes = self._db.changes_after(department_id, place.revision, limit)
        reached = place.revision + len(changes)
        if reached < head.revision and len(changes) < limit:
            raise SyncTokenExpired()
        return Delta(changes, str(SyncToken(head.epoch, reached)), has_more=reached < head.revision)

    def _edit(self, event_id: str, write: Callable[[Event], Write]) -> Event:
        """Commit what `write` makes of the event as it stands, worked out again when others were faster."""
        for _ in range(EDIT_ATTEMPTS):
            before = self._find(event_id)
            try:
                return self._commit(before.department_id, write(before))
            except WriteRefused:
                continue
            except DepartmentNotFound as error:
                raise EventNotFound() from error
        raise StoreUnavailable()

    def _find(self, event_id: str) -> Event:
        event = self._db.find_event(event_id)
        if event is None:
            raise EventNotFound()
        return event

    def _commit(self, department_id: str, write: Write) -> Event:
        entity = self._log.commit(department_id, write).entity
        assert isinstance(entity, Event)  # noqa: S101 - narrows the type for mypy
        return entity
