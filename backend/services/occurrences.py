"""Use cases of series: occurrences, and what becomes of replacements when an event is changed or deleted."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from domain import Event, Write
from services.event_edits import Authorize, EventEdits, ExpectedRevisions
from services.event_fields import settle
from services.event_writes import deletion, edit, event_of
from services.series import Series


class _IsReplacement(Exception):
    """The event to be deleted replaces an occurrence of this series."""

    def __init__(self, series_id: str) -> None:
        super().__init__(series_id)
        self.series_id = series_id


class Occurrences:
    """The series of all departments."""

    def __init__(self, edits: EventEdits) -> None:
        self._edits = edits

    def update(
        self,
        series_id: str,
        day: str,
        fields: Mapping[str, Any],
        expected: ExpectedRevisions,
        authorize: Authorize,
        *,
        following: bool,
    ) -> Event:
        """Change the occurrence of an ISO date, or those from it on; return the replacement or the series.

        `expected` names revisions of the series. Raises `EventNotFound`, `EventChanged`,
        `OccurrenceNotFound`, `TooManyReplacements`, `ChangeTooLarge`, and what `settle` and `authorize`
        raise.
        """

        def plan(event: Event) -> Sequence[Write]:
            series = self._series(event)
            return series.rest_changed(day, fields) if following else series.occurrence_changed(day, fields)

        first, *_ = self._edits.edit(series_id, plan, expected, authorize)
        return event_of(first)

    def delete(
        self,
        series_id: str,
        day: str,
        expected: ExpectedRevisions,
        authorize: Authorize,
        *,
        following: bool,
    ) -> None:
        """Remove the occurrence of an ISO date, or those from it on.

        Raises what `update` does, and `TooManyExdates`.
        """

        def plan(event: Event) -> Sequence[Write]:
            series = self._series(event)
            return series.rest_deleted(day) if following else series.occurrence_deleted(day)

        self._edits.edit(series_id, plan, expected, authorize)

    def update_event(
        self, event_id: str, fields: Mapping[str, Any], expected: ExpectedRevisions, authorize: Authorize
    ) -> Event:
        """Change an event, or a series as a whole. Raises what `update` does."""

        def plan(event: Event) -> Sequence[Write]:
            if event.rrule and fields.get("rrule") == "":
                return self._series(event).changed(fields)
            settled = settle(event, fields, lambda: self._edits.zone(event.department_id))
            return [edit(event, replace(event, **settled))]

        first, *_ = self._edits.edit(event_id, plan, expected, authorize)
        return event_of(first)

    def delete_event(self, event_id: str, expected: ExpectedRevisions, authorize: Authorize) -> None:
        """Delete an event, a series with its replacements, or with a replacement its occurrence.

        Raises what `delete` does.
        """

        def plan(event: Event) -> Sequence[Write]:
            if event.recurring_event_id:
                raise _IsReplacement(event.recurring_event_id)
            return self._plan_deletion(event)

        try:
            self._edits.edit(event_id, plan, expected, authorize)
        except _IsReplacement as found:  # only now it is known whose turns to take
            series_id = found.series_id
            self._edits.edit(event_id, self._plan_deletion, expected, authorize, series_id=series_id)

    def _plan_deletion(self, event: Event) -> Sequence[Write]:
        if event.rrule:
            return self._series(event).deleted()
        series = self._edits.find_series(event)
        if series is None:
            return [deletion(event)]
        others = [one for one in self._edits.replacements(series) if one.id != event.id]
        return Series(series, [*others, event]).occurrence_deleted(event.original_date)

    def _series(self, event: Event) -> Series:
        replacements = self._edits.replacements(event) if event.rrule else ()
        return Series(event, replacements, lambda: self._edits.zone(event.department_id))
