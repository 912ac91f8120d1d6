"""The items of the tables: their keys, the queries for them, and the mapping to and from entities.

Items have the typed values (`{"S": ...}`) of boto3's low-level client. Sends nothing.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from domain import (
    CHANGE_RETENTION,
    REGISTRY,
    Change,
    ChangeType,
    Department,
    Entity,
    Event,
    EventKey,
    PendingPurge,
    Position,
    Receipt,
    StoredReceipt,
    fold_text,
)

Item: TypeAlias = Mapping[str, Mapping[str, Any]]
"""A DynamoDB record: attribute names and typed values."""

NAME_INDEX = "name-index"
DATE_INDEX = "department-date-index"
TTL_ATTRIBUTE = "expires_at"

LOADING = "loading"
"""Attribute of a head: the names of the bulk loads that have begun and not finished."""

PURGES = "purges"
"""Partition of `changes` with one row for each deleted department whose events may still be there."""

_EVENT_TEXTS = (
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
_DEPARTMENT_TEXTS = ("id", "name", "description", "created_at", "updated_at")


def _text(item: Item, name: str) -> str:
    value: str = item.get(name, {}).get("S", "")
    return value


def _number(item: Item, name: str) -> int:
    return int(item.get(name, {}).get("N", "0"))


def string(value: str) -> dict[str, str]:
    return {"S": value}


def number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def event_to_item(event: Event) -> dict[str, Any]:
    return {**{n: string(getattr(event, n)) for n in _EVENT_TEXTS}, "revision": number(event.revision)}


def event_from_item(item: Item) -> Event:
    """Read an event; what older servers did not write is `""`, a missing revision is 0."""
    return Event(**{n: _text(item, n) for n in _EVENT_TEXTS}, revision=_number(item, "revision"))


def department_to_item(department: Department) -> dict[str, Any]:
    return {
        **{n: string(getattr(department, n)) for n in _DEPARTMENT_TEXTS},
        "revision": number(department.revision),
    }


def department_from_item(item: Item) -> Department:
    return Department(**{n: _text(item, n) for n in _DEPARTMENT_TEXTS}, revision=_number(item, "revision"))


def entity_to_item(entity: Event | Department) -> dict[str, Any]:
    return event_to_item(entity) if isinstance(entity, Event) else department_to_item(entity)


def change_to_item(partition: str, change: Change, now: datetime) -> dict[str, Any]:
    return {
        "department_id": string(partition),
        "revision": number(change.revision),
        "type": string(change.type.value),
        "entity": {"M": entity_to_item(change.entity)},
        "at": string(change.at),
        "by": string(change.by),
        "write_id": string(change.write_id),
        TTL_ATTRIBUTE: number(int((now + CHANGE_RETENTION).timestamp())),
    }


def change_from_item(item: Item) -> Change:
    kind = ChangeType(_text(item, "type"))
    entity: Item = item["entity"]["M"]
    return Change(
        revision=_number(item, "revision"),
        type=kind,
        entity=event_from_item(entity) if kind.value.startswith("event_") else department_from_item(entity),
        at=_text(item, "at"),
        by=_text(item, "by"),
        write_id=_text(item, "write_id"),
    )


def partition_of(item: Item) -> str:
    return _text(item, "department_id")


def revision_of(item: Item) -> int:
    return _number(item, "revision")


def position_from_head(item: Item) -> Position | None:
    """Return the position that a head holds; None when its department is marked deleted."""
    return None if "deleted_at" in item else Position(_text(item, "epoch"), head_revision(item))


def position_of(partition: str, head: Mapping[str, Any] | None) -> Position | None:
    """Return the position of a partition whose head was read; None when there is no such department.

    The registry without a head is at revision 0: its first commit creates its head.
    """
    if head:
        return position_from_head(head)
    return Position("", 0) if partition == REGISTRY else None


def head_revision(item: Item) -> int:
    return _number(item, "head")


def event_key(key: EventKey) -> dict[str, Any]:
    return {"id": string(key.id), "department_id": string(key.department_id)}


def department_key(department_id: str) -> dict[str, Any]:
    return {"id": string(department_id)}


def change_key(partition: str, revision: int) -> dict[str, Any]:
    return {"department_id": string(partition), "revision": number(revision)}


def head_key(partition: str) -> dict[str, Any]:
    return change_key(partition, 0)


def new_head_to_item(department_id: str, epoch: str) -> dict[str, Any]:
    return {**head_key(department_id), "head": number(0), "epoch": string(epoch)}


def receipt_key(receipt: Receipt) -> dict[str, Any]:
    return head_key(f"key#{receipt.scope}#{receipt.key}")


def receipt_to_item(
    receipt: Receipt, entity: Event | Department, write_id: str, now: datetime
) -> dict[str, Any]:
    return {
        **receipt_key(receipt),
        "request_hash": string(receipt.request_hash),
        "entity": {"M": entity_to_item(entity)},
        "write_id": string(write_id),
        TTL_ATTRIBUTE: number(int((now + CHANGE_RETENTION).timestamp())),
    }


def receipt_from_item(item: Item, read: Callable[[Item], Entity]) -> StoredReceipt[Entity]:
    """Read a receipt; `read` reads the kind of entity that was created."""
    return StoredReceipt(_text(item, "request_hash"), read(item["entity"]["M"]), _text(item, "write_id"))


def log_of_event(department_id: str, event_id: str) -> dict[str, Any]:
    """Query parameters for the rows of one event in a department's log, in order."""
    query = log_after(department_id, 0)
    query["ExpressionAttributeValues"] |= {":e": string(event_id)}
    return query | {"FilterExpression": "entity.id = :e"}


