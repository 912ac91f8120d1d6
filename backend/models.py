"""`DynamoDBDatabase`: the facade of `store/`, in the terms of the domain.

Says what each operation promises; the modules of `store/` carry it out. The rules that users notice are in
`services/`.
"""

import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta

from config import Settings
from domain import (
    REGISTRY,
    Change,
    DeletedDepartment,
    Department,
    Event,
    EventKey,
    Feed,
    LogEntry,
    PendingPurge,
    Position,
    Receipt,
    StoredReceipt,
)
from errors import end_with_a_sentence
from people import ACCOUNTS, AccountsChange, AnyChange, AnyWrites, Record
from store import local_engine
from store.adoption import Adoption
from store.bulk_events import BulkEvents
from store.commit import Committer, HeadMoved, WritesRefused
from store.dynamo_client import ATTEMPT_S, DynamoClient
from store.entities import Entities
from store.epochs import Epochs
from store.feed_rows import FeedRows
from store.log import Log
from store.records import Records
from store.removal import Removal
from store.tables import TableNames, TableResult, Tables
from store.transactions import Refusal

__all__ = [
    "ATTEMPT_S",
    "DynamoDBDatabase",
    "HeadMoved",
    "Refusal",
    "TableResult",
    "WritesRefused",
    "describe_store",
    "holds_embedded_data",
]

if sys.argv[0] == "-c":  # the guides' one-line command has no code of its own to catch a `SetupError`
    sys.excepthook = end_with_a_sentence


def describe_store(settings: Settings) -> str:
    """Return in Korean where the tables are, for the operator."""
    if settings.embedded:
        return local_engine.describe(settings.embedded_data_dir)
    return f"DynamoDB, {settings.dynamodb_endpoint_url or settings.aws_region}"


def holds_embedded_data(settings: Settings) -> bool:
    """Return whether the embedded store's data directory holds any item, even if the settings name AWS."""
    return local_engine.is_used(settings.embedded_data_dir)


