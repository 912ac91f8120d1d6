"""Reads of the `changes` table: heads, logs and the receipts of creations. Writes nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import takewhile
from typing import Any

from domain import (
    Change,
    Department,
    Entity,
    Event,
    EventKey,
    LogEntry,
    Position,
    Receipt,
    StoredReceipt,
    known_changes,
    timestamp,
    utc_now,
)
from people import ACCOUNTS, AccountsChange
from store import deletion_rows, items, rows
from store.dynamo_client import TRANSACTION_LIMIT, DynamoClient
from store.items import Item
from store.tables import TableNames

PAGE = 100
"""Rows in one request of `recent_changes`, which returns so many changes even from before its window."""


class Log:
    """The logs of all partitions of one store; `models.py` says what each method promises."""

    def __init__(self, client: DynamoClient, names: TableNames) -> None:
        self._client = client
        self._table = names.changes

    def read_head(self, partition: str) -> Position | None:
        return rows.position_of(partition, self._client.find_item(self._table, rows.head_key(partition)))

    def live_partitions(self, partitions: Sequence[str]) -> set[str]:
        """Return those of these partitions that have a head which is not marked deleted, read strongly."""
        heads = self._client.batch_get(self._table, [rows.head_key(partition) for partition in partitions])
        return {rows.partition_of(head) for head in heads if rows.position_from_head(head)}

    def recent_heads(self, partitions: Sequence[str]) -> dict[str, Position | None]:
        keys = [rows.head_key(partition) for partition in partitions]
        found = self._client.batch_get_eventual(self._table, keys)
        return {rows.partition_of(item): rows.position_from_head(item) for item in found}

    def changes_after(self, partition: str, revision: int, limit: int | None = None) -> list[LogEntry]:
        found: list[LogEntry] = []
        page = {"Limit": limit} if limit else {}
        for row in self.rows(rows.log_after(partition, revision), **page):
            for change in rows.entries_from_row(row):
                if change.revision <= revision:
                    continue  # of a commit that the reader knows in part
                if change.revision != revision + len(found) + 1:
                    return found
                found.append(change)
                if len(found) == limit:
                    return found
        return found

    def recent_changes(self, partition: str, reached: int, window: timedelta) -> list[LogEntry]:
        since = timestamp(utc_now() - window)
        newest_first: list[LogEntry] = []
        for change in self._changes_backwards(partition):
            if newest_first and change.revision != newest_first[-1].revision - 1:
                if change.revision < reached:
                    # The rows of this hole have expired, so the index shows the writes before it by now. To
                    # lay those over the index would bring back what the expired rows deleted.
                    break
                # A hole after `reached`: a server up to 1.1 writes a row for each change, and the query ran
                # during its commit and saw only some of them.
                newest_first.clear()
            # Servers' clocks differ: changes before one that looks old may be newer, so read `PAGE` at least.
            if change.at < since and len(newest_first) >= PAGE:
                break
            newest_first.append(change)
        if not newest_first:
            return []
        newest, oldest = newest_first[0], newest_first[-1]
        if newest.revision < reached or oldest.revision > reached + 1:
            return []
        return newest_first[::-1]

    def _changes_backwards(self, partition: str) -> Iterator[LogEntry]:
        for row in self.rows(rows.log_after(partition, 0), ScanIndexForward=False, Limit=PAGE):
            yield from reversed(rows.entries_from_row(row))

    def accounts_changes_from(self, revision: int | None, limit: int) -> list[AccountsChange]:
        found: list[AccountsChange] = []
        # The row of a commit has the revision of its last change, so it may be after this one.
        query = rows.log_after(ACCOUNTS, 0, revision + TRANSACTION_LIMIT if revision else None)
        for row in self.rows(query, ScanIndexForward=False, Limit=limit):
            for entry in reversed(rows.entries_from_row(row)):
                if isinstance(entry, AccountsChange) and (revision is None or entry.revision <= revision):
                    found.append(entry)
                if len(found) == limit:
                    return found
        return found

    def find_change(self, department_id: str, revision: int) -> LogEntry | None:
        found = self.find_commit(department_id, revision)
        return next((entry for entry in found if entry.revision == revision), None)

    def find_commit(self, department_id: str, revision: int) -> list[LogEntry]:
        # The row of a commit has the revision of its last change, so a change is in the first row from there.
        for row in self.rows(rows.log_after(department_id, revision - 1), Limit=1):
            return rows.entries_from_row(row)
        return []

    def find_deletion(self, key: EventKey) -> int | None:
        item = self._client.find_item(self._table, deletion_rows.deletion_key(key))
        return deletion_rows.deletion_revision(item) if item else None

    def legacy_changes(self, key: EventKey) -> list[Change]:
        first = next(self.rows(rows.log_after(key.department_id, 0), Limit=1), None)
        if first is None or not rows.lacks_previous(first):
            return []
        found = self.rows(rows.legacy_log_of_event(key))
        legacy = takewhile(lambda row: not rows.is_commit(row), found)
        return known_changes(entry for row in legacy for entry in rows.entries_from_row(row))

    def find_created_event(self, receipt: Receipt) -> StoredReceipt[Event] | None:
        return self._created(receipt, items.event_from_item)

    def find_created_department(self, receipt: Receipt) -> StoredReceipt[Department] | None:
        return self._created(receipt, items.department_from_item)

    def _created(self, receipt: Receipt, read: Callable[[Item], Entity]) -> StoredReceipt[Entity] | None:
        item = self._client.find_item(self._table, rows.receipt_key(receipt))
        return rows.receipt_from_item(item, read) if item else None

    def rows(self, query: Mapping[str, Any], **more: Any) -> Iterator[Item]:
        """Read strongly the rows of a query; `query` is what the query functions of `rows` return."""
        return self._client.iterate("query", TableName=self._table, ConsistentRead=True, **query, **more)
