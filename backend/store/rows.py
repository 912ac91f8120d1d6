"""The rows of the `changes` table: their keys, the queries for them, and the mapping to and from the domain.

Sends nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from acting import NOBODY, Actor
from domain import (
    CHANGE_RETENTION,
    REGISTRY,
    Change,
    ChangeType,
    Department,
    Entity,
    Event,
    EventKey,
    LogEntry,
    Position,
    Receipt,
    StoredReceipt,
    UnknownChange,
)
from people import ACCOUNTS, AUDIT_RETENTION, AccountsChange
from store import account_rows
from store.items import (
    Item,
    department_from_item,
    entity_to_item,
    entity_to_map,
    event_from_item,
    number,
    number_of,
    string,
    text,
)
from text_order import fold_text

TTL_ATTRIBUTE = "expires_at"

LOADING = "loading"
"""Attribute of a head: the names of the bulk loads that have begun and not finished."""


_KINDS = {kind.value: kind for kind in ChangeType}


def change_to_map(change: Change | AccountsChange) -> dict[str, Any]:
    """Return the attributes of a change in the row of its commit; its index there tells the revision."""
    if isinstance(change, AccountsChange):
        return account_rows.change_to_map(change)
    attributes = {
        "type": string(change.type.value),
        "entity": {"M": entity_to_map(change.entity)},
        "at": string(change.at),
        "write_id": string(change.write_id),
        "previous": number(change.previous or 0),
    }
    if change.actor == NOBODY:
        return attributes
    return {**attributes, "by": string(change.actor.id), "by_name": string(change.actor.name)}


def commit_to_item(
    partition: str, first: int, changes: Sequence[Mapping[str, Any]], now: datetime
) -> dict[str, Any]:
    """Return the row of a commit, given its first revision and the attributes of its changes, in order."""
    return {
        **change_key(partition, first + len(changes) - 1),
        "first": number(first),
        "changes": {"L": [{"M": change} for change in changes]},
        TTL_ATTRIBUTE: expiry(now, AUDIT_RETENTION if partition == ACCOUNTS else CHANGE_RETENTION),
    }


def expiry(now: datetime, retention: timedelta = CHANGE_RETENTION) -> dict[str, str]:
    """Return the value of `TTL_ATTRIBUTE` in a row that is written now."""
    return number(int((now + retention).timestamp()))


def entries_from_row(row: Item) -> list[LogEntry]:
    """Read the changes of a row of a log, in order; their last has the revision of the row.

    A row is a commit: `first` is the revision of its first change, `changes` lists their attributes; a change
    that is missing there is an `UnknownChange`. Servers up to 1.1 wrote a row for each change, with the
    attributes of the change in the row itself.
    """
    partition, last = partition_of(row), revision_of(row)
    if not is_commit(row):
        return [_entry(partition, last, row)]
    stored = row.get("changes", {}).get("L", [])
    return [
        _entry(partition, revision, stored[index].get("M", {}) if index < len(stored) else {})
        for index, revision in enumerate(range(number_of(row, "first"), last + 1))
    ]


def _entry(partition: str, revision: int, attributes: Item) -> LogEntry:
    at, write_id = text(attributes, "at"), text(attributes, "write_id")
    if partition == ACCOUNTS:
        change = account_rows.change_from_map(attributes, revision)
        if change is None:
            return UnknownChange(revision=revision, at=at, write_id=write_id)
        return change
    kind = _KINDS.get(text(attributes, "type"))
    entity = attributes.get("entity", {}).get("M")
    previous = number_of(attributes, "previous") if "previous" in attributes else None
    if kind is None or not entity:
        return UnknownChange(revision=revision, at=at, write_id=write_id, previous=previous)
    entity = {**entity, "revision": number(revision)}
    if kind.value.startswith("event_"):
        read: Event | Department = event_from_item({**entity, "department_id": string(partition)})
    else:
        read = department_from_item(entity)
    return Change(
        revision=revision,
        type=kind,
        entity=read,
        at=at,
        actor=actor_of(attributes),
        write_id=write_id,
        previous=previous,
    )


def actor_of(attributes: Item) -> Actor:
    """Read who made a change."""
    return Actor(text(attributes, "by"), text(attributes, "by_name"))


def partition_of(item: Item) -> str:
    return text(item, "department_id")


def revision_of(item: Item) -> int:
    return number_of(item, "revision")


def position_from_head(item: Item) -> Position | None:
    """Return the position that a head holds; None when its department is marked deleted."""
    return None if "deleted_at" in item else Position(text(item, "epoch"), head_revision(item))


def position_of(partition: str, head: Mapping[str, Any] | None) -> Position | None:
    """Return the position of a partition whose head was read; None when there is no such department.

    The registry and the accounts without a head are at revision 0: their first commit creates it.
    """
    if head:
        return position_from_head(head)
    return Position("", 0) if partition in (REGISTRY, ACCOUNTS) else None


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
        TTL_ATTRIBUTE: expiry(now),
    }


def receipt_from_item(item: Item, read: Callable[[Item], Entity]) -> StoredReceipt[Entity]:
    """Read a receipt; `read` reads the kind of entity that was created."""
    return StoredReceipt(text(item, "request_hash"), read(item["entity"]["M"]), text(item, "write_id"))


def log_after(partition: str, revision: int, up_to: int | None = None) -> dict[str, Any]:
    """Query parameters for the rows of a partition after a revision, up to another one, in order."""
    if up_to is None:
        condition, values = "department_id = :p AND revision > :r", {":r": number(revision)}
    else:
        condition = "department_id = :p AND revision BETWEEN :r AND :u"
        values = {":r": number(revision + 1), ":u": number(up_to)}
    return {
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": {":p": string(partition), **values},
    }


def legacy_log_of_event(key: EventKey) -> dict[str, Any]:
    """Query parameters for an event's legacy rows: of servers up to 1.1, which wrote a row for each change.

    Finds the rows of all later commits, too, whatever they changed: `is_commit` tells them apart.
    """
    query = log_after(key.department_id, 0)
    query["ExpressionAttributeValues"] |= {":e": string(key.id)}
    return query | {
        "FilterExpression": "entity.id = :e OR attribute_exists(#first)",
        "ExpressionAttributeNames": {"#first": "first"},  # a reserved word
    }


def lacks_previous(row: Item) -> bool:
    """Tell whether a server before 1.1 wrote a row: its change does not name the one before it."""
    return "previous" not in row and not is_commit(row)


def is_commit(row: Item) -> bool:
    """Tell whether a row of a log holds a whole commit, as servers after 1.1 write it."""
    return "first" in row


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
