"""Removes what deleted departments leave behind: their events, their log and its head.

One transaction marks a department deleted and records a pending purge; after it the department cannot be
read or written. `finish` completes the purges that a crash interrupted, at the next start.
"""

import logging
from collections.abc import Callable

from domain import EventKey, PendingPurge, known_changes
from errors import CalendarError
from models import DynamoDBDatabase

log = logging.getLogger(__name__)

Spawn = Callable[..., object]


class Purge:
    """The purges of one process; `spawn(function, *arguments)` runs a function in the background."""

    def __init__(self, db: DynamoDBDatabase, spawn: Spawn) -> None:
        self._db = db
        self._spawn = spawn

    def begin(self, pending: PendingPurge) -> None:
        """Purge a department that has just been deleted, in the background."""
        self._spawn(self._try, pending)

    def finish(self) -> int:
        """Complete the pending purges; return how many there were. Raises `StoreUnavailable`."""
        pending = self._db.pending_purges()
        for purge in pending:
            self._remove(purge)
        return len(pending)

    def _try(self, pending: PendingPurge) -> None:
        try:
            self._remove(pending)
        except CalendarError:
            log.exception(
                "삭제된 부서 %s의 이벤트가 남아 있습니다. 다음 시작 때 지웁니다.", pending.department_id
            )

    def _remove(self, pending: PendingPurge) -> None:
        """Remove everything. The record of the purge goes last: a crash leaves it for the next run."""
        department_id = pending.department_id
        # The index lacks the newest events while it lags, the log lacks those older than its retention.
        event_ids = {event.id for event in self._db.indexed_events(department_id)}
        changes = self._db.remaining_changes(department_id)
        event_ids |= {change.entity.id for change in known_changes(changes)}
        self._db.remove_events([EventKey(event_id, department_id) for event_id in sorted(event_ids)])
        self._db.remove_log(department_id, [change.revision for change in changes])
        self._db.remove_pending_purge(pending)
