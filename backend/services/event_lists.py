"""Lists of events: ranges, searches, pages, and ranges in which occurrences stand for their series."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import chain

from cachetools import LRUCache

from domain import Event, EventFilter, Position
from services.event_chunks import EventChunks, cut
from services.expansion import (
    ListEntry,
    entries_of,
    is_listed_by_date,
    merged,
    occurrences_in,
    page_of,
    written,
)
from services.one_at_a_time import OneAtATime
from services.series_index import InRange, SeriesIndex
from services.snapshot import Snapshot
from services.snapshots import Reading, Snapshots
from text_order import fold_text
from tokens import EventOrder, order_token

SHORT_SEARCH_CHUNKS = 20
"""A search of so few chunks, some 10 ms, waits for no other one."""
KEPT_LIST_BYTES = 4_000_000
"""A larger list of occurrences is written while it is sent, for each client."""
KEPT_LISTS_BYTES = 16_000_000
"""Most bytes of all lists of occurrences that are kept until their departments change."""


@dataclass(frozen=True, slots=True)
class EventList:
    """The events of a department that were asked for, and the position at which they were read."""

    position: Position
    events: Iterable[bytes] | None
    """The events in order, in pieces as of `EventsJson`; None if the caller holds them already."""
    next_page_token: str = ""
    """Token of the next page; empty when there is none."""


@dataclass(frozen=True, slots=True)
class EventsRead:
    """The events of a department that were asked for, in order, and the position at which they were read."""

    position: Position
    events: Iterator[Event] | None
    """None if the caller holds them already."""
    index: SeriesIndex = field(default_factory=SeriesIndex)
    """Of the whole department."""
    is_large: bool = False
    """Whether the events come from the store while they are read, and must not be held all at once."""


class KeptLists:
    """Lists that are kept as JSON until their departments change; those that nobody asks for go first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: LRUCache[tuple[str, EventFilter], EventList] = LRUCache(
            KEPT_LISTS_BYTES, getsizeof=_kept_bytes
        )

    def find(self, department_id: str, position: Position, wanted: EventFilter) -> EventList | None:
        """Return a list that was kept at this position."""
        with self._lock:
            kept = self._kept.get((department_id, wanted))
        return kept if kept and kept.position == position else None

    def keep(self, department_id: str, wanted: EventFilter, made: EventList) -> EventList:
        """Keep a list that is written already; return it."""
        if isinstance(made.events, tuple) and _kept_bytes(made) <= KEPT_LIST_BYTES:
            with self._lock:
                self._kept[department_id, wanted] = made
        return made


def _kept_bytes(kept: EventList) -> int:
    return KEPT_LIST_BYTES // 1_000 + sum(map(len, kept.events or ()))


