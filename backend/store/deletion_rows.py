"""The rows that tell of deletions: of events, and of departments, which can be restored for a while.

Sends nothing.
"""

from datetime import datetime
from hashlib import sha256
from typing import Any

from domain import CHANGE_RETENTION, REGISTRY, Change, DeletedDepartment, EventKey, PendingPurge
from store.items import Item, department_from_item, entity_to_item, number, number_of, string, text
from store.rows import TTL_ATTRIBUTE, actor_of, change_key, expiry, partition_of, revision_of

DELETED_DEPARTMENTS = f"deleted#{REGISTRY}"
"""Partition with a row for each deleted department, in the order in which their purges are due."""

PURGES = "purges"
"""Partition with a row for each department that a server up to 1.1 deleted. Its purge is always due."""

PURGING = "purging"
"""Attribute of a row of these partitions: the purge has begun, so the department cannot be restored."""

_REVISIONS = 10**12
"""Numbers of deleted departments are milliseconds times this plus a revision, so that no two are equal."""


def deletion_key(key: EventKey) -> dict[str, Any]:
    """Key of the row that says where in the log an event was deleted.

    The deletions of a department share a partition. The sort key is a number, so it is a hash of the id.
    """
    digest = sha256(key.id.encode()).hexdigest()
    return change_key(f"deleted#{key.department_id}", int(digest[:30], 16))


def deletion_to_item(key: EventKey, revision: int, now: datetime) -> dict[str, Any]:
    return {
        **deletion_key(key),
        "id": string(key.id),
        "deletion": number(revision),
        TTL_ATTRIBUTE: expiry(now),
    }


def deletion_revision(item: Item) -> int:
    """Read the revision of an event's deletion."""
    return number_of(item, "deletion")


def purge_number(due_at: datetime) -> int:
    """Return the number above which the purges in `DELETED_DEPARTMENTS` are due at a moment or later."""
    return int(due_at.timestamp() * 1_000) * _REVISIONS


def deleted_department_key(row_number: int) -> dict[str, Any]:
    return change_key(DELETED_DEPARTMENTS, row_number)


def deleted_department_number(deletion: Change, now: datetime) -> int:
    """Return the number of a deleted department's row: the moment when its purge is due, and the revision."""
    return purge_number(now + CHANGE_RETENTION) + deletion.revision % _REVISIONS


def deleted_department_to_item(row_number: int, deletion: Change) -> dict[str, Any]:
    """Return the row of a deleted department, given its deletion in the log of the registry."""
    return {
        **deleted_department_key(row_number),
        "id": string(deletion.entity.id),
        "entity": {"M": entity_to_item(deletion.entity)},
        "deletion": number(deletion.revision),
        "at": string(deletion.at),
        "by": string(deletion.actor.id),
        "by_name": string(deletion.actor.name),
    }


def deleted_department_from_item(item: Item) -> DeletedDepartment | None:
    """Read a deleted department; None if its purge has begun."""
    if PURGING in item:
        return None
    return DeletedDepartment(
        department=department_from_item(item["entity"]["M"]),
        revision=number_of(item, "deletion"),
        at=text(item, "at"),
        actor=actor_of(item),
        number=revision_of(item),
    )


def deleted_number(head: Item) -> int:
    """Read from the head of a deleted department the number of its row; 0 if it has none."""
    return number_of(head, "deleted_number")


def purge_from_item(item: Item) -> PendingPurge:
    return PendingPurge(partition_of(item), revision_of(item), text(item, "id") or text(item, "target"))


def purge_key(purge: PendingPurge) -> dict[str, Any]:
    return change_key(purge.partition, purge.number)
