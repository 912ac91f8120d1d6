"""What an import of some entries would write, and the verdict on each: decided on the present state."""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from enum import StrEnum
from typing import Any

from domain import UID_DOMAIN, ChangeType, Event, Write
from errors import OccurrenceNotFound, TooManyReplacements, ValidationFailed
from event_schemas import EventNew
from files.entries import Entry
from services.event_fields import settle
from services.event_writes import creation, deletion, edit, event_of
from services.series import OF_DATES, gives, reattached

_ID_NAMESPACE = uuid.UUID("7f0a3c52-55d5-4b0f-9d0c-6f5c3f5a9f34")
"""Of the ids of imported events, which follow from the department and the UID."""
_OWN_UID = re.compile(rf"([0-9a-f]{{8}}-(?:[0-9a-f]{{4}}-){{3}}[0-9a-f]{{12}})@{re.escape(UID_DOMAIN)}")


class Verdict(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    EQUAL = "equal"
    SKIPPED = "skipped"


@dataclass(slots=True)
class Judged:
    """An entry, and what an import does with it."""

    entry: Entry
    verdict: Verdict = Verdict.SKIPPED
    reason: str = ""

    def public(self) -> dict[str, str]:
        return {
            "uid": self.entry.uid,
            "title": str(self.entry.fields.get("title", "")),
            "event_date": str(self.entry.fields.get("event_date", "")),
            "verdict": self.verdict.value,
            "reason": self.reason,
        }


def own_id(uid: str) -> str | None:
    """Return the id of the event that our own files name by a UID; None for UIDs of others."""
    match = _OWN_UID.fullmatch(uid)
    return match[1] if match else None


def imported_id(department_id: str, uid: str, original_date: str = "") -> str:
    """Return the id that an entry has in a department, always the same."""
    return str(uuid.uuid5(_ID_NAMESPACE, f"{department_id}\n{uid}\n{original_date}"))


@dataclass(slots=True)
class ImportPlan:
    """The writes of some entries, which are committed together."""

    department_id: str
    existing: Mapping[str, Event]
    """The events that the entries may be about, by id."""
    zone: Callable[[], tzinfo]
    """Asked for the zone of the department if a new rule comes."""
    writes: dict[str, Write] = field(default_factory=dict)
    """By the id of the event."""

    def add(self, entries: Sequence[Judged]) -> None:
        """Decide on the entries of one UID that have no reason to be skipped."""
        series: Event | None = None
        uid = entries[0].entry.uid
        for one in entries:
            if not one.entry.original_date:
                series = self._add_whole(one)
        series = series or self._find_whole(uid)
        for one in entries:
            if not one.entry.original_date:
                continue
            if series is None or not series.rrule:
                self._add_alone(one)
            elif one.entry.cancelled:
                self._remove_occurrence(one, series)
            else:
                self._add_replacement(one, series)

    def as_planned(self) -> dict[str, Event]:
        """Return the events that the plan creates or changes, as they will be."""
        kept = (write for write in self.writes.values() if write.type is not ChangeType.EVENT_DELETED)
        return {event.id: event for event in map(event_of, kept)}

    def _find_whole(self, uid: str) -> Event | None:
        own = self.existing.get(own_id(uid) or "")
        return own or self._latest(imported_id(self.department_id, uid))

    def _latest(self, event_id: str) -> Event | None:
        planned = self.writes.get(event_id)
        return event_of(planned) if planned else self.existing.get(event_id)

    def _add_whole(self, one: Judged) -> Event | None:
        uid = one.entry.uid
        before = self._find_whole(uid)
        fields = _valid_fields(one, before, self.zone)
        if fields is None:
            return None
        if before and not self._reattach(one, before, replace(before, **fields)):
            return None
        return self._put(one, before, fields, id=imported_id(self.department_id, uid), _imported_uid=uid)

    def _reattach(self, one: Judged, before: Event, after: Event) -> bool:
        """Release what replaces no occurrence of a changed series any more; tell whether that can be done."""
        if not before.rrule or all(getattr(after, name) == getattr(before, name) for name in OF_DATES):
            return True
        replacements = [event for event in self.existing.values() if event.recurring_event_id == before.id]
        try:
            writes = reattached(replacements, after.event_date, after)
        except TooManyReplacements as error:
            one.reason = error.message
            return False
        self.writes |= {write.entity.id: write for write in writes}
        return True

    def _add_alone(self, one: Judged) -> None:
        """Take an occurrence whose series is nowhere for an event of its own."""
        if one.entry.cancelled:
            one.reason = "취소된 일정입니다."
            return
        event_id = imported_id(self.department_id, one.entry.uid, one.entry.original_date)
        before = self._latest(event_id)
        fields = _valid_fields(one, before, self.zone)
        if fields is not None:
            self._put(one, before, fields, id=event_id)

    def _remove_occurrence(self, one: Judged, series: Event) -> None:
        day = one.entry.original_date
        series = self._latest(series.id) or series
        one.verdict = Verdict.EQUAL
        if day not in series.exdates:
            if not _is_occurrence(series, day):
                one.verdict, one.reason = Verdict.SKIPPED, "반복 일정에 없는 날짜입니다."
                return
            self._update(series, replace(series, exdates=tuple(sorted({*series.exdates, day}))))
            one.verdict = Verdict.UPDATED
        if replacement := self._replacement(series, day):
            self.writes[replacement.id] = deletion(replacement)
            self._touch(series)
            one.verdict = Verdict.UPDATED

    def _add_replacement(self, one: Judged, series: Event) -> None:
        day = one.entry.original_date
        series = self._latest(series.id) or series
        if not _is_occurrence(series, day):
            one.reason = "반복 일정에 없는 날짜입니다."
            return
        event_id = imported_id(self.department_id, one.entry.uid, day)
        before = self._replacement(series, day) or self._latest(event_id)  # it may have left the series
        fields = _valid_fields(one, before, self.zone)
        if fields is None:
            return
        replacing = {
            "rrule": "",
            "exdates": (),
            "recurring_event_id": series.id,
            "original_date": day,
            "_imported_uid": series.imported_uid,
        }
        self._put(one, before, fields | replacing, id=event_id)
        if one.verdict is not Verdict.EQUAL:
            self._touch(series)

    def _replacement(self, series: Event, day: str) -> Event | None:
        return next(
            (
                event
                for event in self.existing.values()
                if event.recurring_event_id == series.id and event.original_date == day
            ),
            None,
        )

    def _put(self, one: Judged, before: Event | None, fields: Mapping[str, Any], **identity: Any) -> Event:
        """Create an event, or give the one before these fields; return it as it will be."""
        if before is None:
            write = creation(Event(department_id=self.department_id, **identity, **fields))
            event = event_of(write)
            self.writes[event.id] = write
            one.verdict = Verdict.CREATED
            return event
        after = replace(before, **fields)
        one.verdict = Verdict.EQUAL
        if after != before:
            one.verdict = Verdict.UPDATED
            return self._update(before, after)
        return before

    def _touch(self, series: Event) -> None:
        """Move the revision of a series with its replacement, so that nobody deletes it meanwhile."""
        if series.id not in self.writes:
            self._update(series, series)

    def _update(self, before: Event, after: Event) -> Event:
        write = edit(before, after)
        planned = self.writes.get(before.id)
        if planned and planned.type is not ChangeType.EVENT_DELETED:
            write = replace(planned, entity=write.entity)
        self.writes[before.id] = write
        return event_of(write)


def _is_occurrence(series: Event, day: str) -> bool:
    try:
        return gives(series, day)
    except OccurrenceNotFound:  # a rule that this server cannot read
        return False


def _valid_fields(one: Judged, before: Event | None, zone: Callable[[], tzinfo]) -> dict[str, Any] | None:
    """Return the fields of an event as an entry wants them; None, with the reason, if they break a rule."""
    try:
        given = EventNew.model_validate(dict(one.entry.fields))
        if one.entry.is_partial and before:
            return settle(before, given.sent_fields(), zone)
        return settle(None, given.model_dump(), zone)
    except ValidationFailed as error:
        one.reason = " ".join(f"{detail['field']}: {detail['message']}" for detail in error.details)
        return None
