"""Import of the entries of a file into a department, many in a commit.

Entries are known by their UID, so that a file which is imported twice changes nothing the second time. What a
file does not name is left as it is.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import tzinfo
from functools import cache
from itertools import groupby

from domain import Event, EventKey
from errors import ChangeTooLarge
from files.entries import Entry
from models import DynamoDBDatabase
from services.event_edits import EventEdits
from services.event_writes import cut_batches
from services.group_commit import GroupCommit, WriteRefused, pause_unless_late
from services.import_plans import ImportPlan, Judged, Verdict, imported_id, own_id
from services.snapshots import Snapshots
from turns import give_turn

BATCH_ENTRIES = 40
BATCH_CHARACTERS = 60_000
"""Most entries that are committed together, and most characters of their texts; a commit may have 350 KB."""


class ImportService:
    """Imports into the departments of one store."""

    def __init__(
        self, db: DynamoDBDatabase, group_commit: GroupCommit, snapshots: Snapshots, edits: EventEdits
    ) -> None:
        self._db = db
        self._group_commit = group_commit
        self._snapshots = snapshots
        self._edits = edits

    def run(self, department_id: str, entries: Iterable[Entry], *, dry_run: bool = False) -> list[Judged]:
        """Import entries, or with `dry_run` only judge them; return a verdict for each, in their order.

        Raises `DepartmentNotFound`, `StoreUnavailable`. What was committed before stays, and the same import
        again goes on from there.
        """
        judged = [Judged(entry, reason=entry.reason) for entry in _with_uids(entries)]
        planned: dict[str, Event] = {}
        zone = cache(lambda: self._edits.zone(department_id))
        for batch in cut_batches(_by_uid(judged), _characters, BATCH_ENTRIES, BATCH_CHARACTERS):
            self._run_batch(department_id, batch, planned, zone, dry_run=dry_run)
            give_turn()
        return judged

    def _run_batch(
        self,
        department_id: str,
        batch: Sequence[Judged],
        planned: dict[str, Event],
        zone: Callable[[], tzinfo],
        *,
        dry_run: bool,
    ) -> None:
        while True:
            plan = ImportPlan(department_id, self._existing(department_id, batch) | planned, zone)
            for _, of_uid in groupby(batch, key=lambda one: one.entry.uid):
                plan.add(list(of_uid))
            if dry_run:
                planned |= plan.as_planned()
            if dry_run or not plan.writes:
                return
            try:
                self._group_commit.commit_together(department_id, list(plan.writes.values()))
            except ChangeTooLarge as error:
                if len(batch) == 1:
                    batch[0].verdict, batch[0].reason = Verdict.SKIPPED, error.message
                    return
                for half in (batch[: len(batch) // 2], batch[len(batch) // 2 :]):
                    self._run_batch(department_id, half, planned, zone, dry_run=dry_run)
                return
            except WriteRefused as error:  # somebody has created or changed one of these events meanwhile
                pause_unless_late(error)
            else:
                return

    def _existing(self, department_id: str, batch: Sequence[Judged]) -> dict[str, Event]:
        """Return the events by id that the entries may be about, with the replacements of their series."""
        ids = set()
        for one in batch:
            uid, day = one.entry.uid, one.entry.original_date
            ids.add(imported_id(department_id, uid))
            if own := own_id(uid):
                ids.add(own)
            if day:
                ids.add(imported_id(department_id, uid, day))
        snapshot = self._snapshots.current(department_id).snapshot
        if snapshot:
            found = {id: event for id in ids if (event := snapshot.events.get(id))}
        else:
            keys = (EventKey(id, department_id) for id in ids)
            found = {key.id: event for key in keys if (event := self._db.find_event_by_key(key))}
        series = [event for event in found.values() if event.rrule]
        return found | {event.id: event for one in series for event in self._edits.replacements(one)}


def _with_uids(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Give entries without a UID one that follows from what they say; alike ones are counted."""
    seen: Counter[str] = Counter()
    for entry in entries:
        if entry.uid:
            yield entry
            continue
        said = json.dumps(dict(entry.fields), sort_keys=True, ensure_ascii=False)
        digest = hashlib.sha256(said.encode()).hexdigest()[:32]
        seen[digest] += 1
        yield replace(entry, uid=f"{digest}-{seen[digest]}")


def _by_uid(judged: Iterable[Judged]) -> Iterator[Judged]:
    """Yield the entries that are not skipped yet, those of one UID together, the whole before its parts."""
    groups: dict[str, list[Judged]] = {}
    for one in judged:
        if not one.reason:
            groups.setdefault(one.entry.uid, []).append(one)
    for group in groups.values():
        _remove_cancelled(group)
        yield from sorted(group, key=lambda one: bool(one.entry.original_date))


def _remove_cancelled(group: Sequence[Judged]) -> None:
    """Have a series say itself which occurrences are cancelled: what says so may be of a later commit."""
    days = {one.entry.original_date for one in group if one.entry.cancelled}
    for one in group:
        fields = one.entry.fields
        if days and fields.get("rrule") and not one.entry.original_date:
            removed = tuple(sorted({*fields.get("exdates", ()), *days}))
            one.entry = replace(one.entry, fields={**fields, "exdates": removed})


def _characters(one: Judged) -> int:
    return sum(len(str(value)) for value in one.entry.fields.values())
