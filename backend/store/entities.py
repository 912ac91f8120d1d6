"""Reads of departments and events: by key, by the date index, by a scan."""

from collections.abc import Iterator

from domain import Department, Event, EventKey
from store import items, rows
from store.dynamo_client import DynamoClient
from store.log import Log
from store.tables import TableNames


class Entities:
    """The departments and events of one store; `models.py` says what each method promises."""

    def __init__(self, client: DynamoClient, names: TableNames, log: Log) -> None:
        self._client = client
        self._log = log
        self._names = names

    def list_departments(self) -> list[Department]:
        found = self._client.iterate("scan", TableName=self._names.departments, ConsistentRead=True)
        return [items.department_from_item(item) for item in found]

    def find_department(self, department_id: str) -> Department | None:
        item = self._client.find_item(self._names.departments, items.department_key(department_id))
        return items.department_from_item(item) if item else None

    def owns_name(self, department: Department) -> bool:
        row = self._client.find_item(self._names.changes, rows.name_key(department.name))
        return row is not None and rows.name_owner(row) == department.id

    def find_event(self, event_id: str) -> Event | None:
        query = items.events_with_id(event_id)
        found = self._client.iterate("query", TableName=self._names.events, ConsistentRead=True, **query)
        events = [items.event_from_item(item) for item in found]
        if len(events) > 1:  # deleted departments keep theirs for as long as they can be restored
            live = self._log.live_partitions([event.department_id for event in events])
            events = [event for event in events if event.department_id in live] or events
        return events[0] if events else None

    def find_event_by_key(self, key: EventKey) -> Event | None:
        query = items.event_with_key(key)
        found = self._client.iterate("query", TableName=self._names.events, ConsistentRead=True, **query)
        return next(map(items.event_from_item, found), None)

    def indexed_events(
        self, department_id: str, first: str | None, last: str | None, per_request: int | None
    ) -> Iterator[Event]:
        query = items.events_of_department(department_id, first, last)
        page = {"Limit": per_request} if per_request else {}
        found = self._client.iterate("query", TableName=self._names.events, **query, **page)
        return map(items.event_from_item, found)
