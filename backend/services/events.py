"""Use cases of events and series: get, list, create, update, delete, restore, history.

Those that take more than a few lines have modules of their own, which the methods name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from domain import Created, Event, EventFilter, EventKey, Position, Write
from errors import DepartmentNotFound, EventNotFound
from models import DynamoDBDatabase
from services.event_creations import EventCreations
from services.event_edits import Authorize, EventEdits, ExpectedRevisions
from services.event_fields import settle
from services.event_lists import EventList, EventLists
from services.event_restorations import EventRestorations
from services.event_writes import deletion, edit, event_of
from services.group_commit import GroupCommit
from services.history import EventHistory, HistoryPage
from services.series import OF_DATES, Series
from services.snapshots import Snapshots


class _IsReplacement(Exception):
    """The event to be deleted replaces an occurrence of this series."""

    def __init__(self, series_id: str) -> None:
        super().__init__(series_id)
        self.series_id = series_id


class EventService:
    """The events of all departments."""

    def __init__(self, db: DynamoDBDatabase, group_commit: GroupCommit, snapshots: Snapshots) -> None:
        self._db = db
        self._snapshots = snapshots
        self._history = EventHistory(db)
        self.edits = EventEdits(db, group_commit, snapshots)
        self._creations = EventCreations(db, group_commit, self.edits)
        self._restorations = EventRestorations(db, group_commit, self.edits, self._history)
        self.lists = EventLists(snapshots)

    def list_events(
        self, department_id: str, wanted: EventFilter, is_held: Callable[[Position], bool]
    ) -> EventList:
        """Do what `EventLists.list_events` says."""
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
        """Change the given fields of an event, or of a series as a whole, and what follows from them.

        Raises `EventNotFound`, `EventChanged` when the event is at none of the `expected` revisions,
        `TooManyReplacements`, `ChangeTooLarge`, and what `settle` and `authorize` raise.
        """
        if not fields:
            event = self.edits.get_expected(event_id, expected, authorize)
            if not self.edits.is_live(event.department_id):
                raise EventNotFound()
            return event

        def plan(event: Event) -> Sequence[Write]:
            changed = {name for name in OF_DATES if fields.get(name, old := getattr(event, name)) != old}
            if event.rrule and changed:
                return self._series(event).changed(fields)
            settled = settle(event, fields, lambda: self.edits.zone(event.department_id))
            return [edit(event, replace(event, **settled))]

        first, *_ = self.edits.edit(event_id, plan, expected, authorize)
        return event_of(first)

    def delete_event(
        self,
        event_id: str,
        expected: ExpectedRevisions = None,
        authorize: Authorize = lambda _department_id: None,
    ) -> None:
        """Delete an event, a series with its replacements, or with a replacement its occurrence.

        Raises what `delete_occurrence` does.
        """

        def plan(event: Event) -> Sequence[Write]:
            if event.recurring_event_id:
                raise _IsReplacement(event.recurring_event_id)
            return self._plan_deletion(event)

        try:
            self.edits.edit(event_id, plan, expected, authorize)
        except _IsReplacement as found:  # only now it is known whose turns to take
            series_id = found.series_id
            self.edits.edit(event_id, self._plan_deletion, expected, authorize, series_id=series_id)

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
        """Change the occurrence of an ISO date, or those from it on; return the replacement or the series.

        `expected` names revisions of the series. Raises what `update_event` does, and `OccurrenceNotFound`.
        """

        def plan(event: Event) -> Sequence[Write]:
            series = self._series(event)
            return series.rest_changed(day, fields) if following else series.occurrence_changed(day, fields)

        first, *_ = self.edits.edit(series_id, plan, expected, authorize)
        return event_of(first)

    def delete_occurrence(
        self,
        series_id: str,
        day: str,
        expected: ExpectedRevisions = None,
        authorize: Authorize = lambda _department_id: None,
        *,
        following: bool = False,
    ) -> None:
        """Remove the occurrence of an ISO date, or those from it on.

        Raises what `update_occurrence` does, and `TooManyExdates`.
        """

        def plan(event: Event) -> Sequence[Write]:
            series = self._series(event)
            return series.rest_deleted(day) if following else series.occurrence_deleted(day)

        self.edits.edit(series_id, plan, expected, authorize)

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

    def _plan_deletion(self, event: Event) -> Sequence[Write]:
        if event.rrule:
            return self._series(event).deleted()
        series = self.edits.find_series(event)
        if series is None:
            return [deletion(event)]
        others = [one for one in self.edits.replacements(series) if one.id != event.id]
        return Series(series, [*others, event]).occurrence_deleted(event.original_date)

    def _series(self, event: Event) -> Series:
        replacements = self.edits.replacements(event) if event.rrule else ()
        return Series(event, replacements, lambda: self.edits.zone(event.department_id))