def log_after(partition: str, revision: int) -> dict[str, Any]:
    """Query parameters for the rows of a log after a revision, in order."""
    return {
        "KeyConditionExpression": "department_id = :p AND revision > :r",
        "ExpressionAttributeValues": {":p": string(partition), ":r": number(revision)},
    }


def events_of_department(department_id: str, first: str | None, last: str | None) -> dict[str, Any]:
    """Query parameters for a department's events in the date index, within inclusive ISO dates."""
    condition, values = "department_id = :d", {":d": string(department_id)}
    if first is not None or last is not None:
        condition += " AND event_date BETWEEN :first AND :last"
        values |= {":first": string(first or "0000-00-00"), ":last": string(last or "9999-99-99")}
    return {
        "IndexName": DATE_INDEX,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
    }


def events_with_id(event_id: str) -> dict[str, Any]:
    """Query parameters for the events with an id, in any department."""
    return {
        "KeyConditionExpression": "id = :i",
        "ExpressionAttributeValues": {":i": string(event_id)},
    }


def loads_on(head: Item) -> frozenset[str]:
    """Return the names of the bulk loads that have begun in a department and not finished."""
    return frozenset(head.get(LOADING, {}).get("SS", []))


EVENT_KEYS: Mapping[str, Any] = {"ProjectionExpression": "id, department_id"}
"""Query parameter that fetches only what `event_key_from_item` reads."""
EVENT_REVISIONS: Mapping[str, Any] = {"ProjectionExpression": "id, revision"}
"""Query parameter that fetches only what `event_revision` reads."""


def event_key_from_item(item: Item) -> EventKey:
    return EventKey(_text(item, "id"), _text(item, "department_id"))


def event_revision(item: Item) -> tuple[str, int]:
    """Read an event's id and revision."""
    return _text(item, "id"), revision_of(item)


def unchanged_condition(revision: int) -> tuple[str, dict[str, Any]]:
    """Return the condition that an item has the revision that its writer saw, and the condition's values.

    Items of older servers have no revision, which is read as 0.
    """
    if revision == 0:
        return "attribute_exists(id) AND (attribute_not_exists(revision) OR revision = :seen)", {
            ":seen": number(0)
        }
    return "revision = :seen", {":seen": number(revision)}


def name_partition(name: str) -> str:
    return f"name#{fold_text(name)}"


def name_key(name: str) -> dict[str, Any]:
    """Key of the row of `changes` that keeps a name unique."""
    return head_key(name_partition(name))


def name_to_item(department: Department) -> dict[str, Any]:
    return {**name_key(department.name), "owner": string(department.id)}


def name_owner(item: Item) -> str:
    return _text(item, "owner")


def purge_key(purge: PendingPurge) -> dict[str, Any]:
    return change_key(PURGES, purge.revision)


def purge_to_item(purge: PendingPurge) -> dict[str, Any]:
    return {**purge_key(purge), "target": string(purge.department_id)}


def purge_from_item(item: Item) -> PendingPurge:
    return PendingPurge(_number(item, "revision"), _text(item, "target"))
