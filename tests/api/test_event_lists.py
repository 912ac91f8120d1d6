"""Lists of events and departments over REST: ranges, pages, searches, deltas, conditional requests."""

from running import wait_for


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


def test_a_token_of_another_department_has_expired(api):
    one, two = api.department()["id"], api.department()["id"]
    refusal = api("GET", f"/api/events/{one}/changes", params={"since": api.token(two)}, status=410)
    assert refusal["error"] == "sync_token_expired"


def is_not_modified(api, path: str) -> bool:
    """Ask for a list again as a client that holds it; tell whether the answer is 304."""
    first = api.session.get(api.url + path)  # others may change the list of departments after it
    assert first.headers["Cache-Control"] == "no-cache"
    etag = first.headers["ETag"]
    again = api.session.get(api.url + path, headers={"If-None-Match": f'"other", W/{etag}'})
    assert again.status_code == (304 if again.headers["ETag"] == etag else 200)
    assert bool(again.content) == (again.status_code == 200)
    return again.status_code == 304


def test_a_list_that_the_client_holds_is_not_sent_again(api):
    assert is_not_modified(api, f"/api/events/{api.department()['id']}")
    wait_for(lambda: is_not_modified(api, "/api/departments"))


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


def test_pages_of_a_list_neither_skip_nor_repeat_events_while_others_write(api):
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


def test_a_search_finds_text_in_title_and_description_whatever_its_case_and_spaces(api):
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
