"""Restorations of deleted events, while the log still holds their deletion."""

from collections.abc import Sequence
from dataclasses import replace

from domain import Change, ChangeType, Event, EventKey, Receipt, Write, known_changes
from errors import DepartmentNotFound, EventIdTaken, EventNotFound
from models import DynamoDBDatabase
from services.event_creations import ID_SCOPE
from services.event_edits import EventEdits
from services.event_writes import creation, edit, event_of, in_batches
from services.group_commit import GroupCommit, WriteRefused
from services.history import EventHistory
from services.series import released, repeats_on


class EventRestorations:
    """The restorations of all departments."""

    def __init__(
        self, db: DynamoDBDatabase, group_commit: GroupCommit, edits: EventEdits, history: EventHistory
    ) -> None:
        self._db = db
        self._group_commit = group_commit
        self._edits = edits
        self._history = history

    def restore(self, department_id: str, event_id: str) -> Event:
        """Create a deleted event again as it was.

        A series comes back with the replacements that were deleted with it, as many as fit; a replacement as
        such if its series still has the occurrence, else as an event of its own. Raises `DepartmentNotFound`,
        `EventNotFound` when the log holds no deletion of it, `EventIdTaken` when the event exists.
        """
        try:
            first, *_ = self._group_commit.edit_together(
                event_id, lambda: (department_id, self._plan(department_id, event_id))
            )
        except WriteRefused as error:
            raise EventIdTaken() from error
        return event_of(first)

    def _plan(self, department_id: str, event_id: str) -> Sequence[Write]:
        # The receipt is read before the event and the log: a request that creates the event in between
        # replaces the receipt, and the write below is refused.
        by_id = Receipt.of(ID_SCOPE, event_id, {"restored": event_id})
        if earlier := self._db.find_created_event(by_id):
            same_department = earlier.entity.department_id == department_id
            request_hash = earlier.request_hash if same_department else by_id.request_hash
            by_id = replace(by_id, request_hash=request_hash, replaces=earlier)
        if self._edits.find_live_event(event_id):
            self._require_department(department_id)
            raise EventIdTaken()
        deletion = self._history.find_last_deletion(EventKey(event_id, department_id))
        if deletion is None:
            self._require_department(department_id)
            raise EventNotFound()
        event, others = self._with_its_series(event_of(deletion))
        return [creation(event, receipts=(by_id,), restores=deletion), *others, *self._deleted_with(deletion)]

    def _with_its_series(self, event: Event) -> tuple[Event, list[Write]]:
        """Return a deleted event as it comes back, and the change of its series if it is a replacement."""
        if not event.recurring_event_id:
            return event, []
        series = self._edits.find_series(event)
        if (
            series is None
            or not repeats_on(series, event.original_date)
            or any(other.original_date == event.original_date for other in self._edits.replacements(series))
        ):
            return released(event), []
        exdates = tuple(day for day in series.exdates if day != event.original_date)
        return event, [edit(series, replace(series, exdates=exdates))]

    def _deleted_with(self, deletion: Change) -> Sequence[Write]:
        """Restore the replacements that were deleted in the same commit as their series."""
        series = event_of(deletion)
        if not series.rrule:
            return []
        together = known_changes(self._db.find_commit(series.department_id, deletion.revision))
        gone = [
            change
            for change in together
            if change.type is ChangeType.EVENT_DELETED
            and event_of(change).recurring_event_id == series.id
            and self._db.find_event_by_key(event_of(change).key) is None
        ]
        restored = [creation(event_of(change), restores=change) for change in gone]
        return next(in_batches(restored), [])

    def _require_department(self, department_id: str) -> None:
        if not self._edits.is_live(department_id):
            raise DepartmentNotFound()
