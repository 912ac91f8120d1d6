"""Ordered events in chunks: edits, parts, pages and searches against a plain sorted list."""

import json
from dataclasses import replace

import orjson
from hypothesis import given
from hypothesis import strategies as st

from domain import Event, EventFilter
from services.event_chunks import CHUNK_BYTES, EventChunks, chunk_of, cut, size_of

DATES = st.integers(1, 28).map(lambda day: f"2024-01-{day:02}")
TIMES = st.sampled_from(["", "오전 9:00", "14:30", "미정"])


def event(number: int, date: str, time: str = "", description: str = "") -> Event:
    return Event(
        id=f"{number:04}",
        department_id="d",
        event_date=date,
        title=f"회의 {number}",
        time=time,
        description=description,
    )


EVENTS = st.lists(
    st.builds(
        lambda date, time, length: (date, time, "가" * length), DATES, TIMES, st.sampled_from([0, 9_000])
    ),
    max_size=60,
).map(lambda drawn: [event(number, *fields) for number, fields in enumerate(drawn)])


def in_order(events) -> list[Event]:
    return sorted(events, key=Event.order)


def chunks_of(events) -> EventChunks:
    return EventChunks(tuple(cut(in_order(events))))


def public(chunks: EventChunks) -> list[str]:
    """Return the ids in the JSON of a list, checked against its events."""
    found = json.loads(b"[" + b",".join(chunks) + b"]")
    assert found == [event.public() for event in chunks.events()]
    assert len(list(chunks)) == len(chunks)
    return [event["id"] for event in found]


def ids(events) -> list[str]:
    return [event.id for event in events]


@given(EVENTS, st.data())
def test_events_come_and_go_without_a_trace_in_the_order(events, data):
    here = events[: len(events) // 2]
    chunks = chunks_of(here)
    for _ in range(4):
        removed = data.draw(st.lists(st.sampled_from(here), unique_by=id)) if here else []
        added = [e for e in events if e not in here and data.draw(st.booleans())]
        chunks = chunks.changed(removed, added)
        here = [e for e in here if e not in removed] + added
        assert public(chunks) == ids(in_order(here))
        assert chunks.count() == len(here)
        for chunk in chunks.chunks:
            assert chunk.size == sum(map(size_of, chunk.events))
            assert len(chunk.events) == 1 or chunk.size < CHUNK_BYTES * 3 // 2


@given(EVENTS, st.none() | DATES, st.none() | DATES, st.none() | st.integers(0, 59), st.integers(1, 70))
def test_the_events_of_some_dates_and_their_pages_are_those_of_a_sorted_list(
    events, first, last, after, limit
):
    after_order = events[after].order() if after is not None and after < len(events) else None
    expected = [
        e
        for e in in_order(events)
        if (first or "") <= e.event_date <= (last or "9") and (after_order is None or e.order() > after_order)
    ]
    found = chunks_of(events).within(EventFilter(first=first, last=last, after=after_order))
    assert public(found) == ids(expected)
    assert public(found.limited(limit)) == ids(expected[:limit])

    def is_odd(e: Event) -> bool:
        return e.id[-1] in "13579"

    odd = ids(filter(is_odd, expected))
    assert public(found.matching(is_odd, None)) == odd
    assert public(found.matching(is_odd, limit)) == odd[:limit]


def test_an_edit_shares_the_json_of_all_other_chunks():
    events = [event(n, f"2024-01-{1 + n % 28:02}", description="가" * 1_000) for n in range(1_000)]
    before = chunks_of(events)
    before.keep_json()
    made = list(before)
    assert len(made) > 20
    after = before.changed(events[:1], [event(2_000, "2024-01-15")])
    assert sum(any(piece is shared for shared in made) for piece in after) >= len(made) - 2


def test_a_chunk_of_the_largest_texts_is_small_as_json():
    long = [event(n, "2024-01-20", description="가" * 10_000) for n in range(30)]
    short = [event(n, "2024-01-20") for n in range(3_000)]
    dates = tuple(f"20{year}-{month:02}-01" for year in range(20, 53) for month in range(1, 13))
    series = [replace(e, rrule="FREQ=MONTHLY", exdates=dates, location="가" * 200) for e in short[:100]]
    assert all(size_of(e) > 2 * len(orjson.dumps(e)) for e in series)
    for chunk in (*cut(long), *cut(short), *cut(series)):
        assert len(chunk.json) <= 128 * 1024
    assert chunk_of(long[:1]).size > 50_000


def test_removing_all_but_a_few_leaves_few_chunks():
    events = [event(n, f"2024-01-{1 + n % 28:02}") for n in range(3_000)]
    chunks = chunks_of(events).changed(events[10:], ())
    assert len(chunks) <= 2
    assert len(chunks.changed(events[:10], ())) == 0
