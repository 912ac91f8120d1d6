"""When an event of an iCalendar file takes place, in the zone of the department."""

from zoneinfo import ZoneInfo

import pytest

from calendar_files import read_event, read_events, times_of


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # dates
        (["DTSTART;VALUE=DATE:20260302"], ("2026-03-02", "", "", "")),
        (["DTSTART:20260302"], ("2026-03-02", "", "", "")),
        (["DTSTART;VALUE=DATE;TZID=Nowhere:20260302"], ("2026-03-02", "", "", "")),
        (["DTSTART;VALUE=DATE:20260302", "DTEND;VALUE=DATE:20260303"], ("2026-03-02", "", "", "")),
        (["DTSTART;VALUE=DATE:20260302", "DTEND;VALUE=DATE:20260302"], ("2026-03-02", "", "", "")),
        (["DTSTART;VALUE=DATE:20260302", "DTEND;VALUE=DATE:20260305"], ("2026-03-02", "2026-03-04", "", "")),
        (["DTSTART;VALUE=DATE:20260302", "DURATION:P1W"], ("2026-03-02", "2026-03-08", "", "")),
        # times
        (["DTSTART:20260302T090000"], ("2026-03-02", "", "09:00", "")),
        (["DTSTART:20260302T000000Z"], ("2026-03-02", "", "09:00", "")),
        (["DTSTART:20260302T150000Z"], ("2026-03-03", "", "00:00", "")),
        (["DTSTART:20260302T235960Z"], ("2026-03-03", "", "08:59", "")),
        (["DTSTART;TZID=Asia/Seoul:20260302T090000"], ("2026-03-02", "", "09:00", "")),
        (["DTSTART;TZID=America/New_York:20260302T200000"], ("2026-03-03", "", "10:00", "")),
        (["DTSTART:20260302T090000", "DTEND:20260302T103059"], ("2026-03-02", "", "09:00", "10:30")),
        (["DTSTART:20260302T090000", "DTEND:20260302T090000"], ("2026-03-02", "", "09:00", "")),
        (["DTSTART:20260302T090000", "DTEND:20260302T013000Z"], ("2026-03-02", "", "09:00", "10:30")),
        (["DTSTART:20260302T090010", "DTEND:20260302T090050"], ("2026-03-02", "", "09:00", "")),
        (["DTSTART:20260302T090000", "DURATION:PT1H30M"], ("2026-03-02", "", "09:00", "10:30")),
        (["DTSTART:20260302T090000", "DURATION:PT0S"], ("2026-03-02", "", "09:00", "")),
        # over midnight
        (["DTSTART:20260302T220000", "DTEND:20260303T013000"], ("2026-03-02", "", "22:00", "01:30")),
        (["DTSTART:20260302T220000", "DTEND:20260303T000000"], ("2026-03-02", "", "22:00", "00:00")),
        (["DTSTART:20260302T090000", "DTEND:20260303T090000"], ("2026-03-02", "", "09:00", "09:00")),
        (["DTSTART:20260302T090000", "DURATION:P1DT1H"], ("2026-03-02", "2026-03-03", "09:00", "10:00")),
        (["DTSTART:20260302T090000", "DURATION:PT47H"], ("2026-03-02", "2026-03-04", "09:00", "08:00")),
        (["DTSTART:20260302T090000", "DURATION:P2W"], ("2026-03-02", "2026-03-16", "09:00", "09:00")),
    ],
)  # fmt: skip
def test_an_event_has_its_local_times_and_last_date(lines, expected):
    assert times_of(read_event(*lines)) == expected


def test_days_of_a_duration_are_days_of_the_clock_and_hours_are_hours():
    start = "DTSTART;TZID=America/New_York:20260307T120000"  # the clocks are set in the night after
    new_york = ZoneInfo("America/New_York")
    assert times_of(read_event(start, "DURATION:P1D", zone=new_york))[3] == "12:00"
    assert times_of(read_event(start, "DURATION:PT23H", zone=new_york))[3] == "12:00"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["DTSTART:20260302T090000", "DTEND:20260302T080000"], "끝나는 때가 시작하는 때보다 빠릅니다."),
        (
            ["DTSTART;VALUE=DATE:20260302", "DTEND;VALUE=DATE:20260301"],
            "끝나는 때가 시작하는 때보다 빠릅니다.",
        ),
        (["DTSTART:20260302T090000", "DURATION:-PT1H"], "끝나는 때가 시작하는 때보다 빠릅니다."),
        (["DTSTART:20260302", "DTEND:20260302T100000"], "DTSTART와 DTEND 가운데 하나에만 시각이 있습니다."),
        (["DTSTART:20260230"], "DTSTART의 값 '20260230'을(를) 읽을 수 없습니다."),
        (["DTSTART:20260302T250000"], "DTSTART의 값 '20260302T250000'을(를) 읽을 수 없습니다."),
        (["DTSTART:2026-03-02"], "DTSTART의 값 '2026-03-02'을(를) 읽을 수 없습니다."),
        (["DTSTART:"], "DTSTART의 값 ''을(를) 읽을 수 없습니다."),
        (["DTSTART:00000101"], "DTSTART의 값 '00000101'을(를) 읽을 수 없습니다."),
        (["DTSTART:20260302T090000", "DURATION:P1Y"], "DURATION의 값 'P1Y'을(를) 읽을 수 없습니다."),
        (
            ["DTSTART:20260302T090000", f"DURATION:P{'9' * 5_000}D"],
            f"DURATION의 값 'P{'9' * 39}…'을(를) 읽을 수 없습니다.",
        ),
        (["DTSTART:20260302", "DURATION:P9999999D"], "달력(1년~9999년)을 벗어나는 날짜가 있습니다."),
        (["DTSTART:20260302T090000", "DURATION:P9999999D"], "달력(1년~9999년)을 벗어나는 날짜가 있습니다."),
        (["DTSTART:99991231T200000Z"], "시각을 부서의 시간대로 바꾸면 달력(1년~9999년)을 벗어납니다."),
        (
            ["DTSTART;TZID=Asia/Tokyo:00010101T000000"],
            "시각을 부서의 시간대로 바꾸면 달력(1년~9999년)을 벗어납니다.",
        ),
        (
            ["DTSTART;TZID=Nowhere:20260302T090000"],
            "시간대 'Nowhere'이(가) 어느 시간대인지 알 수 없습니다.",
        ),
    ],
)
def test_an_event_whose_times_make_no_sense_is_skipped_with_the_reason(lines, reason):
    assert read_event(*lines).reason == reason


