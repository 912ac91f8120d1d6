"""The deleted departments: which can be restored, and removing what they leave in the `changes` table."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from domain import DeletedDepartment, PendingPurge, known_changes
from store import deletion_rows, rows
from store.dynamo_client import DynamoClient, TransactionRefused
from store.log import Log
from store.tables import TableNames


class Removal:
    """The deleted departments of one store; `models.py` says what each method promises."""

    def __init__(self, client: DynamoClient, names: TableNames, log: Log) -> None:
        self._client = client
        self._table = names.changes
        self._log = log

    def list_deleted(self, now: datetime, limit: int, begin: int | None) -> list[DeletedDepartment]:
        not_due = deletion_rows.purge_number(now)
        if begin is not None and begin <= not_due:
            return []
        query = rows.log_after(deletion_rows.DELETED_DEPARTMENTS, not_due, begin)
        found = self._log.rows(query, ScanIndexForward=False, Limit=limit)
        deleted = (deletion_rows.deleted_department_from_item(row) for row in found)
        return list(islice((department for department in deleted if department), limit))

    def find_deleted(self, department_id: str, now: datetime) -> DeletedDepartment | None:
        purge = self.find_purge(department_id)
        if purge is None or purge.number < deletion_rows.purge_number(now):
            return None
        row = self._client.find_item(self._table, deletion_rows.purge_key(purge))
        return deletion_rows.deleted_department_from_item(row) if row else None

    def find_purge(self, department_id: str) -> PendingPurge | None:
        head = self._client.find_item(self._table, rows.head_key(department_id))
        number = deletion_rows.deleted_number(head) if head else 0
        return PendingPurge(deletion_rows.DELETED_DEPARTMENTS, number, department_id) if number else None

    def due_purges(self, now: datetime) -> Iterator[PendingPurge]:
        for query in (
            rows.log_after(deletion_rows.PURGES, 0),
            rows.log_after(deletion_rows.DELETED_DEPARTMENTS, 0, deletion_rows.purge_number(now)),
        ):
            yield from map(deletion_rows.purge_from_item, self._log.rows(query))

    def begin_purge(self, purge: PendingPurge) -> bool:
        mark = {
            "TableName": self._table,
            "Key": deletion_rows.purge_key(purge),
            "UpdateExpression": f"SET {deletion_rows.PURGING} = :true",
            "ConditionExpression": "attribute_exists(revision)",
            "ExpressionAttributeValues": {":true": {"BOOL": True}},
        }
        return self._while_deleted(purge, {"Update": mark}, {"ConditionCheck": self._deleted_head(purge)})

    def logged_event_ids(self, department_id: str) -> Iterator[tuple[int, list[str]]]:
        for row in self._log.rows(rows.log_after(department_id, 0)):
            changes = known_changes(rows.entries_from_row(row))
            yield rows.revision_of(row), [change.entity.id for change in changes]

    def remove_rows(self, department_id: str, revisions: Sequence[int]) -> None:
        self._client.batch_delete(self._table, [rows.change_key(department_id, r) for r in revisions])

    def finish_purge(self, purge: PendingPurge) -> None:
        row = {
            "TableName": self._table,
            "Key": deletion_rows.purge_key(purge),
            "ConditionExpression": "attribute_exists(revision)",
        }
        self._while_deleted(purge, {"Delete": row}, {"Delete": self._deleted_head(purge)})

    def _deleted_head(self, purge: PendingPurge) -> dict[str, Any]:
        """Return the key of a head, with the condition that it is marked deleted."""
        return {
            "TableName": self._table,
            "Key": rows.head_key(purge.department_id),
            "ConditionExpression": "attribute_exists(deleted_at)",
        }

    def _while_deleted(self, purge: PendingPurge, *requests: Mapping[str, Any]) -> bool:
        """Send a transaction on condition that the department is marked deleted; return whether it was done.

        If it was not, the department was restored, or another server has purged it: nothing is left to do.
        """
        try:
            self._client.call("transact_write_items", TransactItems=requests)
        except TransactionRefused:
            self._client.batch_delete(self._table, [deletion_rows.purge_key(purge)])
            return False
        return True
