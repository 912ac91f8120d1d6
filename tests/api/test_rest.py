"""REST on every kind of server: what the contract promises of answers that succeed, or fail by rule."""

import re
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from api_client import Api
from running import wait_for

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
    headers = api.session.get(f"{server.url}/readyz").headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def known_already(api, path: str) -> bool:
    """Ask for a list again as one who has it; tell whether it was not sent. Others may have changed it."""
    first = api.session.get(api.url + path)
    assert first.headers["Cache-Control"] == "no-cache"
    etag = first.headers["ETag"]
    again = api.session.get(api.url + path, headers={"If-None-Match": f'"other", W/{etag}'})
    assert again.status_code == (304 if again.headers["ETag"] == etag else 200)
    assert bool(again.content) == (again.status_code == 200)
    return again.status_code == 304


def test_a_list_that_is_known_already_is_not_sent_again(api):
    assert known_already(api, f"/api/events/{api.department()['id']}")
    wait_for(lambda: known_already(api, "/api/departments"))


def test_a_list_that_has_changed_is_sent_again(api):
    department = api.department()["id"]
    for path, change in (
        (f"/api/events/{department}", lambda: api.event(department)),
        ("/api/departments", lambda: api.department()),
    ):
        before = api.session.get(api.url + path)
        change()
        headers = {"If-None-Match": before.headers["ETag"]}
        after = api.session.get(api.url + path, headers=headers)
        assert after.status_code == 200
        assert after.headers["ETag"] != before.headers["ETag"]


def test_an_event_is_tagged_with_its_revision(api, server):
    event = api.event(api.department()["id"])
    path = f"{server.url}/api/events/{event['department_id']}/{event['id']}"
    assert api.session.get(path).headers["ETag"] == '"1"'
    assert api.session.get(path, headers={"If-None-Match": '"1"'}).status_code == 304
    answer = api.session.put(f"{server.url}/api/events/{event['id']}", json={"title": "새"})
    assert answer.headers["ETag"] == '"2"'
    assert api.session.get(path, headers={"If-None-Match": '"1"'}).status_code == 200


def test_a_stale_edit_is_refused_with_the_event_as_it_is(api):
    event = api.event(api.department()["id"])
    path = f"/api/events/{event['id']}"
    updated = api("PUT", path, {"title": "먼저"}, headers={"If-Match": '"1"'})["event"]
    for method, body in (("PUT", {"title": "늦음"}), ("DELETE", None)):
        for stale in ('"1"', '"9"', 'W/"2"', '"1", W/"2"', '"", "x", "1,2"', ',"1" ,, "\xe9",'):
            refusal = api(method, path, body, status=412, headers={"If-Match": stale})
            assert refusal["error"] == "event_changed"
            assert refusal["details"] == {"event": updated}
    assert api("PUT", path, {"title": "x"}, headers={"If-Match": "*"})["event"]["revision"] == 3
    assert api("PUT", path, {"title": "y"}, headers={"If-Match": '"1",, "3"'})["event"]["revision"] == 4
    api("DELETE", path, headers={"If-Match": '"4"'})
    api("DELETE", path, status=404, headers={"If-Match": '"3"'})


@pytest.mark.parametrize(
    "header",
    ["1", "rubbish", '"1', "", ",", '"1" "2"', 'w/"1"', '"x"1"', '"1";x', '*, "1"', '"1", *', "'1'", '"1\t"',
     '"1",' * 2_000, "," * 8_000],
)  # fmt: skip
def test_an_if_match_header_that_cannot_be_read_is_refused_with_the_reason(api, header):
    event = api.event(api.department()["id"])
    path = f"/api/events/{event['id']}"
    for method, body in (("PUT", {"title": "새"}), ("DELETE", None)):
        refusal = api(method, path, body, status=400, headers={"If-Match": header})
        assert refusal["error"] == "validation_failed"
        (detail,) = refusal["details"]
        assert (detail["field"], detail["rule"]) == ("If-Match", "invalid_etag")
        assert "따옴표" in detail["message"]
    assert api.events(event["department_id"]) == [event]


