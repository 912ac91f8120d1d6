"""The services of one server process, for tests that need neither HTTP nor Socket.IO."""

from collections.abc import Iterable
from typing import Any

import orjson

from api_client import event_of
from domain import Event, EventFilter
from models import DynamoDBDatabase
from services.core import build_core
from services.event_chunks import EventChunks, cut
from services.snapshot import RecentChanges, Snapshot
from services.snapshots import Reading

SNAPSHOT_BYTES = 50_000_000


class Calendar:
    """The services of one server process on a store, with shortcuts for tests."""

    def __init__(
        self,
        db: DynamoDBDatabase,
        snapshot_bytes: int = SNAPSHOT_BYTES,
    ) -> None:
        core = build_core(db, snapshot_bytes=snapshot_bytes)
        self.db = db
        self.group_commit = core.group_commit
        self.snapshots = core.snapshots
        self.departments = core.departments
        self.events = core.events
        self.sync = core.sync
        self.files = core.files
        self.imports = core.imports
        self.feeds = core.feeds
        self.purge = core.purge
        self.repair = core.repair

    def add(self, department_id: str, title: str = "회의", date: str = "2024-01-20", **fields: str) -> Event:
        return self.events.create_event(department_id, {"title": title, "event_date": date, **fields}).entity

    def reading(self, department_id: str) -> Reading:
        return self.snapshots.current(department_id)

    def snapshot(self, department_id: str) -> Snapshot:
        """Return a snapshot; of a department too large to be kept one of what a client holds after a sync."""
        if snapshot := self.reading(department_id).snapshot:
            return snapshot
        full = self.sync.full(department_id)
        events = [event_of(fields) for fields in decoded(full.events)]
        assert len({event.id for event in events}) == len(events)
        chunks = EventChunks(tuple(cut(sorted(events, key=Event.order))))
        held = Snapshot(department_id, full.position, {e.id: e for e in events}, chunks, 0, RecentChanges())
        return held.after(self.db.changes_after(department_id, full.position.revision))

    def token(self, department_id: str) -> str:
        return self.sync.get_position(department_id).sync_token

    def titles(self, department_id: str, **wanted: Any) -> list[str]:
        found = self.events.list_events(department_id, EventFilter(**wanted), lambda _position: False)
        return [event["title"] for event in decoded(found.events)]


def decoded(events: Iterable[bytes] | None) -> list[dict[str, Any]]:
    """Return the events of a list that the caller does not hold yet."""
    assert events is not None
    found: list[dict[str, Any]] = orjson.loads(b"[" + b",".join(filter(None, events)) + b"]")
    return found
