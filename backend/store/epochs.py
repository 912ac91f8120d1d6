"""Changes the epochs: a new one expires all sync tokens of a log and makes servers read it anew.

A bulk load changes its department's epoch twice, when it begins and when it is finished. After a restore of
the tables, every partition gets a new epoch.
"""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from errors import DepartmentNotFound
from store import rows
from store.dynamo_client import ConditionFailed, DynamoClient
from store.items import Item, number, string
from store.tables import TableNames


def new_epoch() -> str:
    """Return a random epoch: eight hexadecimal digits."""
    return secrets.token_hex(4)


class Epochs:
    """The epochs of all partitions of one store; `models.py` says what each method promises."""

    def __init__(self, client: DynamoClient, names: TableNames) -> None:
        self._client = client
        self._table = names.changes

    def renew(self, partitions: Iterable[str]) -> int:
        return sum(map(self._renew_one, partitions))

    def _renew_one(self, partition: str) -> bool:
        try:
            self._update_head(partition, "SET epoch = :epoch")
        except DepartmentNotFound:
            return False
        return True

    def unfinished_loads(self, department_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        keys = [rows.head_key(department_id) for department_id in department_ids]
        heads = self._client.batch_get(self._table, keys)
        return {rows.partition_of(head): loads for head in heads if (loads := rows.loads_on(head))}

    def begin_load(self, department_id: str, load: str) -> int:
        update = "SET #head = #head + :one, epoch = :epoch ADD #loading :loads"
        values: Item = {":one": number(1), ":loads": {"SS": [load]}}
        answer = self._update_head(
            department_id, update, {"#loading": rows.LOADING}, values, ReturnValues="UPDATED_NEW"
        )
        return rows.head_revision(answer["Attributes"])

    def finish_load(self, department_id: str, loads: Collection[str]) -> None:
        update = "SET epoch = :epoch DELETE #loading :loads"
        self._update_head(
            department_id, update, {"#loading": rows.LOADING}, {":loads": {"SS": sorted(loads)}}
        )

    def _update_head(
        self,
        partition: str,
        update: str,
        names: Mapping[str, str] | None = None,
        values: Item | None = None,
        **more: str,
    ) -> dict[str, Any]:
        """Apply an update that sets the epoch of a head to the new `:epoch`. Raises `DepartmentNotFound`."""
        try:
            return self._client.call_patiently(
                "update_item",
                TableName=self._table,
                Key=rows.head_key(partition),
                UpdateExpression=update,
                ConditionExpression="attribute_exists(#head) AND attribute_not_exists(deleted_at)",
                ExpressionAttributeNames={"#head": "head", **(names or {})},
                ExpressionAttributeValues={":epoch": string(new_epoch()), **(values or {})},
                **more,
            )
        except ConditionFailed as error:
            raise DepartmentNotFound() from error
