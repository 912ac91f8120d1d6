"""What rows mean: dates, times, ids, departments, and text that was decoded wrongly."""

import uuid
from zoneinfo import ZoneInfo

import pytest

from domain import Department, timestamp
from migration.source_dates import read_date, read_timestamp
from migration.source_files import Row
from migration.source_rows import KnownDepartments, Remarks, RowReader, RowRefused, stable_id
from migration.text_repair import repair_text
from text_times import time_order

SEOUL = ZoneInfo("Asia/Seoul")
DEV = Department(id="3d6f1c52-8a0b-4e1d-9c37-52b1f0a64e18", name="개발팀")


def known() -> KnownDepartments:
    departments = KnownDepartments()
    departments.add(DEV, ("7",))
    return departments


def event_row(**fields: object) -> Row:
    content = {"id": 1, "department_id": 7, "event_date": "2024-01-20", "title": "회의"} | fields
    return Row("[0]", (), {name: value for name, value in content.items() if value is not ...})


@pytest.mark.parametrize(
    ("value", "date", "time"),
    [
        # A day, however it is written.
        *(
            (text, "2024-01-20", "")
            for text in (
                *("2024-01-20", "2024/01/20", "2024.1.20", "2024. 1. 20.", "2024년 1월 20일", "20240120"),
                *(" 2024-1-20 ", 20240120, 20240120.0),
            )
        ),
        # Programs write a day as its first moment.
        ("2024-01-20T00:00:00", "2024-01-20", ""),
        ("2024-01-20 00:00", "2024-01-20", ""),
        ("2024-01-20T00:00:00.0000000+09:00", "2024-01-20", ""),
        ("2024-01-20 오전 12:00:00", "2024-01-20", ""),
        ("2024-01-19T15:00:00.000Z", "2024-01-20", ""),
        ("/Date(1705676400000)/", "2024-01-20", ""),
        ("/Date(1705676400000+0900)/", "2024-01-20", ""),
        # Without a zone: the calendar's own clock.
        ("2024-01-20T14:30:00", "2024-01-20", "오후 2:30"),
        ("2024-01-20 09:00", "2024-01-20", "오전 9:00"),
        ("2024. 1. 20. 오후 2:30:00", "2024-01-20", "오후 2:30"),
        ("2024-01-20 2:30 PM", "2024-01-20", "오후 2:30"),
        ("2024-01-20 0:05", "2024-01-20", "오전 12:05"),
        ("2024-01-20T12:00", "2024-01-20", "오후 12:00"),
        ("2024-01-20T12:30:00", "2024-01-20", "오후 12:30"),
        ("2024-01-20T14:30:15,5", "2024-01-20", "오후 2:30:15"),
        ("2024-01-20T24:00:00", "2024-01-20", "24:00"),
        ("9999-12-31T23:59:59.9999999", "9999-12-31", "오후 11:59:59"),
        # Moments.
        ("2024-01-20T15:30:00.000Z", "2024-01-21", "오전 12:30"),
        ("2024-01-20T00:00:00Z", "2024-01-20", "오전 9:00"),
        ("2024-01-20T24:00:00Z", "2024-01-21", "오전 9:00"),
        ("2024-01-20T09:00:00+09:00", "2024-01-20", "오전 9:00"),
        ("2024-01-20 09:00:00+09", "2024-01-20", "오전 9:00"),
        ("2024-01-20T20:00:00-0500", "2024-01-21", "오전 10:00"),
        ("2024-01-20 05:30 UTC", "2024-01-20", "오후 2:30"),
        (1705314600, "2024-01-15", "오후 7:30"),
        (1705314600000, "2024-01-15", "오후 7:30"),
        (1705314600123.0, "2024-01-15", "오후 7:30"),
        ("1705314600000", "2024-01-15", "오후 7:30"),
        # Seoul had summer time in 1988.
        ("1988-07-01T00:00:00Z", "1988-07-01", "오전 10:00"),
    ],
)
def test_a_date_field_gives_a_day_and_a_time(value: str | float, date: str, time: str) -> None:
    event = RowReader(Remarks(), SEOUL).event(event_row(event_date=value), known()).entity
    assert (event.event_date, event.time) == (date, time)


