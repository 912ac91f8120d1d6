"""Departments as iCalendar and CSV files, for downloads and feeds.

How an event is written in iCalendar is kept, so that after an edit only that event is written anew.
"""

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import MAXYEAR
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from cachetools import LRUCache

from domain import Department, Event, EventFilter, Position
from files.csv_out import write_table
from files.ical_event import event_block
from files.ical_out import Contents, calendar_parts
from services.departments import DepartmentService
from services.event_lists import EventLists, EventsRead
from services.series_index import SeriesIndex
from turns import in_turns

FORMAT = 1
"""To be raised when the same department is written otherwise, as clients hold files of older servers."""
KEPT_BYTES = 32 * 1024 * 1024
"""Most memory of kept lines of events in a process, rough."""
YEARS_OF_LARGE = 30
"""For how many years a file of a department that is too large for memory describes its zone."""
BLOCK_BYTES = 250
"""Rough bytes of keeping the lines of an event, besides them."""

IsHeld = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class CalendarFile:
    """A file and its version."""

    name: str
    etag: str
    pieces: Iterable[bytes] | None
    """None if the caller holds this version."""


@dataclass(slots=True)
class _Blocks:
    """The lines of a department's events, each with what it was made from."""

    made: dict[str, tuple[tuple[object, ...], bytes]] = field(default_factory=dict)
    size: int = 0

    def block(self, event: Event, zone: ZoneInfo, series: Event | None) -> bytes:
        state = (event.revision, zone.key, series and (series.uid, series.start_time))
        kept = self.made.get(event.id)
        if kept and kept[0] == state:
            return kept[1]
        lines = event_block(event, zone, series)
        self.size += len(lines) - len(kept[1]) if kept else len(lines) + BLOCK_BYTES
        self.made[event.id] = (state, lines)
        return lines

    def drop_all_but(self, events: Sequence[Event]) -> None:
        if len(self.made) > len(events):
            ids = {event.id for event in events}
            for event_id in self.made.keys() - ids:
                self.size -= len(self.made.pop(event_id)[1]) + BLOCK_BYTES


class CalendarFiles:
    """The files of all departments. Its methods raise `DepartmentNotFound`."""

    def __init__(self, departments: DepartmentService, lists: EventLists) -> None:
        self._departments = departments
        self._lists = lists
        self._lock = threading.Lock()
        self._kept: LRUCache[str, _Blocks] = LRUCache(KEPT_BYTES, getsizeof=lambda blocks: blocks.size)

    def calendar(self, department_id: str, wanted: EventFilter, is_held: IsHeld) -> CalendarFile:
        """Return the wanted events as iCalendar; a series is one entry, whatever the range."""
        department = self._departments.get_department(department_id)
        etag_at = _etags(department)
        read = self._lists.read_events(department_id, wanted, lambda position: is_held(etag_at(position)))
        pieces = None if read.events is None else self._calendar(department, read, read.events, wanted)
        return CalendarFile(f"{department.name}.ics", etag_at(read.position), pieces)

    def table(self, department_id: str, wanted: EventFilter, is_held: IsHeld) -> CalendarFile:
        """Return the wanted events as CSV; with `wanted.expand` each occurrence has a row.

        Raises `ValidationFailed` for a range of too many occurrences.
        """
        department = self._departments.get_department(department_id)
        etag_at = _etags(department)
        name = f"{department.name}.csv"
        if wanted.expand:
            found = self._lists.list_events(
                department_id, wanted, lambda position: is_held(etag_at(position))
            )
            rows = None if found.events is None else write_table(_decoded(found.events), occurrences=True)
            return CalendarFile(name, etag_at(found.position), rows)
        read = self._lists.read_events(department_id, wanted, lambda position: is_held(etag_at(position)))
        return CalendarFile(
            name, etag_at(read.position), None if read.events is None else write_table(read.events)
        )

    def _calendar(
        self, department: Department, read: EventsRead, events: Iterable[Event], wanted: EventFilter
    ) -> Iterator[bytes]:
        if wanted.is_range:
            events = _with_all_replacements(events, read.index)
        if read.is_large:
            return in_turns(_large_calendar(department, events, _series_within(read.index, wanted)))
        return self._kept_calendar(department, list(in_turns(events)), is_whole=not wanted.is_range)

    def _kept_calendar(
        self, department: Department, events: Sequence[Event], *, is_whole: bool
    ) -> Iterator[bytes]:
        with self._lock:
            blocks = self._kept.pop(department.id, None) or _Blocks()
        yield from in_turns(calendar_parts(department, events, Contents.of(events), blocks.block))
        if is_whole:
            blocks.drop_all_but(events)
        with self._lock, contextlib.suppress(ValueError):  # too large to be kept
            self._kept[department.id] = blocks


def _large_calendar(
    department: Department, events: Iterable[Event], series: Mapping[str, Event]
) -> Iterator[bytes]:
    """Yield a file of events that are read only once. Its VTIMEZONE is for more years than they may need."""
    ahead = iter(events)
    first = next(ahead, None)
    years = None
    if first and (year := first.event_date[:4]).isdecimal():
        years = (int(year), min(int(year) + YEARS_OF_LARGE, MAXYEAR))
    contents = Contents(series, years)
    yield from calendar_parts(department, chain([first] if first else [], ahead), contents)


def _with_all_replacements(events: Iterable[Event], index: SeriesIndex) -> Iterator[Event]:
    """Yield events of a range, and what replaces occurrences of their series outside of it.

    Without these programs would show those occurrences where they were.
    """
    series, seen = [], set()
    for event in events:
        if event.rrule:
            series.append(event.id)
        elif event.recurring_event_id:
            seen.add(event.id)
        yield event
    for series_id in series:
        yield from (one for one in index.replacements(series_id) if one.id not in seen)


def _series_within(index: SeriesIndex, wanted: EventFilter) -> Mapping[str, Event]:
    if not wanted.is_range:
        return index.series
    part = index.in_range(wanted.first, wanted.last)
    absent = {event.id for event in part.absent}
    begin, end = wanted.first or "", wanted.last or "9999-12-31"
    within = (e for e in index.series.values() if begin <= e.event_date <= end and e.id not in absent)
    return {event.id: event for event in (*part.before, *within)}


def _etags(department: Department) -> Callable[[Position], str]:
    """Return the version of a department's files at a position, as a function."""
    look = f"{FORMAT} {department.name} {department.timezone} {department.color}"
    suffix = hashlib.sha256(look.encode()).hexdigest()[:8]
    return lambda position: f"{position}.{suffix}"


def _decoded(pieces: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for piece in pieces:
        yield from orjson.loads(b"[%b]" % piece)
