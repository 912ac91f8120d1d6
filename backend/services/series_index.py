"""What of a department matters outside of its own date: series, long events, replaced occurrences.

Immutable, and kept with a snapshot: an edit of a plain event leaves the index as it is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property, lru_cache

from deadlines import remaining_s
from domain import Event
from errors import OutOfTime
from recurrence import last_occurrence, occurrences
from rrule_text import Rule, RuleError, parse_rule
from tokens import EventOrder
from turns import in_turns

SPAN_BYTES = 1_000
"""Rough bytes of what the index keeps of an event beside the event itself."""
KEPT_DATES = 64
"""How many dates of a series are kept at most from one question to the next."""
SPANS_PER_TURN = 20
"""After how many spans others run."""
RANGES_KEPT = 8
"""For how many ranges the index remembers what lies in them."""


@dataclass(eq=False)
class Span:
    """An event that may lie on several dates: a series, or one that does not end on the day it begins.

    It never changes, but remembers what it has worked out.
    """

    event: Event
    start: date
    days: int
    """How many days after its first date it ends; of a series each occurrence."""
    removed: frozenset[str] = frozenset()
    """ISO dates of the occurrences that are removed or replaced."""
    _asked: tuple[tuple[date, date] | None, Sequence[str]] = (None, ())
    """What was asked for last, and its dates: they stay while others of the department change."""

    @cached_property
    def last(self) -> date:
        """The last date on which it may lie; `date.max` if it is without end."""
        begins = self.start if self._rule is None else last_occurrence(self._rule, self.start)
        return shifted(begins, self.days) if begins else date.max

    @cached_property
    def order(self) -> EventOrder:
        """The sort key of the event."""
        return self.event.order()

    def dates(self, first: date, last: date, most: int) -> Sequence[str]:
        """Return the ISO dates, in order, on which what lies in a range of dates begins; the `most` first."""
        asked, found = self._asked
        if asked == (first, last):
            return found[:most]
        begin = max(self.start, shifted(first, -self.days))
        begins = map(_iso, self._begins(begin, last, most + len(self.removed)))
        found = [day for day in begins if day not in self.removed][:most]
        if len(found) < most and len(found) <= KEPT_DATES:
            self._asked = (first, last), found
        return found

    def touches(self, first: date, last: date) -> bool:
        """Tell whether any part of it lies in a range of dates."""
        return bool(self.dates(first, last, 1))

    @cached_property
    def _rule(self) -> Rule | None:
        try:
            return parse_rule(self.event.rrule) if self.event.rrule else None
        except RuleError:  # what another tool has stored; only its own date is known
            return None

    def _begins(self, first: date, last: date, most: int) -> Sequence[date]:
        if self._rule is None:
            return [self.start] if first <= self.start else []
        return occurrences(self._rule, self.start, first, last, most)


@dataclass(frozen=True, slots=True)
class InRange:
    """What the dates of events do not tell of a range: which began before it, which are not in it."""

    before: Sequence[Event] = ()
    """The events that begin before the range and have a part in it, in order."""
    absent: Sequence[Event] = ()
    """The series that begin in the range and have no occurrence left there."""


@dataclass(frozen=True, slots=True)
class SeriesIndex:
    """The spans and the replacements of a department. The replacements are by the ids of their series."""

    events: Mapping[str, Event] = field(default_factory=dict)
    """All events of which the index knows, by id."""
    _spans: Mapping[str, Span] = field(default_factory=dict)
    _replacements: Mapping[str, Mapping[str, Event]] = field(default_factory=dict)
    _ranges: dict[tuple[str | None, str | None], InRange] = field(default_factory=dict, compare=False)

    @property
    def size(self) -> int:
        """Rough memory in bytes, without the events."""
        return SPAN_BYTES * len(self.events)

    def changed(self, removed: Iterable[Event], added: Iterable[Event]) -> "SeriesIndex":
        """Return the index of the events without some of them and with others."""
        gone, come = list(filter(matters, removed)), list(filter(matters, added))
        if not gone and not come:
            return self
        events, spans, replacements = dict(self.events), dict(self._spans), dict(self._replacements)
        replaced_in = {id for event in (*gone, *come) if (id := event.recurring_event_id)}
        replaced = {id: dict(replacements.pop(id, {})) for id in replaced_in}
        for event in gone:
            events.pop(event.id, None)
            spans.pop(event.id, None)
            replaced.get(event.recurring_event_id, {}).pop(event.id, None)
        for event in come:
            events[event.id] = event
            if event.recurring_event_id:
                replaced[event.recurring_event_id][event.id] = event
        replacements |= {id: of_series for id, of_series in replaced.items() if of_series}
        again = [events[id] for id in replaced if id in spans]
        for event in (*again, *come):
            if span := _span_of(event, replacements.get(event.id, {}).values()):
                spans[event.id] = span
        return SeriesIndex(events, spans, replacements)

    @property
    def series(self) -> Mapping[str, Event]:
        """The events that have a rule, by id."""
        return {id: event for id, event in self.events.items() if event.rrule}

    def replacements(self, series_id: str) -> Sequence[Event]:
        """Return the events that replace occurrences of a series, by the dates of these."""
        return sorted(self._replacements.get(series_id, {}).values(), key=lambda event: event.original_date)

    def in_range(self, first: str | None, last: str | None) -> InRange:
        """Return what the dates of events do not tell of a range. Lets others run."""
        if not self._spans:
            return InRange()
        found = self._ranges.get((first, last))
        if found is None:
            found = self._find(first, last)
            while len(self._ranges) >= RANGES_KEPT:
                self._ranges.pop(next(iter(self._ranges)), None)
            self._ranges[first, last] = found
        return found

    def spans(self, first: date, last: date) -> Iterator[Span]:
        """Yield the spans that may touch a range of dates. Lets others run.

        Raises `OutOfTime`: the dates of hostile rules take milliseconds each. What was worked out is kept.
        """
        for span in in_turns(self._spans.values(), SPANS_PER_TURN):
            if remaining_s() < 0:
                raise OutOfTime()
            if span.start <= last and span.last >= first:
                yield span

    def find_span(self, event_id: str) -> Span | None:
        return self._spans.get(event_id)

    def _find(self, first: str | None, last: str | None) -> InRange:
        begin, end = date.fromisoformat(first or "0001-01-01"), date.fromisoformat(last or "9999-12-31")
        before, absent = [], []
        for span in self.spans(begin, end):
            touches = span.touches(begin, end)
            if span.start < begin and touches:
                before.append(span.event)
            elif span.start >= begin and not touches:
                absent.append(span.event)
        return InRange(sorted(before, key=Event.order), absent)


def matters(event: Event) -> bool:
    """Tell whether an index has to know an event."""
    return bool(event.rrule or event.end_date or event.recurring_event_id or _ends_after_midnight(event))


def _ends_after_midnight(event: Event) -> bool:
    """Tell whether an event without a last date lasts into the next day; 24 hours may end at `00:00`."""
    return not event.end_date and "00:00" < event.end_time <= event.start_time


def days_of(event: Event) -> int:
    """Return how many days after `event_date` an event ends, of a series each occurrence.

    Raises `ValueError` for dates that are none: other tools may have stored any text.
    """
    if not event.end_date:
        return int(_ends_after_midnight(event))
    return (date.fromisoformat(event.end_date) - date.fromisoformat(event.event_date)).days


@lru_cache(4_096)
def _iso(day: date) -> str:
    """Return an ISO date; the texts are shared."""
    return day.isoformat()


def shifted(day: date, days: int) -> date:
    """Return the date so many days later, or the last or first one there is."""
    try:
        return day + timedelta(days)
    except OverflowError:
        return date.max if days > 0 else date.min


def _span_of(event: Event, replacements: Iterable[Event]) -> Span | None:
    """Return the span of an event; None of one that lies on its own date alone."""
    try:
        start, days = date.fromisoformat(event.event_date), max(0, days_of(event))
    except ValueError:
        return None
    if start.isoformat() != event.event_date or (not days and not event.rrule):
        return None
    return Span(event, start, days, frozenset((*event.exdates, *(r.original_date for r in replacements))))
