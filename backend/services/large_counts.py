"""What is kept of departments too large to keep: where to cut them into pieces, and their index of series.

Both are found in one pass over the department, in the background.
"""

import functools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby

from cachetools import LRUCache

from domain import Event, Position
from errors import TooManySeries
from models import DynamoDBDatabase
from services.background_loads import BackgroundLoads
from services.event_chunks import CHUNK_BYTES, size_of
from services.one_at_a_time import OneAtATime
from services.series_index import SPAN_BYTES, SeriesIndex, matters
from services.snapshot import INDEX_LAG_WINDOW, events_left, last_changes
from tokens import EventOrder
from turns import in_turns

RECOUNT_AFTER = 1_000
"""After how many changes the cuts of a department are made anew, as pieces may have grown meanwhile."""
COUNTED = 100
"""Of how many departments the cuts are kept."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where a department is cut into pieces of one chunk each. Old cuts are right, too, but less even."""

    position: Position
    orders: Sequence[EventOrder]
    """The sort key with which each piece but the first begins."""


@dataclass(slots=True)
class Cutter:
    """Finds the cuts of ordered events while they pass."""

    orders: list[EventOrder] = field(default_factory=list)
    total: int = 0
    _size: int = 0

    def add(self, order: EventOrder, size: int) -> None:
        if self._size and self._size + size > CHUNK_BYTES:
            self.orders.append(order)
            self._size = 0
        self._size += size
        self.total += size


@dataclass(frozen=True, slots=True)
class _KeptIndex:
    """An index of series at a position; None if it takes more memory than it may."""

    position: Position
    index: SeriesIndex | None
    size: int = SPAN_BYTES

    @classmethod
    def of(cls, position: Position, index: SeriesIndex, max_bytes: int) -> "_KeptIndex":
        size = SPAN_BYTES + index.size + sum(map(size_of, index.events.values()))
        return cls(position, index, size) if size <= max_bytes else cls(position, None)


class LargeCounts:
    """The cuts and the indexes of the departments that were asked for last."""

    def __init__(
        self,
        db: DynamoDBDatabase,
        on_measured: Callable[[str, int], None],
        load_turns: OneAtATime,
        index_bytes: int,
    ) -> None:
        """`on_measured(department_id, size)` is told the rough memory of a department that was read whole.

        All indexes take `index_bytes` of memory at most, each of them half of it.
        """
        self._db = db
        self._on_measured = on_measured
        self._max_index_bytes = index_bytes // 2
        self._lock = threading.Lock()
        self._cuts: LRUCache[str, Cuts] = LRUCache(COUNTED)
        self._indexes: LRUCache[str, _KeptIndex] = LRUCache(index_bytes, getsizeof=lambda kept: kept.size)
        self._counts = BackgroundLoads[tuple[Cuts, _KeptIndex]](load_turns)

    def cuts(self, department_id: str, position: Position) -> Cuts:
        """Return the cuts of a department; waits while it is read, unless that was done lately."""
        with self._lock:
            cuts = self._cuts.get(department_id)
        if cuts and _is_near(cuts.position, position):
            return cuts
        return self._read(department_id, position)[0]

    def index(self, department_id: str, position: Position) -> SeriesIndex:
        """Return the index of series at a position or later, as `cuts` does. Raises `TooManySeries`."""
        with self._lock:
            kept = self._indexes.get(department_id)
        while kept is None or not (current := self._advanced(kept, department_id, position)):
            kept = self._read(department_id, position)[1]
        if current.index is None:
            raise TooManySeries()
        return current.index

    def keep_cuts(self, department_id: str, position: Position, cutter: Cutter) -> Cuts:
        """Keep what was found while all events of a department were read in order."""
        cuts = Cuts(position, cutter.orders)
        with self._lock:
            self._cuts[department_id] = cuts
        self._on_measured(department_id, cutter.total)
        return cuts

    def _keep_index(self, department_id: str, kept: _KeptIndex) -> _KeptIndex:
        with self._lock:
            self._indexes[department_id] = kept
        return kept

    def _read(self, department_id: str, position: Position) -> tuple[Cuts, _KeptIndex]:
        return self._counts.wait(department_id, functools.partial(self._count, department_id, position))

    def _count(self, department_id: str, position: Position) -> tuple[Cuts, _KeptIndex]:
        """Read a whole department to find its cuts and its index."""
        began = time.monotonic()
        cutter = Cutter()
        spans = _Spans(self._max_index_bytes)
        events = spans.passing(in_turns(self._db.indexed_events(department_id)))
        sizes = ((event.order(), size_of(event)) for event in events)
        for _, of_day in groupby(sizes, key=lambda entry: entry[0][0]):
            for order, size in sorted(of_day):
                cutter.add(order, size)
        kept = self._keep_index(department_id, self._index_of(spans, department_id, position, began))
        return self.keep_cuts(department_id, position, cutter), kept

    def _index_of(self, spans: "_Spans", department_id: str, position: Position, began: float) -> _KeptIndex:
        """Lay the last minutes of the log over what the date index has shown."""
        if spans.are_too_many:
            return _KeptIndex(position, None)
        window = INDEX_LAG_WINDOW + timedelta(seconds=time.monotonic() - began)
        recent = self._db.recent_changes(department_id, position.revision, window)
        latest = last_changes(recent)
        shown = {
            event.id: event
            for event in spans.found.values()
            if (change := latest.get(event.id)) is None or event.revision > change.revision
        }
        logged = (event for event in events_left(latest.values()) if event.id not in shown)
        index = SeriesIndex().changed((), [*shown.values(), *logged])
        reached = position.at(recent[-1].revision) if recent else position
        return _KeptIndex.of(reached, index, self._max_index_bytes)

    def _advanced(self, kept: _KeptIndex, department_id: str, position: Position) -> _KeptIndex | None:
        """Return an index at a position or later; None if the log does not reach back to the kept one."""
        if kept.index is None:
            return kept if _is_near(kept.position, position) else None
        if kept.position.has_reached(position):
            return kept
        if kept.position.epoch != position.epoch:
            return None
        changes = self._db.changes_after(department_id, kept.position.revision)
        reached = position.at(kept.position.revision + len(changes))
        if not reached.has_reached(position):
            return None
        latest = last_changes(changes)
        removed = [event for id in latest if (event := kept.index.events.get(id))]
        index = kept.index.changed(removed, events_left(latest.values()))
        return self._keep_index(department_id, _KeptIndex.of(reached, index, self._max_index_bytes))


def _is_near(position: Position, other: Position) -> bool:
    """Tell whether so little was changed between two positions that what was counted still serves."""
    return position.epoch == other.epoch and abs(position.revision - other.revision) <= RECOUNT_AFTER


class _Spans:
    """Collects what an index of series has to know, from events that pass by."""

    def __init__(self, max_bytes: int) -> None:
        self.found: dict[str, Event] = {}
        self.are_too_many = False
        self._max_bytes = max_bytes
        self._size = 0

    def passing(self, events: Iterator[Event]) -> Iterator[Event]:
        """Yield all events. One that is moved meanwhile may come twice."""
        for event in events:
            if matters(event) and not self.are_too_many:
                self.found[event.id] = event
                self._size += SPAN_BYTES + size_of(event)
                if self._size > self._max_bytes:
                    self.are_too_many = True
                    self.found.clear()
            yield event
