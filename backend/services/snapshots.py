"""Departments in memory. Lists, deltas and joins are answered from these snapshots.

A snapshot is loaded once and kept current from the log. Every read is strong: it sees each write that any
server acknowledged before the read began, although the index lags from which the snapshot was loaded.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property

import orjson
from cachetools import LRUCache

from domain import DELETIONS, Change, Event, LogEntry, Position, known_changes
from errors import DepartmentNotFound
from models import DynamoDBDatabase
from services.coalesced_reads import CoalescedReads

INDEX_LAG_WINDOW = timedelta(minutes=5)
"""How long the index may lag behind the log; DynamoDB's usual lag is under a second."""
RECENT_CHANGES = 1_000
"""How many of the last changes are kept with a snapshot, so that most deltas are answered from memory."""
RECENT_BYTES = 2_000_000
"""Most memory of these changes, rough; the oldest are dropped first."""
BUDGET_SHARES = 4
"""One department may take a quarter of the budget; a larger one is read from the index for each request."""
SNAPSHOT_BYTES = 2_000
"""Rough bytes of a snapshot without events, with its entries in the dictionaries that keep it."""
EVENT_BYTES = 1_000
CHARACTER_BYTES = 5
"""Rough bytes of an event: its objects, and for each character of its texts the string and the kept JSON."""


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
        size = self.size + sum(map(_change_size, more))
        dropped = 0
        while size > self.max_bytes or len(changes) - dropped > self.max_changes:
            size -= _change_size(changes[dropped])
            dropped += 1
        return replace(self, changes=changes[dropped:], size=size)


@dataclass(frozen=True)
class Snapshot:
    """A department's events as they stood at one position. Immutable; an update makes a new one."""

    department_id: str
    position: Position
    events: Mapping[str, Event]
    size: int
    """Rough memory of the events, in bytes."""
    recent: RecentChanges

    @property
    def footprint(self) -> int:
        """Rough memory of all that is kept, in bytes."""
        return SNAPSHOT_BYTES + self.size + self.recent.size

    @cached_property
    def ordered(self) -> list[Event]:
        """The events by date, then time of day."""
        return sorted(self.events.values(), key=Event.order)

    @cached_property
    def json(self) -> bytes:
        """The ordered events as a JSON array, made once for all readers of this snapshot."""
        return orjson.dumps(self.ordered)

    def after(self, changes: Sequence[LogEntry]) -> "Snapshot":
        """Return a snapshot with these changes applied. They follow its revision without a hole."""
        events = dict(self.events)
        size = self.size + sum(_apply(events, change) for change in changes)
        position = self.position.at(self.position.revision + len(changes))
        return Snapshot(self.department_id, position, events, size, self.recent.extended(changes))

    def changes_after(self, revision: int) -> Sequence[LogEntry] | None:
        """Return the changes after a revision; None when they are not all kept."""
        changes = self.recent.changes
        missed = self.position.revision - revision
        return changes[len(changes) - missed :] if 0 <= missed <= len(changes) else None


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of a strong read: a department's position; its snapshot unless it is too large to keep."""

    position: Position
    snapshot: Snapshot | None = None


