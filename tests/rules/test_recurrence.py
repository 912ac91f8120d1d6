"""The dates of series, against dateutil that starts at the first date, and against RFC 5545's examples."""

from contextlib import suppress
from datetime import date, timedelta

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given
from hypothesis import strategies as st

from recurrence import count_before, is_occurrence, last_occurrence, matches_start, occurrences, rest_from
from recurrence_rules import LATE_DATES, rule_texts
from rrule_text import RuleError, parse_rule

CYCLE = date(2400, 1, 1) - date(2000, 1, 1)
TEN_YEARS = st.integers(0, 3_650).map(timedelta)


def rule_of(text):
    try:
        return parse_rule(text)
    except RuleError:
        assume(False)


def dates_by_dateutil(rule, start, last):
    """Return the dates of the rule that dateutil finds when it begins at the start."""
    found = []
    # It fails beyond the year 9999 in some rules, and ends in others.
    with suppress(ValueError, OverflowError):
        for moment in rrulestr(str(rule), dtstart=start):
            if moment.date() > last:
                break
            found.append(moment.date())
    return found


def dates(text, start, most=None, last="9999-12-31"):
    first = date.fromisoformat(start)
    found = occurrences(parse_rule(text), first, first, date.fromisoformat(last), most)
    return [day.isoformat() for day in found]


@given(rule_texts(), LATE_DATES, TEN_YEARS, TEN_YEARS)
def test_the_dates_of_ten_years_are_those_of_dateutil_from_the_start(text, start, before, length):
    rule = rule_of(text)
    first = start + before
    last = first + length
    expected = [day for day in sorted({start, *dates_by_dateutil(rule, start, last)}) if first <= day <= last]
    assert occurrences(rule, start, first, last) == expected
    assert occurrences(rule, start, first, last, 3) == expected[:3]


@pytest.mark.parametrize("week", [1, 2, 52, 53, -1, -2, -53])
@pytest.mark.parametrize("week_start", ["MO", "TH", "SU"])
def test_weeks_of_sixty_years_are_those_of_dateutil(week, week_start):
    rule = parse_rule(f"FREQ=YEARLY;BYWEEKNO={week};BYDAY=WE,SA,SU;WKST={week_start}")
    start, last = date(2000, 1, 1), date(2060, 12, 31)
    expected = dates_by_dateutil(rule, start, last)
    assert occurrences(rule, start, date(2000, 1, 2), last) == [day for day in expected if day > start]


@given(rule_texts(), LATE_DATES, TEN_YEARS)
def test_counts_and_single_dates_agree_with_the_list(text, start, length):
    rule = rule_of(text)
    day = start + length
    listed = occurrences(rule, start, start, day)
    assert count_before(rule, start, day) == len(listed) - (day in listed)
    assert is_occurrence(rule, start, day) == (day in listed)
    assert matches_start(rule, start) == (dates_by_dateutil(rule, start, start) == [start])


@given(rule_texts(), LATE_DATES)
def test_the_last_date_is_the_last_of_the_list(text, start):
    rule = rule_of(text)
    endless = rule.count is None and rule.until is None
    expected = None if endless else occurrences(rule, start, date.min, date.max)[-1]
    assert last_occurrence(rule, start) == expected


@given(rule_texts(), LATE_DATES, st.integers(1, 30))
def test_a_series_cut_in_two_has_the_same_dates(text, start, number):
    rule = rule_of(text)
    whole = occurrences(rule, start, start, start + timedelta(4_000))
    assume(len(whole) > number)
    cut = whole[number]
    past = occurrences(rule.ending_before(cut), start, start, date.max)
    rest = occurrences(rest_from(rule, start, cut), cut, start, start + timedelta(4_000))
    assert past + rest == whole


