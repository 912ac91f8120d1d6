"""Builds the actions of `TransactWriteItems` requests: what each writes and on which condition.

Sends nothing; `commit.py` and `adoption.py` do.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from domain import DELETIONS, REGISTRY, Change, DeletedDepartment, Department, Event, Position, Receipt, Write
from people import ACCOUNTS, AccountsChange, AccountsWrite, AnyChange, AnyWrite
from store import deletion_rows, items, rows
from store.items import number, string
from store.records import actions_of_records
from store.tables import TableNames
from store.transactions import Action, Refusal, Request, delete_if, identity, put, put_if, require
from text_order import fold_text


class ActionBuilder:
    """Builds the actions on the tables of one store."""

    def __init__(self, names: TableNames) -> None:
        self._names = names

    def actions_of(self, write: AnyWrite, change: AnyChange, now: datetime) -> list[Action]:
        """Build the actions of a write that becomes `change`, without the head and the row of the commit."""
        if isinstance(write, AccountsWrite) and isinstance(change, AccountsChange):
            return actions_of_records(self._names.accounts, write, change)
        assert isinstance(write, Write)  # noqa: S101 - narrows the type for mypy
        assert isinstance(change, Change)  # noqa: S101 - the same
        entity = change.entity
        # Receipts come first: a repeated creation fails several conditions, and the first gives the reason.
        receipts = [self._receipt_action(receipt, entity, write.id, now) for receipt in write.receipts]
        if isinstance(entity, Event):
            return [*receipts, *self._event_actions(write, entity, now)]
        return [*receipts, *self._department_actions(write, change, entity, now)]

    def move_head(self, partition: str, seen: Position, revision: int, new_epoch: str) -> Request:
        """Build the update that moves the head from `seen` to `revision`, unless it is marked deleted.

        The first commit to the registry, or to the accounts, creates its head, with `new_epoch`.
        """
        values = {":new": number(revision)}
        update = "SET #head = :new"
        if partition in (REGISTRY, ACCOUNTS) and seen.revision == 0:
            condition = "attribute_not_exists(#head)"
            update += ", epoch = :epoch"
            values[":epoch"] = string(new_epoch)
        else:
            condition = "#head = :old AND attribute_not_exists(deleted_at) AND epoch = :epoch"
            values |= {":old": number(seen.revision), ":epoch": string(seen.epoch)}
        return {
            "Update": {
                "TableName": self._names.changes,
                "Key": rows.head_key(partition),
                "UpdateExpression": update,
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {"#head": "head"},
                "ExpressionAttributeValues": values,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def put_row(
        self, partition: str, first: int, changes: Sequence[Mapping[str, Any]], now: datetime
    ) -> Request:
        """Build the put of a commit's row, as `rows.commit_to_item` returns it."""
        return {
            "Put": {
                "TableName": self._names.changes,
                "Item": rows.commit_to_item(partition, first, changes, now),
                "ConditionExpression": "attribute_not_exists(revision)",
            }
        }

    def _receipt_action(
        self, receipt: Receipt, entity: Event | Department, write_id: str, now: datetime
    ) -> Action:
        """Put a receipt, with the entity that the creation was answered with."""
        before = receipt.replaces
        condition, values = "attribute_not_exists(revision)", {}
        if before:
            condition, values = "write_id = :replaced", {":replaced": string(before.write_id)}
            if before.request_hash == receipt.request_hash:
                entity = before.entity
        item = rows.receipt_to_item(receipt, entity, write_id, now)
        key = rows.receipt_key(receipt)
        return put_if(self._names.changes, key, item, condition, values, Refusal.REPEATED)

    def _event_actions(self, write: Write, event: Event, now: datetime) -> list[Action]:
        key, item = items.event_key(event.key), items.entity_to_item(event)
        if write.before is None:
            return [put_if(self._names.events, key, item, "attribute_not_exists(id)")]
        condition, values = items.unchanged_condition(write.before.revision)
        if write.type not in DELETIONS:
            return [put_if(self._names.events, key, item, condition, values)]
        deletion = deletion_rows.deletion_to_item(event.key, event.revision, now)
        return [
            delete_if(self._names.events, key, condition, values),
            put(self._names.changes, deletion_rows.deletion_key(event.key), deletion),
        ]

    def _department_actions(
        self, write: Write, change: Change, department: Department, now: datetime
    ) -> list[Action]:
        key = items.department_key(department.id)
        item = items.entity_to_item(department)
        before = write.before
        if not isinstance(before, Department):
            return [
                put_if(self._names.departments, key, item, "attribute_not_exists(id)"),
                self.claim_name(department),
                *self._begin_log(write, department),
            ]
        condition, values = items.unchanged_condition(before.revision)
        if write.type in DELETIONS:
            row_number = deletion_rows.deleted_department_number(change, now)
            return [
                delete_if(self._names.departments, key, condition, values),
                self._release_name(write, before),
                self._mark_deleted(department.id, write.at, row_number),
                put_if(
                    self._names.changes,
                    deletion_rows.deleted_department_key(row_number),
                    deletion_rows.deleted_department_to_item(row_number, change),
                    "attribute_not_exists(revision)",
                ),
            ]
        put = put_if(self._names.departments, key, item, condition, values)
        if fold_text(before.name) == fold_text(department.name):
            return [put]
        return [put, self.claim_name(department), self._release_name(write, before)]

    def claim_name(self, department: Department) -> Action:
        """Put the row that keeps a department's name unique."""
        return put_if(
            self._names.changes,
            rows.name_key(department.name),
            rows.name_to_item(department),
            "attribute_not_exists(revision)",
            refusal=Refusal.NAME_TAKEN,
        )

    def require_department(self, department_id: str) -> Request:
        """Build the check that fails a transaction if the department does not exist."""
        return {
            "ConditionCheck": {
                "TableName": self._names.departments,
                "Key": items.department_key(department_id),
                "ConditionExpression": "attribute_exists(id)",
            }
        }

    def require_unchanged(self, department: Department) -> Request:
        """Build the check that fails a transaction if the department was changed since it was read."""
        condition, values = items.unchanged_condition(department.revision)
        return {
            "ConditionCheck": {
                "TableName": self._names.departments,
                "Key": items.department_key(department.id),
                "ConditionExpression": condition,
                "ExpressionAttributeValues": values,
            }
        }

    def new_head(self, department_id: str, epoch: str) -> Action:
        """Put the head of a department that has none."""
        key, item = rows.head_key(department_id), rows.new_head_to_item(department_id, epoch)
        return put_if(self._names.changes, key, item, "attribute_not_exists(revision)")

    def _release_name(self, write: Write, department: Department) -> Action:
        """Delete the row of a department's name if the row belongs to the department.

        `write.releases_name` says whether the row did when the department was read. If it did not, check that
        it still does not: an adoption may have written the row since.
        """
        key = rows.name_key(department.name)
        values, names = {":id": string(department.id)}, {"#owner": "owner"}
        if write.releases_name:
            return delete_if(self._names.changes, key, "#owner = :id", values, names)
        is_of_another = "attribute_not_exists(#owner) OR #owner <> :id"
        return require(self._names.changes, key, is_of_another, values, names)

    def _begin_log(self, write: Write, department: Department) -> list[Action]:
        """Put the head of a new department.

        That of a restored one is no longer marked deleted and gets a new epoch; the row that made it
        possible to restore the department goes.
        """
        deleted, epoch = write.restores, write.id[:8]
        if not isinstance(deleted, DeletedDepartment):
            return [self.new_head(department.id, epoch)]
        revive = {
            # A department that was deleted before its adoption has a head without a revision.
            "UpdateExpression": "REMOVE deleted_at, deleted_number"
            " SET epoch = :epoch, #head = if_not_exists(#head, :none)",
            "ConditionExpression": "deleted_number = :number",
            "ExpressionAttributeNames": {"#head": "head"},
            "ExpressionAttributeValues": {
                ":epoch": string(epoch),
                ":number": number(deleted.number),
                ":none": number(0),
            },
        }
        row = deletion_rows.deleted_department_key(deleted.number)
        not_purging = f"attribute_exists(revision) AND attribute_not_exists({deletion_rows.PURGING})"
        return [
            self._update_head(department.id, revive),
            delete_if(self._names.changes, row, not_purging),
        ]

    def _mark_deleted(self, department_id: str, at: str, row_number: int) -> Action:
        mark = {
            "UpdateExpression": "SET deleted_at = :at, deleted_number = :number",
            "ConditionExpression": "attribute_not_exists(deleted_at)",
            "ExpressionAttributeValues": {":at": string(at), ":number": number(row_number)},
        }
        return self._update_head(department_id, mark)

    def _update_head(self, department_id: str, update: Request) -> Action:
        key = rows.head_key(department_id)
        request = {"Update": {"TableName": self._names.changes, "Key": key, **update}}
        return Action(request, identity(self._names.changes, key), 100)
