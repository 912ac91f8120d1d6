"""Keys, conditions and the mapping between entities and DynamoDB items.

The only place that knows attribute names. Works on the wire form (`{"S": ...}`) of boto3's low-level
client, and builds the parts of a `TransactWriteItems` request; it sends nothing.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, TypeAlias

import orjson

from domain import (
    CHANGE_RETENTION,
    DELETIONS,
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
    Remembered,
    Write,
    fold_text,
)

Item: TypeAlias = Mapping[str, Mapping[str, Any]]
TransactItem: TypeAlias = dict[str, Any]


class Refusal(Enum):
    """Why a write was refused by its own conditions."""

    CHANGED = "the entity is not as its writer saw it"
    NAME_TAKEN = "another department has the name"
    REPEATED = "the creation has happened before"
    REJECTED = "DynamoDB takes no such item"


@dataclass(frozen=True, slots=True)
class Part:
    """One item of a transaction: what it touches, its rough size in bytes, and what its failure means."""

    request: TransactItem
    key: str
    size: int
    refusal: Refusal = Refusal.CHANGED


NAME_INDEX = "name-index"
DATE_INDEX = "department-date-index"
TTL_ATTRIBUTE = "expires_at"

LOADING = "loading"
"""Attribute of a head: the bulk loads that have begun and whose last epoch is still to come."""

PURGES = "purges"
"""Partition of `changes` with one row for each deleted department whose events still have to go."""

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


def _s(value: str) -> dict[str, str]:
    return {"S": value}


def _n(value: int) -> dict[str, str]:
    return {"N": str(value)}


def event_to_item(event: Event) -> dict[str, Any]:
    return {**{n: _s(getattr(event, n)) for n in _EVENT_TEXTS}, "revision": _n(event.revision)}


def event_from_item(item: Item) -> Event:
    """Read an event; what older servers did not write is `""`, a missing revision is 0."""
    return Event(**{n: _text(item, n) for n in _EVENT_TEXTS}, revision=_number(item, "revision"))


def department_to_item(department: Department) -> dict[str, Any]:
    return {**{n: _s(getattr(department, n)) for n in _DEPARTMENT_TEXTS}, "revision": _n(department.revision)}


def department_from_item(item: Item) -> Department:
    return Department(**{n: _text(item, n) for n in _DEPARTMENT_TEXTS}, revision=_number(item, "revision"))


def entity_to_item(entity: Event | Department) -> dict[str, Any]:
    return event_to_item(entity) if isinstance(entity, Event) else department_to_item(entity)


def change_to_item(partition: str, change: Change, now: datetime) -> dict[str, Any]:
    return {
        "department_id": _s(partition),
        "revision": _n(change.revision),
        "type": _s(change.type.value),
        "entity": {"M": entity_to_item(change.entity)},
        "at": _s(change.at),
        "by": _s(change.by),
        "write_id": _s(change.write_id),
        TTL_ATTRIBUTE: _n(int((now + CHANGE_RETENTION).timestamp())),
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
    """Read where a log stands; None when its department is marked deleted."""
    return None if "deleted_at" in item else Position(_text(item, "epoch"), head_revision(item))


def head_revision(item: Item) -> int:
    return _number(item, "head")


def event_key(key: EventKey) -> dict[str, Any]:
    return {"id": _s(key.id), "department_id": _s(key.department_id)}


def department_key(department_id: str) -> dict[str, Any]:
    return {"id": _s(department_id)}


def change_key(partition: str, revision: int) -> dict[str, Any]:
    return {"department_id": _s(partition), "revision": _n(revision)}


def head_key(partition: str) -> dict[str, Any]:
    return change_key(partition, 0)


def receipt_key(receipt: Receipt) -> dict[str, Any]:
    return head_key(f"key#{receipt.scope}#{receipt.key}")


def receipt_from_item(item: Item, read: Callable[[Item], Entity]) -> Remembered[Entity]:
    """Read a remembered creation, with the reader of what was created."""
    return Remembered(_text(item, "request_hash"), read(item["entity"]["M"]), _text(item, "write_id"))


def log_of_event(department_id: str, event_id: str) -> dict[str, Any]:
    """Query parameters for the rows of a department's log that tell of one event."""
    query = log_after(department_id, 0)
    query["ExpressionAttributeValues"] |= {":e": _s(event_id)}
    return query | {"FilterExpression": "entity.id = :e"}