@pytest.mark.parametrize(
    ("value", "zone", "date", "time"),
    [
        ("2024-01-20T00:00:00Z", "UTC", "2024-01-20", ""),
        ("2024-01-20T00:00:00Z", "America/New_York", "2024-01-19", "오후 7:00"),
        # The hour that comes twice, and the one that never comes but somebody wrote down.
        ("2024-11-03T05:30:00Z", "America/New_York", "2024-11-03", "오전 1:30"),
        ("2024-11-03T06:30:00Z", "America/New_York", "2024-11-03", "오전 1:30"),
        ("2024-03-10T02:30:00", "America/New_York", "2024-03-10", "오전 2:30"),
        ("2024-03-10T07:30:00Z", "America/New_York", "2024-03-10", "오전 3:30"),
        # Where summer time began at midnight, the day began at 1:00.
        ("2018-11-04T03:00:00Z", "America/Sao_Paulo", "2018-11-04", ""),
        ("2018-11-04T04:00:00Z", "America/Sao_Paulo", "2018-11-04", "오전 2:00"),
        # Where it ended then, midnight came twice, and once it was no beginning.
        ("2024-11-03T04:00:00Z", "America/Havana", "2024-11-03", ""),
        ("2024-11-03T05:00:00Z", "America/Havana", "2024-11-03", "오전 12:00"),
    ],
)
def test_a_moment_is_read_as_the_clocks_of_the_calendars_zone_show_it(
    value: str, zone: str, date: str, time: str
) -> None:
    reading = read_date(value, ZoneInfo(zone))
    assert reading is not None
    assert (reading.date, reading.clock) == (date, time)


def test_the_clocks_that_a_migration_writes_sort_by_the_time_of_day() -> None:
    clocks = ["00:05", "09:00", "11:59", "12:00", "12:30", "14:30", "23:59", "24:00"]
    readings = [read_date(f"2024-01-20T{clock}", SEOUL) for clock in clocks]
    times = [reading.clock for reading in readings if reading]
    assert [time_order(time)[0] for time in times] == [5, 540, 719, 720, 750, 870, 1439, 1440]


@pytest.mark.parametrize(
    "value",
    [
        *("2024-02-30", "20-1-2024", "내일", "", "2024-01", "2024-01-201", "2024-01-20x", "2024-01-20T25:00"),
        *("2024-01-20T24:01", "2024-01-20T14:60", "2024-01-20 오후 14:30", "2024-01-20T14:00+24:00"),
        *("0001-01-01T00:00:00Z", "9999-12-31T23:00:00Z", "17053146", "20241320", "/Date(1e3)/"),
        *(0, -1, 45311, 10**15, 10**30, 1e300, float("inf"), float("nan")),
    ],
)
def test_what_is_no_day_is_no_date(value: str | float) -> None:
    assert read_date(value, SEOUL) is None


def test_a_text_that_is_in_time_stays_and_a_clock_that_it_does_not_say_is_counted() -> None:
    remarks = Remarks()
    reader = RowReader(remarks, SEOUL)
    at_two = {"event_date": "2024-01-20T14:30:00"}
    for text in ("14:30~15:30", "오후 2시 반", "10시", "3층 회의실"):
        assert reader.event(event_row(**at_two, time=text), known()).entity.time == text
    assert remarks.clocks == 0
    assert remarks.clashing_clocks == 2
    for text in (None, "", "  "):
        assert reader.event(event_row(**at_two, time=text), known()).entity.time == "오후 2:30"
    assert (remarks.clocks, remarks.moved_days) == (3, 0)
    reader.event(event_row(event_date="2024-01-19T15:00:00Z"), known())
    reader.event(event_row(event_date="2024-01-19T16:00:00Z"), known())
    assert (remarks.clocks, remarks.moved_days) == (4, 2)


def test_a_day_or_a_moment_may_be_the_key_around_a_row() -> None:
    row = Row("2024-01-19T15:00:00Z[0]", ("2024-01-19T15:00:00Z",), {"department_id": 7, "title": "회의"})
    assert RowReader(Remarks(), SEOUL).event(row, known()).entity.event_date == "2024-01-20"


@pytest.mark.parametrize(
    "value",
    [
        *("2024-01-15T10:30:00Z", "2024-01-15T19:30:00+09:00", "2024-01-15 10:30:00", "2024/01/15 10:30"),
        *("2024-01-15T10:30:00.0000000", "/Date(1705314600000)/", 1705314600, 1705314600000),
    ],
)
def test_a_timestamp_is_read_in_every_form(value: str | int) -> None:
    moment = read_timestamp(value)
    assert moment is not None
    assert timestamp(moment) == "2024-01-15T10:30:00.000Z"


@pytest.mark.parametrize("value", ["어제", "", "2024-13-01", 10**30, float("inf"), float("nan")])
def test_what_is_no_time_is_no_timestamp(value: str | float) -> None:
    assert read_timestamp(value) is None


def misread(text: str, times: int) -> str:
    for _ in range(times):
        text = text.encode().decode("latin-1")
    return text


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("text", ["캘린더", "팀 회의", "2024년 워크숍 (1박 2일)", "의"])
def test_utf8_that_was_misread_once_or_twice_is_repaired(text: str, times: int) -> None:
    assert repair_text(misread(text, times)) == text


