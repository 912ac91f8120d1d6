"""A series with its replacements, and the writes that change it. Pure: reads and stores nothing.

Each list of writes belongs into one transaction, and changes the series itself, too. So of two that were made
from the same state one is refused, and no replacement is left without its series.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, tzinfo
from functools import cached_property
from typing import Any

from domain import ChangeType, Event, Write, new_id
from errors import OccurrenceNotFound, TooManyExdates, TooManyReplacements, ValidationFailed
from event_schemas import EXDATES_MAX
from recurrence import is_occurrence, occurrences, rest_from
from rrule_text import Rule, RuleError, parse_rule
from services.event_fields import settle
from services.event_writes import creation, deletion, edit, event_of
from services.series_index import shifted

MOVED_MAX = 40
"""How many replacements may move to another series, or go with a part of one."""
OF_SERIES = ("rrule", "exdates")
"""Fields that only a series has."""
OF_DATES = ("event_date", "rrule")
"""Fields that say on which dates a series has occurrences."""


def released(replacement: Event) -> Event:
    """Return a replacement as an event of its own."""
    return replace(replacement, recurring_event_id="", original_date="", _imported_uid="")


def gives(series: Event, day: str) -> bool:
    """Tell whether the rule of a series gives an ISO date, removed or not. Raises `OccurrenceNotFound`."""
    return is_occurrence(_rule_of(series), date.fromisoformat(series.event_date), date.fromisoformat(day))


def repeats_on(series: Event, day: str) -> bool:
    """Tell whether a series may have an occurrence on an ISO date: if its rule cannot be read, it may."""
    try:
        return bool(series.rrule) and gives(series, day)
    except OccurrenceNotFound:
        return True


class Series:
    """A series as it was read, with all its replacements. Methods return writes, and change nothing here."""

    def __init__(
        self, event: Event, replacements: Sequence[Event], zone: Callable[[], tzinfo] = lambda: UTC
    ) -> None:
        """`zone` is asked for the zone of the department if a new rule comes.

        Raises `OccurrenceNotFound` for an event that does not repeat.
        """
        if not event.rrule:
            raise OccurrenceNotFound()
        self.event = event
        self.replacements = replacements
        self._zone = zone

    def changed(self, fields: Mapping[str, Any]) -> list[Write]:
        """Change the series as a whole. What replaces no occurrence of it any more stays as an event.

        Raises `TooManyReplacements`, `ValidationFailed`.
        """
        first = edit(self.event, replace(self.event, **settle(self.event, fields, self._zone)))
        return [first, *reattached(self.replacements, self.event.event_date, event_of(first))]

    def deleted(self) -> list[Write]:
        """Delete the series and its replacements; the series comes last."""
        return [*map(deletion, self.replacements), deletion(self.event)]

    def occurrence_changed(self, day: str, fields: Mapping[str, Any]) -> list[Write]:
        """Change the occurrence of an ISO date by a replacement, which comes first.

        Raises `OccurrenceNotFound`, `ValidationFailed`.
        """
        shown = self._shown(day)
        own = self._own_fields(fields)
        if shown is self._replacement(day):
            return [edit(shown, replace(shown, **settle(shown, own))), edit(self.event, self.event)]
        made = replace(
            shown,
            id=new_id(),
            rrule="",
            recurring_event_id=self.event.id,
            original_date=day,
            created_at="",
        )
        return [creation(replace(made, **settle(made, own))), edit(self.event, self.event)]

    def occurrence_deleted(self, day: str) -> list[Write]:
        """Remove the occurrence of an ISO date, and the series with its last one.

        Raises `OccurrenceNotFound`, `TooManyExdates`.
        """
        self._shown(day)
        left = [other for other in self.replacements if other.original_date != day]
        after = replace(self.event, exdates=tuple(sorted({*self.event.exdates, day})))
        if not left and not _has_occurrences(after):
            return self.deleted()
        if len(after.exdates) > EXDATES_MAX:
            raise TooManyExdates()
        gone = [deletion(other) for other in self.replacements if other.original_date == day]
        return [*gone, edit(self.event, after)]

    def rest_changed(self, day: str, fields: Mapping[str, Any]) -> list[Write]:
        """Change the occurrences from an ISO date on: by a new series, which comes first.

        From the first occurrence on the series itself is changed. What replaces the occurrence of that date
        is changed, too: it is what the editor saw. Raises `OccurrenceNotFound`, `TooManyReplacements`,
        `ValidationFailed`.
        """
        shown = self._shown_by_rule(day)
        wanted = self._fields_of_rest(day, shown, fields)
        own = {name: value for name, value in fields.items() if name not in OF_SERIES}
        if day == self.event.event_date:
            first = edit(self.event, replace(self.event, **settle(self.event, wanted, self._zone)))
            past, later = [], list(self.replacements)
        else:
            rest = self._rest(day)
            first = creation(replace(rest, **settle(rest, wanted, self._zone)))
            past, later = [self._past(day)], self._replacements_from(day)
        return [first, *reattached(later, day, event_of(first), own), *past]

    def rest_deleted(self, day: str) -> list[Write]:
        """Remove the occurrences from an ISO date on, and the series if there are none before it.

        Raises `OccurrenceNotFound`, `TooManyReplacements`.
        """
        self._shown_by_rule(day)
        if day == self.event.event_date:
            return self.deleted()
        later, past = self._replacements_from(day), self._past(day)
        if past.type is ChangeType.EVENT_UPDATED:
            _require_few(later)
        return [*map(deletion, later), past]

    def _replacement(self, day: str) -> Event | None:
        return next((one for one in self.replacements if one.original_date == day), None)

    def _replacements_from(self, day: str) -> list[Event]:
        return [one for one in self.replacements if one.original_date >= day]

    def _shown(self, day: str) -> Event:
        """Return what a client sees of an occurrence: its replacement, or the series on its date."""
        if replacement := self._replacement(day):
            return replacement
        return self._shown_by_rule(day)

    def _shown_by_rule(self, day: str) -> Event:
        """Return what a client sees of an occurrence whose date the rule gives."""
        replacement = self._replacement(day)
        if not gives(self.event, day) or (day in self.event.exdates and not replacement):
            raise OccurrenceNotFound()
        return replacement or _on(self.event, day)

    @cached_property
    def _rule(self) -> Rule:
        return _rule_of(self.event)

    @cached_property
    def _start(self) -> date:
        return date.fromisoformat(self.event.event_date)

    def _own_fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields without those of the series, which clients send back as they were given."""
        for name in OF_SERIES:
            if name in fields and fields[name] not in ("", (), getattr(self.event, name)):
                message = "반복 일정의 하루만 고칠 때는 바꿀 수 없습니다."
                raise ValidationFailed.of(name, "is_occurrence", message)
        return {name: value for name, value in fields.items() if name not in OF_SERIES}

    def _fields_of_rest(self, day: str, shown: Event, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return fields that were sent for what is shown on a date as those of a series that begins there.

        A rule or removed dates that the client was given and sends back are left out.
        """
        given = {name: {getattr(self.event, name), getattr(shown, name)} for name in OF_SERIES}
        wanted = {n: value for n, value in fields.items() if n not in given or value not in given[n]}
        moved_by = (date.fromisoformat(day) - date.fromisoformat(shown.event_date)).days
        for name in ("event_date", "end_date"):
            if wanted.get(name):
                wanted[name] = shifted(date.fromisoformat(wanted[name]), moved_by).isoformat()
        return wanted

    def _rest(self, day: str) -> Event:
        """Return the occurrences from a date on as a series of its own."""
        rule = rest_from(self._rule, self._start, date.fromisoformat(day))
        return replace(
            _on(self.event, day),
            id=new_id(),
            rrule=str(rule),
            exdates=tuple(removed for removed in self.event.exdates if removed >= day),
            created_at="",
            _imported_uid="",
        )

    def _past(self, day: str) -> Write:
        """End the series before a date; delete it if nothing is left of it."""
        after = self._ended_before(day)
        if len(self._replacements_from(day)) < len(self.replacements) or _has_occurrences(after):
            return edit(self.event, after)
        return deletion(self.event)

    def _ended_before(self, day: str) -> Event:
        return replace(
            self.event,
            rrule=str(self._rule.ending_before(date.fromisoformat(day))),
            exdates=tuple(removed for removed in self.event.exdates if removed < day),
        )


def reattached(
    replacements: Sequence[Event], begin: str, series: Event, fields: Mapping[str, Any] | None = None
) -> list[Write]:
    """Make replacements those of a series as it will be, or events of their own.

    They stay where they are, and replace the occurrence of the same date. If there is none any more, it is
    the one that has moved as far as the first of them, which had the date `begin`. What replaced that one
    gets the fields, too. Raises `TooManyReplacements`.
    """
    replaced = {one.original_date for one in replacements if repeats_on(series, one.original_date)}
    writes = []
    for one in replacements:
        day = one.original_date
        if day not in replaced:
            moved_by = date.fromisoformat(series.event_date) - date.fromisoformat(begin)
            day = shifted(date.fromisoformat(day), moved_by.days).isoformat()
            if day in replaced or not repeats_on(series, day):
                day = ""
            replaced.add(day)
        after = released(one)
        if day:
            after = replace(
                one, recurring_event_id=series.id, original_date=day, _imported_uid=series.imported_uid
            )
        if one.original_date == begin:
            after = replace(after, **settle(after, fields or {}))
        if after != one:
            writes.append(edit(one, after))
    _require_few(writes)
    return writes


def _require_few(replacements: Sequence[object]) -> None:
    if len(replacements) > MOVED_MAX:
        raise TooManyReplacements()


def _has_occurrences(series: Event) -> bool:
    """Tell whether a series without replacements has an occurrence that is not removed."""
    start, removed = date.fromisoformat(series.event_date), set(series.exdates)
    found = occurrences(_rule_of(series), start, start, date.max, len(removed) + 1)
    return any(day.isoformat() not in removed for day in found)


def _rule_of(series: Event) -> Rule:
    """Return the rule of a series. Raises `OccurrenceNotFound` for one that this server cannot read."""
    try:
        return parse_rule(series.rrule)
    except RuleError as error:
        raise OccurrenceNotFound() from error


def _on(series: Event, day: str) -> Event:
    """Return a series without its removed dates, moved to another date."""
    bare = replace(series, exdates=())
    return replace(bare, **settle(bare, {"event_date": day}))
