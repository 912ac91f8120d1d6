"""Departments over REST, on every kind of server."""

import uuid
from typing import Any

import pytest

from api_client import TIMESTAMP
from tokens import number_token


def test_a_department_has_the_fields_of_the_contract(api):
    department = api("POST", "/api/departments", {"name": f" 개발  {uuid.uuid4()} "}, status=201)[
        "department"
    ]
    assert list(department) == ["id", "name", "description", "timezone", "color", "created_at", "updated_at"]
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


def deleted_department(api, name: str = "") -> dict[str, Any]:
    department = api.department(name)
    api("DELETE", f"/api/departments/{department['id']}")
    return department


def test_deleted_departments_are_listed_page_by_page_the_last_deleted_first(api):
    departments = [deleted_department(api) for _ in range(5)]
    first = api("GET", "/api/departments/deleted?limit=2")
    assert [entry["department"] for entry in first["deleted"]] == departments[:-3:-1]
    assert set(first["deleted"][0]) == {"department", "revision", "at", "by", "by_name"}
    assert TIMESTAMP.fullmatch(first["deleted"][0]["at"])
    found, token = list(first["deleted"]), first["next_page_token"]
    while token and len(found) < 5:
        page = api("GET", f"/api/departments/deleted?limit=2&page_token={token}")
        assert 0 < len(page["deleted"]) <= 2
        found += page["deleted"]
        token = page["next_page_token"]
    assert [entry["department"] for entry in found[:5]] == departments[::-1]
    everything = api("GET", "/api/departments/deleted?limit=200")["deleted"]
    assert [entry["department"] for entry in everything[:5]] == departments[::-1]
    revisions = [entry["revision"] for entry in everything[:5]]
    assert revisions == sorted(revisions, reverse=True)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page_token=garbage", "page_token"),
        ("page_token=MA", "page_token"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
    ],
)
def test_malformed_queries_of_deleted_departments_are_refused(api, query, field):
    refusal = api("GET", f"/api/departments/deleted?{query}", status=400)
    assert refusal["error"] == "validation_failed"
    assert [detail["field"] for detail in refusal["details"]] == [field]


def test_a_page_of_deleted_departments_of_long_ago_is_empty(api):
    deleted_department(api)
    page = api("GET", f"/api/departments/deleted?page_token={number_token(1)}")
    assert (page["deleted"], page["next_page_token"]) == ([], "")


@pytest.mark.parametrize("options", [{}, {"json": {}}], ids=["no body", "{}"])
def test_a_deleted_department_is_restored_with_its_events(api, options):
    department = api.department()
    event = api.event(department["id"])
    path = f"/api/departments/{department['id']}"
    api("DELETE", path)
    restored = api("POST", f"{path}/restore", **options)["department"]
    assert restored == {**department, "updated_at": restored["updated_at"]}
    assert restored["updated_at"] > department["updated_at"]
    assert api("GET", path)["department"] == restored
    assert restored in api("GET", "/api/departments")["departments"]
    assert api.events(department["id"]) == [event]
    assert api("PUT", f"/api/events/{event['id']}", {"title": "새"})["event"]["revision"] == 2
    deleted = api("GET", "/api/departments/deleted")["deleted"]
    assert department["id"] not in {entry["department"]["id"] for entry in deleted}
    again = api("POST", f"{path}/restore", status=409, **options)
    assert again["error"] == "department_not_deleted"


def test_a_department_whose_name_was_taken_is_restored_under_another(api):
    department = deleted_department(api)
    api.department(department["name"].upper())
    path = f"/api/departments/{department['id'].upper()}/restore"
    assert api("POST", path, status=409)["error"] == "department_name_taken"
    name = f"옛 {department['name']}"
    restored = api("POST", path, {"name": f"  {name} "})["department"]
    assert (restored["id"], restored["name"]) == (department["id"], name)


@pytest.mark.parametrize("name", ["", "가" * 101, 7, "\u0007"])
def test_a_department_is_not_restored_under_a_bad_name(api, name):
    department = deleted_department(api)
    path = f"/api/departments/{department['id']}/restore"
    refusal = api("POST", path, {"name": name}, status=400)
    assert (refusal["error"], refusal["details"][0]["field"]) == ("validation_failed", "name")
    assert api("POST", path, {"nickname": "x"}, status=400)["details"][0]["field"] == "nickname"
    assert api("POST", path)["department"]["name"] == department["name"]


def test_only_a_known_department_can_be_restored(api):
    unknown = api("POST", f"/api/departments/{uuid.uuid4()}/restore", status=404)
    assert unknown["error"] == "department_not_found"
    for wrong in ("x", "deleted"):
        assert api("POST", f"/api/departments/{wrong}/restore", status=400)["error"] == "invalid_id"
    live = api("POST", f"/api/departments/{api.department()['id']}/restore", status=409)
    assert live["error"] == "department_not_deleted"
