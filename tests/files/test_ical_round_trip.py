"""What this server writes as iCalendar it reads again as it was."""

from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from domain import Department, Event
from files.ical_in import read_calendar
from files.ical_out import write_calendar
from rrule_text import parse_rule
from text_times import read_times, write_times

ZONES = ["Asia/Seoul", "UTC", "America/New_York", "Europe/Berlin", "Pacific/Apia"]
RULES = ["", "FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO", "FREQ=MONTHLY;BYMONTHDAY=31", "FREQ=DAILY;UNTIL=20301231"]
READ = (
    *("event_date", "title", "description", "time", "url", "end_date", "start_time", "end_time"),
    *("location", "category", "rrule", "exdates"),
)

days = st.dates(date(1900, 1, 2), date(2100, 12, 31))
clocks = st.times().map(lambda time: f"{time:%H:%M}")
characters = st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t,;\\:")
texts = st.text(characters, max_size=90).map(str.strip)
lines = texts.map(lambda text: " ".join(text.splitlines()).strip())


@st.composite
def events(draw, number):
    first = draw(days)
    start = draw(st.just("") | clocks)
    end = draw(st.just("") | clocks) if start else ""
    last = first + timedelta(draw(st.integers(0, 3)))
    is_night_after = bool(end) and end <= start and last - first == timedelta(1)
    time = draw(st.sampled_from([write_times(start, end), write_times(start, "")]) | lines)
    rrule = draw(st.sampled_from(RULES))
    return Event(
        id=f"0000000{number}-0000-4000-8000-000000000000",
        department_id="d",
        event_date=first.isoformat(),
        title=draw(lines) or "제목",
        description=draw(texts),
        time=time if read_times(time).start in ("", start) else "",
        url=draw(st.sampled_from(["", "https://example.com/a,b;c?d=%2C"])),
        end_date="" if last == first or is_night_after else last.isoformat(),
        start_time=start,
        end_time=end,
        location=draw(lines),
        category=draw(lines),
        rrule=str(parse_rule(rrule)) if rrule else "",
        exdates=tuple(sorted({day.isoformat() for day in draw(st.lists(days, max_size=3))})) if rrule else (),
    )


@given(st.tuples(events(0), events(1)), st.sampled_from(ZONES))
def test_an_event_is_read_as_it_was_written(written, zone):
    department = Department(id="d", name="팀", timezone=zone)
    entries = read_calendar(write_calendar(department, written), ZoneInfo(zone), None)
    for entry, event in zip(entries, written, strict=True):
        assert (entry.uid, entry.original_date, entry.reason) == (event.uid, "", "")
        assert entry.fields == {name: getattr(event, name) for name in READ}


@given(events(0), events(1), st.sampled_from(ZONES), days)
def test_a_replacement_is_read_with_the_occurrence_that_it_replaces(series, replacement, zone, day):
    series = replace(series, rrule="FREQ=DAILY")
    replacement = replace(
        replacement, rrule="", exdates=(), recurring_event_id=series.id, original_date=day.isoformat()
    )
    department = Department(id="d", name="팀", timezone=zone)
    _, entry = read_calendar(write_calendar(department, [series, replacement]), ZoneInfo(zone), None)
    assert (entry.uid, entry.original_date, entry.reason) == (series.uid, day.isoformat(), "")
    assert entry.fields == {name: getattr(replacement, name) for name in READ}
