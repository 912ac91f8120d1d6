"""Creations that are asked for again: under an idempotency key, or under an id that the client chose."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from api_client import Api
from running import wait_for


def test_the_same_key_gives_the_first_answer_again(api, server):
    department = api.department()["id"]
    path, headers = f"/api/events/{department}", {"Idempotency-Key": str(uuid.uuid4())}
    body = {"event_date": "2024-01-20", "title": "한 번만"}
    first = api("POST", path, body, status=201, headers=headers)
    api("PUT", f"/api/events/{first['event']['id']}", {"title": "고침"})
    assert api("POST", path, body, status=201, headers=headers) == first
    api("DELETE", f"/api/events/{first['event']['id']}")
    answer = api.session.post(server.url + path, json=body, headers=headers)
    assert (answer.status_code, answer.json()) == (201, first)
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert api.events(department) == []
    refusal = api("POST", path, {**body, "title": "다른 것"}, status=422, headers=headers)
    assert refusal["error"] == "idempotency_key_reused"
    elsewhere = api("POST", f"/api/events/{api.department()['id']}", body, status=201, headers=headers)
    assert elsewhere["event"]["id"] != first["event"]["id"]


def test_a_department_is_created_once_per_key(api):
    headers, body = {"Idempotency-Key": str(uuid.uuid4())}, {"name": f"부서 {uuid.uuid4()}"}
    first = api("POST", "/api/departments", body, status=201, headers=headers)
    assert api("POST", "/api/departments", body, status=201, headers=headers) == first
    other = {"name": f"부서 {uuid.uuid4()}"}
    assert api("POST", "/api/departments", other, status=422, headers=headers)
    assert api("POST", "/api/departments", body, status=409)["error"] == "department_name_taken"


def test_requests_with_one_key_at_the_same_time_create_once(server):
    department = Api(server.url).department()["id"]
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"event_date": "2024-01-20", "title": "한 번만"}

    def create(_: int):
        return Api(server.url)("POST", f"/api/events/{department}", body, status=201, headers=headers)[
            "event"
        ]

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(create, range(8)))
    assert Api(server.url).events(department) == [created[0]]
    assert all(event == created[0] for event in created)


def test_a_client_may_choose_the_id(api):
    department, chosen = api.department()["id"], str(uuid.uuid4())
    event = api.event(department, "내 것", id=chosen.upper())
    assert event["id"] == chosen
    assert api.event(department, "내 것", id=chosen) == event
    body = {"event_date": "2024-01-20", "title": "다른 것", "id": chosen}
    assert api("POST", f"/api/events/{department}", body, status=409)["error"] == "event_id_taken"
    other = api.department()["id"]
    assert api("POST", f"/api/events/{other}", body, status=409)["error"] == "event_id_taken"
    refusal = api("POST", f"/api/events/{department}", {**body, "id": "x"}, status=400)
    assert refusal["details"][0]["field"] == "id"


def test_an_id_chosen_in_two_departments_at_the_same_time_goes_to_one_event(server):
    api = Api(server.url)
    departments = [api.department()["id"] for _ in range(2)]
    body = {"event_date": "2024-01-20", "title": "하나뿐"}

    def create(department: str, chosen: str) -> int:
        url = f"{server.url}/api/events/{department}"
        return requests.post(url, json={**body, "id": chosen}, timeout=20).status_code

    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            answers = [pool.submit(create, department, str(uuid.uuid4())) for department in departments]
            assert [answer.result() for answer in answers] == [201, 201]
            chosen = str(uuid.uuid4())
            answers = [pool.submit(create, department, chosen) for department in departments]
            assert sorted(answer.result() for answer in answers) == [201, 409]


def test_a_key_gives_its_first_answer_after_another_department_has_taken_the_id(api):
    one, two = (api.department()["id"] for _ in range(2))
    body = {"event_date": "2024-01-20", "title": "한 번만", "id": str(uuid.uuid4())}
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    first = api("POST", f"/api/events/{one}", body, status=201, headers=headers)
    assert api("POST", f"/api/events/{two}", body, status=409)["error"] == "event_id_taken"
    api("DELETE", f"/api/events/{body['id']}")
    moved = api("POST", f"/api/events/{two}", body, status=201)["event"]
    assert api("POST", f"/api/events/{one}", body, status=201, headers=headers) == first
    assert (api.events(one), api.events(two)) == ([], [moved])


def test_a_chosen_id_is_free_again_when_its_event_is_gone(api):
    one, two = (api.department()["id"] for _ in range(2))
    chosen = str(uuid.uuid4())
    first = api.event(one, "처음", id=chosen)
    api("DELETE", f"/api/events/{chosen}")
    assert api.event(one, "처음", id=chosen) == first, "the same request again is a repetition"
    assert api.events(one) == []
    again = api.event(one, "다시", id=chosen)
    assert api.events(one) == [again]
    api("DELETE", f"/api/departments/{one}")
    body = {"event_date": "2024-01-20", "title": "다시", "id": chosen}
    url = f"{api.url}/api/events/{two}"
    wait_for(lambda: requests.post(url, json=body, timeout=20).status_code == 201, what="the purge")
    assert [event["id"] for event in api.events(two)] == [chosen]
    api("DELETE", f"/api/events/{chosen}")
    assert api("POST", f"/api/events/{two}/{chosen}/restore")["event"]["title"] == "다시"


def test_a_restoration_and_a_creation_of_one_id_at_the_same_time_leave_one_event(server):
    api = Api(server.url)
    one, two = (api.department()["id"] for _ in range(2))
    with ThreadPoolExecutor(2) as pool:
        for chosen_before in [False, True] * 10:
            id_ = {"id": str(uuid.uuid4())} if chosen_before else {}
            event = api.event(one, **id_)
            api("DELETE", f"/api/events/{event['id']}")
            body = {"event_date": "2024-01-20", "title": "다른 것", "id": event["id"]}
            requested = (f"{one}/{event['id']}/restore", {}), (two, body)
            answers = [
                pool.submit(requests.post, f"{server.url}/api/events/{path}", json=json, timeout=20)
                for path, json in requested
            ]
            assert sorted(answer.result().status_code for answer in answers) in ([200, 409], [201, 409])
            assert [event["id"] in str(api.events(department)) for department in (one, two)].count(True) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_a_malformed_key_is_refused(api, key):
    headers = {"Idempotency-Key": key}
    refusal = api("POST", "/api/departments", {"name": "x"}, status=400, headers=headers)
    assert refusal["details"][0]["field"] == "Idempotency-Key"
