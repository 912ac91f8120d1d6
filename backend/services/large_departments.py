"""Reads of departments too large to keep in memory: pages, searches and full lists, from the date index.

Never holds more than a page or a few pieces of a department. What is read is the index with the last minutes
of the log laid over it, as in a snapshot. The answer's position is read first, so events may be newer than
it; a client that applies the changes after the position ends where everybody does.
"""

import contextlib
import heapq
import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import TypeAlias, TypeVar

import orjson

from domain import Change, Event, EventFilter, Position
from errors import TooManySeries
from models import DynamoDBDatabase
from services.event_chunks import EventChunks, cut, size_of
from services.large_counts import Cuts, Cutter, LargeCounts
from services.one_at_a_time import OneAtATime
from services.series_index import SeriesIndex
from services.snapshot import INDEX_LAG_WINDOW, events_left, last_changes
from tokens import EventOrder
from turns import in_turns

PAGE_EVENTS = 500
PAGE_BYTES = 4_000_000
"""Most events of a page, and most of their rough memory; a page has one event at least."""
REQUEST_EVENTS = 100
"""Fewest events that are asked of the index at once; a day may have more events than the page wants."""
SEARCH_EVENTS = 1_000
SEARCH_S = 2.0
"""After how many events, and how long, the page of a search ends, whatever was found."""
PIECES_AT_ONCE = 10
"""How many pieces of a full list are read at once."""

T = TypeVar("T")
IsWanted: TypeAlias = Callable[[Event], bool]
Seen: TypeAlias = "array[int]"
"""Hashes of the ids of the events that were read: 8 bytes each, as a department may have a million."""


@dataclass(frozen=True, slots=True)
class LargePage:
    """Some events in order, fewer than wanted when they are large or rarely match."""

    position: Position
    events: EventChunks
    end: EventOrder | None
    """The sort key after which the next page begins; None if this is the last page."""


class LargeDepartments:
    """Reads of departments that are not kept."""

    def __init__(self, db: DynamoDBDatabase, counts: LargeCounts) -> None:
        self._db = db
        self._counts = counts
        self._store_reads = OneAtATime()
        """Each reads up to some megabytes, so only one runs at a time for a department."""

    def index(self, department_id: str, position: Position) -> SeriesIndex:
        """Return the index of series at a position or later. Raises `TooManySeries`."""
        return self._counts.index(department_id, position)

    def replacements(self, department_id: str, position: Position, series_id: str) -> Sequence[Event]:
        """Return the replacements of a series at a position or later, by the dates that they replace."""
        with contextlib.suppress(TooManySeries):
            return self.index(department_id, position).replacements(series_id)
        state, seen, bounds = (
            _State.read(self._db, department_id, position),
            array("q"),
            EventFilter().bounds(),
        )
        with self._store_reads.hold(department_id):
            found = chain(state.events(*bounds, seen), state.late(*bounds, seen))
            replacing = [event for event in found if event.recurring_event_id == series_id]
        return sorted(replacing, key=lambda event: event.original_date)

    def page(self, department_id: str, position: Position, wanted: EventFilter) -> LargePage:
        """Return the next wanted events, whatever their text, at a position or later."""
        return self._page(_State.read(self._db, department_id, position), wanted)

    def search(
        self, department_id: str, position: Position, wanted: EventFilter, is_wanted: IsWanted
    ) -> LargePage:
        """Return the next events that match. The work is bounded: a page may be empty and not the last."""
        state = _State.read(self._db, department_id, position)
        limit = wanted.limit or PAGE_EVENTS
        found: list[Event] = []
        examined, ends_at = 0, time.monotonic() + SEARCH_S
        while True:
            page = self._page(state, replace(wanted, limit=REQUEST_EVENTS))
            found += filter(is_wanted, page.events.events())
            examined += page.events.count()
            end = page.end
            if len(found) > limit:
                found = found[:limit]
                end = found[-1].order()
            if end is None or len(found) == limit or examined >= SEARCH_EVENTS or time.monotonic() > ends_at:
                return LargePage(state.position, EventChunks(tuple(cut(found))), end)
            wanted = replace(wanted, after=end)

    def walk(
        self,
        department_id: str,
        position: Position,
        wanted: EventFilter | None = None,
        is_wanted: IsWanted | None = None,
    ) -> "Walk":
        """Return all wanted events, to be read from the store while they are iterated."""
        cuts = self._counts.cuts(department_id, position)
        state = _State.read(self._db, department_id, position)
        bounds = (wanted or EventFilter()).bounds()
        on_end = self._counts.keep_cuts if wanted is None else None
        return Walk(state, cuts, bounds, is_wanted, self._store_reads, on_end)

    def _page(self, state: "_State", wanted: EventFilter) -> LargePage:
        limit = min(wanted.limit or PAGE_EVENTS, PAGE_EVENTS)
        taken: list[Event] = []
        with self._store_reads.hold(state.department_id):
            events = state.events(*wanted.bounds(), array("q"), max(limit + 1, REQUEST_EVENTS))
            for _, of_day in groupby(events, key=lambda event: event.event_date):
                taken += heapq.nsmallest(limit + 1 - len(taken), of_day, key=Event.order)
                if len(taken) > limit:
                    break
        page, size = taken[:limit], 0
        for number, event in enumerate(page):
            size += size_of(event)
            if number and size > PAGE_BYTES:
                page = page[:number]
                break
        end = page[-1].order() if len(page) < len(taken) else None
        return LargePage(state.position, EventChunks(tuple(cut(page))), end)