def test_a_list_comes_in_pages_that_hold_while_others_write(api):
    department = api.department()["id"]
    for n in range(7):
        api.event(department, f"{n}", event_date=f"2024-01-{10 + n}")
    titles, token = [], ""
    while True:
        query = {"limit": 3, "page_token": token}
        page = api("GET", f"/api/events/{department}", params=query)
        titles += [event["title"] for event in page["events"]]
        api.event(department, "앞에 끼어든 것", event_date="2024-01-01")
        if not (token := page["next_page_token"]):
            break
    assert titles == ["0", "1", "2", "3", "4", "5", "6"]


def test_a_search_finds_text_in_title_and_description_folded(api):
    department = api.department()["id"]
    api.event(department, "Weekly 회의", event_date="2024-01-10")
    api.event(department, "점심", description="팀 WEEKLY  모임", event_date="2024-01-11")
    api.event(department, "다른 것", event_date="2024-01-12")

    def found(**query) -> list[str]:
        return [e["title"] for e in api("GET", f"/api/events/{department}", params=query)["events"]]

    assert found(q="weekly") == ["Weekly 회의", "점심"]
    assert found(q="weekly 모임") == ["점심"]
    assert found(q="회의") == ["Weekly 회의"]
    assert found(q="weekly", limit=1) == ["Weekly 회의"]
    assert found(q="weekly", to="2024-01-10") == ["Weekly 회의"]
    assert found(q="없다") == []


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


def test_a_department_too_is_founded_once_per_key(api):
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


def test_an_id_chosen_in_two_departments_at_once_is_one_events(server):
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


def test_a_key_gives_the_first_answer_though_its_id_is_asked_for_elsewhere(api):
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


def test_an_event_brought_back_while_its_id_is_chosen_elsewhere_is_one_event(server):
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
def test_a_key_that_is_none_is_refused(api, key):
    headers = {"Idempotency-Key": key}
    refusal = api("POST", "/api/departments", {"name": "x"}, status=400, headers=headers)
    assert refusal["details"][0]["field"] == "Idempotency-Key"


def test_the_history_of_an_event_says_what_changed(api):
    department = api.department()["id"]
    event = api.event(department, "하나")
    api.event(department, "anderes")
    api("PUT", f"/api/events/{event['id']}", {"title": "둘", "time": "오전 9:00"})
    api("DELETE", f"/api/events/{event['id']}")
    query = {"event_id": event["id"]}
    history = api("GET", f"/api/events/{department}/history", params=query)["history"]
    assert [(entry["revision"], entry["type"]) for entry in history] == [
        (1, "event_created"), (3, "event_updated"), (4, "event_deleted"),
    ]  # fmt: skip
    assert history[1]["changed"] == {
        "title": {"from": "하나", "to": "둘"},
        "time": {"from": "", "to": "오전 9:00"},
    }
    assert all(TIMESTAMP.fullmatch(entry["at"]) for entry in history)
    nobody = {"event_id": str(uuid.uuid4())}
    assert api("GET", f"/api/events/{department}/history", params=nobody)["history"] == []
    assert api("GET", f"/api/events/{department}/history", params={"event_id": "x"}, status=400)


def test_a_deleted_event_can_be_brought_back(api):
    department = api.department()["id"]
    event = api.event(department, "하나", description="설명")
    path = f"/api/events/{department}/{event['id']}/restore"
    assert api("POST", path, status=409)["error"] == "event_id_taken"
    api("DELETE", f"/api/events/{event['id']}")
    restored = api("POST", path)["event"]
    assert restored == {**event, "revision": 3, "last_modified": restored["last_modified"]}
    assert api.events(department) == [restored]
    nobody = f"/api/events/{department}/{uuid.uuid4()}/restore"
    assert api("POST", nobody, status=404)["error"] == "event_not_found"
    assert api("POST", f"/api/events/{uuid.uuid4()}/{event['id']}/restore", status=404)
