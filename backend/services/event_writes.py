"""The writes of events: each gets the time of its change, in `last_modified` and in the log."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import orjson

from domain import Change, ChangeType, Event, Write, timestamp, utc_now

T = TypeVar("T")

BATCH_WRITES = 48
"""Writes that fit in a transaction: a deletion takes two of its 98 actions."""
BATCH_BYTES = 250_000
"""JSON of the events; with types and names of attributes it is less than the 350 KB of a commit's row."""


def creation(event: Event, **more: Any) -> Write:
    """Return the write that creates an event; `more` are further fields of `Write`."""
    now = timestamp(utc_now())
    created = replace(event, created_at=event.created_at or now, last_modified=now)
    return Write(type=ChangeType.EVENT_CREATED, entity=created, at=now, **more)


def edit(before: Event, after: Event) -> Write:
    """Return the write that changes an event; its revision moves even if both are the same."""
    now = timestamp(utc_now())
    entity = replace(after, last_modified=now)
    return Write(type=ChangeType.EVENT_UPDATED, entity=entity, before=before, at=now)


def deletion(event: Event) -> Write:
    return Write(type=ChangeType.EVENT_DELETED, entity=event, before=event)


def in_batches(writes: Iterable[Write]) -> Iterator[list[Write]]:
    """Cut writes of events into parts that fit in a transaction each; in order."""
    return cut_batches(writes, _json_bytes, BATCH_WRITES, BATCH_BYTES)


def cut_batches(
    items: Iterable[T], size_of: Callable[[T], int], most: int, most_size: int
) -> Iterator[list[T]]:
    """Yield items in order, `most` at once, and fewer if they are larger together than `most_size`.

    An item that is larger alone comes alone.
    """
    batch: list[T] = []
    size = 0
    for item in items:
        more = size_of(item)
        if batch and (len(batch) == most or size + more > most_size):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += more
    if batch:
        yield batch


def _json_bytes(write: Write) -> int:
    event = write.entity
    return len(orjson.dumps(event)) + (len(orjson.dumps(event.unknown)) if event.unknown else 0)


def event_of(change: Change | Write) -> Event:
    """Return the event as a change or write of it leaves it, or deletes it."""
    assert isinstance(change.entity, Event)  # noqa: S101 - narrows the type for mypy
    return change.entity
