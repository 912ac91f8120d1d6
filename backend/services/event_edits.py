"""Changes of events that are there: read, checked against what the editor saw, and committed."""

from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias
from zoneinfo import ZoneInfo

from domain import Change, ChangeType, Event, EventKey, Write
from errors import DepartmentNotFound, EventChanged, EventNotFound
from models import DynamoDBDatabase
from services.event_writes import in_batches
from services.group_commit import GroupCommit
from services.snapshots import Snapshots

ExpectedRevisions: TypeAlias = Collection[str] | None
"""The revisions of an event that its editor accepts, as text; None for any."""

Authorize: TypeAlias = Callable[[str], object]
"""Raises `DepartmentNotFound` for a department that an editor may not see, `NotAllowed` for one that it may
only read.
"""


class EventEdits:
    """Reads events strongly, and commits what is planned for them."""

    def __init__(self, db: DynamoDBDatabase, group_commit: GroupCommit, snapshots: Snapshots) -> None:
        self._db = db
        self._group_commit = group_commit
        self._snapshots = snapshots

    def edit(
        self,
        event_id: str,
        plan: Callable[[Event], Sequence[Write]],
        expected: ExpectedRevisions,
        authorize: Authorize,
        series_id: str = "",
    ) -> list[Change]:
        """Commit together what is planned for an event; plan again when others have changed it meanwhile.

        Mere deletions may take several transactions, of which only the last holds the last deletion.
        `series_id` is given for a replacement whose series is changed, too: edits of one series take turns.
        Raises `EventNotFound`, `EventChanged`, and what `authorize`, `plan` and the commit raise.
        """

        def prepare() -> tuple[str, Sequence[Write]]:
            before = self.get_expected(event_id, expected, authorize)
            writes = plan(before)
            if all(write.type is ChangeType.EVENT_DELETED for write in writes):
                *earlier, writes = in_batches(writes)
                for batch in earlier:
                    self._group_commit.commit_together(before.department_id, batch)
            return before.department_id, writes

        try:
            return self._group_commit.edit_together(series_id or event_id, prepare)
        except DepartmentNotFound as error:
            raise EventNotFound() from error

    def get_expected(self, event_id: str, expected: ExpectedRevisions, authorize: Authorize) -> Event:
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
            if not self.is_live(event.department_id):
                raise EventNotFound()
            raise EventChanged(details={"event": event.public()})
        return event

    def zone(self, department_id: str) -> ZoneInfo:
        """Return the zone in which a department has its times. Raises `DepartmentNotFound`."""
        department = self._db.find_department(department_id)
        if department is None:
            raise DepartmentNotFound()
        return department.zone

    def is_live(self, department_id: str) -> bool:
        """Tell whether a department exists. The events of a deleted one remain until they are purged."""
        return self._db.read_head(department_id) is not None

    def find_live_event(self, event_id: str) -> Event | None:
        """Find an event by its id alone, in a department that exists."""
        event = self._db.find_event(event_id)
        return event if event and self.is_live(event.department_id) else None

    def find_series(self, event: Event) -> Event | None:
        """Find the series of a replacement, read strongly; None for other events.

        A server that does not know of series may have deleted it, or have ended its repetition: then, too.
        """
        if not event.recurring_event_id:
            return None
        series = self._db.find_event_by_key(EventKey(event.recurring_event_id, event.department_id))
        return series if series and series.rrule else None

    def replacements(self, series: Event) -> Sequence[Event]:
        """Return the replacements of a series that was read before this call, by their original dates.

        Those that others have made since have changed the series, too, so a commit that depends on the series
        as it was read is refused. Raises `DepartmentNotFound`, `StoreUnavailable`.
        """
        reading = self._snapshots.current(series.department_id)
        if reading.snapshot:
            return reading.snapshot.series_index.replacements(series.id)
        return self._snapshots.large.replacements(series.department_id, reading.position, series.id)
