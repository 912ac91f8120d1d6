"""The names of time zones in calendar files."""

from datetime import datetime, timedelta

import pytest

from calendar_files import read_event, read_events, times_of
from files.zones_in_files import find_zone

KOREA = timedelta(hours=9)
START = "20260302T090000"


def vtimezone(name, *offsets, location=()):
    parts = [
        line
        for number, offset in enumerate(offsets)
        for line in (
            f"BEGIN:{'DAYLIGHT' if number else 'STANDARD'}",
            "DTSTART:19700101T000000",
            "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU",
            f"TZOFFSETTO:{offset}",
            f"END:{'DAYLIGHT' if number else 'STANDARD'}",
        )
    ]
    return ["BEGIN:VTIMEZONE", f"TZID:{name}", *location, *parts, "END:VTIMEZONE"]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Asia/Seoul", "Asia/Seoul"),
        ("asia/seoul", "Asia/Seoul"),
        ("Korea Standard Time", "Asia/Seoul"),
        ("Eastern Standard Time", "America/New_York"),
        ("대한민국 표준시", "Asia/Seoul"),
        ("KST", "Asia/Seoul"),
        ("(UTC+09:00) Seoul", "Asia/Seoul"),
        ("(GMT+09:00) 서울", "Asia/Seoul"),
        ("(UTC+09:00) Osaka, Sapporo, Tokyo", "Asia/Tokyo"),
        ("(UTC-05:00) Eastern Time (US & Canada)", "America/New_York"),
        ("(UTC-06:00) Guadalajara, Mexico City, Monterrey", "America/Mexico_City"),
        ("(UTC) Coordinated Universal Time", "UTC"),
        ("/mozilla.org/20050126_1/Asia/Seoul", "Asia/Seoul"),
        ("/freeassociation.sourceforge.net/America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
    ],
)
def test_a_zone_is_known_by_the_names_that_programs_give_it(name, key):
    assert find_zone(name).key == key


@pytest.mark.parametrize(
    ("name", "hours"), [("UTC+9", 9), ("GMT+09:00", 9), ("UTC-0330", -3.5), ("Etc/GMT-9", 9), ("GMT+0", 0)]
)
def test_an_offset_is_a_zone(name, hours):
    assert find_zone(name).utcoffset(datetime(2026, 3, 2)) == timedelta(hours=hours)  # noqa: DTZ001 - of a zone


@pytest.mark.parametrize(
    "name",
    ["", "Nowhere", "localtime", "../a", "UTC+99", "(UTC+09:00)", "(UTC+09:00) 섬", "/" * 199, "a" * 999],
)  # fmt: skip
def test_other_names_are_no_zone(name):
    assert find_zone(name) is None


@pytest.mark.parametrize(
    "parameter",
    ['TZID="(UTC+09:00) Seoul"', "TZID=(UTC+09:00) Seoul", "TZID=(UTC+09:00) Seoul;VALUE=DATE-TIME"],
)
def test_the_name_of_a_zone_may_hold_a_colon_with_and_without_quotes(parameter):
    assert times_of(read_event(f"DTSTART;{parameter}:{START}"))[2] == "09:00"


def own_zone(*block, name="우리 시간"):
    return read_events(block, ["BEGIN:VEVENT", "UID:1", f"DTSTART;TZID={name}:{START}", "END:VEVENT"])[0]


def test_a_zone_of_the_file_with_one_offset_is_known():
    assert times_of(own_zone(*vtimezone("우리 시간", "+0700")))[2] == "11:00"
    assert times_of(own_zone(*vtimezone("우리 시간", "+0700", "+0700")))[2] == "11:00"


def test_a_zone_of_the_file_may_stand_behind_its_events():
    entries = read_events(["BEGIN:VEVENT", f"DTSTART;TZID=x:{START}", "END:VEVENT"], vtimezone("x", "+0700"))
    assert times_of(entries[0])[2] == "11:00"


def test_a_zone_of_the_file_may_name_its_location():
    block = vtimezone("우리 시간", "-0500", "-0400", location=["X-LIC-LOCATION:America/New_York"])
    assert times_of(own_zone(*block))[2] == "23:00"


def test_a_zone_of_the_file_whose_clocks_are_set_is_not_guessed():
    entry = own_zone(*vtimezone("우리 시간", "-0500", "-0400"))
    assert entry.reason == "시간대 '우리 시간'이(가) 어느 시간대인지 알 수 없습니다."


def test_a_known_name_counts_more_than_what_the_file_says_of_it():
    assert times_of(own_zone(*vtimezone("Asia/Seoul", "+0000"), name="Asia/Seoul"))[2] == "09:00"
