"""The services of one server process, for tests that need neither HTTP nor Socket.IO."""

from typing import Any

import orjson

from domain import Event, EventFilter
from models import DynamoDBDatabase
from services.core import build_core
from services.snapshot import Snapshot
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
        self.purge = core.purge
        self.repair = core.repair

    def add(self, department_id: str, title: str = "회의", date: str = "2024-01-20", **fields: str) -> Event:
        return self.events.create_event(department_id, {"title": title, "event_date": date, **fields}).entity

    def reading(self, department_id: str) -> Reading:
        return self.snapshots.current(department_id)

    def snapshot(self, department_id: str) -> Snapshot:
        """Return a snapshot, even of a department that is too large to be kept in memory."""
        reading = self.reading(department_id)
        return reading.snapshot or self.snapshots.load(department_id, reading.position)

    def token(self, department_id: str) -> str:
        return self.sync.get_position(department_id).sync_token

    def titles(self, department_id: str, **wanted: Any) -> list[str]:
        found = self.events.list_events(department_id, EventFilter(**wanted), lambda _position: False)
        return [event["title"] for event in orjson.loads(b"[" + b",".join(found.events or ()) + b"]")]
