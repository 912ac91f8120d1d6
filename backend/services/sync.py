"""Decides what a client with a sync token gets: the changes after it (delta), or all events (full)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from domain import Change, Position, known_changes
from errors import SyncTokenExpired
from models import DynamoDBDatabase
from schemas import CHANGES_MAX
from services.event_chunks import EventsJson
from services.snapshots import Snapshots

log = logging.getLogger(__name__)

DELTA_BYTES = 500_000
"""Most bytes of the texts of changes that are sent over Socket.IO as changes, rough."""


@dataclass(frozen=True, slots=True)
class Delta:
    """Changes after a sync token, in order, without those of kinds that this server does not know."""

    changes: Sequence[Change]
    position: Position
    """Of the last change that was read; of the token when there are none."""
    has_more: bool


@dataclass(frozen=True, slots=True)
class Sync:
    """What brings a client to a position: the changes after its token, or all events."""

    department_id: str
    position: Position
    changes: Sequence[Change] = ()
    events: EventsJson | None = None

    @property
    def full(self) -> bool:
        """Whether the client has to replace what it holds."""
        return self.events is not None


class SyncService:
    """Deltas and full states of departments. Every method raises `DepartmentNotFound`."""

    def __init__(self, db: DynamoDBDatabase, snapshots: Snapshots) -> None:
        self._db = db
        self._snapshots = snapshots

    def get_position(self, department_id: str) -> Position:
        """Return the position of a department at this call or later."""
        return self._snapshots.current(department_id, whole=False).position

    def changes_since(self, department_id: str, token: str, limit: int) -> Delta:
        """Return the changes after a sync token, `limit` at most.

        Raises `SyncTokenExpired` when the token is malformed, when the log no longer holds all changes after
        it, or when the epoch has changed.
        """
        reading = self._snapshots.current(department_id, whole=False)
        begin, reached = Position.from_sync_token(token), reading.position
        if begin is None or not reached.has_reached(begin):
            raise SyncTokenExpired()
        found = reading.snapshot.changes_after(begin.revision) if reading.snapshot else None
        if found is None and begin != reached:
            found = self._db.changes_after(department_id, begin.revision, limit)
            if begin.revision + len(found) < min(reached.revision, begin.revision + limit):
                raise SyncTokenExpired()
        changes = list(found or ())[:limit]
        end = begin.at(begin.revision + len(changes))
        return Delta(known_changes(changes), end, has_more=end.revision < reached.revision)

    def delta_or_full(self, department_id: str, token: str) -> Sync:
        """Return the changes after a sync token; all events when it is empty, expired or too far back.

        The changes are made into JSON for each client, that of all events is shared. So a client that has
        missed many long texts gets all events, too.
        """
        if token:
            try:
                delta = self.changes_since(department_id, token, CHANGES_MAX)
            except SyncTokenExpired:
                log.info("부서 %s: 동기화 토큰이 만료되어 클라이언트에 전체를 보냅니다", department_id)
            else:
                if not delta.has_more and sum(map(_text_bytes, delta.changes)) <= DELTA_BYTES:
                    return Sync(department_id, delta.position, delta.changes)
        return self.full(department_id)

    def full(self, department_id: str) -> Sync:
        """Return all events."""
        reading = self._snapshots.current(department_id)
        if snapshot := reading.snapshot:
            return Sync(department_id, snapshot.position, events=snapshot.chunks)
        walk = self._snapshots.large.walk(department_id, reading.position)
        return Sync(department_id, walk.position, events=walk)


def _text_bytes(change: Change) -> int:
    return 3 * len(change.entity.description)
