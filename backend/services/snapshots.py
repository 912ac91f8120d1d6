"""The materialised departments: what lists, deltas and joins are answered from.

A snapshot is loaded once and kept current from the log. Every read is strong: it sees each write that was
acknowledged before it began, on any server, though the index it was loaded from lags.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

import orjson

from domain import DELETIONS, Change, Event, Head, SyncToken
from errors import DepartmentNotFound, StoreUnavailable
from models import DynamoDBDatabase

INDEX_LAG_WINDOW = timedelta(minutes=5)
"""How long the index may lag behind the log; DynamoDB's usual lag is under a second."""
RECENT_CHANGES = 1_000
"""How many of the last changes are kept with a snapshot, so that deltas need no read of their own."""
RECENT_BYTES = 2_000_000
"""How much memory those may take; long texts make it fewer of them."""
SHARE = 4
"""A department may take one part in so many of the budget; a larger one is read from the index by range."""
JOINING_TURNS = 16
"""How often a read lets others run first, for as long as that brings it more readers."""
EVENT_BYTES = 1_000
CHARACTER_BYTES = 5
"""Rough memory of an event: objects, then each character of its texts as object and as kept JSON."""


@dataclass(frozen=True)
class Place:
    """A revision of a department that a reader may rely on, and no more: what of a large one is kept."""

    department_id: str
    epoch: str
    revision: int

    @property
    def sync_token(self) -> str:
        return str(SyncToken(self.epoch, self.revision))

    @property
    def etag(self) -> str:
        return f"{self.epoch}.{self.revision}"


@dataclass(frozen=True, slots=True)
class _Recent:
    """The last changes up to a snapshot's revision, without a hole, and their rough memory in bytes."""

    changes: Sequence[Change] = ()
    size: int = 0

    def then(self, more: Sequence[Change]) -> "_Recent":
        """Return what is kept of these and of those that follow on them."""
        changes = [*self.changes, *more]
        size = self.size + sum(map(_change_size, more))
        dropped = 0
        while size > RECENT_BYTES or len(changes) - dropped > RECENT_CHANGES:
            size -= _change_size(changes[dropped])
            dropped += 1
        return _Recent(changes[dropped:], size)


@dataclass(frozen=True)
class Snapshot(Place):
    """A department's events as they stood at one revision. Immutable; an update makes a new one."""

    events: Mapping[str, Event]
    size: int
    """Rough memory of the events, in bytes."""
    recent: "_Recent"

    @property
    def footprint(self) -> int:
        """Rough memory of all that is kept, in bytes."""
        return self.size + self.recent.size

    @cached_property
    def ordered(self) -> list[Event]:
        """The events by date, then time of day."""
        return sorted(self.events.values(), key=Event.order)

    @cached_property
    def json(self) -> bytes:
        """The ordered events as a JSON array, made once for all readers of this revision."""
        return orjson.dumps(self.ordered)

    def after(self, changes: Sequence[Change]) -> "Snapshot":
        """Return the snapshot with changes applied that follow its revision without a hole."""
        events = dict(self.events)
        size = self.size + sum(_apply(events, change) for change in changes)
        recent = self.recent.then(changes)
        return Snapshot(self.department_id, self.epoch, self.revision + len(changes), events, size, recent)

    def changes_after(self, revision: int) -> Sequence[Change] | None:
        """Return what followed a revision; None when that is further back than is kept."""
        changes = self.recent.changes
        missed = self.revision - revision
        return changes[len(changes) - missed :] if 0 <= missed <= len(changes) else None


@dataclass(slots=True, eq=False)
class _Read:
    """One strong read that any number of callers wait for."""

    done: threading.Event = field(default_factory=threading.Event)
    readers: int = 1
    asked: bool = False
    place: Place | None = None
    error: Exception | None = None

    def outcome(self) -> Place:
        if self.error:
            raise self.error
        assert self.place is not None  # noqa: S101 - done without error
        return self.place


@dataclass(slots=True)
class _Line:
    """The read of one department that is in flight, and the one that its newcomers share."""

    running: _Read | None = None
    following: _Read | None = None