def test_an_event_without_a_start_is_skipped():
    (entry,) = read_events(["BEGIN:VEVENT", "UID:1", "SUMMARY:회의", "END:VEVENT"])
    assert (entry.fields["title"], entry.reason) == ("회의", "시작하는 때(DTSTART)가 없습니다.")


@pytest.mark.parametrize("day", ["00010101", "99991231"])
def test_the_ends_of_the_calendar_are_dates_like_others(day):
    iso = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    assert times_of(read_event(f"DTSTART:{day}T090000")) == (iso, "", "09:00", "")
    assert times_of(read_event(f"DTSTART;VALUE=DATE:{day}", f"DTEND:{day}")) == (iso, "", "", "")


def test_times_without_a_zone_are_in_that_of_the_calendar():
    entry = read_event("DTSTART:20260302T090000", header=["X-WR-TIMEZONE:Asia/Bangkok"])
    assert times_of(entry) == ("2026-03-02", "", "11:00", "")


def test_times_without_a_zone_are_local_if_nobody_knows_that_of_the_calendar():
    entry = read_event("DTSTART:20260302T090000", header=["X-WR-TIMEZONE:어딘가"])
    assert times_of(entry) == ("2026-03-02", "", "09:00", "")


def test_each_calendar_of_a_file_has_its_own_zone():
    first = ["X-WR-TIMEZONE:Asia/Bangkok", "BEGIN:VEVENT", "UID:1", "DTSTART:20260302T090000", "END:VEVENT"]
    second = ["END:VCALENDAR", "BEGIN:VCALENDAR", *first[1:]]
    second[3] = "UID:2"
    entries = read_events(first, second)
    assert [times_of(entry)[2] for entry in entries] == ["11:00", "09:00"]


def test_a_time_that_the_clocks_skip_stays_as_it_is_in_the_zone_of_the_department():
    berlin = ZoneInfo("Europe/Berlin")
    entry = read_event("DTSTART;TZID=Europe/Berlin:20260329T023000", zone=berlin)
    assert times_of(entry) == ("2026-03-29", "", "02:30", "")


def test_an_event_while_the_clocks_are_set_back_is_not_a_day_long():
    new_york = ZoneInfo("America/New_York")
    lines = ["DTSTART:20261101T053000Z", "DTEND:20261101T061000Z"]  # from 1:30 to the second 1:10
    assert times_of(read_event(*lines, zone=new_york)) == ("2026-11-01", "", "01:30", "")


def test_exchange_marks_midnights_as_a_whole_day():
    mark = "X-MICROSOFT-CDO-ALLDAYEVENT:TRUE"
    start = "DTSTART;TZID=Asia/Tokyo:20260302T000000"
    two_days = read_event(mark, start, "DTEND;TZID=Asia/Tokyo:20260304T000000")
    assert times_of(two_days) == ("2026-03-02", "2026-03-03", "", "")
    at_ten = "DTSTART:20260302T100000"
    assert times_of(read_event(mark, at_ten)) == ("2026-03-02", "", "10:00", "")
    unmarked = read_event(start, "DTEND;TZID=Asia/Tokyo:20260304T000000")
    assert times_of(unmarked) == ("2026-03-02", "2026-03-04", "00:00", "00:00")


@pytest.mark.parametrize(
    ("lines", "time"),
    [
        (["DTSTART:20260302T140000", "DTEND:20260302T153000"], "오후 2:00~3:30"),
        (["DTSTART:20260302T140000", "X-TIME-TEXT:오후 2시쯤\\, 3층"], "오후 2시쯤, 3층"),
        (["DTSTART:20260302T140000", "X-TIME-TEXT:점심 뒤"], "점심 뒤"),
        (["DTSTART:20260302T140000", "X-TIME-TEXT:"], ""),
        (["DTSTART;VALUE=DATE:20260302", "X-TIME-TEXT:오전 중"], "오전 중"),
        (["DTSTART;VALUE=DATE:20260302"], ""),
    ],
)
def test_the_time_as_text_is_what_the_file_says_or_the_clock_times(lines, time):
    assert read_event(*lines).fields["time"] == time


def test_the_time_as_text_goes_when_another_program_has_moved_the_event():
    entry = read_event("DTSTART:20260302T160000", "X-TIME-TEXT:오후 2:00")
    assert entry.fields["time"] == "오후 4:00"


def test_an_event_of_several_days_without_an_end_time_comes_back():
    lines = ["DTSTART:20260302T140000", "DTEND:20260305T000000", "X-LAST-DATE;VALUE=DATE:20260304"]
    assert times_of(read_event(*lines)) == ("2026-03-02", "2026-03-04", "14:00", "")


def test_its_last_date_goes_when_another_program_has_moved_the_end():
    lines = ["DTSTART:20260302T140000", "DTEND:20260302T150000", "X-LAST-DATE;VALUE=DATE:20260304"]
    assert times_of(read_event(*lines)) == ("2026-03-02", "", "14:00", "15:00")
