"""The materialised departments: what lists, deltas and joins are answered from.

A snapshot is loaded once and kept current from the log. Every read is strong: it sees each write that was
acknowledged before it began, on any server, though the index it was loaded from lags.
"""

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from domain import DELETIONS, Change, Event, Head, SyncToken
from errors import DepartmentNotFound
from models import DynamoDBDatabase

INDEX_LAG_WINDOW = timedelta(minutes=5)
"""How long the index may lag behind the log; DynamoDB's usual lag is under a second."""


@dataclass(frozen=True)
class Snapshot:
    """A department's events as they stood at one revision. Immutable; an update makes a new one."""

    department_id: str
    epoch: str
    revision: int
    events: Mapping[str, Event]

    @cached_property
    def ordered(self) -> list[Event]:
        """The events by date, then time of day."""
        return sorted(self.events.values(), key=Event.order)

    def between(self, first: str | None, last: str | None) -> list[Event]:
        """Return the events from one inclusive ISO date to another; None leaves that end open."""
        start = bisect_left(self.ordered, first or "", key=_date)
        end = bisect_right(self.ordered, last, key=_date) if last else None
        return self.ordered[start:end]

    @property
    def sync_token(self) -> str:
        return str(SyncToken(self.epoch, self.revision))

    def after(self, changes: Sequence[Change]) -> "Snapshot":
        """Return the snapshot with changes applied that follow its revision without a hole."""
        events = dict(self.events)
        for change in changes:
            _apply(events, change)
        return Snapshot(self.department_id, self.epoch, self.revision + len(changes), events)


@dataclass(slots=True, eq=False)
class _Read:
    """One strong read that any number of callers wait for."""

    done: threading.Event = field(default_factory=threading.Event)
    snapshot: Snapshot | None = None
    error: Exception | None = None

    def outcome(self) -> Snapshot:
        if self.error:
            raise self.error
        assert self.snapshot is not None  # noqa: S101 - done without error
        return self.snapshot


@dataclass(slots=True)
class _Line:
    """The read of one department that is in flight, and the one that its newcomers share."""

    running: _Read | None = None
    following: _Read | None = None


class Snapshots:
    """Keep and refresh the snapshots of this process."""

    def __init__(self, db: DynamoDBDatabase) -> None:
        self._db = db
        self._lock = threading.Lock()
        self._kept: dict[str, Snapshot] = {}
        self._lines: dict[str, _Line] = {}

    def current(self, department_id: str) -> Snapshot:
        """Return the department as it stands now or later. Raises `DepartmentNotFound`.

        A caller may use any read that started after it arrived: while one is in flight, newcomers share
        the next (what Raft calls ReadIndex batching).
        """
        with self._lock:
            line = self._lines.setdefault(department_id, _Line())
            ahead = line.running
            if shared := line.following:
                mine = None
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
            with self._lock:
                line.running, line.following = mine, None
        self._run(department_id, line, mine)
        return mine.outcome()

    def on_commit(self, department_id: str, head: Head, changes: Sequence[Change]) -> None:
        """Take over a commit of this process, if it follows on what is kept."""
        kept = self._kept.get(department_id)
        if kept and kept.epoch == head.epoch and changes[0].revision == kept.revision + 1:
            self._keep(kept.after(changes))

    def _run(self, department_id: str, line: _Line, read: _Read) -> None:
        try:
            read.snapshot = self._refresh(department_id)
        except Exception as error:  # noqa: BLE001 - handed to each caller, who raises it
            read.error = error
        finally:
            if read.snapshot is None and read.error is None:
                read.error = DepartmentNotFound()
            with self._lock:
                line.running = None
                if line.following is None:
                    self._lines.pop(department_id, None)
            read.done.set()

    def _refresh(self, department_id: str) -> Snapshot:
        head = self._db.read_head(department_id)
        if head is None or head.deleted:
            with self._lock:
                self._kept.pop(department_id, None)
            raise DepartmentNotFound()
        kept = self._kept.get(department_id)
        if kept is None or kept.epoch != head.epoch:
            return self._keep(self._load(department_id, head))
        if kept.revision >= head.revision:
            return kept
        changes = self._db.changes_after(department_id, kept.revision)
        if kept.revision + len(changes) < head.revision:  # idle for longer than the log reaches back
            return self._keep(self._load(department_id, head))
        return self._keep(kept.after(changes))

    def _load(self, department_id: str, head: Head) -> Snapshot:
        """Read the index, then lay the log's last minutes over it; the newer revision of an event wins."""
        events = {event.id: event for event in self._db.indexed_events(department_id)}
        revision = head.revision
        for change in self._db.recent_changes(department_id, INDEX_LAG_WINDOW):
            revision = max(revision, change.revision)
            stands = events.get(change.entity.id)
            if stands is None or stands.revision <= change.revision:
                _apply(events, change)
        return Snapshot(department_id, head.epoch, revision, events)

    def _keep(self, snapshot: Snapshot) -> Snapshot:
        """Keep the newer of two snapshots, and return it."""
        with self._lock:
            kept = self._kept.get(snapshot.department_id)
            if kept and kept.epoch == snapshot.epoch and kept.revision >= snapshot.revision:
                return kept
            self._kept[snapshot.department_id] = snapshot
            return snapshot


def _date(event: Event) -> str:
    return event.event_date


def _apply(events: dict[str, Event], change: Change) -> None:
    if change.type in DELETIONS:
        events.pop(change.entity.id, None)
    elif isinstance(change.entity, Event):
        events[change.entity.id] = change.entity
