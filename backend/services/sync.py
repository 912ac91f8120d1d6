"""What a client is told that has fallen behind: the changes it missed, or everything anew."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from domain import Change, Position
from errors import SyncTokenExpired
from models import DynamoDBDatabase
from schemas import CHANGES_MAX
from services.snapshots import Snapshots

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delta:
    """Changes after a sync token, in order; `position` is that of the last of them."""

    changes: Sequence[Change]
    position: Position
    has_more: bool


@dataclass(frozen=True, slots=True)
class Sync:
    """What brings a client to a position: the changes since its token, or all events as a JSON array."""

    department_id: str
    position: Position
    changes: Sequence[Change] = ()
    events: bytes | None = None

    @property
    def full(self) -> bool:
        """Whether the client replaces what it holds."""
        return self.events is not None


class SyncService:
    """Deltas and full states of all departments. Every method raises `DepartmentNotFound`."""

    def __init__(self, db: DynamoDBDatabase, snapshots: Snapshots) -> None:
        self._db = db
        self._snapshots = snapshots

    def get_position(self, department_id: str) -> Position:
        """Return where a department stands now or later."""
        return self._snapshots.current(department_id).position

    def changes_since(self, department_id: str, token: str, limit: int) -> Delta:
        """Return what followed a sync token, `limit` changes at most.

        Raises `SyncTokenExpired` when the log no longer reaches back to it or history was rebuilt since.
        """
        reading = self._snapshots.current(department_id)
        begin, reached = Position.from_sync_token(token), reading.position
        if begin is None or not reached.has_reached(begin):
            raise SyncTokenExpired()
        known = reading.snapshot.changes_after(begin.revision) if reading.snapshot else None
        if known is None and begin != reached:
            known = self._db.changes_after(department_id, begin.revision, limit)
            if begin.revision + len(known) < min(reached.revision, begin.revision + limit):
                raise SyncTokenExpired()
        changes = list(known or ())[:limit]
        end = begin.at(begin.revision + len(changes))
        return Delta(changes, end, has_more=end.revision < reached.revision)

    def since(self, department_id: str, token: str) -> Sync:
        """Return what followed a sync token; everything when it is empty, expired or too far back."""
        if token:
            try:
                delta = self.changes_since(department_id, token, CHANGES_MAX)
            except SyncTokenExpired:
                log.info("부서 %s: 동기화 토큰이 만료되어 클라이언트에 전체를 보냅니다", department_id)
            else:
                if not delta.has_more:
                    return Sync(department_id, delta.position, delta.changes)
        return self.full(department_id)

    def full(self, department_id: str) -> Sync:
        """Return everything."""
        reading = self._snapshots.current(department_id)
        snapshot = reading.snapshot or self._snapshots.load(department_id, reading.position)
        return Sync(department_id, snapshot.position, events=snapshot.json)
