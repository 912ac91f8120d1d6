"""Reads and writes many events at once, without changes in the log.

Waits up to `BULK_PATIENCE_S` for a throttled table, where other modules give up within seconds.
`migration/bulk_load.py` says why writes without changes in the log are safe in a bulk load.
"""

from collections.abc import Iterator, Sequence

from domain import Event, EventKey
from store import items
from store.dynamo_client import ConditionFailed, DynamoClient
from store.tables import TableNames


class BulkEvents:
    """All events of one store; `models.py` says what each method promises."""

    def __init__(self, client: DynamoClient, names: TableNames) -> None:
        self._client = client
        self._table = names.events

    def find(self, keys: Sequence[EventKey]) -> dict[str, Event]:
        wanted = [items.event_key(key) for key in keys]
        found = map(items.event_from_item, self._client.batch_get(self._table, wanted))
        return {event.id: event for event in found}

    def put(self, events: Sequence[Event]) -> None:
        self._client.batch_put(self._table, [items.entity_to_item(event) for event in events])

    def replace(self, event: Event, seen_revision: int) -> bool:
        condition, values = items.unchanged_condition(seen_revision)
        try:
            self._client.call_patiently(
                "put_item",
                TableName=self._table,
                Item=items.entity_to_item(event),
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
        except ConditionFailed:
            # If the answer to a request is lost, its resend fails, because the event is put already.
            return self.find([event.key]).get(event.id) == event
        return True

    def remove(self, keys: Sequence[EventKey]) -> None:
        self._client.batch_delete(self._table, [items.event_key(key) for key in keys])

    def keys(self, event_id: str | None) -> Iterator[EventKey]:
        operation, query = ("query", items.events_with_id(event_id)) if event_id else ("scan", {})
        found = self._client.iterate_patiently(
            operation, TableName=self._table, ConsistentRead=True, **query, **items.EVENT_KEYS
        )
        return map(items.event_key_from_item, found)

    def all(self) -> Iterator[Event]:
        found = self._client.iterate_patiently("scan", TableName=self._table, ConsistentRead=True)
        return map(items.event_from_item, found)

    def indexed_keys(self, department_id: str) -> Iterator[EventKey]:
        query = {**items.events_of_department(department_id, None, None), **items.EVENT_KEYS}
        found = self._client.iterate_patiently("query", TableName=self._table, **query)
        return map(items.event_key_from_item, found)

    def indexed_revisions(self, department_id: str) -> Iterator[tuple[str, int]]:
        query = {**items.events_of_department(department_id, None, None), **items.EVENT_REVISIONS}
        found = self._client.iterate_patiently("query", TableName=self._table, **query)
        return map(items.event_revision, found)
