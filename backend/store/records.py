"""The records of the accounts: reads of their table, and the actions of a transaction that changes them."""

import contextlib
from collections.abc import Iterator, Mapping

from people import RECORDS, AccountsChange, AccountsWrite, Record
from store import account_rows
from store.dynamo_client import ConditionFailed, DynamoClient
from store.items import number, number_of, string
from store.tables import TableNames
from store.transactions import Action, delete_if, put_if, require

FAILURES = "failures"
"""The kind of the rows that count failed sign-ins; they are no records, and not in the log."""


class Records:
    """The records of one store; `models.py` says what each method promises."""

    def __init__(self, client: DynamoClient, names: TableNames) -> None:
        self._client = client
        self._table = names.accounts

    def all_logged(self) -> Iterator[Record]:
        for kind, record_type in RECORDS.items():
            if record_type.logged:
                yield from self._of_kind(kind)

    def find(self, kind: str, id: str) -> Record | None:
        item = self._client.find_item(self._table, account_rows.record_key(kind, id))
        return account_rows.record_from_item(item) if item else None

    def touch(self, kind: str, id: str, fields: Mapping[str, str]) -> None:
        with contextlib.suppress(ConditionFailed):  # the record is gone
            self._client.call(
                "update_item",
                TableName=self._table,
                Key=account_rows.record_key(kind, id),
                UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in fields),
                ConditionExpression="attribute_exists(id)",
                ExpressionAttributeValues={f":{name}": string(value) for name, value in fields.items()},
            )

    def count_failures(self, id: str, now: int) -> int:
        item = self._client.find_item(self._table, account_rows.record_key(FAILURES, id))
        return number_of(item, "count") if item and number_of(item, "expires_at") > now else 0

    def note_failure(self, id: str, now: int, lasts_s: int) -> None:
        key = account_rows.record_key(FAILURES, id)
        values = {":one": number(1), ":until": number(now + lasts_s), ":now": number(now)}
        try:
            self._client.call(
                "update_item",
                TableName=self._table,
                Key=key,
                UpdateExpression="SET expires_at = :until ADD #count :one",
                ConditionExpression="attribute_not_exists(id) OR expires_at > :now",
                ExpressionAttributeNames={"#count": "count"},
                ExpressionAttributeValues=values,
            )
        except ConditionFailed:  # the failures before are too old to count
            values.pop(":now")
            self._client.call(
                "update_item",
                TableName=self._table,
                Key=key,
                UpdateExpression="SET expires_at = :until, #count = :one",
                ExpressionAttributeNames={"#count": "count"},
                ExpressionAttributeValues=values,
            )

    def _of_kind(self, kind: str) -> Iterator[Record]:
        query = account_rows.records_of_kind(kind)
        found = self._client.iterate("query", TableName=self._table, ConsistentRead=True, **query)
        return filter(None, map(account_rows.record_from_item, found))


def actions_of_records(table: str, write: AccountsWrite, change: AccountsChange) -> list[Action]:
    """Build the actions of a write that becomes `change`, without the head and the row of the commit."""
    actions = []
    for seen, record in zip(write.puts, change.puts, strict=True):
        key, item = account_rows.record_key(record.kind, record.id), account_rows.record_to_item(record)
        if seen.revision:
            condition, values = "revision = :seen", {":seen": number(seen.revision)}
            actions.append(put_if(table, key, item, condition, values))
        else:
            actions.append(put_if(table, key, item, "attribute_not_exists(id)"))
    for act, records in ((delete_if, write.removes), (require, write.unchanged)):
        for record in records:
            key = account_rows.record_key(record.kind, record.id)
            actions.append(act(table, key, "revision = :seen", {":seen": number(record.revision)}))
    return actions
