"""Use cases of events: get, create, update, delete, restore, history; `event_lists.py` has the lists."""

from collections.abc import Callable, Mapping
from typing import Any

from domain import Created, Event, EventFilter, EventKey, Position
from errors import DepartmentNotFound, EventNotFound
from models import DynamoDBDatabase
from services.event_creations import EventCreations
from services.event_edits import Authorize, EventEdits, ExpectedRevisions
from services.event_lists import EventList, EventLists
from services.event_restorations import EventRestorations
from services.group_commit import GroupCommit
from services.history import EventHistory, HistoryPage
from services.occurrences import Occurrences
from services.snapshots import Snapshots


class EventService:
    """The events of all departments."""

    def __init__(self, db: DynamoDBDatabase, group_commit: GroupCommit, snapshots: Snapshots) -> None:
        self._db = db
        self._snapshots = snapshots
        self._history = EventHistory(db)
        self.edits = EventEdits(db, group_commit, snapshots)
        self._creations = EventCreations(db, group_commit, self.edits)
        self._restorations = EventRestorations(db, group_commit, self.edits, self._history)
        self._occurrences = Occurrences(self.edits)
        self.lists = EventLists(snapshots)

    def list_events(
        self, department_id: str, wanted: EventFilter, is_held: Callable[[Position], bool]
    ) -> EventList:
        """Return a list, as `EventLists.list_events` does."""
        return self.lists.list_events(department_id, wanted, is_held)

    def get_event(self, department_id: str, event_id: str) -> Event:
        """Return an event. Raises `DepartmentNotFound`, `EventNotFound`."""
        snapshot = self._snapshots.current(department_id, whole=False).snapshot
        key = EventKey(event_id, department_id)
        event = snapshot.events.get(event_id) if snapshot else self._db.find_event_by_key(key)
        if event is None:
            raise EventNotFound()
        return event

    def create_event(
        self, department_id: str, fields: Mapping[str, Any], key: str | None = None
    ) -> Created[Event]:
        """Do what `EventCreations.create` says."""
        return self._creations.create(department_id, fields, key)

    def update_event(
        self,
        event_id: str,
        fields: Mapping[str, Any],
        expected: ExpectedRevisions = None,
        authorize: Authorize = lambda _department_id: None,
    ) -> Event:
        """Change the given fields and what follows from them. Raises `EventNotFound`.

        Raises `EventChanged` when the event is at none of the `expected` revisions, and what
        `Occurrences.update_event` raises.
        """
        if not fields:
            event = self.edits.get_expected(event_id, expected, authorize)
            if not self.edits.is_live(event.department_id):
                raise EventNotFound()
            return event
        return self._occurrences.update_event(event_id, fields, expected, authorize)

    def delete_event(
        self,
        event_id: str,
        expected: ExpectedRevisions = None,
        authorize: Authorize = lambda _department_id: None,
    ) -> None:
        """Do what `Occurrences.delete_event` says."""
        self._occurrences.delete_event(event_id, expected, authorize)

    def update_occurrence(
        self,
        series_id: str,
        day: str,
        fields: Mapping[str, Any],
        expected: ExpectedRevisions = None,
        authorize: Authorize = lambda _department_id: None,
        *,
        following: bool = False,
    ) -> Event:
        """Do what `Occurrences.update` says."""
        return self._occurrences.update(series_id, day, fields, expected, authorize, following=following)

    def delete_occurrence(
        self,
        series_id: str,
        day: str,
        expected: ExpectedRevisions = None,
        authorize: Authorize = lambda _department_id: None,
        *,
        following: bool = False,
    ) -> None:
        """Do what `Occurrences.delete` says."""
        self._occurrences.delete(series_id, day, expected, authorize, following=following)

    def restore_event(self, department_id: str, event_id: str) -> Event:
        """Do what `EventRestorations.restore` says."""
        return self._restorations.restore(department_id, event_id)

    def page_history(
        self, department_id: str, event_id: str, limit: int, begin: int | None = None
    ) -> HistoryPage:
        """Return `limit` changes of an event at most, newest first, from the one at the revision `begin` on.

        Raises `DepartmentNotFound`.
        """
        if not self.edits.is_live(department_id):
            raise DepartmentNotFound()
        return self._history.page(EventKey(event_id, department_id), limit, begin)