def log_after(partition: str, revision: int) -> dict[str, Any]:
    """Query parameters for the rows of a log after a revision, in order."""
    return {
        "KeyConditionExpression": "department_id = :p AND revision > :r",
        "ExpressionAttributeValues": {":p": _s(partition), ":r": _n(revision)},
    }


def events_of_department(department_id: str, first: str | None, last: str | None) -> dict[str, Any]:
    """Query parameters on the date index, narrowed to inclusive ISO dates."""
    condition, values = "department_id = :d", {":d": _s(department_id)}
    if first is not None or last is not None:
        condition += " AND event_date BETWEEN :first AND :last"
        values |= {":first": _s(first or "0000-00-00"), ":last": _s(last or "9999-99-99")}
    return {
        "IndexName": DATE_INDEX,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
    }


def events_with_id(event_id: str) -> dict[str, Any]:
    return {
        "KeyConditionExpression": "id = :i",
        "ExpressionAttributeValues": {":i": _s(event_id)},
    }


@dataclass(frozen=True, slots=True)
class Tables:
    """Table names, their definitions, and the items of each transaction."""

    departments: str
    events: str
    changes: str

    def definitions(self) -> list[dict[str, Any]]:
        """Return `create_table` parameters, without billing, in the order of creation."""
        return [
            {
                "TableName": self.departments,
                "KeySchema": _keys("id"),
                "AttributeDefinitions": _attributes(id="S", name="S"),
                "GlobalSecondaryIndexes": [_index(NAME_INDEX, "name")],
            },
            {
                "TableName": self.events,
                "KeySchema": _keys("id", "department_id"),
                "AttributeDefinitions": _attributes(id="S", department_id="S", event_date="S"),
                "GlobalSecondaryIndexes": [_index(DATE_INDEX, "department_id", "event_date")],
            },
            {
                "TableName": self.changes,
                "KeySchema": _keys("department_id", "revision"),
                "AttributeDefinitions": _attributes(department_id="S", revision="N"),
            },
        ]

    def write_parts(self, partition: str, write: Write, change: Change, now: datetime) -> list[Part]:
        """Build what one write, to become that change, adds to its transaction; the head's own update is
        `move_head`.
        """
        row = self._put(
            self.changes,
            change_key(partition, change.revision),
            change_to_item(partition, change, now),
            "attribute_not_exists(revision)",
        )
        entity = change.entity
        # A repetition fails several conditions; the first to be looked at says what it is.
        parts = [self._receipt_part(receipt, entity, write.id, now) for receipt in write.receipts]
        if isinstance(entity, Event):
            return [*parts, self._event_part(write, entity), row]
        return [*parts, *self._department_parts(write, entity), row]

    def move_head(self, partition: str, seen: Position, revision: int, new_epoch: str) -> TransactItem:
        """Claim the revisions up to `revision`: existence check, deletion check and sequencer in one.

        The registry has no row that creates its head, so its first write does.
        """
        values = {":new": _n(revision)}
        update = "SET #head = :new"
        if partition == REGISTRY and seen.revision == 0:
            condition = "attribute_not_exists(#head)"
            update += ", epoch = :epoch"
            values[":epoch"] = _s(new_epoch)
        else:
            condition = "#head = :old AND attribute_not_exists(deleted_at) AND epoch = :epoch"
            values |= {":old": _n(seen.revision), ":epoch": _s(seen.epoch)}
        return {
            "Update": {
                "TableName": self.changes,
                "Key": head_key(partition),
                "UpdateExpression": update,
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {"#head": "head"},
                "ExpressionAttributeValues": values,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _receipt_part(
        self, receipt: Receipt, entity: Event | Department, write_id: str, now: datetime
    ) -> Part:
        """Put the row that remembers a creation under its key, with the entity as it was answered."""
        key, before = receipt_key(receipt), receipt.replaces
        condition, values = "attribute_not_exists(revision)", {}
        if before:
            condition, values = "write_id = :replaced", {":replaced": _s(before.write_id)}
            if before.request_hash == receipt.request_hash:
                entity = before.entity
        item = {
            **key,
            "request_hash": _s(receipt.request_hash),
            "entity": {"M": entity_to_item(entity)},
            "write_id": _s(write_id),
            TTL_ATTRIBUTE: _n(int((now + CHANGE_RETENTION).timestamp())),
        }
        return self._put(self.changes, key, item, condition, values, Refusal.REPEATED)

    def _event_part(self, write: Write, event: Event) -> Part:
        key = event_key(event.key)
        if write.before is None:
            return self._put(self.events, key, event_to_item(event), "attribute_not_exists(id)")
        condition, values = _unchanged(write.before.revision)
        if write.type in DELETIONS:
            return self._delete(self.events, key, condition, values)
        return self._put(self.events, key, event_to_item(event), condition, values)

    def _department_parts(self, write: Write, department: Department) -> list[Part]:
        key = department_key(department.id)
        item = department_to_item(department)
        before = write.before
        if not isinstance(before, Department):
            return [
                self._put(self.departments, key, item, "attribute_not_exists(id)"),
                self.claim_name(department),
                self.new_head(department.id, write.id[:8]),
            ]
        condition, values = _unchanged(before.revision)
        if write.type in DELETIONS:
            purge = change_key(PURGES, department.revision)
            return [
                self._delete(self.departments, key, condition, values),
                self._release_name(write, before),
                self._mark_deleted(department.id, write.at),
                self._put(
                    self.changes,
                    purge,
                    {**purge, "target": _s(department.id)},
                    "attribute_not_exists(revision)",
                ),
            ]
        put = self._put(self.departments, key, item, condition, values)
        if fold_text(before.name) == fold_text(department.name):
            return [put]
        return [put, self.claim_name(department), self._release_name(write, before)]

    def claim_name(self, department: Department) -> Part:
        """Put the row that keeps a department's name unique."""
        key = head_key(name_partition(department.name))
        item = {**key, "owner": _s(department.id)}
        return self._put(
            self.changes, key, item, "attribute_not_exists(revision)", refusal=Refusal.NAME_TAKEN
        )

    def require_department(self, department_id: str) -> TransactItem:
        """Let a transaction fail when there is no such department."""
        return {
            "ConditionCheck": {
                "TableName": self.departments,
                "Key": department_key(department_id),
                "ConditionExpression": "attribute_exists(id)",
            }
        }

    def require_unchanged(self, department: Department) -> TransactItem:
        """Let a transaction fail when a department is not as it was read."""
        condition, values = _unchanged(department.revision)
        return {
            "ConditionCheck": {
                "TableName": self.departments,
                "Key": department_key(department.id),
                "ConditionExpression": condition,
                "ExpressionAttributeValues": values,
            }
        }

    def new_head(self, department_id: str, epoch: str) -> Part:
        """Put the head of a department that has none."""
        key = head_key(department_id)
        item = {**key, "head": _n(0), "epoch": _s(epoch)}
        return self._put(self.changes, key, item, "attribute_not_exists(revision)")

    def _release_name(self, write: Write, department: Department) -> Part:
        """Remove the row of a name; of one that was not its department's, see that it still is not: an
        adoption may have claimed it since.
        """
        key = head_key(name_partition(department.name))
        values, names = {":id": _s(department.id)}, {"#owner": "owner"}
        if write.releases_name:
            return self._delete(self.changes, key, "#owner = :id", values, names)
        check = {
            "TableName": self.changes,
            "Key": key,
            "ConditionExpression": "attribute_not_exists(#owner) OR #owner <> :id",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }
        return Part({"ConditionCheck": check}, _identity(self.changes, key), 100)

    def _mark_deleted(self, department_id: str, at: str) -> Part:
        key = head_key(department_id)
        request = {
            "Update": {
                "TableName": self.changes,
                "Key": key,
                "UpdateExpression": "SET deleted_at = :at",
                "ConditionExpression": "attribute_not_exists(deleted_at)",
                "ExpressionAttributeValues": {":at": _s(at)},
            }
        }
        return Part(request, _identity(self.changes, key), 100)

    @staticmethod
    def _put(
        table: str,
        key: Item,
        item: Item,
        condition: str,
        values: Mapping[str, Any] | None = None,
        refusal: Refusal = Refusal.CHANGED,
    ) -> Part:
        put: dict[str, Any] = {"TableName": table, "Item": item, "ConditionExpression": condition}
        if values:
            put["ExpressionAttributeValues"] = values
        return Part({"Put": put}, _identity(table, key), len(orjson.dumps(item)), refusal)

    @staticmethod
    def _delete(
        table: str,
        key: Item,
        condition: str,
        values: Mapping[str, Any],
        names: Mapping[str, str] | None = None,
    ) -> Part:
        delete: dict[str, Any] = {
            "TableName": table,
            "Key": key,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
        if names:
            delete["ExpressionAttributeNames"] = names
        return Part({"Delete": delete}, _identity(table, key), 100)


# Moves of the epoch: a bulk load, and a restore of the tables


def begin_load(table: str, department_id: str, load: str, epoch: str) -> dict[str, Any]:
    """Update parameters that move a head over a revision without a log row, and note the load on it."""
    update = "SET #head = #head + :one, epoch = :epoch ADD #loading :loads"
    return _move_epoch(table, department_id, update) | {
        "ExpressionAttributeNames": {"#head": "head", "#loading": LOADING},
        "ExpressionAttributeValues": {":one": _n(1), ":epoch": _s(epoch), ":loads": {"SS": [load]}},
        "ReturnValues": "UPDATED_NEW",
    }


def finish_load(table: str, department_id: str, loads: Collection[str], epoch: str) -> dict[str, Any]:
    """Update parameters that move the epoch and strike loads off the head."""
    return _move_epoch(table, department_id, "SET epoch = :epoch DELETE #loading :loads") | {
        "ExpressionAttributeNames": {"#head": "head", "#loading": LOADING},
        "ExpressionAttributeValues": {":epoch": _s(epoch), ":loads": {"SS": sorted(loads)}},
    }


def renew_epoch(table: str, partition: str, epoch: str) -> dict[str, Any]:
    """Update parameters that give a partition's history a new epoch."""
    return _move_epoch(table, partition, "SET epoch = :epoch") | {
        "ExpressionAttributeNames": {"#head": "head"},
        "ExpressionAttributeValues": {":epoch": _s(epoch)},
    }


def _move_epoch(table: str, partition: str, update: str) -> dict[str, Any]:
    return {
        "TableName": table,
        "Key": head_key(partition),
        "UpdateExpression": update,
        "ConditionExpression": "attribute_exists(#head) AND attribute_not_exists(deleted_at)",
    }


def replace_event(table: str, event: Event, seen_revision: int) -> dict[str, Any]:
    """Put parameters that replace an event only if it still is as it was seen."""
    condition, values = _unchanged(seen_revision)
    return {
        "TableName": table,
        "Item": event_to_item(event),
        "ConditionExpression": condition,
        "ExpressionAttributeValues": values,
    }


def loads_on(head: Item) -> frozenset[str]:
    """Read which bulk loads of a department have begun and not finished."""
    return frozenset(head.get(LOADING, {}).get("SS", []))


EVENT_KEYS: Mapping[str, Any] = {"ProjectionExpression": "id, department_id"}
"""Query parameters for what `event_key_from_item` reads, and no more."""
EVENT_REVISIONS: Mapping[str, Any] = {"ProjectionExpression": "id, revision"}


def event_key_from_item(item: Item) -> EventKey:
    return EventKey(_text(item, "id"), _text(item, "department_id"))


def event_revision(item: Item) -> tuple[str, int]:
    """Read an event's id and revision."""
    return _text(item, "id"), revision_of(item)


def change_of(write: Write, revision: int) -> Change:
    """Return the row that a write becomes at its revision."""
    return Change(
        revision=revision,
        type=write.type,
        entity=write.entity.at_revision(revision),
        at=write.at,
        by=write.by,
        write_id=write.id,
    )


def _identity(table: str, key: Item) -> str:
    return f"{table} {orjson.dumps(key).decode()}"


def _unchanged(revision: int) -> tuple[str, dict[str, Any]]:
    """Condition that an item is still as its writer saw it; items of older servers have no revision."""
    if revision == 0:
        return "attribute_exists(id) AND (attribute_not_exists(revision) OR revision = :seen)", {
            ":seen": _n(0)
        }
    return "revision = :seen", {":seen": _n(revision)}


def name_owner(item: Item) -> str:
    return _text(item, "owner")


def purge_from_item(item: Item) -> PendingPurge:
    return PendingPurge(_number(item, "revision"), _text(item, "target"))


def name_partition(name: str) -> str:
    return f"name#{fold_text(name)}"


def _keys(*names: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
    ]


def _attributes(**types: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def _index(name: str, *keys: str) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": _keys(*keys), "Projection": {"ProjectionType": "ALL"}}