class EventLists:
    """The lists of all departments."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._expanded = KeptLists()
        self.searches = OneAtATime()
        """A search takes long in a large department, so only one runs there at a time."""

    def list_events(
        self, department_id: str, wanted: EventFilter, is_held: Callable[[Position], bool]
    ) -> EventList:
        """Return the events of a department that a filter selects. Raises `DepartmentNotFound`.

        `is_held(position)` tells whether the caller already holds them as they were at that position. Raises
        `ValidationFailed` for a range of too many occurrences, `TooManySeries`.
        """
        whole = wanted.limit is None or wanted.is_range
        reading = self._snapshots.current(department_id, whole=whole)
        if is_held(reading.position):
            return EventList(reading.position, None)
        if wanted.expand:
            return self._expand(reading, department_id, wanted)
        if reading.snapshot:
            return self._list_kept(reading.snapshot, wanted)
        return self._list_large(department_id, reading.position, wanted)

    def read_events(
        self, department_id: str, wanted: EventFilter, is_held: Callable[[Position], bool]
    ) -> EventsRead:
        """Return the events of a department within the dates of a filter, all of them and as they are.

        Raises as `list_events` does.
        """
        reading = self._snapshots.current(department_id)
        position, snapshot = reading.position, reading.snapshot
        if is_held(position):
            return EventsRead(position, None)
        if snapshot:
            return EventsRead(position, snapshot.within(wanted).events(), snapshot.series_index)
        index = self._snapshots.large.index(department_id, position)
        events = self._read_large(department_id, position, wanted, index)
        return EventsRead(position, events, index, is_large=True)

    def _read_large(
        self, department_id: str, position: Position, wanted: EventFilter, index: SeriesIndex
    ) -> Iterator[Event]:
        part = index.in_range(wanted.first, wanted.last) if wanted.is_range else InRange()
        elsewhere = {event.id for event in (*part.before, *part.absent)}
        yield from part.before
        for piece in self._snapshots.large.walk(department_id, position, wanted).events():
            yield from (event for event in piece if event.id not in elsewhere)

    def _list_kept(self, snapshot: Snapshot, wanted: EventFilter) -> EventList:
        found = snapshot.within(wanted)
        if fold_text(wanted.text):
            with self._turn(snapshot.department_id, found):
                found = found.matching(_matching(wanted), wanted.limit + 1 if wanted.limit else None)
        page = found.limited(wanted.limit) if wanted.limit else found
        end = page.chunks[-1].events[-1].order() if page.count() < found.count() else None
        return EventList(snapshot.position, page, order_token(end))

    def _list_large(self, department_id: str, position: Position, wanted: EventFilter) -> EventList:
        large, limit, is_matching = self._snapshots.large, wanted.limit, _matching(wanted)
        part = InRange()
        if wanted.is_range:
            part = large.index(department_id, position).in_range(wanted.first, wanted.last)
        before = [e for e in part.before if wanted.is_after_page(e.order()) and is_matching(e)]
        if limit and len(before) >= limit:
            entries, end = page_of([entries_of(before)], limit, before[-1].order())
            return EventList(position, _chunks(event for _, event, _ in entries), order_token(end))
        elsewhere = {event.id for event in (*part.before, *part.absent)}

        def is_wanted(event: Event) -> bool:
            return event.id not in elsewhere and is_matching(event)

        rest = replace(wanted, limit=limit - len(before)) if limit else wanted
        is_search = bool(fold_text(wanted.text))
        if limit and is_search:
            with self.searches.hold(department_id):
                page = large.search(department_id, position, rest, is_wanted)
            found = _chunks(chain(before, page.events.events()))
            return EventList(page.position, found, order_token(page.end))
        if not is_search:
            page = large.page(department_id, position, rest)
            if limit or page.end is None:
                found = _chunks(chain(before, filter(is_wanted, page.events.events())))
                return EventList(page.position, found, order_token(page.end))
        walk = large.walk(department_id, position, wanted, is_wanted if is_search or elsewhere else None)
        return EventList(walk.position, chain(_chunks(before), walk))

    def _expand(self, reading: Reading, department_id: str, wanted: EventFilter) -> EventList:
        """Return a range in which occurrences stand for their series."""
        position, snapshot = reading.position, reading.snapshot
        if kept := self._expanded.find(department_id, position, wanted):
            return kept
        with self._turn(department_id, snapshot.chunks.within(wanted) if snapshot else None):
            if kept := self._expanded.find(department_id, position, wanted):  # of who had the turn before
                return kept
            if snapshot:
                found = self._expand_kept(snapshot, wanted)
            else:
                found = self._expand_large(department_id, position, wanted)
            return self._expanded.keep(department_id, wanted, found)

    def _expand_kept(self, snapshot: Snapshot, wanted: EventFilter) -> EventList:
        index, is_matching = snapshot.series_index, _matching(wanted)
        occurrences = occurrences_in(index, wanted, is_matching)
        by_date = (
            [e for e in chunk.events if is_listed_by_date(e, index, wanted) and is_matching(e)]
            for chunk in snapshot.chunks.within(wanted).chunks
        )
        return _written_list(snapshot.position, merged(by_date, occurrences), wanted.limit, None)

    def _expand_large(self, department_id: str, position: Position, wanted: EventFilter) -> EventList:
        large, is_matching = self._snapshots.large, _matching(wanted)
        index = large.index(department_id, position)
        occurrences = occurrences_in(index, wanted, is_matching)

        def is_wanted(event: Event) -> bool:
            return is_listed_by_date(event, index, wanted) and is_matching(event)

        if wanted.limit:
            page = large.search(department_id, position, wanted, is_wanted)
            if end := page.end:
                occurrences = [entry for entry in occurrences if entry[0] <= end]
            parts = merged([list(page.events.events())], occurrences)
            return _written_list(page.position, parts, wanted.limit, page.end)
        walk = large.walk(department_id, position, wanted, is_wanted)
        return _written_list(walk.position, merged(walk.events(), occurrences), None, None)

    def _turn(self, department_id: str, chunks: EventChunks | None) -> AbstractContextManager[None]:
        """Return what to hold during work on these chunks; None for those of a large department."""
        is_short = chunks is not None and len(chunks) <= SHORT_SEARCH_CHUNKS
        return contextlib.nullcontext() if is_short else self.searches.hold(department_id)


def _written_list(
    position: Position, parts: Iterable[Sequence[ListEntry]], limit: int | None, end: EventOrder | None
) -> EventList:
    """Return a list of entries, or its first page; `end` is where the page ends even if it is not full."""
    if limit:
        page, end = page_of(parts, limit, end)
        return EventList(position, tuple(written([page])), order_token(end))
    pieces = written(parts)
    made: list[bytes] = []
    size = 0
    for piece in pieces:
        made.append(piece)
        size += len(piece)
        if size > KEPT_LIST_BYTES:
            return EventList(position, chain(made, pieces))
    return EventList(position, tuple(made))


def _chunks(events: Iterable[Event]) -> EventChunks:
    return EventChunks(tuple(cut(events)))


def _matching(wanted: EventFilter) -> Callable[[Event], bool]:
    """Return whether an event contains the wanted text, as a function."""
    sought = fold_text(wanted.text)
    if not sought:
        return lambda _event: True
    return lambda event: (
        sought in fold_text(event.title)
        or sought in fold_text(event.description)
        or (event.location != "" and sought in fold_text(event.location))
    )
