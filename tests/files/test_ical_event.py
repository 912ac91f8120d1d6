"""An event as a VEVENT: each of its fields, and any event read back by Python's icalendar."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Component

from domain import Department, Event
from files.ical_event import event_block
from files.ical_out import write_calendar
from ical_reading import parsed
from text_times import write_times

SEOUL = ZoneInfo("Asia/Seoul")
NEW_YORK = ZoneInfo("America/New_York")
PLAIN = Event(
    id="0e0e0e0e-0000-4000-8000-000000000000",
    department_id="d",
    event_date="2026-03-02",
    title="팀 회의",
    created_at="2026-01-15T10:30:00.000Z",
    last_modified="2026-02-01T00:00:00.999Z",
    revision=7,
)
SERIES = replace(PLAIN, id="5e41e5", rrule="FREQ=WEEKLY;BYDAY=MO")


def lines(
    zone: ZoneInfo = SEOUL, series: Event | None = None, event: Event = PLAIN, **fields: Any
) -> list[str]:
    return event_block(replace(event, **fields), zone, series).decode().splitlines()


def picked(name: str, *args: Any, **fields: Any) -> list[str]:
    """Return the lines of a property."""
    return [line for line in lines(*args, **fields) if line.startswith((f"{name}:", f"{name};"))]


def test_a_plain_event_says_no_more_than_it_has():
    assert lines() == [
        "BEGIN:VEVENT",
        "UID:0e0e0e0e-0000-4000-8000-000000000000@department-calendar",
        "SEQUENCE:7",
        "DTSTAMP:20260201T000000Z",
        "CREATED:20260115T103000Z",
        "LAST-MODIFIED:20260201T000000Z",
        "DTSTART;VALUE=DATE:20260302",
        "DTEND;VALUE=DATE:20260303",
        "SUMMARY:팀 회의",
        "END:VEVENT",
    ]


def test_an_imported_event_keeps_its_uid():
    assert picked("UID", _imported_uid="a,b@google.com") == [r"UID:a\,b@google.com"]


@pytest.mark.parametrize(
    ("fields", "start", "end"),
    [
        ({}, ";VALUE=DATE:20260302", ";VALUE=DATE:20260303"),
        ({"end_date": "2026-03-04"}, ";VALUE=DATE:20260302", ";VALUE=DATE:20260305"),
        ({"end_date": "2026-02-01"}, ";VALUE=DATE:20260302", ";VALUE=DATE:20260303"),
        ({"event_date": "9999-12-31"}, ";VALUE=DATE:99991231", ""),
        ({"event_date": "0001-01-01"}, ";VALUE=DATE:00010101", ";VALUE=DATE:00010102"),
        ({"start_time": "14:00"}, ";TZID=Asia/Seoul:20260302T140000", ""),
        (
            {"start_time": "14:00", "end_time": "15:30"},
            ";TZID=Asia/Seoul:20260302T140000",
            ";TZID=Asia/Seoul:20260302T153000",
        ),
        (
            {"start_time": "22:00", "end_time": "01:00"},
            ";TZID=Asia/Seoul:20260302T220000",
            ";TZID=Asia/Seoul:20260303T010000",
        ),
        (
            {"start_time": "09:00", "end_time": "09:00"},
            ";TZID=Asia/Seoul:20260302T090000",
            ";TZID=Asia/Seoul:20260303T090000",
        ),
        (
            {"start_time": "22:00", "end_time": "01:00", "end_date": "2026-03-05"},
            ";TZID=Asia/Seoul:20260302T220000",
            ";TZID=Asia/Seoul:20260305T010000",
        ),
        (
            {"start_time": "22:00", "end_time": "01:00", "event_date": "9999-12-31"},
            ";TZID=Asia/Seoul:99991231T220000",
            "",
        ),
    ],
)
def test_an_event_begins_and_ends_when_it_says(fields, start, end):
    assert picked("DTSTART", **fields) == [f"DTSTART{start}"]
    assert picked("DTEND", **fields) == ([f"DTEND{end}"] if end else [])


def test_days_without_a_last_hour_are_shown_whole_and_say_so():
    fields = {"start_time": "09:00", "end_date": "2026-03-04"}
    assert picked("DTEND", **fields) == ["DTEND;TZID=Asia/Seoul:20260305T000000"]
    assert picked("X-LAST-DATE", **fields) == ["X-LAST-DATE;VALUE=DATE:20260304"]
    assert not picked("X-LAST-DATE", **fields, end_time="10:00")


def test_times_of_a_department_in_utc_need_no_zone():
    fields = {"start_time": "14:00", "rrule": "FREQ=DAILY;UNTIL=20260331", "exdates": ("2026-03-03",)}
    assert picked("DTSTART", ZoneInfo("Etc/UTC"), **fields) == ["DTSTART:20260302T140000Z"]
    assert picked("EXDATE", ZoneInfo("Etc/UTC"), **fields) == ["EXDATE:20260303T140000Z"]
    assert picked("RRULE", ZoneInfo("Etc/UTC"), **fields) == ["RRULE:FREQ=DAILY;UNTIL=20260331T140000Z"]


@pytest.mark.parametrize(
    ("time", "start", "end", "written"),
    [
        ("", "", "", None),
        ("오후 2:00", "14:00", "", None),
        ("오후 2:00~3:30", "14:00", "15:30", None),
        ("오후 2시", "14:00", "", "오후 2시"),
        ("14:00", "14:00", "", "14:00"),
        ("미정", "", "", "미정"),
        ("점심, 구내식당", "", "", r"점심\, 구내식당"),
        ("", "14:00", "", ""),
    ],
)
def test_the_time_that_a_person_wrote_is_there_where_the_clock_does_not_say_it(time, start, end, written):
    found = picked("X-TIME-TEXT", time=time, start_time=start, end_time=end)
    assert found == ([] if written is None else [f"X-TIME-TEXT;VALUE=TEXT:{written}"])


def test_other_fields_are_there_when_they_say_something():
    fields = {
        "description": "첫 줄\n<b>둘째</b>; 끝",
        "location": "회의실 3층, 서울",
        "category": "회의, 정기",
        "url": "https://example.com/?a=1,2;b",
    }
    assert lines(**fields)[8:-1] == [
        "SUMMARY:팀 회의",
        r"DESCRIPTION:첫 줄\n<b>둘째</b>\; 끝",
        r"LOCATION:회의실 3층\, 서울",
        r"CATEGORIES:회의\, 정기",
        "URL;VALUE=URI:https://example.com/?a=1,2;b",
    ]


@pytest.mark.parametrize(
    ("zone", "clock", "until"),
    [
        (SEOUL, "", "20260331"),
        (SEOUL, "14:00", "20260331T050000Z"),
        (SEOUL, "00:00", "20260330T150000Z"),
        (NEW_YORK, "20:00", "20260401T000000Z"),
    ],
)
def test_a_rule_ends_in_the_type_in_which_the_event_begins(zone, clock, until):
    rule = "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO;UNTIL=20260331;WKST=SU"
    assert picked("RRULE", zone, rrule=rule, start_time=clock) == [
        f"RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO;UNTIL={until};WKST=SU"
    ]


@pytest.mark.parametrize("clock", ["", "00:00", "23:59"])
@pytest.mark.parametrize("zone", [SEOUL, NEW_YORK])
@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_a_rule_may_end_with_the_calendar(zone, clock, day):
    rule = f"FREQ=DAILY;UNTIL={day.replace('-', '')}"
    assert len(picked("RRULE", zone, rrule=rule, start_time=clock, event_date=day)) == 1


@pytest.mark.parametrize(("clock", "begin"), [("", ";VALUE=DATE:"), ("14:00", ";TZID=Asia/Seoul:")])
def test_removed_dates_and_a_first_one_off_the_rule_are_like_the_beginning(clock, begin):
    time = "T140000" if clock else ""
    fields = {"rrule": "FREQ=WEEKLY;BYDAY=TU", "exdates": ("2026-03-10", "2026-03-17"), "start_time": clock}
    assert picked("RDATE", **fields) == [f"RDATE{begin}20260302{time}"]
    assert picked("EXDATE", **fields) == [f"EXDATE{begin}{day}{time}" for day in ("20260310", "20260317")]
    assert picked("RDATE", **fields, event_date="2026-03-03") == []


@pytest.mark.parametrize("rule", ["FREQ=NEVER", "FREQ=DAILY;UNTIL=20260231", "INTERVAL=2", "FREQ=SECONDLY"])
def test_a_rule_that_nobody_can_read_is_left_out(rule):
    assert lines(rrule=rule, exdates=("2026-03-09",)) == lines()


@pytest.mark.parametrize(
    ("clock", "original"), [("", ";VALUE=DATE:20260309"), ("10:00", ";TZID=Asia/Seoul:20260309T100000")]
)
def test_a_replacement_names_the_occurrence_as_its_series_has_it(clock, original):
    series = replace(SERIES, start_time=clock, _imported_uid="series@outlook")
    fields = {"recurring_event_id": "5e41e5", "original_date": "2026-03-09", "start_time": "16:00"}
    assert picked("UID", SEOUL, series, **fields) == ["UID:series@outlook"]
    assert picked("RECURRENCE-ID", SEOUL, series, **fields) == [f"RECURRENCE-ID{original}"]


def test_a_replacement_without_its_series_is_an_event_of_its_own():
    fields = {
        "recurring_event_id": "5e41e5",
        "original_date": "2026-03-09",
        "_imported_uid": "series@outlook",
    }
    assert picked("UID", **fields) == [f"UID:{PLAIN.id}@department-calendar"]
    assert picked("RECURRENCE-ID", **fields) == []


@pytest.mark.parametrize("day", ["", "미정", "2026-02-30", "2026-3-2"])
def test_an_event_without_a_date_is_left_out(day):
    assert lines(event_date=day) == []


@pytest.mark.parametrize("at", ["", "어제", "2026-02"])
def test_an_event_of_unknown_age_has_a_stamp_all_the_same(at):
    assert [line for line in lines(last_modified=at, created_at=at) if "Z" in line] == [
        "DTSTAMP:19700101T000000Z",
        "LAST-MODIFIED:19700101T000000Z",
    ]


clock_times = st.times().map(lambda time: f"{time:%H:%M}")
some_text = st.text(
    st.characters(
        exclude_categories=["Cs"],
        exclude_characters=[*map(chr, (*range(9), *range(11, 32), *range(127, 160)))],
    ),
    max_size=100,
).map(str.strip)


@st.composite
def events(draw: st.DrawFn) -> Event:
    first = draw(st.dates(max_value=date(9999, 12, 20)))
    start = draw(clock_times | st.just(""))
    end = draw(clock_times | st.just("")) if start else ""
    days = draw(st.integers(0, 5)) if end or not start else 0
    # To end the next day at an earlier time is what such times mean without `end_date`, too.
    says_nothing = days == 0 or (days == 1 and start and end <= start)
    return replace(
        PLAIN,
        event_date=first.isoformat(),
        end_date="" if says_nothing else (first + timedelta(days)).isoformat(),
        start_time=start,
        end_time=end,
        **{name: draw(some_text) for name in ("title", "description", "time", "location", "category")},
        url=draw(st.sampled_from(["", "https://example.com/회의?a=1,2;b=3\\4"])),
        revision=draw(st.integers(0, 2**31 - 1)),
    )


@given(st.lists(events(), max_size=4), st.sampled_from(["Asia/Seoul", "America/New_York", "UTC"]))
def test_any_events_are_read_back_as_they_were(written, zone):
    content = write_calendar(Department(id="d", name="d", timezone=zone), written)
    assert [read(component) for component in parsed(content)] == [
        {
            "first": event.event_date,
            "last": event.end_date,
            "times": (event.start_time, event.end_time),
            "time": event.time,
            "texts": [event.title, event.description, event.location, event.category, event.url],
            "revision": event.revision,
        }
        for event in written
    ]


def read(component: Component) -> dict[str, Any]:
    """Return what an event says, as somebody would read it who knows the conventions of section 8."""
    begin = component["DTSTART"].dt
    end = component["DTEND"].dt if "DTEND" in component else None
    if isinstance(begin, datetime):
        first, start, stop = begin.date(), f"{begin:%H:%M}", f"{end:%H:%M}" if end else ""
        last = end.date() if end else first
        over_night = end and last == first + timedelta(1) and stop <= start
    else:
        first, start, stop, over_night = begin, "", "", False
        last = end - timedelta(1) if end else begin
    category = component["CATEGORIES"].cats[0] if "CATEGORIES" in component else ""
    return {
        "first": first.isoformat(),
        "last": last.isoformat() if last > first and not over_night else "",
        "times": (start, stop),
        "time": str(component.get("X-TIME-TEXT", write_times(start, stop))),
        "texts": [
            *(str(component.get(name, "")) for name in ("SUMMARY", "DESCRIPTION", "LOCATION")),
            str(category),
            str(component.get("URL", "")),
        ],
        "revision": component["SEQUENCE"],
    }
