"""The rows of the `changes` table: their keys, the queries for them, and the mapping to and from the domain.

Sends nothing.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from domain import (
    CHANGE_RETENTION,
    REGISTRY,
    Change,
    ChangeType,
    Department,
    Entity,
    Event,
    PendingPurge,
    Position,
    Receipt,
    StoredReceipt,
    fold_text,
)
from store.items import (
    Item,
    department_from_item,
    entity_to_item,
    event_from_item,
    number,
    number_of,
    string,
    text,
)

TTL_ATTRIBUTE = "expires_at"

LOADING = "loading"
"""Attribute of a head: the names of the bulk loads that have begun and not finished."""

PURGES = "purges"
"""Partition of `changes` with one row for each deleted department whose events may still be there."""


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
    kind = ChangeType(text(item, "type"))
    entity: Item = item["entity"]["M"]
    return Change(
        revision=number_of(item, "revision"),
        type=kind,
        entity=event_from_item(entity) if kind.value.startswith("event_") else department_from_item(entity),
        at=text(item, "at"),
        by=text(item, "by"),
        write_id=text(item, "write_id"),
    )


def partition_of(item: Item) -> str:
    return text(item, "department_id")


def revision_of(item: Item) -> int:
    return number_of(item, "revision")


def position_from_head(item: Item) -> Position | None:
    """Return the position that a head holds; None when its department is marked deleted."""
    return None if "deleted_at" in item else Position(text(item, "epoch"), head_revision(item))


def position_of(partition: str, head: Mapping[str, Any] | None) -> Position | None:
    """Return the position of a partition whose head was read; None when there is no such department.

    The registry without a head is at revision 0: its first commit creates its head.
    """
    if head:
        return position_from_head(head)
    return Position("", 0) if partition == REGISTRY else None


def head_revision(item: Item) -> int:
    return number_of(item, "head")


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
    return StoredReceipt(text(item, "request_hash"), read(item["entity"]["M"]), text(item, "write_id"))


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


def loads_on(head: Item) -> frozenset[str]:
    """Return the names of the bulk loads that have begun in a department and not finished."""
    return frozenset(head.get(LOADING, {}).get("SS", []))


def name_partition(name: str) -> str:
    return f"name#{fold_text(name)}"


def name_key(name: str) -> dict[str, Any]:
    """Key of the row of `changes` that keeps a name unique."""
    return head_key(name_partition(name))


def name_to_item(department: Department) -> dict[str, Any]:
    return {**name_key(department.name), "owner": string(department.id)}


def name_owner(item: Item) -> str:
    return text(item, "owner")


def purge_key(purge: PendingPurge) -> dict[str, Any]:
    return change_key(PURGES, purge.revision)


def purge_to_item(purge: PendingPurge) -> dict[str, Any]:
    return {**purge_key(purge), "target": string(purge.department_id)}


def purge_from_item(item: Item) -> PendingPurge:
    return PendingPurge(number_of(item, "revision"), text(item, "target"))
