"""Removes what deleted departments leave behind, once they can no longer be restored.

One transaction marks a department deleted and records when its purge is due; after it the department cannot
be read or written. A purge that a crash interrupts is still due, and the next one goes on with what is left.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import TypeVar

from domain import EventKey, PendingPurge, utc_now
from errors import CalendarError, SetupError
from models import DynamoDBDatabase
from services.accounts.members import Members

log = logging.getLogger(__name__)

SLICE = 100
"""How many events, or rows of the log, are removed before the purge checks that nobody else finished it."""
PAUSE_S = 600.0
"""How often a server looks for due purges. It waits as long before it looks for the first time: a clock that
is wrong when a machine starts has been set right by then.
"""

Value = TypeVar("Value")


class Purge:
    """The purges of one store."""

    def __init__(self, db: DynamoDBDatabase, members: Members | None = None) -> None:
        self._db = db
        self._members = members

    def run_due(self, now: datetime | None = None) -> int:
        """Complete the purges that are due, now or at another time; return how many there were.

        Raises `StoreUnavailable`.
        """
        return sum(map(self._remove, self._db.due_purges(now or utc_now())))

    def run_forever(self, sleep: Callable[[float], object], pause_s: float = PAUSE_S) -> None:
        """Complete the purges that are due, again and again; for a background task. `sleep` takes seconds."""
        while True:
            sleep(pause_s)
            try:
                purged = self.run_due()
            except (CalendarError, SetupError) as error:
                log.warning("지운 부서의 정리가 중단되었습니다. 다음에 이어서 합니다: %s", error)
            except Exception:  # the next purge may succeed
                log.exception("지운 부서의 정리가 중단되었습니다. 다음에 이어서 합니다")
            else:
                if purged:
                    log.info("정리: 지운 지 30일이 지난 부서 %d개", purged)

    def remove_now(self, department_id: str) -> bool:
        """Purge a deleted department though it could still be restored; return whether there was one."""
        purge = self._db.find_purge(department_id)
        return purge is not None and self._remove(purge)

    def _remove(self, purge: PendingPurge) -> bool:
        """Remove everything. Return False if nothing was left, or if the department has been restored."""
        department_id = purge.department_id
        if not self._db.begin_purge(purge):
            return False
        # The index lacks the newest events while it lags, the log lacks those older than its retention.
        for keys in _slices(self._db.indexed_keys(department_id)):
            if not self._db.begin_purge(purge):
                return False
            self._db.remove_events(keys)
        for logged in _slices(self._db.logged_event_ids(department_id)):
            if not self._db.begin_purge(purge):
                return False
            event_ids = sorted({event_id for _, ids in logged for event_id in ids})
            self._db.remove_events([EventKey(event_id, department_id) for event_id in event_ids])
            self._db.remove_rows(department_id, [revision for revision, _ in logged])
        if self._members:
            self._members.forget(department_id)
        self._db.finish_purge(purge)
        return True


def _slices(values: Iterator[Value]) -> Iterator[list[Value]]:
    while found := list(islice(values, SLICE)):
        yield found