class Snapshots:
    """Keep and refresh the snapshots of this process; the least recently used is dropped first."""

    def __init__(
        self,
        db: DynamoDBDatabase,
        budget_bytes: int,
        *,
        recent_changes: int = RECENT_CHANGES,
        recent_bytes: int = RECENT_BYTES,
    ) -> None:
        """`recent_changes` and `recent_bytes` limit the last changes that are kept with each snapshot."""
        self._db = db
        self.budget_bytes = budget_bytes
        self._no_changes = RecentChanges(
            max_changes=recent_changes, max_bytes=min(recent_bytes, budget_bytes // BUDGET_SHARES)
        )
        self._lock = threading.Lock()
        self._kept: LRUCache[str, Snapshot] = LRUCache(budget_bytes, getsizeof=lambda s: s.footprint)
        self._oversized: set[str] = set()
        self._reads = CoalescedReads(self._refresh)

    def current(self, department_id: str) -> Reading:
        """Return the department as it is at this call or later. Raises `DepartmentNotFound`."""
        return self._reads(department_id)

    def kept_bytes(self) -> dict[str, int]:
        """Return the rough memory of each kept department, in bytes by its id."""
        with self._lock:
            return {department_id: snapshot.footprint for department_id, snapshot in self._kept.items()}

    def on_commit(self, department_id: str, reached: Position, changes: Sequence[LogEntry]) -> None:
        """Apply a commit of this process, if its first change follows the kept snapshot."""
        with self._lock:
            kept = self._kept.get(department_id)
        if not kept or kept.position.epoch != reached.epoch:
            return
        if changes[0].revision == kept.position.revision + 1:
            self._keep(kept.after(changes))

    def load(
        self, department_id: str, position: Position, first: str | None = None, last: str | None = None
    ) -> Snapshot:
        """Load a department that was too large to keep, as it is at a position or later.

        `first` and `last`, inclusive ISO dates, limit it to the events between them; such a part is not kept.
        """
        loaded = self._load(department_id, position, first, last)
        return loaded if first or last else self._keep(loaded)

    def _refresh(self, department_id: str) -> Reading:
        position = self._db.read_head(department_id)
        with self._lock:
            kept = self._kept.get(department_id)
        if position is None:
            self._forget(department_id)
            raise DepartmentNotFound()
        if kept is None and department_id in self._oversized:
            return Reading(position)
        snapshot = self._keep(self._advance(kept, department_id, position))
        return Reading(snapshot.position, snapshot)

    def _advance(self, kept: Snapshot | None, department_id: str, position: Position) -> Snapshot:
        """Return a snapshot at a position or later: the kept one with the log applied, or a new one."""
        if kept is None or kept.position.epoch != position.epoch:
            return self._load(department_id, position)
        begin = kept.position.revision
        if begin >= position.revision:
            return kept
        changes = self._db.changes_after(department_id, begin)
        if begin + len(changes) < position.revision:  # idle for longer than the log reaches back
            return self._load(department_id, position)
        return kept.after(changes)

    def _load(
        self, department_id: str, position: Position, first: str | None = None, last: str | None = None
    ) -> Snapshot:
        """Read the index, then apply the last minutes of the log; the newer revision of an event wins."""
        events = {event.id: event for event in self._db.indexed_events(department_id, first, last)}
        size = sum(_size(event) for event in events.values())
        recent = self._db.recent_changes(department_id, position.revision, INDEX_LAG_WINDOW)
        for change in known_changes(recent):
            indexed = events.get(change.entity.id)
            if indexed is None or indexed.revision <= change.revision:
                size += _apply(events, change)
        if first or last:
            events = {
                i: e for i, e in events.items() if (first or "") <= e.event_date <= (last or "9999-99-99")
            }
        if recent:
            position = position.at(recent[-1].revision)
        return Snapshot(department_id, position, events, size, self._no_changes.extended(recent))

    def _keep(self, snapshot: Snapshot) -> Snapshot:
        """Keep a snapshot if it is newer than the kept one and not too large; return the newer of the two."""
        department_id = snapshot.department_id
        with self._lock:
            kept = self._kept.get(department_id)
            if kept and kept.position.has_reached(snapshot.position):
                return kept
            if snapshot.size > self.budget_bytes // BUDGET_SHARES:
                self._oversized.add(department_id)
                self._kept.pop(department_id, None)
            else:
                self._oversized.discard(department_id)
                self._kept[department_id] = snapshot
        return snapshot

    def _forget(self, department_id: str) -> None:
        with self._lock:
            self._oversized.discard(department_id)
            self._kept.pop(department_id, None)


def _size(event: Event) -> int:
    texts = len(event.title) + len(event.description) + len(event.url) + len(event.time)
    unknown = len(orjson.dumps(event.unknown)) if event.unknown else 0
    return EVENT_BYTES + CHARACTER_BYTES * texts + unknown


def _change_size(change: LogEntry) -> int:
    event = change.entity if isinstance(change, Change) else None
    return _size(event) if isinstance(event, Event) else EVENT_BYTES


def _apply(events: dict[str, Event], change: LogEntry) -> int:
    """Apply a change to events by id; return by how much their size grew."""
    if not isinstance(change, Change):
        return 0
    before = events.pop(change.entity.id, None)
    grown = -_size(before) if before else 0
    if change.type not in DELETIONS and isinstance(change.entity, Event):
        events[change.entity.id] = change.entity
        grown += _size(change.entity)
    return grown
