"""Creations of events, which may be repeated: receipts tell a repetition from another request."""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from domain import Created, Event, Receipt, new_id
from errors import EventIdTaken, IdempotencyKeyReused
from models import DynamoDBDatabase
from services.event_edits import EventEdits
from services.event_fields import settle
from services.event_writes import creation, event_of
from services.group_commit import GroupCommit, WriteRefused

ID_SCOPE = "events"
"""Scope of the receipts of ids that clients chose: one for all departments, as events are found by id."""


class EventCreations:
    """The creations of all departments."""

    def __init__(self, db: DynamoDBDatabase, group_commit: GroupCommit, edits: EventEdits) -> None:
        self._db = db
        self._group_commit = group_commit
        self._edits = edits

    def create(self, department_id: str, fields: Mapping[str, Any], key: str | None = None) -> Created[Event]:
        """Create an event from validated fields; a repetition under the same key returns the first one.

        If the client chose an `id`, it is among the fields and works as a key, too. Raises
        `DepartmentNotFound`, `EventIdTaken`, `IdempotencyKeyReused`, and what `settle` raises.
        """
        chosen = fields.get("id")
        by_key = Receipt.of(department_id, f"key {key}", fields) if key else None
        by_id = Receipt.of(ID_SCOPE, chosen, {**fields, "department_id": department_id}) if chosen else None
        existing = self._edits.find_live_event(chosen) if chosen else None
        if existing and existing.department_id != department_id:
            return self._earlier_creation(by_key, by_id)
        settled = settle(None, fields, lambda: self._edits.zone(department_id))
        event = Event(**{"id": new_id(), **settled}, department_id=department_id)
        with contextlib.suppress(WriteRefused):  # a receipt exists already, or an event with this id
            return self._commit(event, by_key, by_id)
        if replacement := self._receipt_for_freed_id(by_key, by_id):
            with contextlib.suppress(WriteRefused):  # another request was faster
                return self._commit(event, by_key, replacement)
        return self._earlier_creation(by_key, by_id)

    def _commit(self, event: Event, *receipts: Receipt | None) -> Created[Event]:
        write = creation(event, receipts=tuple(filter(None, receipts)))
        return Created(event_of(self._group_commit.commit(event.department_id, write)))

    def _receipt_for_freed_id(self, by_key: Receipt | None, by_id: Receipt | None) -> Receipt | None:
        """Return a receipt that replaces the one of a deleted event with the same chosen id.

        None when the event still exists, or when this request is a repetition.
        """
        if by_id is None or (by_key and self._db.find_created_event(by_key)):
            return None
        # The receipt is read first. A restoration between the two reads writes both, and the event shows it.
        earlier = self._db.find_created_event(by_id)
        if (
            earlier is None
            or earlier.request_hash == by_id.request_hash
            or self._edits.find_live_event(earlier.entity.id)
        ):
            return None
        return replace(by_id, replaces=earlier)

    def _earlier_creation(self, by_key: Receipt | None, by_id: Receipt | None) -> Created[Event]:
        """Return what an earlier, equal request created. Raises `EventIdTaken`, `IdempotencyKeyReused`."""
        receipt = by_key or by_id
        earlier = self._db.find_created_event(receipt) if receipt else None
        if receipt is None or earlier is None:
            raise EventIdTaken()
        if earlier.request_hash != receipt.request_hash:
            raise IdempotencyKeyReused() if by_key else EventIdTaken()
        return Created(earlier.entity, repeated=True)
