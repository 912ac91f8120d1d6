"""Loads staged events into the tables in bulk. After a run that is killed, another run completes the load.

The steps for each department with at least one new or changed event:

1. `begin_load` records the load on the department's head and changes its revision and epoch.
2. Put the events and read them back.
3. Wait until the date index shows them: servers read the index after step 4, and would miss the others.
4. `finish_load` removes the record and changes the epoch again: servers read the department anew.

If a run is killed, the record stays. It makes the next run do steps 3 and 4 even if all events are stored.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import TypeVar

from domain import Event, EventKey, new_id
from errors import DepartmentNotFound, SetupError
from migration.staging import Staged, Staging
from migration.stored_values import with_stored_values
from models import DynamoDBDatabase

CHUNK = 100
"""Events that one worker handles at a time: as many as one BatchGetItem reads."""
PAGE = 1_000
QUERIES_UP_TO = 250
"""Up to so many events are looked up one by one. For more, one scan of the table is cheaper."""

DELETED_MEANWHILE = "이관하는 동안 부서가 삭제되었습니다."
EDITED_MEANWHILE = (
    "이관하는 동안 다른 사용자가 이 이벤트를 고쳤습니다. 다시 실행하면 파일의 내용으로 바꿉니다."
)

Result = TypeVar("Result")


class IndexLags(SetupError):
    """The date index did not show every loaded event in time; the text says what to do."""


class Kind(Enum):
    """What a run does with a row: `SUPERSEDED` by a newer row of the same id, `REFUSED` with a reason."""

    CREATED = "created"
    UPDATED = "updated"
    EQUAL = "equal"
    REFUSED = "refused"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """What a run did with one staged event.

    `revision` is the revision it was written with, 0 if nothing was written; `reason` says in Korean why it
    was refused.
    """

    staged: Staged
    kind: Kind
    revision: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """An event that differs between file and tables; `stored` is None if the tables do not have it."""

    staged: Staged
    stored: Event | None


@dataclass(frozen=True, slots=True)
class IndexWait:
    """How to wait for the date index, in seconds.

    `limit_s` is the longest wait for the last event (DynamoDB's usual lag is under a second), `poll_s` the
    pause between two reads. `replica_lag_s` is added once a read shows all events, because other replicas of
    the index may be that far behind the one that was read.
    """

    limit_s: float = 60.0
    poll_s: float = 0.5
    replica_lag_s: float = 1.0


INDEX_WAIT = IndexWait()


class BulkLoad:
    """One run's load of its staged events: `survey`, then `load` or `compare`, `verify`, `finish`.

    All methods raise `StoreUnavailable`.
    """

    def __init__(
        self,
        db: DynamoDBDatabase,
        staging: Staging,
        *,
        workers: int,
        index_wait: IndexWait = INDEX_WAIT,
    ) -> None:
        self._db = db
        self._staging = staging
        self._workers = workers
        self._index_wait = index_wait
        self._name = new_id()
        self._lock = threading.Lock()
        self._begun: dict[str, int] = {}
        self._unfinished: dict[str, frozenset[str]] = {}

    def survey(self) -> set[int]:
        """Note which staged events the tables have, so that `load` reads and compares only those.

        Returns the rows whose id belongs to an event of another department. Ignores events that deleted
        departments have left.
        """
        living = {department.id for department in self._db.list_departments()}
        misplaced: set[int] = set()
        for event_id, department_id in self._stored_keys():
            if department_id in living:
                misplaced.update(self._staging.note_stored(event_id, department_id))
        self._staging.use_former_ids()
        return misplaced

    def _stored_keys(self) -> Iterator[EventKey]:
        if self._staging.count() > QUERIES_UP_TO:
            return self._db.event_keys()
        return self._in_chunks(
            lambda chunk: [
                key
                for staged in chunk
                for event_id in (staged.source.entity.id, staged.source.former_id)
                if event_id
                for key in self._db.event_keys(event_id)
            ]
        )

    def compare(self) -> Iterator[EventOutcome]:
        """Yield the outcomes that `load` would have, without writing."""
        return self._in_chunks(lambda chunk: [_judge(s, stored) for s, stored in self._read_known(chunk)])

    def load(self) -> Iterator[EventOutcome]:
        """Write the staged events that are new or differ; yield the outcome of each event, in order."""
        departments = [department.id for department in self._db.list_departments()]
        self._unfinished = self._db.unfinished_loads(departments)
        for outcome in self._in_chunks(self._load_chunk):
            if outcome.kind is Kind.REFUSED:
                self._staging.refuse_event(outcome.staged.row, outcome.reason)
            elif outcome.revision:
                self._staging.note_written(outcome.staged.row, outcome.revision)
            yield outcome

    def verify(self) -> Iterator[Difference | None]:
        """Read every staged event back strongly; yield a `Difference` for each, None if it is equal."""
        return self._in_chunks(
            lambda chunk: [
                None if _equals(s, stored) else Difference(s, stored) for s, stored in self._read(chunk)
            ]
        )

    def finish(self) -> list[str]:
        """Make servers read anew the departments that this run or a killed one has written to.

        Returns the ids of departments that were deleted meanwhile. Their loaded events stay, as those
        departments can be restored. Raises `IndexLags`; another run can finish then.
        """
        gone: list[str] = []
        touched = self._begun.keys() | self._unfinished.keys()
        staged = [department for department in self._staging.departments() if department in touched]
        for department_id in staged:
            self._await_index(department_id)
        if staged and self._db.index_lags:
            time.sleep(self._index_wait.replica_lag_s)
        for department_id in sorted(touched):
            if not self._finish_one(department_id):
                gone.append(department_id)
        return gone

    def _finish_one(self, department_id: str) -> bool:
        """Return whether the department still exists."""
        loads = self._unfinished.get(department_id, frozenset()) | {self._name}
        while True:
            try:
                self._db.finish_load(department_id, loads)
            except DepartmentNotFound:
                if self._db.find_purge(department_id):
                    return False
                if self._db.read_head(department_id) is None:
                    self._remove_loaded(department_id)
                    return False
                # It was restored in between.
            else:
                return True

    # Steps

    def _read(self, chunk: list[Staged]) -> Iterator[tuple[Staged, Event | None]]:
        """Pair each staged event with the stored one, read strongly; None if there is none."""
        stored = self._db.find_events([staged.source.entity.key for staged in chunk])
        return ((staged, stored.get(staged.source.entity.id)) for staged in chunk)

    def _read_known(self, chunk: list[Staged]) -> Iterator[tuple[Staged, Event | None]]:
        """Pair as `_read` does, but read only the events that `survey` found."""
        stored = self._db.find_events([staged.source.entity.key for staged in chunk if staged.stored])
        return ((staged, stored.get(staged.source.entity.id)) for staged in chunk)

    def _load_chunk(self, chunk: list[Staged]) -> list[EventOutcome]:
        pairs = list(self._read_known(chunk))
        if all(_equals(staged, stored) for staged, stored in pairs):
            return [EventOutcome(staged, Kind.EQUAL) for staged in chunk]
        try:
            revision = self._begin(chunk[0].source.entity.department_id)
        except DepartmentNotFound:
            return [EventOutcome(s, Kind.REFUSED, reason=DELETED_MEANWHILE) for s in chunk]
        self._db.put_events([s.source.entity.at_revision(revision) for s, stored in pairs if stored is None])
        return [self._outcome_of(staged, stored, revision) for staged, stored in pairs]

    def _outcome_of(self, staged: Staged, stored: Event | None, revision: int) -> EventOutcome:
        """Return the outcome of one event; replace it if it differs, unless a user edited it meanwhile."""
        judged = _judge(staged, stored)
        if stored is not None and judged.kind is Kind.UPDATED:
            wanted: Event = with_stored_values(staged.source, stored).at_revision(revision)
            if not self._db.replace_event(wanted, stored.revision):
                return EventOutcome(staged, Kind.REFUSED, reason=EDITED_MEANWHILE)
        return judged if judged.kind is Kind.EQUAL else EventOutcome(staged, judged.kind, revision)

    def _begin(self, department_id: str) -> int:
        """Return the revision for a department's events; begin its load when called for the first time.

        Raises `DepartmentNotFound`.
        """
        with self._lock:
            if department_id not in self._begun:
                self._begun[department_id] = self._db.begin_load(department_id, self._name)
            return self._begun[department_id]

    def _await_index(self, department_id: str) -> None:
        ends_at = time.monotonic() + self._index_wait.limit_s
        while True:
            shown = self._db.indexed_revisions(department_id)
            while page := list(islice(shown, PAGE)):
                self._staging.note_shown(page)
            missing = self._staging.not_shown(department_id)
            for start in range(0, len(missing), CHUNK):
                # The index never shows the loaded state of an event that a user has edited or deleted since.
                pairs = self._read(missing[start : start + CHUNK])
                self._staging.drop(s.row for s, stored in pairs if not _equals(s, stored))
            if not self._staging.not_shown(department_id):
                return
            if time.monotonic() > ends_at:
                limit_s = self._index_wait.limit_s
                raise IndexLags(
                    f"데이터는 모두 옮겼지만 인덱스가 {limit_s:.0f}초 안에 따라오지 못했습니다.\n"
                    "  → 몇 분 뒤 같은 명령을 다시 실행하면 마무리합니다."
                )
            time.sleep(self._index_wait.poll_s)

    def _remove_loaded(self, department_id: str) -> None:
        """Remove the loaded events from a department that was deleted for good during the load."""
        if department_id in self._staging.departments():
            for chunk in self._staging.chunks(department_id, CHUNK):
                self._db.remove_events([staged.source.entity.key for staged in chunk])

    # Workers

    def _in_chunks(self, work: Callable[[list[Staged]], list[Result]]) -> Iterator[Result]:
        """Call `work` with chunks of the staged events, several at a time; yield its results in order."""
        chunks = (
            chunk
            for department_id in list(self._staging.departments())
            for chunk in self._staging.chunks(department_id, CHUNK)
        )
        waiting: deque[Future[list[Result]]] = deque()
        with ThreadPoolExecutor(self._workers, "bulk") as pool:
            try:
                for chunk in chunks:
                    waiting.append(pool.submit(work, chunk))
                    if len(waiting) >= 2 * self._workers:
                        yield from waiting.popleft().result()
                while waiting:
                    yield from waiting.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)


def _equals(staged: Staged, stored: Event | None) -> bool:
    return stored is not None and with_stored_values(staged.source, stored) == stored


def _judge(staged: Staged, stored: Event | None) -> EventOutcome:
    if stored is None:
        return EventOutcome(staged, Kind.CREATED)
    return EventOutcome(staged, Kind.EQUAL if _equals(staged, stored) else Kind.UPDATED)