@dataclass(frozen=True, slots=True)
class _State:
    """A department at a position: its index with the last changes laid over it."""

    db: DynamoDBDatabase
    department_id: str
    position: Position
    latest: dict[str, Change]
    """Of each event that was changed lately the last change."""

    @classmethod
    def read(cls, db: DynamoDBDatabase, department_id: str, position: Position) -> "_State":
        recent = db.recent_changes(department_id, position.revision, INDEX_LAG_WINDOW)
        if recent:
            position = position.at(recent[-1].revision)
        return cls(db, department_id, position, last_changes(recent))

    def events(
        self, begin: EventOrder, end: EventOrder | None, seen: Seen, per_request: int | None = None
    ) -> Iterator[Event]:
        """Yield the events from a sort key to another that were not seen, by date, in no order within it."""
        first, last = begin[0] or None, end[0].rstrip("\0") if end else None
        indexed = self.db.indexed_events(self.department_id, first, last, per_request)
        current = (event for event in indexed if self._is_current(event))
        changed = sorted(events_left(self.latest.values()), key=lambda event: event.event_date)
        for event in in_turns(heapq.merge(current, changed, key=lambda event: event.event_date)):
            if _is_within(event, begin, end) and self._is_new(event, seen):
                yield event

    def late(self, begin: EventOrder, end: EventOrder | None, seen: Seen) -> Iterator[Event]:
        """Yield, after all others, the events that were moved away from where they were still to be read."""
        changes = self.db.changes_after(self.department_id, self.position.revision)
        for event in events_left(last_changes(changes).values()):
            if _is_within(event, begin, end) and self._is_new(event, seen):
                yield event

    def _is_current(self, event: Event) -> bool:
        change = self.latest.get(event.id)
        return change is None or event.revision > change.revision

    def _is_new(self, event: Event, seen: Seen) -> bool:
        """Tell whether an event was not seen before; one that is moved meanwhile may come twice."""
        id_hash = hash(event.id)
        may_come_twice = event.revision > self.position.revision or event.id in self.latest
        if may_come_twice and id_hash in seen:
            return False
        seen.append(id_hash)
        return True


class Walk:
    """All wanted events of a department, read from the store while they are iterated, as `EventsJson`.

    A piece may be empty. An event that others move from one date to another during the walk comes once, at
    the end if its new date has passed.
    """

    def __init__(
        self,
        state: _State,
        cuts: Cuts,
        bounds: tuple[EventOrder, EventOrder | None],
        is_wanted: IsWanted | None,
        store_reads: OneAtATime,
        on_end: Callable[[str, Position, Cutter], object] | None,
    ) -> None:
        """`on_end` is told the cuts as they are now, once all events have been read."""
        self.position = state.position
        self._on_end = on_end
        self._state = state
        self._begin, self._end = bounds
        self._is_wanted = is_wanted
        self._store_reads = store_reads
        first = bisect_right(cuts.orders, self._begin)
        last = bisect_left(cuts.orders, self._end) if self._end else len(cuts.orders)
        self._begins = [self._begin, *cuts.orders[first:last]]

    def __len__(self) -> int:
        return len(self._begins)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces(lambda events: orjson.dumps(events)[1:-1])

    def events(self) -> Iterator[list[Event]]:
        """Yield the events of each piece, in order but for those that others move during the walk."""
        return self._pieces(lambda events: events)

    def _pieces(self, made_of: Callable[[list[Event]], T]) -> Iterator[T]:
        seen, cutter = array("q"), Cutter()
        for number in range(0, len(self._begins), PIECES_AT_ONCE):
            with self._store_reads.hold(self._state.department_id):
                pieces = list(map(made_of, self._read(number, seen, cutter)))
            yield from pieces
        if self._on_end:
            self._on_end(self._state.department_id, self.position, cutter)

    def _read(self, number: int, seen: Seen, cutter: Cutter) -> list[list[Event]]:
        """Return the pieces from a number on: all that is held while a client takes its time."""
        begins = self._begins[number : number + PIECES_AT_ONCE]
        is_last = number + len(begins) == len(self._begins)
        end = self._end if is_last else self._begins[number + len(begins)]
        events = sorted(self._state.events(begins[0], end, seen), key=Event.order)
        for event in events:
            cutter.add(event.order(), size_of(event))
        bounds = [bisect_left(events, begin, key=Event.order) for begin in begins] + [len(events)]
        pieces = [events[bounds[i] : bounds[i + 1]] for i in range(len(begins))]
        if is_last:
            pieces[-1] += self._state.late(self._begin, self._end, seen)
        if self._is_wanted:
            return [list(filter(self._is_wanted, piece)) for piece in pieces]
        return pieces


def _is_within(event: Event, begin: EventOrder, end: EventOrder | None) -> bool:
    """Tell whether an event is at a sort key or after it, and before another one."""
    order = event.order()
    return begin <= order and (end is None or order < end)
