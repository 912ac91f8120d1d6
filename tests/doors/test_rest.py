"""REST on every kind of server: what the contract promises of answers that succeed, or fail by rule."""

import re
import uuid

import pytest

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_a_department_has_the_fields_of_the_contract(api):
    department = api("POST", "/api/departments", {"name": f" 개발  {uuid.uuid4()} "}, status=201)[
        "department"
    ]
    assert list(department) == ["id", "name", "description", "created_at", "updated_at"]
    assert str(uuid.UUID(department["id"])) == department["id"]
    assert TIMESTAMP.fullmatch(department["created_at"])
    assert department["created_at"] == department["updated_at"]
    assert department["description"] == ""
    assert not department["name"].startswith(" ")
    assert api("GET", f"/api/departments/{department['id']}")["department"] == department
    assert department in api("GET", "/api/departments")["departments"]


def test_korean_is_sent_unescaped_in_utf8(api, server):
    name = f"개발팀 {uuid.uuid4()}"
    department = api.department(name)
    answer = api.session.get(f"{server.url}/api/departments/{department['id']}")
    assert f'"name":"{name}"'.encode() in answer.content


def test_a_taken_name_is_refused_whatever_its_case_space_and_composition(api):
    unique = uuid.uuid4()
    api.department(f"Dev 팀 {unique}")
    for name in (f"dev  팀 {unique}", f"DEV 팀 {unique}"):
        refusal = api("POST", "/api/departments", {"name": name}, status=409)
        assert refusal["error"] == "department_name_taken"


def test_a_department_changes_by_the_given_fields_alone(api):
    department = api.department()
    path = f"/api/departments/{department['id']}"
    updated = api("PUT", path, {"description": "설명"})["department"]
    assert updated == {**department, "description": "설명", "updated_at": updated["updated_at"]}
    assert updated["updated_at"] >= department["updated_at"]
    assert api("GET", path)["department"] == updated
    assert api("PUT", path, {})["department"] == updated


def test_deleting_a_department_takes_its_events_along(api):
    department = api.department()
    event = api.event(department["id"])
    path = f"/api/departments/{department['id']}"
    assert api("DELETE", path)["message"] == "부서가 삭제되었습니다."
    for method, where, code in (
        ("GET", path, "department_not_found"),
        ("DELETE", path, "department_not_found"),
        ("GET", f"/api/events/{department['id']}", "department_not_found"),
        ("GET", f"/api/events/{department['id']}/{event['id']}", "department_not_found"),
        ("DELETE", f"/api/events/{event['id']}", "event_not_found"),
    ):
        assert api(method, where, status=404)["error"] == code
    api.department(department["name"])


def test_an_event_has_the_fields_of_the_contract(api):
    department = api.department()
    event = api.event(department["id"], "회의", description="설명", time="오후 2:00", url="https://a.kr/?q=1")
    assert list(event) == [
        "id", "department_id", "event_date", "title", "description", "time", "url",
        "created_at", "last_modified", "revision",
    ]  # fmt: skip
    assert event["department_id"] == department["id"]
    assert event["revision"] == 1
    assert TIMESTAMP.fullmatch(event["last_modified"])
    assert api("GET", f"/api/events/{department['id']}/{event['id']}")["event"] == event
    assert api.events(department["id"]) == [event]


def test_optional_text_is_empty_when_absent(api):
    event = api.event(api.department()["id"])
    assert (event["description"], event["time"], event["url"]) == ("", "", "")


def test_text_is_trimmed_and_composed(api):
    event = api.event(api.department()["id"], "  팀  ")
    assert event["title"] == "팀"


def test_an_event_changes_by_the_given_fields_alone(api):
    department = api.department()["id"]
    event = api.event(department, "회의", time="오전 9:00")
    updated = api("PUT", f"/api/events/{event['id']}", {"title": "새 제목"})["event"]
    assert updated == {
        **event, "title": "새 제목", "revision": 2, "last_modified": updated["last_modified"],
    }  # fmt: skip
    cleared = api("PUT", f"/api/events/{event['id']}", {"time": ""})["event"]
    assert (cleared["time"], cleared["title"]) == ("", "새 제목")
    assert api.events(department) == [cleared]


