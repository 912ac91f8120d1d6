"""Single events over REST, on every kind of server: fields, edits, deletion, history, restoration."""

import uuid

import pytest

from api_client import TIMESTAMP, by_nobody, event_of
from log_rows import LogWriter, event_item, single_row
from store.dynamo_client import DynamoClient
from tokens import number_token

UNKNOWN = {"room": {"S": "3층"}, "attendees": {"L": [{"M": {"name": {"S": "김"}}}]}}
"""Attributes that a newer server stores."""


@pytest.fixture
def writer(store) -> LogWriter:
    """What another server writes to the same tables."""
    return LogWriter(DynamoClient(store), store)


def test_an_event_has_the_fields_of_the_contract(api):
    department = api.department()
    event = api.event(department["id"], "회의", description="설명", time="오후 2:00", url="https://a.kr/?q=1")
    assert list(event) == [
        "id", "department_id", "event_date", "title", "description", "time", "url",
        "end_date", "start_time", "end_time", "location", "category", "rrule", "exdates",
        "recurring_event_id", "original_date", "created_at", "last_modified", "revision",
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


def test_the_etag_of_an_event_is_its_revision(api, server):
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
    ["1", "malformed", '"1', "", ",", '"1" "2"', 'w/"1"', '"x"1"', '"1";x', '*, "1"', '"1", *', "'1'",
     '"1\t"', '"1",' * 2_000, "," * 8_000],
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


def test_the_history_of_an_event_says_what_changed(api):
    department = api.department()["id"]
    event = api.event(department, "하나")
    api.event(department, "anderes")
    api("PUT", f"/api/events/{event['id']}", {"title": "둘", "time": "오전 9:00"})
    api("DELETE", f"/api/events/{event['id']}")
    query = {"event_id": event["id"]}
    history = api("GET", f"/api/events/{department}/history", params=query)["history"]
    assert [(entry["revision"], entry["type"]) for entry in history] == [
        (4, "event_deleted"), (3, "event_updated"), (1, "event_created"),
    ]  # fmt: skip
    assert history[1]["changed"] == {
        "title": {"from": "하나", "to": "둘"},
        "time": {"from": "", "to": "오전 9:00"},
        "start_time": {"from": "", "to": "09:00"},
    }
    assert all(TIMESTAMP.fullmatch(entry["at"]) for entry in history)
    nobody = {"event_id": str(uuid.uuid4())}
    assert api("GET", f"/api/events/{department}/history", params=nobody)["history"] == []
    assert api("GET", f"/api/events/{department}/history", params={"event_id": "x"}, status=400)


def test_the_pages_of_a_history_are_the_whole(api):
    department = api.department()["id"]
    event = api.event(department, "0")
    for n in range(1, 5):
        api("PUT", f"/api/events/{event['id']}", {"title": f"{n}"})
    path = f"/api/events/{department}/history"
    whole = api("GET", path, params={"event_id": event["id"]})
    assert whole["next_page_token"] == ""
    assert [entry["revision"] for entry in whole["history"]] == [5, 4, 3, 2, 1]
    found, token = [], ""
    while True:
        query = {"event_id": event["id"], "limit": 2, "page_token": token}
        page = api("GET", path, params=query)
        found += page["history"]
        if not (token := page["next_page_token"]):
            break
        assert len(page["history"]) == 2
    assert found == whole["history"]


def test_a_page_token_of_another_history_finds_nothing_and_a_malformed_one_is_refused(api):
    department = api.department()["id"]
    event, other = api.event(department), api.event(department)
    path = f"/api/events/{department}/history"
    for revision in (other["revision"], 999):
        query = {"event_id": event["id"], "page_token": number_token(revision)}
        page = api("GET", path, params=query)
        assert (page["history"], page["next_page_token"]) == ([], "")
    for token in ("malformed", "WzEsMl0", number_token(0), number_token(-1), number_token(10**40), "가"):
        query = {"event_id": event["id"], "page_token": token}
        refusal = api("GET", path, params=query, status=400)
        (detail,) = refusal["details"]
        assert (detail["field"], detail["rule"]) == ("page_token", "invalid_page_token")


def test_what_a_newer_server_stores_with_an_event_stays_and_is_not_sent(api, writer, connect):
    department = api.department()["id"]
    event = api.event(department)
    writer.put_event(event_item(event_of(event), **UNKNOWN))
    token, client, path = api.token(department), connect(), f"/api/events/{department}"
    client.join(department)
    updated = api("PUT", f"/api/events/{event['id']}", {"title": "새 제목"})["event"]
    assert list(updated) == list(event)
    assert client.wait("event_updated") == [by_nobody(updated)]
    assert api.events(department) == api.events(department, "?q=제목") == [updated]
    assert api("GET", f"{path}/{event['id']}")["event"] == updated
    changes = api("GET", f"{path}/changes", params={"since": token})["changes"]
    assert [change["event"] for change in changes] == [updated]
    stale = api("PUT", f"/api/events/{event['id']}", {"title": "x"}, status=412, headers={"If-Match": '"1"'})
    assert stale["details"] == {"event": updated}
    api("DELETE", f"/api/events/{event['id']}")
    assert list(api("POST", f"{path}/{event['id']}/restore")["event"]) == list(event)
    assert UNKNOWN.items() <= writer.find_event(event_of(event)).items()


def test_a_change_of_an_unknown_kind_is_left_out_and_its_revision_counts(api, writer, connect):
    department = api.department()["id"]
    event = api.event(department)
    token, client, path = api.token(department), connect(), f"/api/events/{department}"
    client.join(department, sync_token=token)
    pinned = {"type": {"S": "event_pinned"}, "entity": {"M": {"id": {"S": event["id"]}}}}
    writer.append(single_row(department, 2, pinned))
    delta = api("GET", f"{path}/changes", params={"since": token})
    assert (delta["changes"], delta["has_more"]) == ([], False)
    listed = api("GET", path)
    assert (listed["events"], listed["revision"], listed["sync_token"]) == ([event], 2, delta["sync_token"])
    assert client.ask("sync_request", {"department_id": department, "sync_token": token})["success"]
    answer = client.wait("sync_response", 2)[-1]
    assert (answer["full"], answer["changes"], answer["revision"]) == (False, [], 2)
    assert answer["sync_token"] == delta["sync_token"]
    updated = api("PUT", f"/api/events/{event['id']}", {"title": "새 제목"})["event"]
    assert updated["revision"] == 3
    assert client.wait("event_updated") == [by_nobody(updated)]
    assert [revision for revision, _ in history_of(api, event)] == [3, 1]


def history_of(api, event) -> list[tuple[int, str]]:
    path = f"/api/events/{event['department_id']}/history"
    found = api("GET", path, params={"event_id": event["id"]})["history"]
    return [(entry["revision"], entry["type"]) for entry in found]


def test_a_deleted_event_can_be_restored(api):
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
