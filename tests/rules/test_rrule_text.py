"""Recurrence rules as text: what is read, what is refused, and the one form they are written in."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given

from recurrence_rules import rule_texts
from rrule_text import COUNT_MAX, INTERVAL_MAX, RULE_MAX, RuleError, parse_rule

SEOUL = ZoneInfo("Asia/Seoul")
ISO_WEEKS = ",".join(map(str, range(1, 54)))


def parsed(text):
    try:
        return parse_rule(text)
    except RuleError:
        assume(False)


@given(rule_texts())
def test_what_is_written_is_read_as_the_same_rule(text):
    rule = parsed(text)
    assert parse_rule(str(rule)) == rule
    assert str(parse_rule(str(rule))) == str(rule)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("FREQ=DAILY", "FREQ=DAILY"),
        ("rrule:freq=weekly;byday=mo,we;", "FREQ=WEEKLY;BYDAY=MO,WE"),
        (" FREQ=WEEKLY ; BYDAY = MO, WE ", "FREQ=WEEKLY;BYDAY=MO,WE"),
        ("WKST=MO;COUNT=05;BYDAY=FR,MO;INTERVAL=1;FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=MO,FR;COUNT=5"),
        (
            "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;COUNT=4;WKST=SU",
        ),
        ("FREQ=WEEKLY;WKST=SU;BYDAY=TU", "FREQ=WEEKLY;BYDAY=TU"),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;WKST=SU", "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;WKST=SU"),
        ("FREQ=MONTHLY;BYMONTHDAY=-1,+15,1,15", "FREQ=MONTHLY;BYMONTHDAY=1,15,-1"),
        ("FREQ=MONTHLY;BYDAY=-1SU,+1SU", "FREQ=MONTHLY;BYDAY=1SU,-1SU"),
        ("FREQ=YEARLY;BYYEARDAY=200,1;BYMONTH=7,1", "FREQ=YEARLY;BYMONTH=1,7;BYYEARDAY=1,200"),
        ("FREQ=MONTHLY;BYSETPOS=-1;BYDAY=FR,MO", "FREQ=MONTHLY;BYDAY=MO,FR;BYSETPOS=-1"),
    ],
)
def test_a_rule_is_written_in_one_order_without_what_has_no_effect(text, written):
    assert str(parse_rule(text)) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=1", "FREQ=WEEKLY;BYDAY=MO"),
        ("FREQ=WEEKLY;BYDAY=MO,WE,SU;BYSETPOS=1;WKST=SU", "FREQ=WEEKLY;BYDAY=SU"),
        ("FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=-1,1,7", "FREQ=WEEKLY;BYDAY=MO,FR"),
        ("FREQ=DAILY;BYDAY=MO,WE;BYSETPOS=1", "FREQ=DAILY;BYDAY=MO,WE"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=1,6", "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=1"),
        ("FREQ=MONTHLY;BYDAY=MO,1TU", "FREQ=MONTHLY;BYDAY=1MO,1TU,2MO,3MO,4MO,5MO"),
        ("FREQ=YEARLY;BYMONTH=3;BYDAY=MO,-1TU", "FREQ=YEARLY;BYMONTH=3;BYDAY=1MO,2MO,3MO,4MO,5MO,-1TU"),
    ],
)
def test_what_programs_read_in_different_ways_is_written_so_that_all_read_the_same(text, written):
    assert str(parse_rule(text)) == written


@pytest.mark.parametrize(
    ("until", "zone", "start_time", "last"),
    [
        ("20260302", SEOUL, "09:00", date(2026, 3, 2)),
        ("20260302T235959", SEOUL, "09:00", date(2026, 3, 2)),
        ("20260302T145959Z", SEOUL, "09:00", date(2026, 3, 2)),
        ("20260302T150000Z", SEOUL, "", date(2026, 3, 3)),
        ("20260302T150000Z", SEOUL, "00:00", date(2026, 3, 3)),
        ("20260302T150000Z", SEOUL, "09:00", date(2026, 3, 2)),
        ("20260303T000000Z", SEOUL, "09:00", date(2026, 3, 3)),
        ("20260302T090000", SEOUL, "09:01", date(2026, 3, 1)),
    ],
)
def test_until_becomes_the_last_date_on_which_an_occurrence_can_begin(until, zone, start_time, last):
    assert parse_rule(f"FREQ=DAILY;UNTIL={until}", zone, start_time).until == last


def test_until_in_utc_is_a_date_in_utc_when_no_zone_is_given():
    assert str(parse_rule("FREQ=DAILY;UNTIL=20260302T150000Z")) == "FREQ=DAILY;UNTIL=20260302"


@pytest.mark.parametrize("until", ["00010101", "09990228", "99991231"])
def test_until_may_be_any_date_there_is(until):
    assert str(parse_rule(f"FREQ=DAILY;UNTIL={until}")) == f"FREQ=DAILY;UNTIL={until}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "RFC 5545의 형식"),
        ("매주 월요일", "RFC 5545의 형식"),
        ("FREQ=WEEKLY;;BYDAY=MO", "RFC 5545의 형식"),
        ("FREQ=", "RFC 5545의 형식"),
        ("BYDAY=MO", "FREQ 항목이 없습니다"),
        ("FREQ=FORTNIGHTLY", "가운데 하나여야"),
        ("FREQ=HOURLY", "하루보다 짧은"),
        ("FREQ=MINUTELY", "하루보다 짧은"),
        ("FREQ=SECONDLY;COUNT=3", "하루보다 짧은"),
        ("FREQ=DAILY;FREQ=DAILY", "두 번"),
        ("FREQ=DAILY;BYHOUR=9", "BYHOUR"),
        ("FREQ=DAILY;BYMINUTE=0", "BYMINUTE"),
        ("FREQ=DAILY;BYSECOND=0", "BYSECOND"),
        ("RSCALE=CHINESE;FREQ=YEARLY", "그레고리력"),
        ("FREQ=YEARLY;SKIP=OMIT", "그레고리력"),
        ("FREQ=YEARLY;BYEASTER=0", "알 수 없는 항목이 있습니다: BYEASTER"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20260101", "함께 쓸 수 없습니다"),
        ("FREQ=DAILY;COUNT=0", "COUNT 값은 1부터"),
        (f"FREQ=DAILY;COUNT={COUNT_MAX + 1}", "COUNT 값은 1부터 36,600"),
        ("FREQ=DAILY;COUNT=-1", "COUNT 값은"),
        ("FREQ=DAILY;COUNT=+1", "COUNT 값은"),
        ("FREQ=DAILY;COUNT=1_0", "COUNT 값은"),
        ("FREQ=DAILY;COUNT=１", "COUNT 값은"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL 값은 1부터"),
        (f"FREQ=YEARLY;INTERVAL={INTERVAL_MAX + 1}", "INTERVAL 값은 1부터 9,998"),
        ("FREQ=DAILY;UNTIL=20260230", "UNTIL은"),
        ("FREQ=DAILY;UNTIL=2026-02-03", "UNTIL은"),
        ("FREQ=DAILY;UNTIL=20260203T250000", "UNTIL은"),
        ("FREQ=DAILY;UNTIL=20260203T0900", "UNTIL은"),
        ("FREQ=DAILY;UNTIL=00000101", "UNTIL은"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY에는"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "1부터 31이나 -31부터 -1까지"),
        ("FREQ=MONTHLY;BYMONTHDAY=1,,2", "BYMONTHDAY에는"),
        ("FREQ=YEARLY;BYMONTH=13", "BYMONTH에는"),
        ("FREQ=YEARLY;BYMONTH=-1", "BYMONTH에는 1부터 12까지"),
        ("FREQ=YEARLY;BYYEARDAY=367", "BYYEARDAY에는"),
        ("FREQ=YEARLY;BYWEEKNO=54;BYDAY=MO", "BYWEEKNO에는"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=367", "BYSETPOS에는"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY에는"),
        ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY에는"),
        ("FREQ=YEARLY;BYDAY=54MO", "BYDAY에는"),
        ("FREQ=WEEKLY;WKST=1", "WKST는"),
        ("FREQ=WEEKLY;BYDAY=1MO", "FREQ=MONTHLY나 FREQ=YEARLY와만"),
        ("FREQ=DAILY;BYDAY=-1MO", "FREQ=MONTHLY나 FREQ=YEARLY와만"),
        ("FREQ=MONTHLY;BYDAY=6MO", "다섯 번까지"),
        ("FREQ=YEARLY;BYMONTH=3;BYDAY=-6MO", "다섯 번까지"),
        ("FREQ=YEARLY;BYDAY=MO,20TU", "BYMONTH도 써야"),
        ("FREQ=YEARLY;BYWEEKNO=3;BYDAY=1MO", "BYWEEKNO와 함께"),
        ("FREQ=MONTHLY;BYWEEKNO=3", "BYWEEKNO는 FREQ=YEARLY와만"),
        ("FREQ=DAILY;BYYEARDAY=3", "BYYEARDAY는 FREQ=YEARLY와만"),
        ("FREQ=WEEKLY;BYMONTHDAY=3", "FREQ=WEEKLY와 함께 쓸 수 없습니다"),
        ("FREQ=MONTHLY;BYSETPOS=1", "다른 BY 항목과 함께"),
        ("FREQ=WEEKLY;BYMONTH=3;BYDAY=MO,TU;BYSETPOS=1", "BYSETPOS와 BYMONTH를"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_a_reason(text, reason):
    with pytest.raises(RuleError) as refusal:
        parse_rule(text)
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-30",
        "FREQ=DAILY;BYMONTH=4,6;BYMONTHDAY=31",
        "FREQ=MONTHLY;INTERVAL=7;BYMONTHDAY=31;BYMONTH=11",
        "FREQ=MONTHLY;BYDAY=1MO;BYMONTHDAY=8",
        "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6;COUNT=3",
        "FREQ=YEARLY;BYMONTH=1;BYDAY=MO;BYSETPOS=6",
        "FREQ=MONTHLY;BYDAY=1MO,2MO;BYSETPOS=3",
        "FREQ=DAILY;BYDAY=MO;BYSETPOS=2",
        "FREQ=WEEKLY;BYDAY=MO,TU;BYSETPOS=3",
    ],
)
def test_a_rule_that_matches_no_date_ever_is_refused(text):
    with pytest.raises(RuleError, match=r"날짜는 없습니다|날짜가 없습니다"):
        parse_rule(text)


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=YEARLY;BYYEARDAY=366",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO",
        "FREQ=YEARLY;BYWEEKNO=53;BYDAY=SU",
        "FREQ=YEARLY;BYDAY=53TH",
        "FREQ=MONTHLY;BYDAY=5MO;BYMONTH=2",
    ],
)
def test_a_rule_that_matches_rarely_is_kept(text):
    assert str(parse_rule(text))


def test_a_rule_has_500_characters_at_most_and_room_for_an_until():
    def by_weeks(longest):
        text = f"FREQ=YEARLY;BYWEEKNO={ISO_WEEKS},{','.join(f'-{week}' for week in range(1, 54))};BYYEARDAY="
        days = [str(100 + day) for day in range((longest - len(text)) // 4)]
        return text + ",".join(days)

    kept = parse_rule(by_weeks(RULE_MAX - 20))
    assert len(str(kept.ending_before(date(2026, 3, 2)))) <= RULE_MAX
    for text in (by_weeks(RULE_MAX), "FREQ=DAILY" + ";" * RULE_MAX):
        with pytest.raises(RuleError, match="500자 이하"):
            parse_rule(text)


def test_a_rule_that_ends_before_a_day_has_the_dates_until_the_eve():
    day = date(2026, 3, 2)
    assert str(parse_rule("FREQ=DAILY;COUNT=9").ending_before(day)) == "FREQ=DAILY;UNTIL=20260301"
    assert str(parse_rule("FREQ=DAILY;UNTIL=20261231").ending_before(day)) == "FREQ=DAILY;UNTIL=20260301"
    assert str(parse_rule("FREQ=DAILY;UNTIL=20260110").ending_before(day)) == "FREQ=DAILY;UNTIL=20260110"
