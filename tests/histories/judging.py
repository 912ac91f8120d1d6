"""The record of a randomised history, and its judgement, which compares the record with the log."""

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from domain import DELETIONS, Change, ChangeType, Event, known_changes
from histories.series import SeriesRecord, faults_of_state, faults_of_wishes, is_restored
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
    deleted: list[str] = field(default_factory=list)
    """For each acknowledged deletion of an event the event's id."""
    restored: set[str] = field(default_factory=set)
    """Ids of events that somebody tried to restore."""
    reads: list[tuple[int, int, dict[str, Event]]] = field(default_factory=list)
    """Of each read: the last revision acknowledged before it began, its own revision, its events by id."""
    deltas: list[tuple[int, int, list[tuple[int, str, str]]]] = field(default_factory=list)
    """Of each delta: the last revision acknowledged before it, the revision of its token, and its changes as
    revision, type, event id."""
    series: SeriesRecord = field(default_factory=SeriesRecord)
    faults: list[str] = field(default_factory=list)
    absences: int = 0
    """How often the department has been deleted so far."""
    _absent: bool = False
    """Whether the department may be deleted at the moment."""

    def acknowledge(self, event: Event) -> None:
        with self.lock:
            self.acknowledged[event.revision] = event.id

    def so_far(self) -> tuple[int, list[str]]:
        """Return the last acknowledged revision, and the ids of all events in acknowledged changes."""
        with self.lock:
            return max(self.acknowledged, default=0), sorted(set(self.acknowledged.values()))

    def begin_absence(self) -> bool:
        """Say that the department is about to be deleted; return False if somebody else has said so."""
        with self.lock:
            if self._absent:
                return False
            self._absent = True
            self.absences += 1
            return True

    def end_absence(self) -> None:
        """Say that the department is there again."""
        with self.lock:
            self._absent = False

    def moment(self) -> tuple[bool, int]:
        """Return what `was_absent_since` needs to know of the moment before a request."""
        with self.lock:
            return self._absent, self.absences

    def was_absent_since(self, moment: tuple[bool, int]) -> bool:
        """Tell whether the department may have been deleted at any time since a moment."""
        absent, absences = moment
        return absent or self.absences != absences


def judge(history: History, db: DynamoDBDatabase) -> dict[str, Event]:
    """Replay the log once all writers have ended, and add every contradiction to `history.faults`.

    Returns the events of the department by id, for the comparison with what clients hold.
    """
    logged = db.changes_after(history.department, 0)
    changes = known_changes(logged)
    head = db.read_head(history.department)
    if head is None or len(changes) < len(logged):
        history.faults.append("the department is gone" if head is None else "changes cannot be read")
        return {}
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
        history.faults += faults_of_state(seen)
    for before, begin, told in history.deltas:
        reached = begin + len(told)
        if reached < before:
            history.faults.append(f"a delta ended at {reached} after {before} was acknowledged")
        if told != [(c.revision, c.type.value, c.entity.id) for c in changes[begin:reached]]:
            history.faults.append(f"the delta after {begin} differs from the log")
    for revision, fields in history.edits.items():
        _judge_edit(history, states, revision, fields)
    _judge_creations(history, changes)
    history.faults += [*faults_of_state(states[-1]), *faults_of_wishes(history.series, states, changes)]
    deletions = Counter(change.entity.id for change in changes if change.type in DELETIONS)
    lost = [event_id for event_id, times in Counter(history.deleted).items() if deletions[event_id] < times]
    history.faults += [f"its deletion was lost: {i}" for i in lost]
    back = set(history.deleted) & set(states[-1]) - history.restored
    history.faults += [f"came back after its deletion: {i}" for i in back]
    history.faults += _differing(db, states[-1].values())
    return states[-1]


def _judge_creations(history: History, changes: Sequence[Change]) -> None:
    """Judge that each event was created once, and after each of its deletions as it was before."""
    last: dict[str, Change] = {}
    created: list[str] = []
    for change in changes:
        before = last.get(change.entity.id)
        if change.type is not ChangeType.EVENT_CREATED:
            if before is None or before.type in DELETIONS:
                history.faults.append(f"changed without being there: revision {change.revision}")
        elif before is None:
            created.append(change.entity.title)
        elif before.type not in DELETIONS:
            history.faults.append(f"created though it was there: revision {change.revision}")
        elif not is_restored(change.entity, before.entity):
            history.faults.append(f"restored otherwise than it was: revision {change.revision}")
        last[change.entity.id] = change
    history.faults += [f"created {created.count(t)} times" for t in history.keyed if created.count(t) != 1]


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
