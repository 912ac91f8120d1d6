"""A department in memory: its events at one position, and the last changes. Reads it from the store once."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby

from domain import DELETIONS, Change, Event, EventFilter, LogEntry, Position, known_changes
from models import DynamoDBDatabase
from services.event_chunks import EVENT_BYTES, EventChunks, cut, size_of
from services.series_index import SeriesIndex
from turns import in_turns

INDEX_LAG_WINDOW = timedelta(minutes=5)
"""How long the index may lag behind the log; DynamoDB's usual lag is under a second."""
RECENT_CHANGES = 1_000
"""How many of the last changes are kept with a snapshot, so that most deltas are answered from memory."""
RECENT_BYTES = 2_000_000
"""Most memory of these changes, rough; the oldest are dropped first."""
SNAPSHOT_BYTES = 2_000
"""Rough bytes of a snapshot without events, with its entries in the dictionaries that keep it."""


@dataclass(frozen=True, slots=True)
class RecentChanges:
    """The last changes up to a snapshot's revision, without a hole, and their rough memory in bytes."""

    changes: Sequence[LogEntry] = ()
    size: int = 0
    max_changes: int = RECENT_CHANGES
    max_bytes: int = RECENT_BYTES

    def extended(self, more: Sequence[LogEntry]) -> "RecentChanges":
        """Add the changes that follow, and drop the oldest ones above the limits."""
        changes = [*self.changes, *more]
        size = self.size + sum(map(change_size, more))
        dropped = 0
        while size > self.max_bytes or len(changes) - dropped > self.max_changes:
            size -= change_size(changes[dropped])
            dropped += 1
        return replace(self, changes=changes[dropped:], size=size)


@dataclass(frozen=True)
class Snapshot:
    """A department's events as they stood at one position. Immutable; an update makes a new one."""

    department_id: str
    position: Position
    events: Mapping[str, Event]
    chunks: EventChunks
    """The same events in order: by date, then time of day."""
    size: int
    """Rough memory of the events and their index, in bytes."""
    recent: RecentChanges
    series_index: SeriesIndex = field(default_factory=SeriesIndex)

    @property
    def footprint(self) -> int:
        """Rough memory of all that is kept, in bytes."""
        return SNAPSHOT_BYTES + self.size + self.recent.size

    def after(self, changes: Sequence[LogEntry]) -> "Snapshot":
        """Return a snapshot with these changes applied. They follow its revision without a hole."""
        position = self.position.at(self.position.revision + len(changes))
        return replace(self, position=position, recent=self.recent.extended(changes))._with(changes)

    def after_recent(self, recent: Sequence[LogEntry]) -> "Snapshot":
        """Return this snapshot, just read from the index, with the last minutes of the log laid over it.

        The index may show some of these changes already, and what was written after them.
        """
        newer = [
            change
            for change in known_changes(recent)
            if (event := self.events.get(change.entity.id)) is None or event.revision <= change.revision
        ]
        position = self.position.at(recent[-1].revision) if recent else self.position
        return replace(self, position=position, recent=self.recent.extended(recent))._with(newer)

    def _with(self, changes: Iterable[LogEntry]) -> "Snapshot":
        events = dict(self.events)
        latest = last_changes(changes)
        removed = [event for id in latest if (event := events.pop(id, None))]
        added = list(events_left(latest.values()))
        events.update((event.id, event) for event in added)
        index = self.series_index.changed(removed, added)
        size = self.size + sum(map(size_of, added)) - sum(map(size_of, removed))
        size += index.size - self.series_index.size
        chunks = self.chunks.changed(removed, added)
        return replace(self, events=events, chunks=chunks, size=size, series_index=index)

    def within(self, wanted: EventFilter) -> EventChunks:
        """Return the events of which a part or an occurrence is wanted, whatever their text."""
        found = self.chunks.within(wanted)
        if not wanted.is_range:
            return found
        part = self.series_index.in_range(wanted.first, wanted.last)
        if not part.before and not part.absent:
            return found
        before, absent = (
            [event for event in events if wanted.is_after_page(event.order())]
            for events in (part.before, part.absent)
        )
        return EventChunks((*cut(before), *found.changed(absent, ()).chunks))

    def changes_after(self, revision: int) -> Sequence[LogEntry] | None:
        """Return the changes after a revision; None when they are not all kept."""
        changes = self.recent.changes
        missed = self.position.revision - revision
        return changes[len(changes) - missed :] if 0 <= missed <= len(changes) else None


class TooLarge(Exception):
    """The events of a department take more memory than they may."""


class SnapshotLoad:
    """Reads a department from the index, lets others run all the while, then applies the recent log."""

    def __init__(self, db: DynamoDBDatabase, max_bytes: int, recent: RecentChanges) -> None:
        """`recent` is empty and has the limits of the recent changes of the snapshot."""
        self._db = db
        self._max_bytes = max_bytes
        self._recent = recent
        self._events: dict[str, Event] = {}
        self._superseded: list[Event] = []
        self._size = 0

    def run(self, department_id: str, position: Position) -> Snapshot:
        """Return the department as it is at a position or later.

        Raises `TooLarge` as soon as it has read more than it may keep.
        """
        began = time.monotonic()
        by_date = groupby(self._read(department_id), key=lambda event: event.event_date)
        ordered = (event for _, events in by_date for event in sorted(events, key=Event.order))
        chunks = EventChunks(tuple(cut(ordered))).changed(self._superseded, ())
        window = INDEX_LAG_WINDOW + timedelta(seconds=time.monotonic() - began)
        recent = self._db.recent_changes(department_id, position.revision, window)
        index = SeriesIndex().changed((), in_turns(self._events.values()))
        size = self._size + index.size
        snapshot = Snapshot(department_id, position, self._events, chunks, size, self._recent, index)
        return snapshot.after_recent(recent)

    def _read(self, department_id: str) -> Iterator[Event]:
        """Yield the events of the index, by date; an event that is moved meanwhile may come twice."""
        for event in in_turns(self._db.indexed_events(department_id)):
            before = self._events.get(event.id)
            if before and before.revision >= event.revision:
                continue
            if before:
                self._superseded.append(before)
                self._size -= size_of(before)
            self._events[event.id] = event
            self._size += size_of(event)
            if self._size > self._max_bytes:
                raise TooLarge
            yield event


def last_changes(changes: Iterable[LogEntry]) -> dict[str, Change]:
    """Return the last change of each event, by the event's id."""
    return {change.entity.id: change for change in known_changes(changes)}


def events_left(changes: Iterable[Change]) -> Iterator[Event]:
    """Yield the events as these changes left them, without the deleted ones."""
    for change in changes:
        if change.type not in DELETIONS and isinstance(change.entity, Event):
            yield change.entity


def change_size(change: LogEntry) -> int:
    event = change.entity if isinstance(change, Change) else None
    return size_of(event) if isinstance(event, Event) else EVENT_BYTES
