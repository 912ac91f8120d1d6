"""Ordered events in immutable chunks: an edit replaces a chunk or two and shares all others.

The JSON of a chunk is made once, for all clients and for every later state in which the chunk is the same,
and kept while the newest state has the chunk: a client that reads slowly keeps no JSON of an old state alive.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import orjson

from domain import Event, EventFilter
from tokens import EventOrder
from turns import give_turn

EVENT_BYTES = 1_150
CHARACTER_BYTES = 8
EXDATE_BYTES = 80
"""Rough bytes of an event: its objects, and for each Korean character of its texts 2 in the string, 3 in the
kept JSON, and 3 in the copy as UTF-8 that the string keeps once it has been written as JSON."""
CHUNK_BYTES = 300_000
"""Most bytes of a chunk, rough; its JSON takes less than 128 KiB of them."""


class EventsJson(Protocol):
    """Ordered events as JSON, in pieces of events that are separated by commas, without brackets."""

    def __len__(self) -> int:
        """Return the number of pieces."""
        ...

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces; a piece that is read from the store only now may be empty."""
        ...


def size_of(event: Event) -> int:
    """Return the rough memory of an event and its JSON, in bytes."""
    texts = len(event.title) + len(event.description) + len(event.url) + len(event.time)
    texts += len(event.location) + len(event.category) + len(event.rrule) + len(event.imported_uid)
    unknown = len(orjson.dumps(event.unknown)) if event.unknown else 0
    return EVENT_BYTES + CHARACTER_BYTES * texts + EXDATE_BYTES * len(event.exdates) + unknown


@dataclass(eq=False)
class Chunk:
    """Some events that follow each other in a list, one at least. Only its JSON comes and goes."""

    events: Sequence[Event]
    size: int
    """Rough memory in bytes."""
    _keeps_json: bool = field(default=False, init=False)
    _json: bytes | None = field(default=None, init=False, repr=False)

    @cached_property
    def first(self) -> EventOrder:
        """The sort key of the first event."""
        return self.events[0].order()

    @property
    def json(self) -> bytes:
        """The events, separated by commas, without brackets."""
        made = self._json or orjson.dumps(self.events)[1:-1]
        if self._keeps_json:
            self._json = made
        return made

    @property
    def has_json(self) -> bool:
        """Whether the JSON has been made and kept."""
        return self._json is not None

    def keep_json(self) -> None:
        self._keeps_json = True

    def drop_json(self) -> None:
        self._keeps_json = False
        self._json = None

    def count_before(self, order: EventOrder) -> int:
        """Return how many of the events come before a sort key."""
        return bisect_left(self.events, order, key=Event.order)


def chunk_of(events: Sequence[Event]) -> Chunk:
    return Chunk(events, sum(map(size_of, events)))


def cut(events: Iterable[Event]) -> Iterator[Chunk]:
    """Cut ordered events into chunks as large as they may be."""
    taken: list[Event] = []
    size = 0
    for event in events:
        more = size_of(event)
        if taken and size + more > CHUNK_BYTES:
            yield Chunk(taken, size)
            taken, size = [], 0
        taken.append(event)
        size += more
    if taken:
        yield Chunk(taken, size)


