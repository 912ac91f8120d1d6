"""Removes what deleted departments leave behind: their events, their log and its head.

A deletion marks the department deleted and notes a pending purge, in one transaction; from then on nobody
reads or writes it. What a crash cuts off here is finished by `finish`, at the next start.
"""

import logging
from collections.abc import Callable

from domain import EventKey, PendingPurge
from errors import CalendarError
from models import DynamoDBDatabase

log = logging.getLogger(__name__)

Spawn = Callable[..., object]


class Purge:
    """The purges of one process; `spawn(function, *arguments)` runs what may outlast an answer."""

    def __init__(self, db: DynamoDBDatabase, spawn: Spawn) -> None:
        self._db = db
        self._spawn = spawn

    def begin(self, pending: PendingPurge) -> None:
        """Remove what a deletion has just left, in the background."""
        self._spawn(self._try, pending)

    def finish(self) -> int:
        """Finish the purges that were cut off; return how many. Raises `StoreUnavailable`."""
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
        """Remove everything; run again after a crash, it goes on where it stopped."""
        department_id = pending.department_id
        # The index may lag behind the last events, the log does not: what either names is removed.
        doomed = {event.id for event in self._db.indexed_events(department_id)}
        changes = self._db.remaining_changes(department_id)
        doomed |= {change.entity.id for change in changes}
        self._db.remove_events([EventKey(event_id, department_id) for event_id in sorted(doomed)])
        self._db.remove_log(department_id, [change.revision for change in changes])
        self._db.remove_pending_purge(pending)
