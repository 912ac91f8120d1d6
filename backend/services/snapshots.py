"""Departments in memory. Lists, deltas and joins are answered from these snapshots.

A snapshot is loaded once and kept current from the log. Every read is strong: it sees each write that any
server acknowledged before the read began, although the index lags from which the snapshot was loaded.
"""

import contextlib
import functools
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from cachetools import LRUCache

from deadlines import deadline
from domain import LogEntry, Position
from errors import DepartmentNotFound, StoreUnavailable
from models import DynamoDBDatabase
from services.background_loads import BackgroundLoads
from services.coalesced_reads import CoalescedReads
from services.large_counts import LargeCounts
from services.large_departments import LargeDepartments
from services.one_at_a_time import OneAtATime
from services.snapshot import (
    RECENT_BYTES,
    RECENT_CHANGES,
    RecentChanges,
    Snapshot,
    SnapshotLoad,
    TooLarge,
)

BUDGET_SHARES = 4
"""One department may take a quarter of the budget; a larger one is read from the index for each request."""
INDEX_SHARES = 8
LEAST_INDEX_BYTES = 4_000_000
"""The indexes of series of departments that are not kept take an eighth of the budget beside it."""

BRIEFLY_S = 0.3
"""How long a request waits for a load that it can do without."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of a strong read: a department's position; its snapshot unless it is too large to keep.

    `LargeDepartments` reads what has no snapshot.
    """

    position: Position
    snapshot: Snapshot | None = None


class _NotLoaded(Exception):
    """The department is not in memory, or too old there to be brought up to date by the log."""

    def __init__(self, position: Position) -> None:
        super().__init__()
        self.position = position


class _KeptSnapshots(LRUCache[str, Snapshot]):
    """The snapshots within a budget. Whatever leaves keeps no JSON, though a client's answer may hold it."""

    def __init__(self, budget_bytes: int) -> None:
        super().__init__(budget_bytes, getsizeof=lambda snapshot: snapshot.footprint)

    def __setitem__(self, department_id: str, snapshot: Snapshot) -> None:
        before = self.get(department_id)
        super().__setitem__(department_id, snapshot)
        snapshot.chunks.keep_json()
        if before:
            before.chunks.without(snapshot.chunks).drop_json()

    def __delitem__(self, department_id: str) -> None:
        self[department_id].chunks.drop_json()
        super().__delitem__(department_id)


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
        self._max_bytes = budget_bytes // BUDGET_SHARES
        self._no_changes = RecentChanges(
            max_changes=recent_changes, max_bytes=min(recent_bytes, self._max_bytes)
        )
        self._lock = threading.Lock()
        self._kept = _KeptSnapshots(budget_bytes)
        self._oversized: set[str] = set()
        self._reads = CoalescedReads(self._refresh)
        load_turns = OneAtATime()
        index_bytes = max(budget_bytes // INDEX_SHARES, LEAST_INDEX_BYTES)
        self.large = LargeDepartments(db, LargeCounts(db, self._on_measured, load_turns, index_bytes))
        self._loads = BackgroundLoads[Snapshot | None](load_turns)

    def current(self, department_id: str, *, whole: bool = True) -> Reading:
        """Return the department as it is at this call or later. Raises `DepartmentNotFound`.

        A caller that does not need the whole department waits only briefly while it is loaded, and gets a
        reading without a snapshot then.
        """
        while True:
            try:
                return self._reads(department_id)
            except _NotLoaded as state:
                position = state.position
            load = functools.partial(self._load_to_keep, department_id, position)
            try:
                with deadline(math.inf if whole else BRIEFLY_S):
                    loaded = self._loads.wait(department_id, load)
            except StoreUnavailable:
                if whole:
                    raise
                return Reading(position)
            if loaded is None:
                return Reading(position)
            if loaded.position.has_reached(position):  # else the load began before this call
                return Reading(loaded.position, loaded)

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
        """Return the kept snapshot, at a position or later. Raises `_NotLoaded`."""
        if kept is None:
            raise _NotLoaded(position)
        begin = kept.position.revision
        if kept.position.epoch == position.epoch:
            if begin >= position.revision:
                return kept
            changes = self._db.changes_after(department_id, begin)
            if begin + len(changes) >= position.revision:
                return kept.after(changes)
        self._forget(department_id)  # of another epoch, or idle for longer than the log reaches back
        raise _NotLoaded(position)

    def _load_to_keep(self, department_id: str, position: Position) -> Snapshot | None:
        """Load and keep a department; return None if it is too large."""
        with self._lock:
            kept = self._kept.get(department_id)
            if department_id in self._oversized:
                return None
        with contextlib.suppress(_NotLoaded):  # raised unless another load has ended since this was asked for
            return self._keep(self._advance(kept, department_id, position))
        try:
            return self._keep(self._load(department_id, position))
        except TooLarge:
            with self._lock:
                self._oversized.add(department_id)
            return None

    def _load(self, department_id: str, position: Position) -> Snapshot:
        """Read a department that may be kept, as it is at a position or later. Raises `TooLarge`."""
        return SnapshotLoad(self._db, self._max_bytes, self._no_changes).run(department_id, position)

    def _keep(self, snapshot: Snapshot) -> Snapshot:
        """Keep a snapshot if it is newer than the kept one and not too large; return the newer of the two."""
        department_id = snapshot.department_id
        with self._lock:
            kept = self._kept.get(department_id)
            if kept and kept.position.has_reached(snapshot.position):
                return kept
            if snapshot.size > self._max_bytes:
                self._oversized.add(department_id)
                self._kept.pop(department_id, None)
            else:
                self._oversized.discard(department_id)
                self._kept[department_id] = snapshot
        return snapshot

    def _on_measured(self, department_id: str, size: int) -> None:
        """Load a department again at its next read if it fits by now."""
        if size <= self._max_bytes:
            with self._lock:
                self._oversized.discard(department_id)

    def _forget(self, department_id: str) -> None:
        with self._lock:
            self._oversized.discard(department_id)
            self._kept.pop(department_id, None)
