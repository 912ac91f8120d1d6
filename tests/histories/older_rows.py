"""Logs as older servers wrote them: one row for each change, before 1.1 without the change before it."""

from collections.abc import Mapping
from typing import Any

from config import Settings
from domain import ChangeType, Event, EventKey, new_id, timestamp, utc_now
from histories.judging import History
from store import deletion_rows, items, rows
from store.dynamo_client import DynamoClient

CHANGES = (
    *[(number, ChangeType.EVENT_CREATED) for number in range(4)],
    (0, ChangeType.EVENT_UPDATED),
    (1, ChangeType.EVENT_UPDATED),
    (2, ChangeType.EVENT_DELETED),
    (1, ChangeType.EVENT_UPDATED),
)
"""The number of an event, and what happened to it."""


def write_older_rows(settings: Settings, history: History, *, with_previous: bool) -> None:
    """Begin the log of a department that has none yet, as a server of 1.1 did, or of 1.0."""
    client, now = DynamoClient(settings), utc_now()
    ids = [new_id() for _ in CHANGES]
    events: dict[str, Event] = {}
    written: list[Mapping[str, Any]] = []
    for revision, (number, kind) in enumerate(CHANGES, 1):
        key = EventKey(ids[number], history.department)
        previous = events[key.id].revision if key.id in events else 0
        events[key.id] = event = Event(
            id=key.id,
            department_id=key.department_id,
            event_date=f"2024-01-{10 + number}",
            title=events[key.id].title if kind is ChangeType.EVENT_DELETED else new_id(),
            created_at=timestamp(now),
            last_modified=timestamp(now),
            revision=revision,
        )
        row = {
            **rows.change_key(history.department, revision),
            "type": items.string(kind.value),
            "entity": {"M": items.entity_to_item(event)},
            "at": items.string(timestamp(now)),
            "by": items.string(""),
            "write_id": items.string(new_id()),
            rows.TTL_ATTRIBUTE: rows.expiry(now),
        }
        written.append(row | ({"previous": items.number(previous)} if with_previous else {}))
        if kind is ChangeType.EVENT_DELETED:
            history.deleted.append(key.id)
            del events[key.id]
            if with_previous:
                written.append(deletion_rows.deletion_to_item(key, revision, now))
        history.acknowledge(event)
    head = client.find_item(settings.changes_table, rows.head_key(history.department))
    assert head is not None
    written.append(head | {"head": items.number(len(CHANGES))})
    client.batch_put(settings.changes_table, written)
    client.batch_put(settings.events_table, [items.entity_to_item(event) for event in events.values()])
