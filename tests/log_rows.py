"""Rows of the `changes` table in every form that versions write, for tests that write past the facade."""

from collections.abc import Mapping, Sequence
from typing import Any

from config import Settings
from domain import Change, Event
from store.dynamo_client import DynamoClient
from store.items import event_key

Row = dict[str, Any]

EVENT_TEXTS = (
    "id",
    "department_id",
    "event_date",
    "title",
    "description",
    "time",
    "url",
    "created_at",
    "last_modified",
)


def event_item(event: Event, **unknown: Any) -> Row:
    """Build an event's item as servers up to 1.4 do; `unknown` are attributes of a newer server."""
    texts = {name: {"S": getattr(event, name)} for name in EVENT_TEXTS}
    return texts | {"revision": {"N": str(event.revision)}} | unknown


def change_attributes(change: Change, **unknown: Any) -> Row:
    """Build what every form of a row says of an event's change; `unknown` are attributes of its entity."""
    assert isinstance(change.entity, Event)
    attributes = {
        "type": {"S": change.type.value},
        "entity": {"M": event_item(change.entity, **unknown)},
        "at": {"S": change.at},
        "by": {"S": change.actor.id},
        "by_name": {"S": change.actor.name},
        "write_id": {"S": change.write_id},
    }
    return attributes if change.previous is None else attributes | {"previous": {"N": str(change.previous)}}


def single_row(partition: str, revision: int, attributes: Row) -> Row:
    """Build the row of one change, as servers up to 1.1 write it; without `previous`, as those of 1.0."""
    return row_key(partition, revision) | attributes | {"expires_at": {"N": "9999999999"}}


def commit_row(partition: str, first: int, changes: Sequence[Row], last: int = 0) -> Row:
    """Build the row of a commit, as servers of 1.2 write it: its entities without what the row says.

    `last`, if given, promises more changes than the row has.
    """
    return row_key(partition, last or first + len(changes) - 1) | {
        "first": {"N": str(first)},
        "changes": {"L": [{"M": _in_commit(attributes)} for attributes in changes]},
        "expires_at": {"N": "9999999999"},
    }


def _in_commit(attributes: Row) -> Row:
    entity = attributes.get("entity", {}).get("M")
    if entity is None:
        return attributes
    said = {"department_id", "revision"}
    kept = {name: value for name, value in entity.items() if name not in said and value != {"S": ""}}
    return attributes | {"entity": {"M": kept}}


def row_key(partition: str, revision: int) -> Row:
    return {"department_id": {"S": partition}, "revision": {"N": str(revision)}}


def logged_entities(row: Mapping[str, Any]) -> list[Row]:
    """Return the entities in a row of any form, as they are stored."""
    changes = [change["M"] for change in row["changes"]["L"]] if "changes" in row else [row]
    return [change["entity"]["M"] for change in changes]


class LogWriter:
    """Writes rows and items as servers of other versions do, past the facade."""

    def __init__(self, client: DynamoClient, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    def append(self, row: Row) -> None:
        """Put a row and move the head of its department to it."""
        self.put(row)
        self._client.call(
            "update_item",
            TableName=self._settings.changes_table,
            Key=row_key(row["department_id"]["S"], 0),
            UpdateExpression="SET #head = :head",
            ExpressionAttributeNames={"#head": "head"},
            ExpressionAttributeValues={":head": row["revision"]},
        )

    def put(self, row: Row) -> None:
        self._client.call("put_item", TableName=self._settings.changes_table, Item=row)

    def put_event(self, item: Row) -> None:
        self._client.call("put_item", TableName=self._settings.events_table, Item=item)

    def delete_event(self, event: Event) -> None:
        self._client.call("delete_item", TableName=self._settings.events_table, Key=event_key(event.key))

    def find_event(self, event: Event) -> Row | None:
        """Return the item of an event."""
        return self._client.find_item(self._settings.events_table, event_key(event.key))

    def expire(self, partition: str, revision: int) -> None:
        """Delete the row of a revision, as the table's TTL does."""
        key = row_key(partition, revision)
        self._client.call("delete_item", TableName=self._settings.changes_table, Key=key)

    def rows(self, partition: str) -> list[Row]:
        """Return the rows of a log in order, as they are stored."""
        answer = self._client.call(
            "query",
            TableName=self._settings.changes_table,
            ConsistentRead=True,
            KeyConditionExpression="department_id = :p AND revision > :r",
            ExpressionAttributeValues={":p": {"S": partition}, ":r": {"N": "0"}},
        )
        return answer["Items"]
