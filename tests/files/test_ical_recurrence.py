"""Series in iCalendar files, in the zone of the department."""

import pytest

from calendar_files import event, read_event, read_events, times_of

NEW_YORK = "DTSTART;TZID=America/New_York:20260302T200000"  # 10:00 on the next day in Seoul
BANGKOK = "DTSTART;TZID=Asia/Bangkok:20260302T230000"  # 1:00 on the next day in Seoul
SKIPPED_RDATE = "규칙에 없는 날짜를 더한 반복(RDATE)은 가져올 수 없습니다."


def repeated(*lines):
    """Return rule and removed dates of a good entry."""
    entry = read_event(*lines)
    assert not entry.reason
    return entry.fields["rrule"], entry.fields["exdates"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("freq=weekly;byday=we,mo;", "FREQ=WEEKLY;BYDAY=MO,WE"),
        ("FREQ=DAILY;COUNT=10;INTERVAL=1", "FREQ=DAILY;COUNT=10"),
        ("FREQ=DAILY;UNTIL=20260310", "FREQ=DAILY;UNTIL=20260310"),
        ("FREQ=DAILY;UNTIL=20260310T090000", "FREQ=DAILY;UNTIL=20260310"),
        ("FREQ=DAILY;UNTIL=20260310T000000Z", "FREQ=DAILY;UNTIL=20260310"),
        ("FREQ=DAILY;UNTIL=20260309T235959Z", "FREQ=DAILY;UNTIL=20260309"),
    ],
)
def test_a_rule_is_kept_in_one_form_with_the_date_of_its_last_occurrence(rule, expected):
    assert repeated(f"RRULE:{rule}") == (expected, ())


@pytest.mark.parametrize(
    ("lines", "part"),
    [
        (["RRULE:FREQ=HOURLY"], "하루보다 짧은 간격"),
        (["RRULE:"], "반복 규칙은"),
        (["RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"], "반복 규칙(RRULE)이 둘 이상"),
        (["RRULE:FREQ=DAILY", "EXRULE:FREQ=WEEKLY"], "제외 규칙(EXRULE)"),
        (["RRULE:FREQ=DAILY", "EXDATE:20269999"], "EXDATE의 값 '20269999'"),
        (["RRULE:FREQ=DAILY", "EXDATE:" + ",".join(["20260303"] * 1_001)], "EXDATE에 날짜가 너무 많습니다."),
        (["RDATE:" + ",".join(["20260302T090000"] * 1_001)], "RDATE에 날짜가 너무 많습니다."),
    ],
)
def test_what_no_event_can_repeat_is_skipped_with_the_reason(lines, part):
    entry = read_event(*lines)
    assert part in entry.reason
    assert entry.fields["event_date"] == "2026-03-02"


def test_the_same_rule_twice_is_one():
    assert repeated("RRULE:FREQ=DAILY", "RRULE:FREQ=DAILY") == ("FREQ=DAILY", ())


@pytest.mark.parametrize(
    "lines",
    [
        ["EXDATE:20260304T090000,20260303T090000"],
        ["EXDATE:20260303T090000", "EXDATE:20260304T090000", "EXDATE:20260304T090000"],
        ["EXDATE;VALUE=DATE:20260303,20260304"],
        ["EXDATE:20260303T000000Z,20260304T000000Z"],
        ["EXDATE;TZID=America/New_York:20260302T190000,20260303T190000"],
        ["EXDATE:20260303T090000,,20260304T090000,"],
    ],
)
def test_removed_dates_are_those_of_the_department(lines):
    assert repeated("RRULE:FREQ=DAILY", *lines)[1] == ("2026-03-03", "2026-03-04")


def test_an_event_that_is_not_repeated_has_no_removed_dates():
    assert repeated("EXDATE:20260302T090000") == ("", ())


@pytest.mark.parametrize(
    "lines",
    [
        ["RDATE:20260302T090000"],
        ["RDATE:"],
        ["RRULE:FREQ=DAILY", "RDATE:20260302T000000Z,20260305T090000"],
        ["RRULE:FREQ=DAILY", "RDATE;VALUE=PERIOD:20260305T090000/PT1H"],
    ],
)
def test_added_dates_that_the_rule_gives_anyway_change_nothing(lines):
    assert not read_event(*lines).reason


