"""Removes what a deleted department leaves in the `changes` table: its log, its head, its pending purge."""

from collections.abc import Sequence

from domain import PendingPurge
from store import rows
from store.dynamo_client import DynamoClient
from store.log import Log
from store.tables import TableNames


class Removal:
    """The removal of logs in one store; `models.py` says what each method promises."""

    def __init__(self, client: DynamoClient, names: TableNames, log: Log) -> None:
        self._client = client
        self._table = names.changes
        self._log = log

    def pending_purges(self) -> list[PendingPurge]:
        return [rows.purge_from_item(row) for row in self._log.rows(rows.log_after(rows.PURGES, 0))]

    def remove_log(self, department_id: str, revisions: Sequence[int]) -> None:
        keys = [rows.change_key(department_id, revision) for revision in revisions]
        self._client.batch_delete(self._table, [*keys, rows.head_key(department_id)])

    def remove_pending_purge(self, purge: PendingPurge) -> None:
        self._client.batch_delete(self._table, [rows.purge_key(purge)])
