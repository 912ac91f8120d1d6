"""The history of an event: its changes, as far as the log still holds them, newest first.

Each change names the revision of the change before it of the same event. So a history reads the rows of its
own changes, whatever else happened in the department.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deadlines import remaining_s
from domain import Change, ChangeType, Event, EventKey, LogEntry
from event_schemas import EventChange
from models import ATTEMPT_S, DynamoDBDatabase

COMPARED = (*EventChange.model_fields, "recurring_event_id", "original_date")
PAGE_S = 3.0
"""Seconds after which a page ends though it is not full: each change costs a request of a store that may be
slow. A page ends earlier when a request may leave no time for another one.
"""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A change of one event, and the fields it changed: `{field: {"from": value, "to": value}}`."""

    change: Change
    changed: dict[str, dict[str, Any]]

    def public(self) -> dict[str, Any]:
        return {**self.change.public(), "changed": self.changed}


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A part of a history, and the revision with which the next page begins; None if there is none."""

    entries: list[HistoryEntry]
    next_revision: int | None


class EventHistory:
    """The histories of all events."""

    def __init__(self, db: DynamoDBDatabase) -> None:
        self._db = db

    def page(self, key: EventKey, limit: int, begin: int | None = None) -> HistoryPage:
        """Return `limit` changes at most, newest first, from the one at the revision `begin` on."""
        ends_at = time.monotonic() + min(PAGE_S, remaining_s() - ATTEMPT_S)
        changes: list[Change] = []
        for entry in self._entries(key, begin):
            late = time.monotonic() > ends_at
            if isinstance(entry, Change):
                changes.append(entry)  # one more than the page has: the state before its last change
                if begin is None and len(changes) == 1 and remaining_s() < ATTEMPT_S:
                    return HistoryPage([], entry.revision)  # the next page need not look for it
            elif late and len(changes) < 2:
                return HistoryPage(_described(changes), entry.previous or None)
            if len(changes) > limit or (late and len(changes) > 1):
                return HistoryPage(_described(changes)[:-1], changes[-1].revision)
        return HistoryPage(_described(changes), None)

    def find_last_deletion(self, key: EventKey) -> Change | None:
        """Return the last deletion of an event that does not exist; None if the log does not hold it."""
        last = next((entry for entry in self._entries(key) if isinstance(entry, Change)), None)
        return last if last and last.type is ChangeType.EVENT_DELETED else None

    def _entries(self, key: EventKey, begin: int | None = None) -> Iterator[LogEntry]:
        """Yield the changes of an event, newest first, from the one at the revision `begin` on.

        They lead back to its creation, or to a change that has expired or was made by a server before 1.1,
        which does not name the change before it. What is older than that is looked for in the legacy rows.
        """
        revision = begin or self._last_revision(key)
        while revision:
            entry = self._db.find_change(key.department_id, revision)
            if isinstance(entry, Change) and entry.entity.id != key.id:
                break  # the page token is of another event's history
            if entry:
                yield entry
            if entry is None or entry.previous is None or entry.previous >= revision:
                break
            revision = entry.previous
        if revision != 0:
            for change in reversed(self._db.legacy_changes(key)):
                if revision is None or change.revision < revision:
                    yield change

    def _last_revision(self, key: EventKey) -> int | None:
        """Return the revision of an event's last change; None if neither it nor its deletion is stored."""
        event = self._db.find_event_by_key(key)
        return event.revision if event else self._db.find_deletion(key)


def _described(newest_first: list[Change]) -> list[HistoryEntry]:
    older = [*newest_first, None][1:]
    return [
        HistoryEntry(change, _changed_fields(before, change))
        for change, before in zip(newest_first, older, strict=True)
    ]


def _changed_fields(before: Change | None, change: Change) -> dict[str, dict[str, Any]]:
    """Return the fields that an update changed; empty when the log no longer holds the change before it."""
    if change.type is not ChangeType.EVENT_UPDATED or before is None:
        return {}
    old, new = before.entity, change.entity
    assert isinstance(old, Event)  # noqa: S101 - narrows the types for mypy
    assert isinstance(new, Event)  # noqa: S101
    return {
        name: {"from": getattr(old, name), "to": getattr(new, name)}
        for name in COMPARED
        if getattr(old, name) != getattr(new, name)
    }
