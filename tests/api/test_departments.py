"""Departments over REST, on every kind of server."""

import uuid

from api_client import TIMESTAMP


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
