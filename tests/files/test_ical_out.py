"""A department as an iCalendar file: what programs are told of it, and the same bytes each time."""

import os
import subprocess
import sys
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from domain import Department, Event
from files.css_colors import nearest_color_name
from files.ical_event import event_block
from files.ical_out import Contents, calendar_parts, write_calendar
from ical_reading import parsed
from running import BACKEND

TEAM = Department(id="d", name="개발팀, 서울", color="#3788d8")
ZONE = ZoneInfo(TEAM.timezone)
MEETING = Event(
    id="0e0e0e0e-0000-4000-8000-000000000000",
    department_id="d",
    event_date="2026-03-02",
    title="주간 회의",
    description="안건을 미리 올려 주세요.\n<b>늦지 않게</b> 오시고, 못 오시면 알려 주세요.",
    time="오후 2시",
    start_time="14:00",
    end_time="15:30",
    location="회의실 3층",
    rrule="FREQ=WEEKLY;BYDAY=MO;UNTIL=20261228",
    exdates=("2026-05-25",),
    created_at="2026-01-15T10:30:00.000Z",
    last_modified="2026-02-01T00:00:00.000Z",
    revision=7,
)
MOVED = Event(
    id="4e91ace0-0000-4000-8000-000000000000",
    department_id="d",
    event_date="2026-03-10",
    title="주간 회의",
    recurring_event_id=MEETING.id,
    original_date="2026-03-09",
    created_at="2026-02-01T00:00:00.000Z",
    last_modified="2026-02-01T00:00:00.000Z",
    revision=8,
)

EXPECTED = r"""
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//department-calendar//department-calendar//KO
CALSCALE:GREGORIAN
METHOD:PUBLISH
NAME:개발팀\, 서울
X-WR-CALNAME:개발팀\, 서울
X-WR-TIMEZONE:Asia/Seoul
COLOR:royalblue
X-APPLE-CALENDAR-COLOR:#3788d8
REFRESH-INTERVAL;VALUE=DURATION:PT1H
X-PUBLISHED-TTL:PT1H
BEGIN:VTIMEZONE
TZID:Asia/Seoul
BEGIN:STANDARD
DTSTART:20260101T000000
TZNAME:KST
TZOFFSETFROM:+0900
TZOFFSETTO:+0900
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
UID:0e0e0e0e-0000-4000-8000-000000000000@department-calendar
SEQUENCE:7
DTSTAMP:20260201T000000Z
CREATED:20260115T103000Z
LAST-MODIFIED:20260201T000000Z
DTSTART;TZID=Asia/Seoul:20260302T140000
DTEND;TZID=Asia/Seoul:20260302T153000
RRULE:FREQ=WEEKLY;BYDAY=MO;UNTIL=20261228T050000Z
EXDATE;TZID=Asia/Seoul:20260525T140000
SUMMARY:주간 회의
DESCRIPTION:안건을 미리 올려 주세요.\n<b>늦지 않게</b> 오시
 고\, 못 오시면 알려 주세요.
LOCATION:회의실 3층
X-TIME-TEXT;VALUE=TEXT:오후 2시
END:VEVENT
BEGIN:VEVENT
UID:0e0e0e0e-0000-4000-8000-000000000000@department-calendar
RECURRENCE-ID;TZID=Asia/Seoul:20260309T140000
SEQUENCE:8
DTSTAMP:20260201T000000Z
CREATED:20260201T000000Z
LAST-MODIFIED:20260201T000000Z
DTSTART;VALUE=DATE:20260310
DTEND;VALUE=DATE:20260311
SUMMARY:주간 회의
END:VEVENT
END:VCALENDAR
"""


def head(department: Department, *events: Event) -> list[str]:
    return write_calendar(department, events).decode().split("\r\nBEGIN:VEVENT")[0].split("\r\n")


def test_a_department_is_written_as_programs_expect_it():
    assert write_calendar(TEAM, [MEETING, MOVED]).decode() == EXPECTED.lstrip().replace("\n", "\r\n")


def test_a_department_without_events_and_colour_is_a_calendar_too():
    lines = head(Department(id="d", name="새 부서"))
    assert [line for line in lines if line.startswith(("COLOR", "X-APPLE", "BEGIN:VTIMEZONE"))] == []
    assert lines[-2:] == ["END:VCALENDAR", ""]


def test_there_is_a_time_zone_where_a_time_names_it():
    whole_day = replace(MOVED, recurring_event_id="", original_date="")
    assert "BEGIN:VTIMEZONE" in head(TEAM, whole_day, MEETING)
    assert "BEGIN:VTIMEZONE" not in head(TEAM, whole_day)
    assert "BEGIN:VTIMEZONE" not in head(replace(TEAM, timezone="Etc/UTC"), MEETING)


def test_a_name_of_several_lines_stays_one_line():
    lines = head(replace(TEAM, name="개발팀\r\nMETHOD:CANCEL"))
    assert r"NAME:개발팀\nMETHOD:CANCEL" in lines
    assert "METHOD:CANCEL" not in lines


@pytest.mark.parametrize(
    ("color", "name"),
    [("#ff0000", "red"), ("#3788d8", "royalblue"), ("#fefefe", "white"), ("#00fffe", "aqua")],
)
def test_a_colour_has_the_nearest_name_that_css_knows(color, name):
    assert nearest_color_name(color) == name


def test_what_is_kept_of_an_event_is_written_again_as_it_is():
    kept = {MEETING.id: b"kept\r\n"}
    events = [MEETING, MOVED]
    parts = calendar_parts(
        TEAM, events, Contents.of(events), lambda event, *of: kept.get(event.id) or event_block(event, *of)
    )
    assert list(parts)[1:] == [b"kept\r\n", event_block(MOVED, ZONE, MEETING), b"END:VCALENDAR\r\n"]


def test_a_replacement_before_its_series_belongs_to_it_all_the_same():
    moved, meeting = parsed(write_calendar(TEAM, [MOVED, MEETING]))
    assert moved["UID"] == meeting["UID"]
    assert "RECURRENCE-ID" in moved


def test_one_bad_row_does_not_take_the_others_with_it():
    broken = replace(MEETING, id="b", event_date="미정")
    assert [event["UID"] for event in parsed(write_calendar(TEAM, [broken, MEETING]))] == [MEETING.uid]


@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_bytes_are_the_same_in_every_process(seed):
    program = (
        "import sys\n"
        "from domain import Department, Event\n"
        "from files.ical_out import Contents, write_calendar\n"
        f"sys.stdout.buffer.write(write_calendar({TEAM!r}, [{MEETING!r}, {MOVED!r}]))\n"
    )
    env = {**os.environ, "PYTHONHASHSEED": seed, "TZ": "America/New_York"}
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=BACKEND, env=env, capture_output=True, check=True
    )
    assert run.stdout == write_calendar(TEAM, [MEETING, MOVED])
