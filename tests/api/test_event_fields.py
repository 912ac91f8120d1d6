"""The fields of events and departments beyond the fixed ones, over REST and in broadcasts."""

from typing import Any

import pytest

from api_client import by_nobody
from domain import LATER_DEFAULTS, new_id

TRIP = {
    "event_date": "2024-03-04",
    "end_date": "2024-03-06",
    "start_time": "09:00",
    "end_time": "18:00",
    "location": "제주",
    "category": "출장",
}
WEEKLY = {
    "event_date": "2024-03-04",
    "time": "오후 2:00~3:30",
    "rrule": "FREQ=WEEKLY;BYDAY=MO",
    "exdates": ["2024-03-18", "2024-03-11"],
}
LONG_RULE = f"FREQ=YEARLY;BYYEARDAY={','.join(map(str, range(100, 216)))};UNTIL=20301231"
"""Of 500 characters."""
SAME_DAY = {"end_date": "2024-01-20"}
FIXED = ("id", "department_id", "event_date", "title", "description", "time", "url", "created_at",
         "last_modified", "revision")  # fmt: skip
"""What a program of before knows of an event."""


def edit(api, event: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Change an event, and return what has changed of it besides its revision."""
    after = api("PUT", f"/api/events/{event['id']}", fields)["event"]
    assert api.events(event["department_id"]) == [after]
    changed = {name for name in after if after[name] != event[name]}
    return {name: after[name] for name in changed - {"revision", "last_modified"}}


def refusal_of(api, method: str, path: str, body: Any) -> tuple[str, str]:
    refusal = api(method, path, body, status=400)
    assert refusal["error"] == "validation_failed"
    (detail,) = refusal["details"]
    return detail["field"], detail["rule"]


def test_an_event_has_the_later_fields_empty_when_they_are_not_given(api):
    event = api.event(api.department()["id"])
    later = {name: event[name] for name in LATER_DEFAULTS if name in event}
    assert later == {
        "end_date": "", "start_time": "", "end_time": "", "location": "", "category": "", "rrule": "",
        "exdates": [],
    }  # fmt: skip
    assert (event["recurring_event_id"], event["original_date"]) == ("", "")


@pytest.mark.parametrize("fields", [TRIP, WEEKLY], ids=["trip", "weekly"])
def test_the_fields_are_the_same_wherever_an_event_is_answered(api, connect, fields):
    department = api.department()["id"]
    token, client = api.token(department), connect()
    client.join(department)
    event = api.event(department, **fields)
    sent = fields | {"exdates": sorted(fields.get("exdates", []))}
    assert sent.items() <= event.items()
    path = f"/api/events/{department}"
    assert api("GET", f"{path}/{event['id']}")["event"] == event
    assert api.events(department) == [event]
    assert [change["event"] for change in api.changes(department, token)] == [event]
    assert client.wait("event_created") == [by_nobody(event)]
    client.ask("sync_request", {"department_id": department})
    assert client.wait("sync_response")[-1]["events"] == [event]
    updated = api("PUT", f"/api/events/{event['id']}", {"location": "부산"})["event"]
    assert client.wait("event_updated") == [by_nobody(updated)]
    assert updated == event | {name: updated[name] for name in ("location", "revision", "last_modified")}
    api.delete(event)
    restored = api.restore(event)
    assert restored == updated | {name: restored[name] for name in ("revision", "last_modified")}
    assert api.events(department) == [restored]


@pytest.mark.parametrize("fields", [TRIP, WEEKLY], ids=["trip", "weekly"])
def test_a_program_that_knows_the_fixed_fields_destroys_no_others(api, fields):
    department = api.department()["id"]
    event = api.event(department, **fields)
    kept = {name: event[name] for name in FIXED}
    after = api("PUT", f"/api/events/{event['id']}", kept | {"title": "새 제목"})["event"]
    changed = {"title": "새 제목"} | {name: after[name] for name in ("revision", "last_modified")}
    assert after == event | changed
    again = api("PUT", f"/api/events/{event['id']}", event | {"title": "새 제목"})["event"]
    assert again == after | {name: again[name] for name in ("revision", "last_modified")}


def test_time_and_clock_times_are_one_thing_seen_twice(api):
    event = api.event(api.department()["id"], time="14:00~15:30")
    assert (event["start_time"], event["end_time"]) == ("14:00", "15:30")
    moved = api("PUT", f"/api/events/{event['id']}", event | {"start_time": "13:00"})["event"]
    assert (moved["time"], moved["end_time"]) == ("오후 1:00~3:30", "15:30")
    retold = api("PUT", f"/api/events/{event['id']}", moved | {"time": "오전 9시 반"})["event"]
    assert (retold["start_time"], retold["end_time"]) == ("09:30", "")
    free = api("PUT", f"/api/events/{event['id']}", {"time": "점심 먹고"})["event"]
    assert (free["time"], free["start_time"], free["end_time"]) == ("점심 먹고", "", "")


def test_events_are_listed_in_the_order_of_their_clock_times(api):
    department = api.department()["id"]
    api.event(department, "셋", time="저녁 먹고", start_time="19:00")
    api.event(department, "하나")
    api.event(department, "둘", time="오전 9:00")
    assert [event["title"] for event in api.events(department)] == ["하나", "둘", "셋"]


def test_an_event_that_is_moved_takes_its_end_and_its_holes_along(api):
    trip = api.event(api.department()["id"], **TRIP)
    assert edit(api, trip, event_date="2024-03-11") == {
        "event_date": "2024-03-11", "end_date": "2024-03-13",
    }  # fmt: skip
    series = api.event(api.department()["id"], **WEEKLY)
    known = {name: series[name] for name in FIXED}
    assert edit(api, series, **known | {"event_date": "2024-03-05"}) == {
        "event_date": "2024-03-05", "exdates": ["2024-03-12", "2024-03-19"],
    }  # fmt: skip


def test_a_rule_is_stored_in_one_form_and_ends_on_a_date_of_the_department(api):
    body = {"name": f"부서 {new_id()}", "timezone": "America/New_York"}
    department = api("POST", "/api/departments", body, status=201)["department"]["id"]
    series = api.event(department, rrule="rrule:freq=weekly;interval=1;until=20240310T020000z")
    assert series["rrule"] == "FREQ=WEEKLY;UNTIL=20240309"
    assert edit(api, series, rrule="", exdates=[]) == {"rrule": ""}


@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        ({"end_date": "2024-01-19"}, "end_date", "range_reversed"),
        (SAME_DAY | {"start_time": "10:00", "end_time": "09:00"}, "end_time", "range_reversed"),
        ({"end_time": "09:00"}, "end_time", "needs_start_time"),
        ({"exdates": ["2024-01-20"]}, "exdates", "needs_rrule"),
        ({"rrule": "FREQ=MINUTELY"}, "rrule", "invalid_rrule"),
        ({"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "rrule", "invalid_rrule"),
        ({"rrule": "FREQ=WEEKLY;" * 50}, "rrule", "string_too_long"),
        ({"end_date": "2024-02-30"}, "end_date", "invalid_date"),
        ({"start_time": "24:00"}, "start_time", "invalid_clock"),
        ({"start_time": "9:00"}, "start_time", "invalid_clock"),
        ({"end_time": "오후 2:00"}, "end_time", "invalid_clock"),
        ({"location": "가" * 201}, "location", "string_too_long"),
        ({"category": "가" * 31}, "category", "string_too_long"),
        ({"exdates": ["2024-02-30"]}, "exdates.0", "invalid_date"),
        ({"exdates": "2024-01-20"}, "exdates", "tuple_type"),
        ({"exdates": {"2024-01-20": 1}}, "exdates", "tuple_type"),
        ({"exdates": ["2024-01-20"] * 401}, "exdates", "too_long"),
        ({"rrule": None}, "rrule", "string_type"),
        ({"exdates": None}, "exdates", "tuple_type"),
        ({"start_time": 900}, "start_time", "string_type"),
    ],
)  # fmt: skip
def test_bad_fields_are_refused_by_name_and_nothing_changes(api, fields, field, rule):
    department = api.department()["id"]
    event = api.event(department)
    before = api.token(department)
    body = {"event_date": "2024-01-20", "title": "회의", **fields}
    assert refusal_of(api, "POST", f"/api/events/{department}", body) == (field, rule)
    assert refusal_of(api, "PUT", f"/api/events/{event['id']}", fields) == (field, rule)
    assert api.token(department) == before


def test_limits_of_the_fields_are_met_exactly(api):
    dates = [f"20{year:02}-{month:02}-01" for year in range(24, 58) for month in range(1, 13)][:400]
    event = api.event(
        api.department()["id"], location="가" * 200, category="가" * 30, rrule=LONG_RULE, exdates=dates
    )
    assert event["exdates"] == dates
    path, longer = f"/api/events/{event['id']}", {"rrule": LONG_RULE.replace("=100", "=-100")}
    assert refusal_of(api, "PUT", path, longer) == ("rrule", "string_too_long")


def test_echoed_fields_are_ignored(api):
    event = api.event(api.department()["id"])
    echoed = {
        "occurrence_date": "2024-01-20",
        "recurring_event_id": "x",
        "original_date": "x",
        "by": 1,
        "by_name": 1,
    }
    after = api("PUT", f"/api/events/{event['id']}", echoed)["event"]
    assert (after["recurring_event_id"], after["original_date"]) == ("", "")
    assert "occurrence_date" not in after
    assert after["revision"] == 1


def test_the_history_tells_of_the_fields(api):
    event = api.event(api.department()["id"], **WEEKLY)
    fields = TRIP | {"exdates": [], "rrule": "FREQ=DAILY"}
    after = api("PUT", f"/api/events/{event['id']}", fields)["event"]
    assert api.history(event)[0]["changed"] == {
        name: {"from": event[name], "to": after[name]} for name in (*fields, "time") if name != "event_date"
    }


def test_a_repeated_creation_is_recognised_by_what_was_sent(api):
    path, headers = f"/api/events/{api.department()['id']}", {"Idempotency-Key": new_id()}
    first = api("POST", path, {"title": "출장", **TRIP}, status=201, headers=headers)
    assert api("POST", path, {"title": "출장", **TRIP}, status=201, headers=headers) == first
    other = {"title": "출장", **TRIP, "location": "부산"}
    assert api("POST", path, other, status=422, headers=headers)["error"] == "idempotency_key_reused"


def test_a_department_has_a_time_zone_and_a_color(api, connect):
    client = connect()
    client.wait("connected")
    department = api.department()
    assert (department["timezone"], department["color"]) == ("Asia/Seoul", "")
    path = f"/api/departments/{department['id']}"
    updated = api("PUT", path, {"timezone": "europe/berlin", "color": "#1A73E8"})["department"]
    assert (updated["timezone"], updated["color"]) == ("Europe/Berlin", "#1a73e8")
    assert api("PUT", path, {"name": updated["name"], "description": "설명"})["department"] == updated | {
        "description": "설명", "updated_at": api("GET", path)["department"]["updated_at"],
    }  # fmt: skip
    assert client.wait("department_updated", 2)[0] == updated
    assert api("PUT", path, {"color": ""})["department"]["color"] == ""
    body = {"name": f"부서 {new_id()}", "timezone": "UTC", "color": "#000000"}
    created = api("POST", "/api/departments", body, status=201)["department"]
    assert body.items() <= created.items()
    assert created in api("GET", "/api/departments")["departments"]


@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        ({"timezone": "Seoul"}, "timezone", "invalid_timezone"),
        ({"timezone": ""}, "timezone", "invalid_timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone", "invalid_timezone"),
        ({"timezone": None}, "timezone", "string_type"),
        ({"color": "red"}, "color", "invalid_color"),
        ({"color": "#1a73e"}, "color", "invalid_color"),
        ({"color": 0}, "color", "string_type"),
    ],
)
def test_bad_fields_of_a_department_are_refused_by_name(api, fields, field, rule):
    body = {"name": f"부서 {new_id()}", **fields}
    assert refusal_of(api, "POST", "/api/departments", body) == (field, rule)
    department = api.department()
    path = f"/api/departments/{department['id']}"
    assert refusal_of(api, "PUT", path, fields) == (field, rule)
    assert api("GET", path)["department"] == department


def test_a_repeated_creation_of_a_department_is_recognised_by_what_was_sent(api):
    body, headers = {"name": f"부서 {new_id()}", "timezone": "UTC"}, {"Idempotency-Key": new_id()}
    first = api("POST", "/api/departments", body, status=201, headers=headers)
    assert api("POST", "/api/departments", body, status=201, headers=headers) == first
    other = body | {"timezone": "Asia/Tokyo"}
    assert api("POST", "/api/departments", other, status=422, headers=headers)
