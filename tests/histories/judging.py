"""The record of a randomised history, and its judgement, which compares the record with the log."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from domain import DELETIONS, ChangeType, Event
from models import DynamoDBDatabase


@dataclass
class History:
    """The record of one history: what was acknowledged, what was read, and the faults that were found."""

    department: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    acknowledged: dict[int, str] = field(default_factory=dict)
    """The event id of each acknowledged revision."""
    edits: dict[int, dict[str, str]] = field(default_factory=dict)
    """The fields that each acknowledged edit changed, by its revision."""
    seen: dict[int, int] = field(default_factory=dict)
    """The revision in the `If-Match` of each acknowledged edit that had one, by the edit's revision."""
    keyed: set[str] = field(default_factory=set)
    """Titles of events that were created under an `Idempotency-Key`, repeated until an answer came."""
    deleted: set[str] = field(default_factory=set)
    """Ids of events whose deletion was acknowledged; no history restores an event."""
    reads: list[tuple[int, int, dict[str, Event]]] = field(default_factory=list)
    """Of each read: the last revision acknowledged before it began, its own revision, its events by id."""
    deltas: list[tuple[int, int, list[tuple[int, str, str]]]] = field(default_factory=list)
    """Of each delta: the last revision acknowledged before it, the revision of its token, and its changes as
    revision, type, event id."""
    faults: list[str] = field(default_factory=list)

    def acknowledge(self, event: Event) -> None:
        with self.lock:
            self.acknowledged[event.revision] = event.id

    def so_far(self) -> tuple[int, list[str]]:
        """Return the last acknowledged revision, and the ids of all events in acknowledged changes."""
        with self.lock:
            return max(self.acknowledged, default=0), sorted(set(self.acknowledged.values()))


def judge(history: History, db: DynamoDBDatabase) -> dict[str, Event]:
    """Replay the log once all writers have ended, and add every contradiction to `history.faults`.

    Returns the events of the department by id, for the comparison with what clients hold.
    """
    changes = db.changes_after(history.department, 0)
    head = db.read_head(history.department)
    assert head is not None
    if [change.revision for change in changes] != list(range(1, head.revision + 1)):
        history.faults.append("revisions are not dense")
    states: list[dict[str, Event]] = [{}]
    for change in changes:
        state = {id: event for id, event in states[-1].items() if id != change.entity.id}
        states.append(state if change.type in DELETIONS else state | {change.entity.id: change.entity})
    for revision, event_id in history.acknowledged.items():
        if revision > head.revision or changes[revision - 1].entity.id != event_id:
            history.faults.append(f"acknowledged and lost: revision {revision}")
    for before, revision, seen in history.reads:
        if revision < before:
            history.faults.append(f"read revision {revision} after {before} was acknowledged")
        if seen != states[revision]:
            history.faults.append(f"read of revision {revision} differs from the log")
    for before, begin, told in history.deltas:
        reached = begin + len(told)
        if reached < before:
            history.faults.append(f"a delta ended at {reached} after {before} was acknowledged")
        if told != [(c.revision, c.type.value, c.entity.id) for c in changes[begin:reached]]:
            history.faults.append(f"the delta after {begin} differs from the log")
    for revision, fields in history.edits.items():
        _judge_edit(history, states, revision, fields)
    created = [change.entity.title for change in changes if change.type is ChangeType.EVENT_CREATED]
    history.faults += [f"created {created.count(t)} times" for t in history.keyed if created.count(t) != 1]
    history.faults += [f"came back after its deletion: {i}" for i in history.deleted & set(states[-1])]
    history.faults += _differing(db, states[-1].values())
    return states[-1]


def _judge_edit(
    history: History, states: list[dict[str, Event]], revision: int, fields: dict[str, str]
) -> None:
    after = states[revision][history.acknowledged[revision]]
    before = states[revision - 1].get(after.id)
    if before is None:
        history.faults.append(f"the edit at revision {revision} brought back what was deleted")
    elif after != replace(before, **fields, revision=revision, last_modified=after.last_modified):
        history.faults.append(f"the edit at revision {revision} undid another")
    elif before.revision != history.seen.get(revision, before.revision):
        history.faults.append(f"the edit at revision {revision} was made over what its writer had not seen")


def _differing(db: DynamoDBDatabase, events: Iterable[Event]) -> list[str]:
    return [f"the table differs from the log: {e.id}" for e in events if db.find_event(e.id) != e]