def test_an_answer_can_be_sent_back_whole(api):
    department = api.department()
    event = api.event(department["id"])
    assert api("PUT", f"/api/events/{event['id']}", {**event, "title": "새"})["event"]["title"] == "새"
    assert api("PUT", f"/api/departments/{department['id']}", department)["department"]["name"]
    elsewhere = api("PUT", f"/api/events/{event['id']}", {"department_id": str(uuid.uuid4()), "id": "x"})
    assert elsewhere["event"]["department_id"] == department["id"]


def test_a_deleted_event_is_gone(api):
    department = api.department()["id"]
    event = api.event(department)
    assert api("DELETE", f"/api/events/{event['id']}")["message"] == "이벤트가 삭제되었습니다."
    assert api.events(department) == []
    for method, path in (
        ("GET", f"/api/events/{department}/{event['id']}"),
        ("PUT", f"/api/events/{event['id']}"),
        ("DELETE", f"/api/events/{event['id']}"),
    ):
        body = {"title": "x"} if method == "PUT" else None
        assert api(method, path, body, status=404)["error"] == "event_not_found"


def test_ids_are_found_in_any_case(api):
    department = api.department()["id"]
    event = api.event(department)
    assert api("GET", f"/api/events/{department.upper()}/{event['id'].upper()}")["event"] == event


def test_a_list_is_narrowed_by_inclusive_dates(api):
    department = api.department()["id"]
    for day in ("2024-01-19", "2024-01-20", "2024-01-21", "2024-02-01"):
        api.event(department, day, event_date=day)

    def days(query: str) -> list[str]:
        return [event["event_date"] for event in api.events(department, query)]

    assert days("?from=2024-01-20&to=2024-01-21") == ["2024-01-20", "2024-01-21"]
    assert days("?from=2024-01-21") == ["2024-01-21", "2024-02-01"]
    assert days("?to=2024-01-19") == ["2024-01-19"]
    assert days("?from=2024-03-01") == []


def test_deltas_follow_from_the_token_of_a_list(api):
    department = api.department()["id"]
    token = api.token(department)
    event = api.event(department)
    api("PUT", f"/api/events/{event['id']}", {"title": "새"})
    api("DELETE", f"/api/events/{event['id']}")
    delta = api("GET", f"/api/events/{department}/changes", params={"since": token})
    assert [(c["revision"], c["type"]) for c in delta["changes"]] == [
        (1, "event_created"), (2, "event_updated"), (3, "event_deleted"),
    ]  # fmt: skip
    assert delta["changes"][0]["event"] == event
    assert delta["changes"][2]["event"] == {"id": event["id"], "department_id": department, "revision": 3}
    assert delta["has_more"] is False
    assert delta["sync_token"] == api.token(department)


def test_a_long_delta_comes_in_parts(api):
    department = api.department()["id"]
    token, revisions, more = api.token(department), [], True
    for n in range(5):
        api.event(department, f"{n}")
    while more:
        query = {"since": token, "limit": 2}
        delta = api("GET", f"/api/events/{department}/changes", params=query)
        token, more = delta["sync_token"], delta["has_more"]
        revisions += [change["revision"] for change in delta["changes"]]
    assert revisions == [1, 2, 3, 4, 5]


def test_a_foreign_token_is_gone(api):
    one, two = api.department()["id"], api.department()["id"]
    refusal = api("GET", f"/api/events/{one}/changes", params={"since": api.token(two)}, status=410)
    assert refusal["error"] == "sync_token_expired"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_told(api, path):
    assert api("GET", path)["status"] in ("alive", "ready")


def test_answers_are_not_kept_by_caches_or_read_as_pages(api, server):
    headers = api.session.get(f"{server.url}/api/departments").headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