@pytest.mark.parametrize(
    "lines",
    [
        ["RDATE:20260305T090000"],
        ["RRULE:FREQ=WEEKLY", "RDATE:20260305T090000"],
        ["RRULE:FREQ=DAILY", "RDATE:20260305T100000"],
        ["RRULE:FREQ=DAILY", "RDATE;VALUE=DATE:20260305"],
    ],
)
def test_other_added_dates_skip_the_series(lines):
    assert read_event(*lines).reason == SKIPPED_RDATE


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=DAILY;COUNT=3", "FREQ=DAILY;COUNT=3"),
        ("FREQ=WEEKLY", "FREQ=WEEKLY"),
        ("FREQ=WEEKLY;BYDAY=MO,SU", "FREQ=WEEKLY;BYDAY=MO,TU"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;WKST=SU", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH"),
        ("FREQ=DAILY;BYDAY=MO,FR", "FREQ=DAILY;BYDAY=TU,SA"),
        ("FREQ=DAILY;UNTIL=20260310", "FREQ=DAILY;UNTIL=20260311"),
        ("FREQ=DAILY;UNTIL=20260311T000000Z", "FREQ=DAILY;UNTIL=20260311"),
        ("FREQ=DAILY;UNTIL=20260310T235959Z", "FREQ=DAILY;UNTIL=20260310"),
        ("FREQ=DAILY;UNTIL=20260310T000000Z", "FREQ=DAILY;UNTIL=20260310"),
    ],
)
def test_a_series_of_another_zone_moves_with_its_days(rule, expected):
    entry = read_event(NEW_YORK, f"RRULE:{rule}")
    assert times_of(entry) == ("2026-03-03", "", "10:00", "")
    assert entry.fields["rrule"] == expected


def test_its_removed_and_replaced_dates_move_with_it():
    series = event(
        "UID:1", BANGKOK, "RRULE:FREQ=DAILY", "EXDATE;TZID=Asia/Bangkok:20260304T230000", "EXDATE:20260305"
    )
    replaced = event("UID:1", "RECURRENCE-ID;TZID=Asia/Bangkok:20260306T230000", "DTSTART:20260308T090000")
    first, second = read_events(series, replaced)
    assert first.fields["exdates"] == ("2026-03-05", "2026-03-06")
    assert second.original_date == "2026-03-07"


@pytest.mark.parametrize(
    "rule", ["FREQ=MONTHLY", "FREQ=MONTHLY;BYDAY=1MO", "FREQ=YEARLY", "FREQ=DAILY;BYMONTH=3"]
)
def test_a_series_whose_rule_does_not_move_is_skipped(rule):
    assert "반복 규칙과 날짜가 맞지 않습니다" in read_event(BANGKOK, f"RRULE:{rule}").reason


@pytest.mark.parametrize("rule", ["FREQ=MONTHLY;BYDAY=1MO", "FREQ=YEARLY", "FREQ=DAILY;BYMONTH=3"])
def test_a_series_of_another_zone_on_the_same_dates_keeps_its_rule(rule):
    entry = read_event("DTSTART;TZID=Asia/Bangkok:20260302T090000", f"RRULE:{rule}")
    assert entry.fields["rrule"] == rule


def test_a_series_that_is_on_other_dates_in_summer_is_skipped():
    entry = read_event("DTSTART;TZID=America/New_York:20260302T103000", "RRULE:FREQ=WEEKLY")
    assert "서머타임" in entry.reason


@pytest.mark.parametrize(
    "lines",
    [
        ["DTSTART;TZID=Asia/Bangkok:99980101T230000", "RRULE:FREQ=DAILY;UNTIL=99991231"],
        ["DTSTART;TZID=Asia/Bangkok:99980101T230000", "RRULE:FREQ=DAILY", "EXDATE:99991231"],
    ],
)
def test_a_series_beyond_the_calendar_is_skipped(lines):
    assert "달력(1년~9999년)" in read_event(*lines).reason


def test_an_event_may_replace_an_occurrence():
    for original in ["20260309T090000", "20260309T000000Z", "20260309"]:
        entry = read_event(f"RECURRENCE-ID:{original}", "DTSTART:20260310T140000")
        assert (entry.uid, entry.original_date, entry.reason) == ("1", "2026-03-09", "")
        assert times_of(entry)[0] == "2026-03-10"


@pytest.mark.parametrize(
    ("lines", "part"),
    [
        (["RECURRENCE-ID;RANGE=THISANDFUTURE:20260309T090000"], "RANGE=THISANDFUTURE"),
        (["RECURRENCE-ID:다음 주"], "RECURRENCE-ID의 값 '다음 주'"),
        (["RECURRENCE-ID:20260309T090000", "RRULE:FREQ=DAILY"], "한 회차만 바꾸는 일정에 반복 규칙"),
    ],
)
def test_a_replacement_that_nobody_can_place_is_skipped(lines, part):
    assert part in read_event(*lines).reason


def test_a_cancelled_occurrence_says_so_even_without_a_start():
    (entry,) = read_events(event("UID:1", "RECURRENCE-ID:20260309T090000", "STATUS:CANCELLED"))
    assert (entry.original_date, entry.cancelled, entry.reason) == ("2026-03-09", True, "")