def as_windows(text: str, times: int) -> str:
    for _ in range(times):
        text = text.encode().decode("sloppy-windows-1252")
    return text


def test_every_hangul_syllable_is_repaired_whichever_code_page_it_was_taken_for() -> None:
    syllables = [chr(code) for code in range(0xAC00, 0xD7A4)]
    for garble in (misread, as_windows):
        for times in (1, 2):
            assert [s for s in syllables if repair_text(garble(s, times)) != s] == []


def test_the_windows_form_of_misread_text_is_repaired() -> None:
    assert repair_text("ìº˜ë¦°ë\x8d”") == "캘린더"


@pytest.mark.parametrize("text", ["개발팀", "개발 회의 2차", "회의"])
def test_cp949_that_was_misread_is_repaired(text: str) -> None:
    assert repair_text(text.encode("cp949").decode("latin-1")) == text


@pytest.mark.parametrize(
    "text", ["점심 · 회의 – “x”", "café déjà vu", "Ærøskøbing", "25°C ± 3", "Ö-Team 회의", "★ 중요 ★", "①②③"]
)
def test_text_that_is_fine_stays_as_it_is(text: str) -> None:
    assert repair_text(text) == text


def test_a_repair_that_would_lose_characters_is_left_undone() -> None:
    lost = "ìº˜ë¦°ë\N{REPLACEMENT CHARACTER}”x"
    assert repair_text(lost).count("\N{REPLACEMENT CHARACTER}") <= 1


def test_uuids_are_kept_in_canonical_form() -> None:
    text = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
    for written in (
        text,
        text.upper(),
        "{" + text + "}",
        "(" + text + ")",
        text.replace("-", ""),
        f"urn:uuid:{text}",
    ):
        assert stable_id("event", written) == text


def test_other_ids_become_the_same_uuid_every_time() -> None:
    assert stable_id("department", "1") == "5d96e800-e7dc-54fa-aed3-241095c1ae5f"
    assert stable_id("department", "1") != stable_id("event", "1")


@pytest.mark.parametrize("reference", [7, "7", 7.0, DEV.id, DEV.id.upper(), "개발팀", " 개발팀 "])
def test_a_department_is_found_by_id_old_id_and_name(reference: object) -> None:
    reader = RowReader(Remarks(), SEOUL)
    assert reader.event(event_row(department_id=reference), known()).entity.department_id == DEV.id


def test_an_event_keeps_its_id_however_its_department_is_named() -> None:
    reader = RowReader(Remarks(), SEOUL)
    found = {reader.event(event_row(department_id=name), known()).entity.id for name in (7, DEV.id, "개발팀")}
    assert len(found) == 1


def test_ids_that_count_within_each_department_do_not_collide() -> None:
    departments = known()
    departments.add(Department(id=str(uuid.uuid4()), name="인사팀"), ("8",))
    reader = RowReader(Remarks(), SEOUL)
    ids = [reader.event(event_row(department_id=i), departments).entity.id for i in (7, 8)]
    assert ids[0] != ids[1]