@given(rule_texts(ends=False), LATE_DATES, TEN_YEARS)
def test_dates_repeat_after_400_years(text, start, length):
    rule = rule_of(text)
    earlier = occurrences(rule, start - CYCLE, start - CYCLE, start - CYCLE + length)
    assert [day + CYCLE for day in earlier] == occurrences(rule, start, start, start + length)


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        # The examples of RFC 5545, 3.8.5.3, that are not finer than days.
        ("FREQ=DAILY;COUNT=10", "1997-09-02", [f"1997-09-{day:02}" for day in range(2, 12)]),
        ("FREQ=DAILY;UNTIL=19971224T000000Z", "1997-12-22", ["1997-12-22", "1997-12-23", "1997-12-24"]),
        ("FREQ=DAILY;INTERVAL=2", "1997-09-02", ["1997-09-02", "1997-09-04", "1997-09-06"]),
        ("FREQ=DAILY;INTERVAL=10;COUNT=5", "1997-09-02", "1997-09-02 09-12 09-22 10-02 10-12"),
        (
            "FREQ=WEEKLY;COUNT=10",
            "1997-09-02",
            "1997-09-02 09-09 09-16 09-23 09-30 10-07 10-14 10-21 10-28 11-04",
        ),
        ("FREQ=WEEKLY;INTERVAL=2;WKST=SU", "1997-09-02", "1997-09-02 09-16 09-30 10-14 10-28 11-11 11-25"),
        (
            "FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH",
            "1997-09-02",
            "1997-09-02 09-04 09-09 09-11 09-16 09-18 09-23 09-25 09-30 10-02",
        ),
        (
            "FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;BYDAY=MO,WE,FR",
            "1997-09-01",
            "1997-09-01 09-03 09-05 09-15 09-17 09-19 09-29 10-01 10-03 10-13 10-15 10-17 10-27 10-29 10-31"
            " 11-10 11-12 11-14 11-24 11-26 11-28 12-08 12-10 12-12 12-22 12-24",
        ),
        (
            "FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH",
            "1997-09-02",
            "1997-09-02 09-04 09-16 09-18 09-30 10-02 10-14 10-16",
        ),
        ("FREQ=MONTHLY;COUNT=4;BYDAY=1FR", "1997-09-05", "1997-09-05 10-03 11-07 12-05"),
        (
            "FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU",
            "1997-09-07",
            "1997-09-07 09-28 11-02 11-30 1998-01-04 01-25 03-01 03-29 05-03 05-31",
        ),
        ("FREQ=MONTHLY;COUNT=6;BYDAY=-2MO", "1997-09-22", "1997-09-22 10-20 11-17 12-22 1998-01-19 02-16"),
        ("FREQ=MONTHLY;BYMONTHDAY=-3", "1997-09-28", "1997-09-28 10-29 11-28 12-29 1998-01-29 02-26"),
        ("FREQ=MONTHLY;COUNT=6;BYMONTHDAY=2,15", "1997-09-02", "1997-09-02 09-15 10-02 10-15 11-02 11-15"),
        (
            "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1",
            "1997-09-30",
            "1997-09-30 10-01 10-31 11-01 11-30 12-01 12-31 1998-01-01 01-31 02-01",
        ),
        (
            "FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15",
            "1997-09-10",
            "1997-09-10 09-11 09-12 09-13 09-14 09-15 1999-03-10 03-11 03-12 03-13",
        ),
        ("FREQ=MONTHLY;INTERVAL=2;BYDAY=TU", "1997-09-02", "1997-09-02 09-09 09-16 09-23 09-30 11-04 11-11"),
        (
            "FREQ=YEARLY;COUNT=10;BYMONTH=6,7",
            "1997-06-10",
            "1997-06-10 07-10 1998-06-10 07-10 1999-06-10 07-10 2000-06-10 07-10 2001-06-10 07-10",
        ),
        (
            "FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3",
            "1997-03-10",
            "1997-03-10 1999-01-10 02-10 03-10 2001-01-10 02-10 03-10 2003-01-10 02-10 03-10",
        ),
        (
            "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
            "1997-01-01",
            "1997-01-01 04-10 07-19 2000-01-01 04-09 07-18 2003-01-01 04-10 07-19 2006-01-01",
        ),
        ("FREQ=YEARLY;BYDAY=20MO", "1997-05-19", "1997-05-19 1998-05-18 1999-05-17"),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "1997-05-12", "1997-05-12 1998-05-11 1999-05-17"),
        (
            "FREQ=YEARLY;BYMONTH=3;BYDAY=TH",
            "1997-03-13",
            "1997-03-13 03-20 03-27 1998-03-05 03-12 03-19 03-26",
        ),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "1998-02-13", "1998-02-13 03-13 11-13 1999-08-13 2000-10-13"),
        (
            "FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13",
            "1997-09-13",
            "1997-09-13 10-11 11-08 12-13 1998-01-10 02-07 03-07",
        ),
        (
            "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
            "1996-11-05",
            "1996-11-05 2000-11-07 2004-11-02",
        ),
        ("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "1997-09-04", "1997-09-04 10-07 11-06"),
        (
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
            "1997-09-29",
            "1997-09-29 10-30 11-27 12-30 1998-01-29 02-26 03-30",
        ),
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "1997-08-05", "1997-08-05 08-10 08-19 08-24"),
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "1997-08-05", "1997-08-05 08-17 08-19 08-31"),
        ("FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", "2007-01-15", "2007-01-15 01-30 02-15 03-15 03-30"),
        # A week in two years.
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR", "2025-12-15", "2025-12-15 12-19 12-29 2026-01-02 01-12 01-16"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR", "2025-12-22", "2025-12-22 12-26 2026-01-05 01-09 01-19 01-23"),
        # Days that not every month or year has.
        ("FREQ=MONTHLY", "2026-01-31", "2026-01-31 03-31 05-31 07-31 08-31 10-31 12-31 2027-01-31"),
        ("FREQ=MONTHLY;BYDAY=5FR", "2026-01-30", "2026-01-30 05-29 07-31 10-30 2027-01-29"),
        ("FREQ=YEARLY", "2096-02-29", "2096-02-29 2104-02-29 2108-02-29"),
        ("FREQ=YEARLY;BYYEARDAY=366", "2096-12-31", "2096-12-31 2104-12-31 2108-12-31"),
        ("FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO", "2015-12-28", "2015-12-28 2020-12-28 2026-12-28"),
    ],
)
def test_the_dates_are_those_of_the_calendar(text, start, expected):
    full = expected if isinstance(expected, list) else with_years(expected)
    assert dates(text, start, len(full)) == full


