"""Events that are written as CSV and read again."""

import csv
import io
from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain import Event
from files.csv_columns import WRITTEN
from files.csv_in import read_table
from files.csv_out import write_table

DATES = st.dates(date(1, 1, 1)).map(date.isoformat)
CLOCKS = st.times().map(lambda time: f"{time:%H:%M}")
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("=-'\"\t\r\n,; "), max_size=30)
LINES = ANY_TEXT.filter(str.strip)
EVENTS = st.builds(
    Event,
    id=st.uuids().map(str),
    department_id=st.just("d"),
    event_date=DATES,
    title=LINES,
    description=ANY_TEXT,
    time=ANY_TEXT,
    location=ANY_TEXT,
    category=ANY_TEXT,
    url=ANY_TEXT,
    end_date=DATES | st.just(""),
    start_time=CLOCKS,
    end_time=CLOCKS | st.just(""),
    rrule=st.sampled_from(["", "FREQ=WEEKLY;BYDAY=MO,TU;UNTIL=20261231"]),
    exdates=st.lists(DATES, max_size=3).map(tuple),
    recurring_event_id=st.just("") | st.uuids().map(str),
    original_date=st.just("") | DATES,
    _imported_uid=st.just("") | LINES.map(str.strip),
)


def table(*rows: Any, **options: bool) -> list[list[str]]:
    text = b"".join(write_table(rows, **options)).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline="")))


@given(st.lists(EVENTS, max_size=5))
def test_every_field_is_read_back_as_it_was(events):
    entries = read_table(b"".join(write_table(events)), None)
    assert [entry.reason for entry in entries] == ["" for _ in events]
    for event, entry in zip(events, entries, strict=True):
        assert (entry.uid, entry.original_date) == (event.uid, event.original_date)
        assert dict(entry.fields) == {name: getattr(event, name) for name in entry.fields}
        assert {*entry.fields, "uid", "original_date"} == set(WRITTEN)


def event(**fields: Any) -> Event:
    return Event(id="e", department_id="d", **{"event_date": "2026-03-02", "title": "회의", **fields})


def test_an_event_without_a_start_keeps_its_text_of_the_time():
    for time in ("", "미정", "오후 2:00", "14:00"):
        [entry] = read_table(b"".join(write_table([event(time=time)])), None)
        assert (entry.fields["time"], entry.fields["start_time"]) == (time, "")


def test_the_file_is_what_excel_opens_with_the_weekly_report_first():
    content = b"".join(write_table([event(time="14:00", description="- 안건\n- 보고", location="3층")]))
    head, row, end = content.split(b"\r\n")
    assert head.startswith('\ufeff"날짜","시간","제목","내용","장소","종료일"'.encode())
    assert row.startswith('"2026-03-02","14:00","회의","\'- 안건\n- 보고","3층",""'.encode())
    assert end == b""


def test_an_empty_list_is_a_header():
    assert table() == [list(WRITTEN.values())]
    assert read_table(b"".join(write_table([])), None) == []


def test_a_mapping_is_written_as_its_event_is():
    series = event(rrule="FREQ=DAILY", exdates=("2026-03-03", "2026-03-04"))
    assert table({**series.public(), "uid": series.uid}) == table(series)


def test_occurrences_are_written_as_single_events():
    series = event(rrule="FREQ=DAILY", exdates=("2026-03-03",))
    replacement = event(recurring_event_id="s", original_date="2026-03-05")
    head, *rows = table(series, {**replacement.public(), "uid": replacement.uid}, event(), occurrences=True)
    assert [dict(zip(head, row, strict=True))["UID"] for row in rows] == ["", "", event().uid]
    for row in rows:
        assert row[0] == "2026-03-02"
        assert not {"반복", "제외일", "반복 원래 날짜"} & {head[i] for i, cell in enumerate(row) if cell}


def test_many_events_come_in_blocks():
    blocks = list(write_table(event(description="가" * 1_000) for _ in range(500)))
    assert len(blocks) > 3
    assert len(read_table(b"".join(blocks), None)) == 500