def test_the_row_itself_wins_over_the_keys_around_it_and_near_keys_over_far_ones() -> None:
    reader = RowReader(Remarks(), SEOUL)
    content = {"id": 1, "title": "회의"}
    event = reader.event(Row("", ("2020-01-01", "개발팀", "2024-01-20"), content), known()).entity
    assert (event.event_date, event.department_id) == ("2024-01-20", DEV.id)
    event = reader.event(Row("", ("개발팀", "2020-01-01"), content | {"date": "2024-01-20"}), known()).entity
    assert event.event_date == "2024-01-20"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"title": ...}, "title: 필수"),
        ({"title": "  "}, "title: 비워"),
        ({"title": "가" * 201}, "200자"),
        ({"title": ["회의"]}, "title: 문자열"),
        ({"title": True}, "title: 문자열"),
        ({"event_date": "2024-02-30"}, "2024-02-30"),
        ({"event_date": ...}, "event_date: 필수"),
        ({"event_date": 20240120.5}, "날짜 '20240120.5'"),
        ({"event_date": ["2024-01-20"]}, "event_date: 문자열"),
        ({"event_date": True}, "event_date: 문자열"),
        ({"event_date": " "}, "event_date: 필수"),
        ({"department_id": 99}, "부서 '99'"),
        ({"department_id": ...}, "부서가 적혀 있지 않습니다"),
        ({"department_id": [7]}, "department_id"),
        ({"id": True}, "id:"),
        ({"url": "javascript:alert(1)"}, "url:"),
        ({"time": "가" * 51}, "time:"),
    ],
)
def test_a_row_that_breaks_a_rule_is_refused_with_the_reason(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(RowRefused, match=reason):
        RowReader(Remarks(), SEOUL).event(event_row(**fields), known())


def test_fields_that_are_left_behind_are_counted() -> None:
    remarks = Remarks()
    reader = RowReader(remarks, SEOUL)
    reader.event(event_row(color="red", name="다른 제목", created_at="어제"), known())
    reader.event(event_row(color="blue"), known())
    assert remarks.left_behind == {
        "이벤트 'color'": 2,
        "이벤트 'name'": 1,
        "이벤트 'created_at: 읽을 수 없는 시각'": 1,
    }


def test_later_fields_that_break_a_rule_or_do_not_fit_are_left_behind_and_the_row_is_not() -> None:
    remarks = Remarks()
    reader = RowReader(remarks, SEOUL)
    fields = {"location": "3층", "category": {"id": 1}, "rrule": "weekly", "exdates": ["2024-01-27"]}
    event = reader.event(event_row(**fields, end_date="2024-01-19", end_time="15:00"), known()).entity
    assert (event.location, event.category, event.rrule, event.exdates) == ("3층", "", "", ())
    assert (event.end_date, event.end_time) == ("", "")
    left = ("category", "rrule", "exdates", "end_date", "end_time")
    assert remarks.left_behind == {f"이벤트 '{name}'": 1 for name in left}
    department = reader.department(Row("[0]", (), {"name": "개발팀", "color": "red"}), known())
    assert (department.entity.color, department.entity.timezone) == ("", "Asia/Seoul")


def test_the_times_of_an_event_are_read_from_its_text() -> None:
    event = RowReader(Remarks(), SEOUL).event(event_row(time="14:00~15:30"), known()).entity
    assert (event.start_time, event.end_time) == ("14:00", "15:30")


def test_a_title_that_is_a_number_becomes_text() -> None:
    assert RowReader(Remarks(), SEOUL).event(event_row(title=119), known()).entity.title == "119"


def test_a_row_without_an_id_has_the_id_of_its_content() -> None:
    reader = RowReader(Remarks(), SEOUL)
    first, same, other = (
        reader.event(event_row(id=..., title=title), known()).entity.id for title in ("a", "a", "b")
    )
    assert first == same != other


def content_id(value: object, zone: str = "Asia/Seoul", **fields: object) -> str:
    reader = RowReader(Remarks(), ZoneInfo(zone))
    return reader.event(event_row(id=..., event_date=value, **fields), known()).entity.id


@pytest.mark.parametrize("value", ["2024-01-20", "2024.1.20", "2024-01-20T00:00:00"])
def test_a_mere_day_keeps_the_content_id_that_it_always_had(value: str) -> None:
    assert content_id(value) == "ffe4f9f8-29ac-587b-b8ff-573b4024ded1"


def test_different_clocks_are_different_content_and_other_forms_of_one_are_not() -> None:
    clocks = ["2024-01-20", "2024-01-20T10:00", "2024-01-20T14:00", "2024-01-20T24:00"]
    assert len({content_id(clock) for clock in clocks}) == 4
    assert content_id("2024-01-20 오후 2:00:00") == content_id("2024-01-20T14:00")
    moments = ("2024-01-20T14:00+09:00", "2024-01-20T05:00:00.000Z", "/Date(1705726800000)/")
    assert len({content_id(moment) for moment in moments}) == 1


@pytest.mark.parametrize(
    "value", ["2024-01-20T00:00:00Z", "2024-01-19T15:00:00Z", "2024-01-20T14:00", 1705314600]
)
def test_the_content_id_is_the_same_whatever_zone_the_calendar_is_read_in(value: str | int) -> None:
    assert len({content_id(value, zone) for zone in ("Asia/Seoul", "UTC", "America/New_York")}) == 1


def test_every_repair_is_reported_with_its_location() -> None:
    told: list[tuple[str, str, str]] = []
    remarks = Remarks(on_repair=lambda *repair: told.append(repair))
    garbled = misread("회의", 1)
    RowReader(remarks, SEOUL).event(event_row(title=garbled), known())
    assert told == [("[0].title", garbled, "회의")]
    assert (
        RowReader(remarks, SEOUL, repair=False).event(event_row(description="é"), known()).entity.description
        == "é"
    )
    assert len(told) == remarks.repairs == 1


def test_a_key_that_is_an_impossible_date_is_refused_as_such():
    row = Row("2024-02-30[0]", ("2024-02-30",), {"department_id": 7, "title": "회의"})
    with pytest.raises(RowRefused, match="날짜 '2024-02-30'"):
        RowReader(Remarks(), SEOUL).event(row, known())