class DynamoDBDatabase:
    """The calendar's tables in one DynamoDB store.

    A *partition* is a department's id, or `REGISTRY` for the list of departments: each has a log of its own.
    Every method raises `StoreUnavailable` when the store stays throttled or down after bounded retries,
    `TableMissing` or `CredentialsRejected` when the operator has to act.
    """

    def __init__(self, settings: Settings | None = None, client: DynamoClient | None = None) -> None:
        """Connect to the store that the settings name; without settings, those of the environment.

        A `client` is used instead of one of its own.
        """
        settings = settings or Settings.from_env()
        self.store = describe_store(settings)
        """Where the tables are, in Korean."""
        names = TableNames(
            settings.departments_table,
            settings.events_table,
            settings.changes_table,
            settings.accounts_table if settings.auth else "",
        )
        self._client = client or DynamoClient(settings)
        self._tables = Tables(self._client, names)
        self._log = Log(self._client, names)
        self._committer = Committer(self._client, names, self._log)
        self._entities = Entities(self._client, names, self._log)
        self._events = BulkEvents(self._client, names)
        self._epochs = Epochs(self._client, names)
        self._adoption = Adoption(self._client, names, self._entities)
        self._records = Records(self._client, names)
        self._feeds = FeedRows(self._client, names)
        self._removal = Removal(self._client, names, self._log)

    # Tables

    def create_tables(
        self, *, provisioned: bool = False, report: Callable[[str | TableResult], object] = print
    ) -> None:
        """Create the tables, indexes and the TTL of the log that are missing; never touch data.

        Calls `report` with a sentence that names the store, then with the `TableResult` of each table.
        Existing tables keep their billing mode. Raises `SetupError` when one has other keys than ours.
        """
        report(f"저장소: {self.store}")
        self._tables.create(provisioned=provisioned, report=report)

    def check_tables(self) -> None:
        """Raise `TableMissing` for the first table that does not exist."""
        self._tables.check()

    def require_writable(self) -> None:
        """Raise `StoreUnavailable` if a write would get lost: the embedded store's files were deleted."""
        self._client.require_writable()

    # The commit

    def commit(self, partition: str, seen: Position, writes: Sequence[AnyWrites]) -> list[AnyChange]:
        """Commit as many of the first writes as fit one transaction; return their changes, in order.

        `seen` is the partition's position as the caller knows it. Writes that would touch an item twice, or
        exceed DynamoDB's limits, are left for the next commit; the first one never is. Writes nothing and
        raises `HeadMoved` when the partition is at another position, `WritesRefused` when conditions of the
        writes fail, or when the first is a `WriteSet` that does not fit in any transaction.
        """
        return self._committer.commit(partition, seen, writes)

    # The log

    def read_head(self, partition: str) -> Position | None:
        """Read strongly the position of a partition; None when there is no such department."""
        return self._log.read_head(partition)

    def recent_heads(self, partitions: Sequence[str]) -> dict[str, Position | None]:
        """Read the positions of partitions, eventually consistent, a hundred in a request.

        Gives None for a deleted department. Leaves out unknown partitions, and others if the table is
        throttled.
        """
        return self._log.recent_heads(partitions)

    def changes_after(self, partition: str, revision: int, limit: int | None = None) -> list[LogEntry]:
        """Read strongly, in order, the changes that follow a revision without a hole, `limit` at most.

        Fewer than the head promises mean that rows after the revision have expired.
        """
        return self._log.changes_after(partition, revision, limit)

    def recent_changes(self, partition: str, reached: int, window: timedelta) -> list[LogEntry]:
        """Read strongly, in order, the changes of the last `window`, and older ones up to 100 in all.

        `reached` is a revision that was read from the head. The changes have no hole, begin at `reached + 1`
        or earlier, and end at `reached` or later. Empty when the rows for this have expired.
        """
        return self._log.recent_changes(partition, reached, window)

    def find_change(self, department_id: str, revision: int) -> LogEntry | None:
        """Read strongly the change at a revision; None if it has expired, or a bulk load has the revision."""
        return self._log.find_change(department_id, revision)

    def find_commit(self, department_id: str, revision: int) -> list[LogEntry]:
        """Read strongly, in order, the changes of the commit with a revision; empty if it has expired."""
        return self._log.find_commit(department_id, revision)

    def find_deletion(self, key: EventKey) -> int | None:
        """Read strongly the revision of an event's last deletion; None if there was none for 30 days."""
        return self._log.find_deletion(key)

    def legacy_changes(self, key: EventKey) -> list[Change]:
        """Read strongly, in order, an event's changes in legacy rows, if the log begins before 1.1.

        Servers before 1.1 note no `previous`. During an upgrade they and those of 1.1 take turns, so the log
        is read up to the first row of a later server; one small request when the old rows have expired.
        """
        return self._log.legacy_changes(key)

    def find_created_event(self, receipt: Receipt) -> StoredReceipt[Event] | None:
        """Find the event that was created under a receipt's key, as the creation was answered."""
        return self._log.find_created_event(receipt)

    def find_created_department(self, receipt: Receipt) -> StoredReceipt[Department] | None:
        """Find the department that was created under a receipt's key, as the creation was answered."""
        return self._log.find_created_department(receipt)

    # Departments and events

    def list_departments(self) -> list[Department]:
        """Read all departments strongly, in no order."""
        return self._entities.list_departments()

    def find_department(self, department_id: str) -> Department | None:
        """Find a department by its id, read strongly."""
        return self._entities.find_department(department_id)

    def owns_name(self, department: Department) -> bool:
        """Return whether the row that keeps a department's name unique belongs to this department."""
        return self._entities.owns_name(department)

    def find_event(self, event_id: str) -> Event | None:
        """Find an event by its id alone, read strongly; of a deleted department only if there is no other."""
        return self._entities.find_event(event_id)

    def find_event_by_key(self, key: EventKey) -> Event | None:
        """Find an event by its id and department, read strongly."""
        return self._entities.find_event_by_key(key)

    def indexed_events(
        self,
        department_id: str,
        first: str | None = None,
        last: str | None = None,
        per_request: int | None = None,
    ) -> Iterator[Event]:
        """Read a department's events from the date index, eventually consistent, by inclusive ISO dates.

        Yields them by date, in no order within a date. `per_request` events at most are asked for at once.
        """
        return self._entities.indexed_events(department_id, first, last, per_request)

    # Repair

    def adopt_departments(self) -> int:
        """Write the missing head and name row of departments from an older server or another tool.

        Returns the number of adopted departments. Of several with one name, the first gets the row.
        """
        return self._adoption.adopt(self.list_departments())

    def renew_epochs(self) -> int:
        """Give the logs of the registry and of every department a new epoch: every sync token expires.

        Returns the number of logs with a new epoch. Skips departments that are marked deleted, since nobody
        can read them, and departments without a head, since their adoption gives them an epoch.
        """
        departments = (department.id for department in self.list_departments())
        return self._epochs.renew([REGISTRY, ACCOUNTS, *departments])

    # Deleted departments

    def list_deleted_departments(
        self, now: datetime, limit: int, begin: int | None = None
    ) -> list[DeletedDepartment]:
        """Read strongly, the last deleted first, the departments that can be restored, `limit` at most.

        `begin` is the number of the first of them.
        """
        return self._removal.list_deleted(now, limit, begin)

    def find_deleted_department(self, department_id: str, now: datetime) -> DeletedDepartment | None:
        """Find a deleted department that can be restored, read strongly."""
        return self._removal.find_deleted(department_id, now)

    def find_purge(self, department_id: str) -> PendingPurge | None:
        """Find the purge of a deleted department, due or not; None if the id has no deleted department."""
        return self._removal.find_purge(department_id)

    def due_purges(self, now: datetime) -> Iterator[PendingPurge]:
        """Read strongly the purges that are due; two small requests when none is."""
        return self._removal.due_purges(now)

    def begin_purge(self, purge: PendingPurge) -> bool:
        """Rule out that the department is restored. Return False if it was, or if nothing is left of it."""
        return self._removal.begin_purge(purge)

    def finish_purge(self, purge: PendingPurge) -> None:
        """Remove the head of a purged department and the row that says it is due, together."""
        self._removal.finish_purge(purge)

    def indexed_keys(self, department_id: str) -> Iterator[EventKey]:
        """Read from the date index, eventually consistent, the keys of a department's events."""
        return self._events.indexed_keys(department_id)

    def logged_event_ids(self, department_id: str) -> Iterator[tuple[int, list[str]]]:
        """Read strongly, of each row that a log still has, the revision and the ids of the changed events."""
        return self._removal.logged_event_ids(department_id)

    def remove_rows(self, department_id: str, revisions: Sequence[int]) -> None:
        """Remove the rows of these revisions from the log of a deleted department."""
        self._removal.remove_rows(department_id, revisions)

    # Feeds

    def find_feed(self, feed_id: str) -> Feed | None:
        """Find a feed, read strongly."""
        return self._feeds.find(feed_id)

    def put_feed(self, feed: Feed) -> None:
        """Put a feed; it replaces the one that its account has of its department."""
        self._feeds.put(feed)

    # Accounts

    def logged_records(self) -> Iterator[Record]:
        """Read strongly all records of the accounts that their log tells of, in no order."""
        return self._records.all_logged()

    def find_record(self, kind: str, id: str) -> Record | None:
        """Find a record of the accounts, read strongly."""
        return self._records.find(kind, id)

    def count_sign_in_failures(self, id: str) -> int:
        """Return how many failed sign-ins were counted lately under an id, on any server."""
        return self._records.count_failures(id, int(time.time()))

    def note_sign_in_failure(self, id: str, lasts_s: int) -> None:
        """Count a failed sign-in; the count begins anew when there was none for `lasts_s`."""
        self._records.note_failure(id, int(time.time()), lasts_s)

    def touch_record(self, kind: str, id: str, **fields: str) -> None:
        """Set fields of a record that its log does not tell of; nothing happens if the record is gone."""
        self._records.touch(kind, id, fields)

    def accounts_changes_from(self, revision: int | None, limit: int) -> list[AccountsChange]:
        """Read strongly changes of the accounts from a revision back, `limit` at most; None for the last."""
        return self._log.accounts_changes_from(revision, limit)

    # Events in bulk, without changes in the log; these methods wait two minutes for a throttled table

    @property
    def index_lags(self) -> bool:
        """Whether the date index may show an event later than its table."""
        return self._client.index_lags

    def unfinished_loads(self, department_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Read strongly the names of the unfinished bulk loads of these departments, by department id."""
        return self._epochs.unfinished_loads(department_ids)

    def begin_load(self, department_id: str, load: str) -> int:
        """Begin a bulk load: move the head by one revision and change the epoch: every sync token expires.

        Returns the revision for the events of the load, which never gets a row in the log. The head keeps the
        name of the load until `finish_load`. Raises `DepartmentNotFound`.
        """
        return self._epochs.begin_load(department_id, load)

    def finish_load(self, department_id: str, loads: Collection[str]) -> None:
        """Remove the names of these loads from the head and change the epoch again: every server reads anew.

        Raises `DepartmentNotFound`.
        """
        self._epochs.finish_load(department_id, loads)

    def find_events(self, keys: Sequence[EventKey]) -> dict[str, Event]:
        """Read strongly the events with these keys that exist; return them by id."""
        return self._events.find(keys)

    def put_events(self, events: Sequence[Event]) -> None:
        """Put events; each replaces an event with the same key."""
        self._events.put(events)

    def replace_event(self, event: Event, seen_revision: int) -> bool:
        """Put an event if the stored one still has the revision that was seen; return whether it was put."""
        return self._events.replace(event, seen_revision)

    def remove_events(self, keys: Sequence[EventKey]) -> None:
        """Remove events of a deleted department; keys without an event are ignored."""
        self._events.remove(keys)

    def event_keys(self, event_id: str | None = None) -> Iterator[EventKey]:
        """Read strongly the keys of the events with an id; without an id, of all events."""
        return self._events.keys(event_id)

    def all_events(self) -> Iterator[Event]:
        """Read strongly every event of every department, in no order."""
        return self._events.all()

    def indexed_revisions(self, department_id: str) -> Iterator[tuple[str, int]]:
        """Read from the date index, eventually consistent, the ids and revisions of a department's events."""
        return self._events.indexed_revisions(department_id)
