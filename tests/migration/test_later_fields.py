"""The fields of 1.5 in the old files: how they are read, what stays of stored ones, and their export."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from domain import Department, Event, new_id
from migration import later_fields
from migration.later_fields import EVENT_FIELDS, value_of
from migration.left_out import RowRefused
from migration.source_files import Row
from migration.source_rows import KnownDepartments, Remarks, RowReader, SourceEvent
from migration.stored_values import with_stored_values
from migration_workspace import Workspace
from store import items

SEOUL = ZoneInfo("Asia/Seoul")
DEV = Department(id="3d6f1c52-8a0b-4e1d-9c37-52b1f0a64e18", name="개발팀")
AT = "2024-01-15T10:30:00.000Z"
SERIES = "0f8fad5b-d9cb-469f-a165-70867728950e"


def source(**fields: object) -> SourceEvent:
    departments = KnownDepartments()
    departments.add(DEV, ("7",))
    row = {"id": 1, "department_id": 7, "event_date": "2024-01-20", "title": "회의"} | fields
    content = {name: value for name, value in row.items() if value is not ...}
    return RowReader(Remarks(), SEOUL).event(Row("[0]", (), content), departments)


def read(**fields: object) -> dict[str, Any]:
    """Return those of the later fields that are not empty, and `time`."""
    event = source(**fields).entity
    found = {name: value for name in EVENT_FIELDS if (value := value_of(event, name))}
    return found | ({"time": event.time} if event.time else {})


AFTERNOON = {"start_time": "14:00", "end_time": "15:30", "time": "오후 2:00~3:30"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"location": " 3층 ", "category": 5}, {"location": "3층", "category": "5"}),
        ({"place": "3층"}, {"location": "3층"}),
        ({"venue": "3층", "location": "4층"}, {"location": "4층"}),
        ({"endDate": "2024. 1. 22."}, {"end_date": "2024-01-22"}),
        ({"end_date": "2024-01-21T15:00:00Z"}, {"end_date": "2024-01-22"}),
        ({"start_time": "14:00", "endTime": "15:30"}, AFTERNOON),
        ({"start": "오후 2시", "end": "3:30 PM"}, AFTERNOON),
        ({"startTime": "14:00:00", "endTime": "15:30:00"}, AFTERNOON),
        ({"start_time": "9:00", "time": "아침"}, {"start_time": "09:00", "time": "아침"}),
        ({"start_time": "", "time": "오후 2:00"}, {"start_time": "14:00", "time": "오후 2:00"}),
        ({"event_date": ..., "start_date": "2024-01-20", "start": "14:00", "end": "15:30"}, AFTERNOON),
        ({"event_date": ..., "start": "2024-01-20T14:00", "end": "2024-01-20T06:30:00Z"}, AFTERNOON),
        ({"event_date": "2024-01-20T14:00", "end_date": "2024-01-20T15:30"}, AFTERNOON),
        ({"rrule": "RRULE:freq=weekly;byday=SA"}, {"rrule": "FREQ=WEEKLY;BYDAY=SA"}),
        # The last occurrence is in the zone of the department, where it is the next day.
        ({"recurrence_rule": "FREQ=DAILY;UNTIL=20240131T150000Z"}, {"rrule": "FREQ=DAILY;UNTIL=20240201"}),
        (
            {"rrule": "FREQ=DAILY", "exdates": ["2024/1/22", "20240121"]},
            {"rrule": "FREQ=DAILY", "exdates": ("2024-01-21", "2024-01-22")},
        ),
        ({"exdates": "", "rrule": "", "end_date": "", "start_time": "", "original_date": ""}, {}),
        (
            {"recurring_event_id": SERIES.upper(), "original_date": "2024.1.20"},
            {"recurring_event_id": SERIES, "original_date": "2024-01-20"},
        ),
        ({"ical_uid": "abc@example.com"}, {"ical_uid": "abc@example.com"}),
    ],
)
def test_fields_are_read_in_the_forms_of_other_programs(fields: dict[str, Any], expected: object) -> None:
    found = read(**fields)
    if fields.get("event_date") is ... or "T" in str(fields.get("event_date", "")):
        assert source(**fields).entity.event_date == "2024-01-20"
        assert found.pop("end_date", "2024-01-20") == "2024-01-20"
    assert found == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"location": "긴" * 201},
        {"category": ["회의"]},
        {"end_date": "미정"},
        {"end_date": "2024-01-19"},
        {"start_time": "2시간"},
        {"end_time": "15:30"},
        {"rrule": "매주"},
        {"exdates": ["2024-01-21"]},
        {"rrule": "FREQ=DAILY", "exdates": ["모름"]},
    ],
)
def test_what_breaks_a_rule_is_left_behind_and_stays_as_it_is_stored(fields: dict[str, Any]) -> None:
    name = list(fields)[-1]
    row, without = source(**fields), source(**{n: fields[n] for n in fields if n != name})
    assert row.entity == without.entity
    assert row.given - later_fields.CLOCKS == without.given - later_fields.CLOCKS


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"recurring_event_id": 3}, "함께 있어야"),
        ({"original_date": "2024-01-20"}, "함께 있어야"),
        ({"recurring_event_id": 3, "original_date": "모름"}, "original_date: 날짜 '모름'"),
        ({"recurring_event_id": 3, "original_date": "2024-01-20", "rrule": "FREQ=DAILY"}, "rrule: "),
        ({"ical_uid": "u" * 256}, "ical_uid: 255자"),
        ({"ical_uid": 5}, "ical_uid: 255자"),
    ],
)
def test_an_occurrence_or_a_uid_that_cannot_be_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(RowRefused, match=reason):
        source(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"location": "긴" * 201},
        {"category": ["회의"]},
        {"end_date": "미정"},
        {"end_date": "2024-01-19"},
        {"start_time": "2시간"},
        {"end_time": "15:30"},
        {"rrule": "매주"},
        {"exdates": ["2024-01-21"]},
        {"rrule": "FREQ=DAILY", "exdates": ["모름"]},
    ],
)
def test_what_is_none_of_our_values_is_left_behind_and_the_row_moved_as_before(
    fields: dict[str, Any],
) -> None:
    remarks = Remarks()
    reader = RowReader(remarks, SEOUL)
    row = Row(
        "[0]", (), {"id": 7, "department_id": DEV.id, "event_date": "2024-01-20", "title": "회의", **fields}
    )
    known = KnownDepartments()
    known.add(DEV, (DEV.id,))
    event = reader.event(row, known).entity
    name = list(fields)[-1]
    assert (event.title, getattr(event, name)) == ("회의", () if name == "exdates" else "")
    assert remarks.left_behind == {f"이벤트 '{name}'": 1}


def test_a_replacement_finds_its_series_by_the_number_in_the_file() -> None:
    series = source(id=3, rrule="FREQ=DAILY").entity
    assert read(recurring_event_id=3, original_date="2024-01-21")["recurring_event_id"] == series.id


def test_the_fields_of_1_5_enter_a_derived_id_only_when_they_say_something() -> None:
    plain = source(id=..., time="오후 2:00")
    assert plain.entity.id == "b498b6f5-1a06-5be2-ba9c-3ca4f1d6dca1"  # as 1.4 derived it
    empty = dict.fromkeys(("end_date", "location", "rrule", "exdates", "recurring_event_id", "ical_uid"), "")
    assert source(id=..., time="오후 2:00", **empty).entity.id == plain.entity.id
    for field in ({"location": "3층"}, {"start_time": "14:00"}, {"ical_uid": "abc"}):
        other = source(id=..., time="오후 2:00", **field)
        assert other.entity.id != plain.entity.id
        assert other.former_id == plain.entity.id  # as versions before derived it


def test_a_row_whose_fields_were_left_behind_before_is_updated_not_repeated(workspace: Workspace) -> None:
    event = {"department_id": 1, "event_date": "2024-01-20", "title": "회의"}
    workspace.write([{"id": 1, "name": "개발팀"}], [event])
    workspace.migrate()
    (before,) = workspace.store.events().values()
    workspace.write([{"id": 1, "name": "개발팀"}], [event | {"location": "3층"}])
    assert workspace.migrate().status == 0
    (after,) = workspace.store.events().values()
    assert (after.id, after.location) == (before.id, "3층")


STORED = Event(
    id=source().entity.id,
    department_id=DEV.id,
    event_date="2024-01-18",
    title="회의",
    time="오후 2:00~3:30",
    start_time="14:00",
    end_time="15:30",
    end_date="2024-01-19",
    location="3층",
    rrule="FREQ=DAILY",
    exdates=("2024-01-19",),
    created_at=AT,
    last_modified=AT,
    revision=4,
    _imported_uid="abc",
)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        # It is moved by two days, and what else has a date with it.
        ({"time": STORED.time}, {"end_date": "2024-01-21", "exdates": ("2024-01-21",)}),
        (
            {"event_date": "2024-01-18", "time": "9시"},
            {"time": "9시", "start_time": "09:00", "end_time": ""},
        ),
        ({"event_date": "2024-01-18", "time": STORED.time, "location": ""}, {"location": ""}),
        (
            {"event_date": "2024-01-18", "time": "점심", "start_time": "12:00"},
            {"time": "점심", "start_time": "12:00", "end_time": ""},
        ),
        ({"event_date": "2024-01-18", "time": STORED.time, "rrule": ""}, {"rrule": "", "exdates": ()}),
    ],
)
def test_what_a_file_does_not_say_stays_as_users_have_set_it(
    fields: dict[str, Any], expected: Mapping[str, Any]
) -> None:
    row = source(**fields)
    wanted = with_stored_values(row, STORED)
    assert wanted == replace(STORED, event_date=fields.get("event_date", "2024-01-20"), **expected)
    assert with_stored_values(row, wanted) == wanted


def test_stored_fields_that_do_not_fit_what_the_file_says_give_way() -> None:
    row = source(event_date="9999-12-31", time="")
    wanted = with_stored_values(row, STORED)
    assert wanted == replace(row.entity, revision=4, created_at=AT, last_modified=AT)
    assert with_stored_values(row, wanted) == wanted


def test_an_old_file_leaves_what_users_have_added_since(workspace: Workspace) -> None:
    workspace.copy("shape_list")
    workspace.migrate()
    database = workspace.store.database()
    dev = workspace.store.departments()["개발팀"]
    table, wanted = workspace.store.table, replace(dev, timezone="Europe/Berlin", color="#1a73e8")
    client = workspace.store.client
    client.put_item(TableName=table("DEPARTMENTS"), Item=items.entity_to_item(wanted))
    meeting = replace(workspace.store.by_title()["팀 회의"], location="3층", rrule="FREQ=DAILY")
    database.put_events([meeting])
    assert "(추가 0, 수정 0, 변경 없음 3)" in workspace.migrate().out
    assert workspace.store.departments()["개발팀"] == wanted
    assert workspace.store.by_title()["팀 회의"] == meeting


def test_a_department_takes_its_zone_and_colour_and_leaves_unusable_ones_behind(
    workspace: Workspace,
) -> None:
    rows = [
        {"id": 1, "name": "베를린", "timezone": "europe/berlin", "color": "#1A73E8"},
        {"id": 2, "name": "서울", "timezone": "KST+9", "color": "red"},
    ]
    workspace.write(rows, [])
    out = workspace.migrate().out
    found = workspace.store.departments()
    assert (found["베를린"].timezone, found["베를린"].color) == ("Europe/Berlin", "#1a73e8")
    assert (found["서울"].timezone, found["서울"].color) == ("Asia/Seoul", "")
    assert "옮기지 않은 항목: 부서 'color' 1개" in out
    assert "옮기지 않은 항목: 부서 'timezone' 1개" in out


def full_events(department_id: str) -> list[Event]:
    event = Event(
        id=SERIES,
        department_id=department_id,
        event_date="2024-01-20",
        title="주간",
        created_at=AT,
        last_modified=AT,
    )
    occurrence = replace(event, event_date="2024-02-04", original_date="2024-02-03", _imported_uid="abc")
    return [
        replace(
            event,
            rrule="FREQ=WEEKLY;BYDAY=SA",
            exdates=("2024-01-27",),
            end_date="2024-01-21",
            time="밤",
            start_time="23:00",
            end_time="02:00",
            location="3층",
            category="회의",
            _imported_uid="abc",
        ),
        replace(occurrence, id=new_id(), recurring_event_id=SERIES),
        replace(occurrence, id=new_id(), recurring_event_id=new_id()),  # of a series that is nowhere
        replace(event, id=new_id(), time="오후 2:00"),  # in which no clock time is read
        replace(event, id=new_id(), start_time="14:00"),
    ]


def test_an_export_carries_all_fields_and_puts_them_back(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"id": DEV.id, "name": "개발팀", "timezone": "Europe/Berlin", "color": "#1a73e8"}
    workspace.write([row], [])
    workspace.migrate()
    events = full_events(DEV.id)
    workspace.store.database().put_events(events)
    assert workspace.migrate("--export", "first").status == 0
    exported = json.loads((workspace.folder / "first/calendar_events.json").read_text())
    assert {row["ical_uid"] for row in exported} == {"", "abc"}

    monkeypatch.chdir(workspace.folder / "first")
    assert "(추가 0, 수정 0, 변경 없음 5)" in workspace.migrate().out
    workspace.store.database().put_events(
        [replace(event, title="고침", location="4층", exdates=(), time="9시") for event in events]
    )
    assert "(추가 0, 수정 5, 변경 없음 0)" in workspace.migrate().out
    found = workspace.store.events()
    assert {e.id: replace(found[e.id], revision=0) for e in events} == {
        e.id: replace(e, revision=0) for e in events
    }

    for kind in ("DEPARTMENTS", "EVENTS", "CHANGES"):
        monkeypatch.setenv(f"{kind}_TABLE", new_id())
    assert workspace.migrate().status == 0
    assert workspace.migrate("--export", "../second").status == 0
    for name in ("departments.json", "calendar_events.json"):
        first = (workspace.folder / "first" / name).read_bytes()
        assert first == (workspace.folder / "second" / name).read_bytes()


def test_rows_of_the_fixed_fields_give_items_of_the_fixed_attributes(workspace: Workspace) -> None:
    workspace.copy("shape_list")
    workspace.migrate()
    client, table = workspace.store.client, workspace.store.table
    fixed = {"id", "department_id", "event_date", "title", "description", "time", "url", "created_at"}
    for item in client.scan(TableName=table("EVENTS"))["Items"]:
        assert item.keys() == fixed | {"last_modified", "revision"}
    for item in client.scan(TableName=table("DEPARTMENTS"))["Items"]:
        assert item.keys() == {"id", "name", "description", "created_at", "updated_at", "revision"}