def with_years(text):
    """Read `1997-09-02 09-04`: a date without a year has that of the one before it."""
    found = []
    for day in text.split():
        found.append(day if len(day) == 10 else f"{found[-1][:4]}-{day}")
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FREQ=WEEKLY;BYDAY=TH;COUNT=2", "2026-03-03 03-05 03-12"),
        ("FREQ=MONTHLY;BYMONTHDAY=1;COUNT=2", "2026-03-03 04-01 05-01"),
        ("FREQ=DAILY;UNTIL=20260301", "2026-03-03"),
        ("FREQ=YEARLY;INTERVAL=2;BYMONTH=2;UNTIL=20270401", "2026-03-03"),
        ("FREQ=MONTHLY;INTERVAL=12;BYMONTH=2", "2026-03-03"),
        ("FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29;COUNT=3", "2026-03-03"),
    ],
)
def test_a_start_that_the_rule_does_not_match_is_the_first_date_and_not_counted(text, expected):
    assert dates(text, "2026-03-03") == with_years(expected)
    assert not matches_start(parse_rule(text), date(2026, 3, 3))


def test_a_start_that_the_rule_matches_is_counted():
    assert dates("FREQ=WEEKLY;BYDAY=TU;COUNT=2", "2026-03-03") == ["2026-03-03", "2026-03-10"]
    assert dates("FREQ=WEEKLY;COUNT=1", "2026-03-03") == ["2026-03-03"]
    assert matches_start(parse_rule("FREQ=WEEKLY"), date(2026, 3, 3))


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=DAILY",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU",
        "FREQ=MONTHLY;BYDAY=1MO,-1FR",
        "FREQ=MONTHLY;BYDAY=MO,FR;BYSETPOS=-1",
        "FREQ=YEARLY;BYWEEKNO=1,-1;BYDAY=MO,SU",
        "FREQ=YEARLY;BYYEARDAY=1,-1",
    ],
)
def test_the_first_and_the_last_year_there_are_have_the_dates_of_years_like_them(text):
    rule = parse_rule(text)
    for year in (1, 9_999):
        january_1, december_31 = date(year, 1, 1), date(year, 12, 31)
        like = date(2000 + year % 400, 1, 1)
        expected = occurrences(rule, like, like, like.replace(month=12, day=31))
        found = occurrences(rule, january_1, date.min, date.max, len(expected))
        assert [(day.month, day.day) for day in found] == [(day.month, day.day) for day in expected]
        assert occurrences(rule, january_1, january_1, december_31) == found
        assert count_before(rule, january_1, december_31) in (len(found), len(found) - 1)


def test_a_series_on_the_last_day_there_is_has_one_date():
    for text in ("FREQ=DAILY", "FREQ=WEEKLY", "FREQ=DAILY;COUNT=3", "FREQ=YEARLY;BYMONTH=5;COUNT=3"):
        assert dates(text, "9999-12-31") == ["9999-12-31"]
    assert last_occurrence(parse_rule("FREQ=DAILY;COUNT=3"), date.max) == date.max


@pytest.mark.parametrize(
    ("start", "last"), [(date(2026, 3, 3), date(2426, 3, 3)), (date(9700, 3, 3), date(9900, 3, 3))]
)
def test_a_count_that_is_not_reached_in_400_years_ends_then(start, last):
    rule = parse_rule("FREQ=YEARLY;INTERVAL=100;COUNT=9999")
    assert last_occurrence(rule, start) == last
    assert not is_occurrence(rule, start, date(2526, 3, 3))


def test_what_is_left_of_a_count_leaves_out_a_start_that_was_not_counted():
    thursdays = parse_rule("FREQ=WEEKLY;BYDAY=TH;COUNT=4")
    assert rest_from(thursdays, date(2026, 3, 3), date(2026, 3, 12)).count == 3
    assert rest_from(thursdays, date(2026, 3, 5), date(2026, 3, 12)).count == 3


def test_a_range_before_the_start_or_turned_round_has_no_dates():
    rule = parse_rule("FREQ=DAILY")
    assert occurrences(rule, date(2026, 3, 3), date(2025, 1, 1), date(2026, 3, 2)) == []
    assert occurrences(rule, date(2026, 3, 3), date(2026, 3, 9), date(2026, 3, 8)) == []
    assert occurrences(rule, date(2026, 3, 3), date.min, date.max, 0) == []
