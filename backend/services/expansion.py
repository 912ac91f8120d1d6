"""Occurrences instead of series: the entries of a range in order, and their JSON. Reads nothing."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from itertools import chain
from operator import itemgetter
from typing import TypeAlias

import orjson

from domain import Event, EventFilter
from errors import ValidationFailed
from services.event_chunks import size_of
from services.series_index import SeriesIndex, days_of, shifted
from tokens import EventOrder
from turns import give_turn

MOST_OCCURRENCES = 20_000
"""How many occurrences of series one answer may have."""
PAGE_BYTES = 4_000_000
"""Most rough memory of the events of a page; it has one entry at least."""
ENTRIES_PER_TURN = 200
"""How many entries are made into JSON before others run."""
TEMPLATES_BYTES = 2_000_000
"""Most bytes of the JSON of series that is kept to be filled in again."""


ListEntry: TypeAlias = tuple[EventOrder, Event, str]
"""An event as it is listed on one date: its sort key there, the event, and the ISO date on which it begins.

A series has an entry for each occurrence.
"""
_ORDER = itemgetter(0)


def occurrences_in(
    index: SeriesIndex, wanted: EventFilter, is_wanted: Callable[[Event], bool]
) -> list[ListEntry]:
    """Return, in order, what the dates of events do not tell of an expanded range, after the page before.

    These are the occurrences of series, and the events that began before the range. Lets others run. Raises
    `ValidationFailed` when there are too many.
    """
    first, last = _dates(wanted)
    found: list[ListEntry] = []
    for span in index.spans(first, last):
        event = span.event
        if is_listed_by_date(event, index, wanted) or not is_wanted(event):
            continue
        order = span.order[1:]
        days = span.dates(first, last, MOST_OCCURRENCES + 1 - len(found))
        found += [((day, *order), event, day) for day in days]
        if len(found) > MOST_OCCURRENCES:
            message = f"반복 일정이 {MOST_OCCURRENCES:,}번 넘게 있습니다. 기간을 줄이세요."
            raise ValidationFailed.of("to", "range_too_large", message)
    give_turn()
    found.sort(key=_ORDER)
    return [entry for entry in found if wanted.is_after_page(entry[0])]


def is_listed_by_date(event: Event, index: SeriesIndex, wanted: EventFilter) -> bool:
    """Tell whether an expanded range has an event for its date alone, not from `occurrences_in`."""
    span = index.find_span(event.id)
    return span is None or not (span.event.rrule or span.event.event_date < (wanted.first or ""))


def merged(pieces: Iterable[Sequence[Event]], occurrences: Sequence[ListEntry]) -> Iterator[list[ListEntry]]:
    """Yield the entries of ordered events, given in pieces, and of other occurrences, all in order."""
    begin = 0
    for piece in pieces:
        entries = sorted(entries_of(piece), key=_ORDER)
        if entries:
            end = bisect_left(occurrences, entries[-1][0], lo=begin, key=_ORDER)
            yield sorted([*entries, *occurrences[begin:end]], key=_ORDER) if end > begin else entries
            begin = end
    yield list(occurrences[begin:])


def entries_of(events: Iterable[Event]) -> list[ListEntry]:
    """Return the entries of events that are listed once each."""
    return [(event.order(), event, event.event_date) for event in events]


def page_of(
    parts: Iterable[Sequence[ListEntry]], limit: int, end: EventOrder | None
) -> tuple[list[ListEntry], EventOrder | None]:
    """Return the entries of a page, and the sort key after which the next one begins.

    That is `end` if the page has room for all entries. A page has fewer than `limit` if they are large.
    """
    page: list[ListEntry] = []
    size = 0
    for entry in chain.from_iterable(parts):
        size += size_of(entry[1])
        if len(page) == limit or (page and size > PAGE_BYTES):
            return page, page[-1][0]
        page.append(entry)
    return page, end


def written(parts: Iterable[Sequence[ListEntry]]) -> Iterator[bytes]:
    """Yield the JSON of entries, separated by commas, without brackets. Lets others run."""
    templates = _Templates()
    for entries in parts:
        for begin in range(0, len(entries), ENTRIES_PER_TURN):
            yield b",".join(map(templates.fill, entries[begin : begin + ENTRIES_PER_TURN]))
            give_turn()


class _Templates:
    """The JSON of series, made once for many occurrences."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[bytes, bytes, bytes]] = {}
        self._size = 0

    def fill(self, entry: ListEntry) -> bytes:
        """Return the JSON of an entry."""
        _, event, iso_date = entry
        if not event.rrule:
            named = (event.original_date or iso_date).encode()
            return b'%b,"occurrence_date":"%b"}' % (orjson.dumps(event)[:-1], named)
        head, middle, tail = self._made.get(event.id) or self._make(event)
        day = iso_date.encode()
        end = _end_date(event, iso_date).encode() if event.end_date else b""
        return b'%b%b%b%b%b,"occurrence_date":"%b"}' % (head, day, middle, end, tail, day)

    def _make(self, event: Event) -> tuple[bytes, bytes, bytes]:
        """Return the JSON before, between and after the two dates; no text can hold the names as they are."""
        head, name, rest = orjson.dumps(event)[:-1].partition(b'"event_date":"')
        middle, end_name, tail = rest[len(event.event_date.encode()) :].partition(b'"end_date":"')
        made = head + name, middle + end_name, tail[len(event.end_date.encode()) :]
        size = sum(map(len, made))
        if self._size + size > TEMPLATES_BYTES:
            self._made.clear()
            self._size = 0
        self._made[event.id] = made
        self._size += size
        return made


def _dates(wanted: EventFilter) -> tuple[date, date]:
    return date.fromisoformat(wanted.first or ""), date.fromisoformat(wanted.last or "")


def _end_date(event: Event, day: str) -> str:
    """Return the last date of an occurrence of a series that has one."""
    return shifted(date.fromisoformat(day), days_of(event)).isoformat()