class Snapshots:
    """Keep and refresh the snapshots of this process, the least recently used going first."""

    def __init__(self, db: DynamoDBDatabase, budget_bytes: int) -> None:
        self._db = db
        self._budget = budget_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Snapshot] = OrderedDict()
        self._kept_bytes = 0
        self._oversized: set[str] = set()
        self._lines: dict[str, _Line] = {}

    def current(self, department_id: str) -> Place:
        """Return the department as it stands now or later: its `Snapshot`, or only the place it has
        reached when it is too large to be kept. Raises `DepartmentNotFound`.

        A caller may use any read that started after it arrived: while one is in flight, newcomers share
        the next (what Raft calls ReadIndex batching).
        """
        with self._lock:
            line = self._lines.setdefault(department_id, _Line())
            ahead = line.running
            if shared := line.following:
                mine = None
                shared.readers += 1
            else:
                mine = _Read()
                if ahead:
                    line.following = mine
                else:
                    line.running = mine
        if shared:
            shared.done.wait()
            return shared.outcome()
        assert mine is not None  # noqa: S101 - narrows the type for mypy
        if ahead:
            ahead.done.wait()
            _let_others_join(mine)
            with self._lock:
                line.running, line.following = mine, None
        self._run(department_id, line, mine, ahead)
        return mine.outcome()

    def on_commit(self, department_id: str, head: Head, changes: Sequence[Change]) -> None:
        """Take over a commit of this process, if it follows on what is kept."""
        kept = self._kept.get(department_id)
        if kept and kept.epoch == head.epoch and changes[0].revision == kept.revision + 1:
            self._keep(kept.after(changes))

    def whole(self, place: Place, first: str | None = None, last: str | None = None) -> Snapshot:
        """Return the events at a place, or later: what is kept, or of a large department what is between
        the inclusive ISO dates, read from the index for this once.
        """
        if isinstance(place, Snapshot):
            return place
        loaded = self._load(Head(place.revision, place.epoch), place.department_id, first, last)
        return loaded if first or last else self._keep(loaded)

    def _run(self, department_id: str, line: _Line, read: _Read, ahead: _Read | None) -> None:
        try:
            if ahead and ahead.asked and isinstance(ahead.error, StoreUnavailable):
                raise ahead.error  # who waited for that has waited long enough
            read.asked = True
            read.place = self._refresh(department_id)
        except Exception as error:  # noqa: BLE001 - handed to each caller, who raises it
            read.error = error
        finally:
            if read.place is None and read.error is None:
                read.error = StoreUnavailable()  # this reader was killed on its way
            with self._lock:
                line.running = None
                if line.following is None:
                    self._lines.pop(department_id, None)
            read.done.set()

    def _refresh(self, department_id: str) -> Place:
        head = self._db.read_head(department_id)
        with self._lock:
            kept = self._kept.get(department_id)
            if kept:
                self._kept.move_to_end(department_id)
        if head is None or head.deleted:
            self._forget(department_id)
            raise DepartmentNotFound()
        if kept is None or kept.epoch != head.epoch:
            if department_id in self._oversized:
                return Place(department_id, head.epoch, head.revision)
            return self._keep(self._load(head, department_id))
        if kept.revision >= head.revision:
            return kept
        changes = self._db.changes_after(department_id, kept.revision)
        if kept.revision + len(changes) < head.revision:  # idle for longer than the log reaches back
            return self._keep(self._load(head, department_id))
        return self._keep(kept.after(changes))

    def _load(
        self, head: Head, department_id: str, first: str | None = None, last: str | None = None
    ) -> Snapshot:
        """Read the index, then lay the log's last minutes over it; the newer revision of an event wins."""
        events = {event.id: event for event in self._db.indexed_events(department_id, first, last)}
        size = sum(_size(event) for event in events.values())
        recent = self._db.recent_changes(department_id, head.revision, INDEX_LAG_WINDOW)
        for change in recent:
            stands = events.get(change.entity.id)
            if stands is None or stands.revision <= change.revision:
                size += _apply(events, change)
        if first or last:
            events = {
                i: e for i, e in events.items() if (first or "") <= e.event_date <= (last or "9999-99-99")
            }
        revision = recent[-1].revision if recent else head.revision
        return Snapshot(department_id, head.epoch, revision, events, size, _Recent().then(recent))

    def _keep(self, snapshot: Snapshot) -> Snapshot:
        """Keep the newer of two snapshots, and return it."""
        department_id = snapshot.department_id
        with self._lock:
            kept = self._kept.get(department_id)
            if kept and kept.epoch == snapshot.epoch and kept.revision >= snapshot.revision:
                return kept
            self._kept_bytes += snapshot.footprint - (kept.footprint if kept else 0)
            self._kept[department_id] = snapshot
            self._kept.move_to_end(department_id)
            if snapshot.size > self._budget // SHARE:
                self._oversized.add(department_id)
                self._drop(department_id)
            else:
                self._oversized.discard(department_id)
            while self._kept_bytes > self._budget:
                self._drop(next(iter(self._kept)))
        return snapshot

    def _forget(self, department_id: str) -> None:
        with self._lock:
            self._oversized.discard(department_id)
            if department_id in self._kept:
                self._drop(department_id)

    def _drop(self, department_id: str) -> None:
        self._kept_bytes -= self._kept.pop(department_id).footprint


def _let_others_join(read: _Read) -> None:
    """Hold back a read that has followed on another, while each turn of the others has more of them join:
    300 clients who sync at once share 15 reads instead of 68.
    """
    for _ in range(JOINING_TURNS):
        joined = read.readers
        time.sleep(0)
        if read.readers == joined:
            return


def _size(event: Event) -> int:
    texts = len(event.title) + len(event.description) + len(event.url) + len(event.time)
    return EVENT_BYTES + CHARACTER_BYTES * texts


def _change_size(change: Change) -> int:
    return _size(change.entity) if isinstance(change.entity, Event) else EVENT_BYTES


def _apply(events: dict[str, Event], change: Change) -> int:
    """Apply a change to events by id; return by how much their size grew."""
    before = events.pop(change.entity.id, None)
    grown = -_size(before) if before else 0
    if change.type not in DELETIONS and isinstance(change.entity, Event):
        events[change.entity.id] = change.entity
        grown += _size(change.entity)
    return grown