@dataclass(frozen=True, slots=True)
class EventChunks:
    """All or some events of a department, in order. Immutable; implements `EventsJson`."""

    chunks: Sequence[Chunk] = ()

    def __len__(self) -> int:
        return len(self.chunks)

    def __iter__(self) -> Iterator[bytes]:
        for number, chunk in enumerate(self.chunks):
            if number and not chunk.has_json:
                give_turn()
            yield chunk.json

    def keep_json(self) -> None:
        """Keep the JSON of each chunk from when it is first read."""
        for chunk in self.chunks:
            chunk.keep_json()

    def drop_json(self) -> None:
        """Make the JSON of each chunk anew for each reader."""
        for chunk in self.chunks:
            chunk.drop_json()

    def without(self, other: "EventChunks") -> "EventChunks":
        """Return the chunks that another list does not share."""
        shared = set(map(id, other.chunks))
        return EventChunks([chunk for chunk in self.chunks if id(chunk) not in shared])

    def events(self) -> Iterator[Event]:
        for chunk in self.chunks:
            yield from chunk.events

    def count(self) -> int:
        return sum(len(chunk.events) for chunk in self.chunks)

    def changed(self, removed: Iterable[Event], added: Iterable[Event]) -> "EventChunks":
        """Return the events without some of them and with others."""
        chunks = list(self.chunks)
        for event in removed:
            _remove(chunks, event)
        for event in added:
            _add(chunks, event)
        return EventChunks(chunks)

    def within(self, wanted: EventFilter) -> "EventChunks":
        """Return the events of the wanted dates after the wanted sort key; chunks within them are shared."""
        begin, end = wanted.bounds()
        return self._until(end)._since(begin)

    def limited(self, limit: int) -> "EventChunks":
        """Return the first events, `limit` at most."""
        taken: list[Chunk] = []
        for chunk in self.chunks:
            if limit < len(chunk.events):
                if limit:
                    taken.append(chunk_of(chunk.events[:limit]))
                break
            taken.append(chunk)
            limit -= len(chunk.events)
        return EventChunks(taken)

    def matching(self, is_wanted: Callable[[Event], bool], limit: int | None) -> "EventChunks":
        """Return the first events that are wanted, `limit` at most. Lets others run between chunks."""
        taken: list[Chunk] = []
        for number, chunk in enumerate(self.chunks):
            if number:
                give_turn()
            found = [event for event in chunk.events if is_wanted(event)]
            if limit is not None:
                found = found[:limit]
                limit -= len(found)
            if found:
                taken.append(chunk_of(found))
            if limit == 0:
                break
        return EventChunks(taken)

    def _since(self, begin: EventOrder) -> "EventChunks":
        number = _containing(self.chunks, begin)
        if number < 0:
            return self
        boundary = self.chunks[number]
        rest = boundary.events[boundary.count_before(begin) :]
        return EventChunks([*([chunk_of(rest)] if rest else []), *self.chunks[number + 1 :]])

    def _until(self, end: EventOrder | None) -> "EventChunks":
        if end is None:
            return self
        number = _containing(self.chunks, end)
        if number < 0:
            return EventChunks()
        boundary = self.chunks[number]
        count = boundary.count_before(end)
        if count == len(boundary.events):
            return EventChunks(self.chunks[: number + 1])
        rest = boundary.events[:count]
        return EventChunks([*self.chunks[:number], *([chunk_of(rest)] if rest else [])])


def _containing(chunks: Sequence[Chunk], order: EventOrder) -> int:
    """Return the index of the last chunk that begins at a sort key or before it; -1 if there is none."""
    return bisect_right(chunks, order, key=lambda chunk: chunk.first) - 1


def _remove(chunks: list[Chunk], event: Event) -> None:
    order = event.order()
    number = _containing(chunks, order)
    chunk = chunks[number]
    index = chunk.count_before(order)
    rest = [*chunk.events[:index], *chunk.events[index + 1 :]]
    _replace(chunks, number, rest, chunk.size - size_of(event))


def _add(chunks: list[Chunk], event: Event) -> None:
    if not chunks:
        chunks.append(chunk_of([event]))
        return
    order = event.order()
    number = max(0, _containing(chunks, order))
    chunk = chunks[number]
    index = chunk.count_before(order)
    more = [*chunk.events[:index], event, *chunk.events[index:]]
    _replace(chunks, number, more, chunk.size + size_of(event))


def _replace(chunks: list[Chunk], number: int, events: Sequence[Event], size: int) -> None:
    """Put events in place of a chunk: as two if they are too large, with the next chunk if both are small."""
    if not events:
        del chunks[number]
    elif size > CHUNK_BYTES and len(events) > 1:
        middle = len(events) // 2
        chunks[number : number + 1] = [chunk_of(events[:middle]), chunk_of(events[middle:])]
    elif size < CHUNK_BYTES // 4 and number + 1 < len(chunks) and chunks[number + 1].size < CHUNK_BYTES // 2:
        following = chunks[number + 1]
        chunks[number : number + 2] = [Chunk([*events, *following.events], size + following.size)]
    else:
        chunks[number] = Chunk(events, size)
