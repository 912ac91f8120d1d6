"""Whatever the bytes of a file are: they are read as entries that keep the rules, or refused as a whole."""

import json
import re
from datetime import date
from itertools import chain

from hypothesis import example, given, settings
from hypothesis import strategies as st

from calendar_files import SEOUL
from files.entries import FileRefused, TooManyEntries
from files.ical_in import read_calendar
from rrule_text import parse_rule

FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
CLOCK = re.compile("(?:[01][0-9]|2[0-3]):[0-5][0-9]|")

CHARACTERS = st.characters(exclude_categories=["Cs"])
NAMES = [
    "BEGIN",
    "END",
    "UID",
    "RECURRENCE-ID",
    "STATUS",
    "SEQUENCE",
    "LAST-MODIFIED",
    "METHOD",
    "X-WR-TIMEZONE",
    "SUMMARY",
    "DESCRIPTION",
    "X-ALT-DESC",
    "LOCATION",
    "CATEGORIES",
    "URL",
    "X-TIME-TEXT",
    "X-LAST-DATE",
    "DTSTART",
    "DTEND",
    "DURATION",
    "RRULE",
    "RDATE",
    "EXDATE",
    "EXRULE",
    "TZID",
    "TZOFFSETTO",
    "X-MICROSOFT-CDO-ALLDAYEVENT",
]
ZONES = ["Asia/Seoul", "America/New_York", "Korea Standard Time", '"(UTC+09:00) Seoul"', "UTC+14", "x", ""]
VALUES = [
    "VCALENDAR",
    "VEVENT",
    "VTIMEZONE",
    "STANDARD",
    "VALARM",
    "VTODO",
    "CANCELLED",
    "CANCEL",
    "REPLY",
    "TRUE",
    "+0900",
    "-2359",
    "20260302",
    "20260302T090000",
    "20260302T090000Z",
    "00010101T000000",
    "99991231T235959",
    "99991231",
    "20261399",
    "20260302T090000,20260303T090000Z,20260304",
    "20260302T090000/PT1H",
    "19000101T000000Z",
    "FREQ=DAILY",
    "FREQ=WEEKLY;BYDAY=MO,SU;WKST=SU;INTERVAL=2",
    "FREQ=MONTHLY;BYMONTHDAY=31",
    "FREQ=YEARLY",
    "FREQ=DAILY;UNTIL=00010101",
    "FREQ=DAILY;UNTIL=99991231T235959Z",
    "FREQ=SECONDLY",
    "PT25H",
    "-P1W",
    "P9999W",
    "https://example.com",
    "mailto:a",
    "a\\,b,c\\n",
    "회의",
    "오후 2시~3시",
    "",
    "a\x00\x85b",
    *ZONES,
]


def contents():
    name = st.sampled_from(NAMES)
    value = st.sampled_from(VALUES) | st.text(CHARACTERS, max_size=20)
    parameter = st.sampled_from(ZONES).map(lambda zone: f";TZID={zone}") | st.just(";VALUE=DATE")
    parameters = st.lists(parameter | st.text(CHARACTERS, max_size=5).map(";{}".format), max_size=2).map(
        "".join
    )
    line = st.builds("{}{}:{}".format, name, st.just("") | parameters, value) | st.text(
        CHARACTERS, max_size=10
    )
    event = st.lists(line, max_size=12).map(lambda lines: ["BEGIN:VEVENT", "DTSTART:20260302T090000", *lines])
    ended = event.map(lambda lines: [*lines, "END:VEVENT"])
    other = st.lists(line, max_size=3).map(lambda lines: [*lines, "BEGIN:VCALENDAR"])
    parts = st.lists(ended | event | other, min_size=1, max_size=5)
    line_breaks = st.sampled_from(["\r\n", "\n", "\r", "\r\n "])
    return st.builds(lambda parts, line_break: line_break.join(chain(*parts)).encode(), parts, line_breaks)


def check(content):
    try:
        entries = read_calendar(content, SEOUL, 50)
    except (FileRefused, TooManyEntries):
        return
    for entry in entries:
        texts = [entry.uid, entry.reason, *(text for text in entry.fields.values() if isinstance(text, str))]
        assert not FORBIDDEN.search("".join(texts))
        if entry.original_date:
            date.fromisoformat(entry.original_date)
        if entry.reason or entry.cancelled:
            assert not (entry.reason and entry.cancelled)
            continue
        check_fields(entry.fields)
    assert entries == read_calendar(content, SEOUL, 50)


def check_fields(fields):
    first = date.fromisoformat(fields["event_date"])
    assert not fields["end_date"] or date.fromisoformat(fields["end_date"]) > first
    assert CLOCK.fullmatch(fields["start_time"])
    assert CLOCK.fullmatch(fields["end_time"])
    assert fields["start_time"] or not fields["end_time"]
    assert fields["title"].strip()
    assert all(date.fromisoformat(day) for day in fields["exdates"])
    if fields["rrule"]:
        assert str(parse_rule(fields["rrule"])) == fields["rrule"]
    json.dumps(fields).encode()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300) | st.text(CHARACTERS, max_size=300).map(str.encode))
@example(b"BEGIN:VCALENDAR\n\x00\xff")
@example(b"\xff\xfe\x00\xd8")
def test_any_bytes_are_read_or_refused(content):
    check(content)


@settings(max_examples=300, deadline=None)
@given(contents())
def test_any_lines_are_read_or_refused(content):
    check(content)


@settings(max_examples=100, deadline=None)
@given(contents(), st.integers(0), st.binary(max_size=4))
def test_a_damaged_file_is_read_or_refused(content, position, damage):
    position %= len(content)
    check(content[:position] + damage + content[position + 1 :])
