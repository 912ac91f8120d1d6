"""Series over REST: single occurrences, those from a date on, and what becomes of replacements."""

import re
import uuid
from typing import Any

import pytest

from domain import new_id

FIRST = "2026-01-05"
"""A Monday, with which the series of most tests begin."""


def new_series(api, department: str = "", **fields: Any) -> dict[str, Any]:
    fields = {"event_date": FIRST, "time": "오후 2:00", "rrule": "FREQ=WEEKLY"} | fields
    return api.event(department or api.department()["id"], "주간 회의", **fields)


def path_of(event: dict[str, Any], day: str, *, following: bool = False) -> str:
    return f"/api/events/{event['id']}?occurrence={day}{'&following=true' if following else ''}"


def change(api, event: dict[str, Any], day: str, *, following: bool = False, **fields: Any) -> dict[str, Any]:
    return api("PUT", path_of(event, day, following=following), fields)["event"]


def remove(api, event: dict[str, Any], day: str, *, following: bool = False) -> None:
    api("DELETE", path_of(event, day, following=following))


def now(api, event: dict[str, Any]) -> dict[str, Any]:
    return api("GET", f"/api/events/{event['department_id']}/{event['id']}")["event"]


def shown(api, event: dict[str, Any], last: str = "2026-02-09") -> list[tuple[str, str]]:
    """Return date and title of what a person sees of a department in five weeks."""
    found = api.events(event["department_id"], f"?from={FIRST}&to={last}&expand=true")
    return [(one["event_date"], one["title"]) for one in found]


def told(client) -> list[tuple[str, int, str]]:
    """Return the broadcasts of events: name, revision, id; once everything sent before has arrived."""
    client.ask("sync_request", {"department_id": new_id()})
    return [(n, p["revision"], p["id"]) for n, p in client.received if n.startswith("event_")]


@pytest.fixture
def watched(api, connect):
    """A series, and a member of its department's room."""
    series, client = new_series(api), connect()
    client.join(series["department_id"])
    return series, client


def test_one_occurrence_is_changed_by_an_event_that_replaces_it(api, watched):
    series, client = watched
    answer = api.session.put(api.url + path_of(series, "2026-01-12"), json={"title": "다른 회의"})
    replacement = answer.json()["event"]
    assert answer.status_code == 200
    assert answer.headers["ETag"] == f'"{replacement["revision"]}"'
    kept = {"time", "start_time", "url", "description", "location", "category", "department_id"}
    assert {name: replacement[name] for name in kept} == {name: series[name] for name in kept}
    assert replacement["id"] != series["id"]
    assert (replacement["recurring_event_id"], replacement["original_date"]) == (series["id"], "2026-01-12")
    assert (replacement["event_date"], replacement["title"]) == ("2026-01-12", "다른 회의")
    assert (replacement["rrule"], replacement["exdates"]) == ("", [])
    touched = now(api, series)
    assert touched == {
        **series, "revision": touched["revision"], "last_modified": touched["last_modified"],
    }  # fmt: skip
    assert touched["last_modified"] > series["last_modified"]
    client.wait("event_updated")
    assert told(client) == [("event_created", 2, replacement["id"]), ("event_updated", 3, series["id"])]
    assert shown(api, series) == [
        ("2026-01-05", "주간 회의"), ("2026-01-12", "다른 회의"), ("2026-01-19", "주간 회의"),
        ("2026-01-26", "주간 회의"), ("2026-02-02", "주간 회의"), ("2026-02-09", "주간 회의"),
    ]  # fmt: skip


def test_an_occurrence_can_move_to_another_day_and_last_longer(api):
    series = new_series(api, end_date="2026-01-06")
    moved = change(api, series, "2026-01-12", event_date="2026-01-14")
    assert (moved["event_date"], moved["end_date"]) == ("2026-01-14", "2026-01-15")
    assert moved["original_date"] == "2026-01-12"
    longer = change(api, series, "2026-01-12", end_date="2026-01-20", start_time="09:00")
    assert (longer["event_date"], longer["end_date"]) == ("2026-01-14", "2026-01-20")
    assert longer["time"] == "오전 9:00"


def test_a_replacement_is_edited_by_its_occurrence_and_by_its_own_id(api, watched):
    series, client = watched
    first = change(api, series, "2026-01-12", title="하나")
    second = change(api, series, "2026-01-12", description="둘")
    assert second["id"] == first["id"]
    assert (second["title"], second["description"]) == ("하나", "둘")
    own = api.edit(first, title="셋")
    assert (own["title"], own["description"], own["original_date"]) == ("셋", "둘", "2026-01-12")
    client.wait("event_updated", 4)
    assert told(client)[2:] == [
        ("event_updated", 4, first["id"]),
        ("event_updated", 5, series["id"]),
        ("event_updated", 6, first["id"]),
    ], "an edit by the own id leaves the series alone"
    headers = {"If-Match": f'"{first["revision"]}"'}
    refusal = api("PUT", f"/api/events/{first['id']}", {"title": "x"}, status=412, headers=headers)
    assert refusal["details"] == {"event": own}
    refusal = api("PUT", f"/api/events/{first['id']}", {"rrule": "FREQ=DAILY"}, status=400)
    assert [(one["field"], one["rule"]) for one in refusal["details"]] == [("rrule", "is_occurrence")]


def test_an_occurrence_can_be_sent_back_as_it_was_listed(api):
    series = new_series(api, end_date="2026-01-06", exdates=["2026-01-19"])
    listed = api.events(series["department_id"], "?from=2026-01-12&to=2026-01-12&expand=true")
    occurrence = next(one for one in listed if one["occurrence_date"] == "2026-01-12")
    made = api("PUT", path_of(series, "2026-01-12"), {**occurrence, "title": "새"})["event"]
    assert (made["event_date"], made["end_date"]) == ("2026-01-12", "2026-01-13")
    again = api("PUT", path_of(series, "2026-01-12"), {**made, "title": "또"})["event"]
    assert (again["id"], again["title"]) == (made["id"], "또")
    rest = api("PUT", path_of(series, "2026-01-26", following=True), {**occurrence,
        "event_date": "2026-01-26", "end_date": "2026-01-27", "title": "뒤"})["event"]  # fmt: skip
    assert (rest["event_date"], rest["end_date"], rest["exdates"]) == ("2026-01-26", "2026-01-27", [])


def test_a_single_occurrence_takes_no_rule_and_no_removed_dates(api):
    series = new_series(api)
    for fields in ({"rrule": "FREQ=DAILY"}, {"exdates": ["2026-01-19"]}):
        refusal = api("PUT", path_of(series, "2026-01-12"), fields, status=400)
        assert [(one["field"], one["rule"]) for one in refusal["details"]] == [(*fields, "is_occurrence")]
    refusal = api("PUT", path_of(series, "2026-01-12"), {"title": ""}, status=400)
    assert refusal["error"] == "validation_failed"
    assert now(api, series) == series


@pytest.mark.parametrize("following", ["", "&following=true"])
def test_a_date_that_is_no_occurrence_is_not_found(api, following):
    department = api.department()["id"]
    series, plain = new_series(api, department, exdates=["2026-01-19"]), api.event(department)
    replacement = change(api, series, "2026-01-12", title="새")
    for event, day in (
        (series, "2026-01-13"),
        (series, "2026-01-19"),
        (series, "2025-12-29"),
        (plain, plain["event_date"]),
        (replacement, "2026-01-12"),
    ):
        for method, body in (("PUT", {"title": "x"}), ("DELETE", None)):
            path = f"/api/events/{event['id']}?occurrence={day}{following}"
            assert api(method, path, body, status=404)["error"] == "occurrence_not_found"
    nobody = f"/api/events/{uuid.uuid4()}?occurrence=2026-01-12{following}"
    assert api("PUT", nobody, {"title": "x"}, status=404)["error"] == "event_not_found"
    assert api("DELETE", nobody, status=404)["error"] == "event_not_found"


@pytest.mark.parametrize(
    ("query", "field", "rule"),
    [
        ("occurrence=2026-1-12", "occurrence", "invalid_date"),
        ("occurrence=", "occurrence", "invalid_date"),
        ("occurrence=2026-02-30", "occurrence", "invalid_date"),
        ("occurrence=2026-01-12&following=perhaps", "following", "bool_parsing"),
        ("following=true", "query", "needs_occurrence"),
    ],
)
def test_a_query_that_names_no_date_is_refused(api, query, field, rule):
    series = new_series(api)
    for method, body in (("PUT", {"title": "x"}), ("DELETE", None)):
        refusal = api(method, f"/api/events/{series['id']}?{query}", body, status=400)
        assert [(one["field"], one["rule"]) for one in refusal["details"]] == [(field, rule)]
        assert re.search("[가-힣]", refusal["details"][0]["message"])
    assert now(api, series) == series


def test_an_occurrence_is_removed_with_its_replacement(api, watched):
    series, client = watched
    replacement = change(api, series, "2026-01-12", title="새")
    remove(api, series, "2026-01-12")
    remove(api, series, "2026-01-05")
    client.wait("event_updated", 3)
    assert told(client)[2:] == [
        ("event_deleted", 4, replacement["id"]),
        ("event_updated", 5, series["id"]),
        ("event_updated", 6, series["id"]),
    ]
    assert now(api, series)["exdates"] == ["2026-01-05", "2026-01-12"]
    assert [day for day, _ in shown(api, series)][:2] == ["2026-01-19", "2026-01-26"]
    assert api("DELETE", path_of(series, "2026-01-12"), status=404)["error"] == "occurrence_not_found"


def test_to_delete_a_replacement_is_to_remove_its_occurrence(api, watched):
    series, client = watched
    replacement = change(api, series, "2026-01-12", event_date="2026-01-13")
    stale = {"If-Match": '"1"'}
    assert api("DELETE", f"/api/events/{replacement['id']}", status=412, headers=stale)["details"] == {
        "event": replacement
    }
    headers = {"If-Match": f'"{replacement["revision"]}"'}
    assert api("DELETE", f"/api/events/{replacement['id']}", headers=headers)["success"]
    client.wait("event_updated", 2)
    assert told(client)[2:] == [("event_deleted", 4, replacement["id"]), ("event_updated", 5, series["id"])]
    assert now(api, series)["exdates"] == ["2026-01-12"]
    assert api("DELETE", f"/api/events/{replacement['id']}", status=404)["error"] == "event_not_found"


def test_a_series_goes_with_its_last_occurrence(api, watched):
    other, client = watched
    series = new_series(api, other["department_id"], rrule="FREQ=WEEKLY;COUNT=2")
    remove(api, series, "2026-01-05")
    replacement = change(api, series, "2026-01-12", title="새")
    api.delete(replacement)
    client.wait("event_deleted", 2)
    assert told(client)[-2:] == [("event_deleted", 6, replacement["id"]), ("event_deleted", 7, series["id"])]
    assert api.events(series["department_id"]) == [other]


def test_if_match_names_the_series(api):
    series = new_series(api)
    replacement = change(api, series, "2026-01-12", title="새")
    touched = now(api, series)
    for method, body in (("PUT", {"title": "x"}), ("DELETE", None)):
        for following in (False, True):
            for stale in (series, replacement):
                path = path_of(series, "2026-01-12", following=following)
                headers = {"If-Match": f'"{stale["revision"]}"'}
                refusal = api(method, path, body, status=412, headers=headers)
                assert refusal["error"] == "event_changed"
                assert refusal["details"] == {"event": touched}
    headers = {"If-Match": f'"{touched["revision"]}"'}
    again = api("PUT", path_of(series, "2026-01-12"), {"title": "x"}, headers=headers)["event"]
    assert again["id"] == replacement["id"]
    headers = {"If-Match": f'"{now(api, series)["revision"]}"'}
    api("DELETE", path_of(series, "2026-01-19"), headers=headers)


def test_a_series_is_changed_from_a_date_on(api, watched):
    series, client = watched
    early = change(api, series, "2026-01-12", title="앞")
    late = change(api, series, "2026-02-02", title="뒤")
    remove(api, series, "2026-02-09")
    answer = api.session.put(
        api.url + path_of(series, "2026-01-26", following=True), json={"title": "새 회의", "time": "9:00"}
    )
    new = answer.json()["event"]
    assert (answer.status_code, answer.headers["ETag"]) == (200, f'"{new["revision"]}"')
    assert new["id"] not in (series["id"], early["id"], late["id"])
    assert (new["event_date"], new["rrule"], new["exdates"]) == ("2026-01-26", "FREQ=WEEKLY", ["2026-02-09"])
    assert now(api, series)["rrule"] == "FREQ=WEEKLY;UNTIL=20260125"
    assert now(api, series)["exdates"] == []
    assert now(api, early) == early
    assert now(api, late)["recurring_event_id"] == new["id"]
    client.wait("event_updated", 5)
    assert told(client)[-3:] == [
        ("event_created", 7, new["id"]),
        ("event_updated", 8, late["id"]),
        ("event_updated", 9, series["id"]),
    ]
    assert shown(api, series, "2026-02-16") == [
        ("2026-01-05", "주간 회의"), ("2026-01-12", "앞"), ("2026-01-19", "주간 회의"),
        ("2026-01-26", "새 회의"), ("2026-02-02", "뒤"), ("2026-02-16", "새 회의"),
    ]  # fmt: skip


def test_the_rest_of_a_series_can_move_and_keeps_its_count(api):
    series = new_series(api, rrule="FREQ=WEEKLY;COUNT=5")
    new = change(api, series, "2026-01-19", following=True, event_date="2026-01-20")
    assert (new["event_date"], new["rrule"]) == ("2026-01-20", "FREQ=WEEKLY;COUNT=3")
    assert [day for day, _ in shown(api, series, "2026-03-30")] == [
        "2026-01-05", "2026-01-12", "2026-01-20", "2026-01-27", "2026-02-03",
    ]  # fmt: skip


def test_from_the_first_occurrence_on_the_whole_series_is_changed(api, watched):
    series, client = watched
    changed = change(api, series, FIRST, following=True, title="새 회의")
    assert changed["id"] == series["id"]
    remove(api, series, FIRST, following=True)
    client.wait("event_deleted")
    assert told(client) == [("event_updated", 2, series["id"]), ("event_deleted", 3, series["id"])]


def test_the_rest_of_a_series_is_removed_with_its_replacements(api, watched):
    series, client = watched
    early = change(api, series, "2026-01-12", title="앞")
    late = change(api, series, "2026-02-02", title="뒤")
    remove(api, series, "2026-01-26", following=True)
    client.wait("event_deleted")
    client.wait("event_updated", 3)
    assert told(client)[-2:] == [("event_deleted", 6, late["id"]), ("event_updated", 7, series["id"])]
    assert [title for _, title in shown(api, series)] == ["주간 회의", "앞", "주간 회의"]
    assert now(api, early) == early


def test_a_deleted_series_takes_its_replacements_along(api, watched):
    series, client = watched
    replacements = [change(api, series, f"2026-01-{day}", title="새") for day in (12, 19)]
    stale = {"If-Match": f'"{series["revision"]}"'}
    api("DELETE", f"/api/events/{series['id']}", status=412, headers=stale)
    api.delete(series)
    client.wait("event_deleted", 3)
    assert told(client)[-3:] == [
        ("event_deleted", 6, replacements[0]["id"]),
        ("event_deleted", 7, replacements[1]["id"]),
        ("event_deleted", 8, series["id"]),
    ]
    assert api.events(series["department_id"]) == []


def test_a_series_with_more_replacements_than_a_transaction_takes(api):
    series = new_series(api, rrule="FREQ=DAILY")
    days = [f"2026-{month:02}-{day:02}" for month in (2, 3) for day in range(1, 29)]
    for day in days[:40]:
        change(api, series, day, title=day)
    moved = change(api, series, "2026-01-20", following=True, title="새")
    for day in days[40:]:
        change(api, moved, day, title=day)
    for method, body in (("PUT", {"title": "x"}), ("DELETE", None)):
        refusal = api(method, path_of(moved, "2026-01-25", following=True), body, status=400)
        assert refusal["error"] == "too_many_replacements"
    refusal = api("PUT", f"/api/events/{moved['id']}", {"rrule": ""}, status=400)
    assert refusal["error"] == "too_many_replacements"
    assert len(api.events(series["department_id"])) == len(days) + 2
    api.delete(moved)
    [left] = api.events(series["department_id"])
    assert left["id"] == series["id"]


def test_no_more_occurrences_are_removed_than_a_series_can_note(api):
    exdates = [
        f"20{year}-{month:02}-{day:02}" for year in (30, 31) for month in range(1, 11) for day in range(1, 21)
    ]
    series = new_series(api, rrule="FREQ=DAILY", exdates=exdates)
    assert len(series["exdates"]) == 400
    refusal = api("DELETE", path_of(series, "2026-01-06"), status=409)
    assert refusal["error"] == "too_many_exdates"
    assert now(api, series) == series
    change(api, series, "2026-01-06", title="새")


def test_what_does_not_fit_in_one_transaction_is_refused_and_changes_nothing(api):
    series = new_series(api, rrule="FREQ=DAILY")
    large = "가" * 10_000
    for day in range(10, 24):
        change(api, series, f"2026-01-{day}", description=large)
    before = api.events(series["department_id"])
    refusal = api("PUT", path_of(series, "2026-01-08", following=True), {"title": "x"}, status=413)
    assert refusal["error"] == "change_too_large"
    assert api.events(series["department_id"]) == before
    api.delete(series)
    assert api.events(series["department_id"]) == []


def test_a_series_that_stops_repeating_leaves_its_replacements_as_events(api, watched):
    series, client = watched
    replacement = change(api, series, "2026-01-12", title="새")
    stopped = api("PUT", f"/api/events/{series['id']}", {"rrule": ""})["event"]
    assert (stopped["rrule"], stopped["event_date"]) == ("", FIRST)
    freed = now(api, replacement)
    assert (freed["recurring_event_id"], freed["original_date"], freed["title"]) == ("", "", "새")
    assert api.history(freed)[0]["changed"] == {
        "recurring_event_id": {"from": series["id"], "to": ""},
        "original_date": {"from": "2026-01-12", "to": ""},
    }
    client.wait("event_updated", 3)
    assert told(client)[-2:] == [("event_updated", 4, series["id"]), ("event_updated", 5, freed["id"])]
    api.delete(series)
    assert api.events(series["department_id"]) == [freed]


def test_a_series_that_moves_shows_no_occurrence_beside_its_replacement(api):
    series = new_series(api)
    change(api, series, "2026-01-19", title="따로")
    api.edit(series, event_date="2026-01-06")
    assert shown(api, series, "2026-01-27") == [
        ("2026-01-06", "주간 회의"),
        ("2026-01-13", "주간 회의"),
        ("2026-01-19", "따로"),
        ("2026-01-27", "주간 회의"),
    ]
    change(api, series, "2026-01-20", following=True, event_date="2026-01-22")
    assert shown(api, series, "2026-01-27") == [
        ("2026-01-06", "주간 회의"),
        ("2026-01-13", "주간 회의"),
        ("2026-01-22", "따로"),
    ]


def test_a_restored_series_has_the_replacements_that_were_deleted_with_it(api):
    series = new_series(api)
    gone, kept = (change(api, series, f"2026-01-{day}", title="새") for day in (12, 19))
    api.delete(gone)
    before = shown(api, series)
    api.delete(series)
    restored = api.restore(series)
    assert restored["exdates"] == ["2026-01-12"]
    assert now(api, kept)["recurring_event_id"] == series["id"]
    assert shown(api, series) == before
    assert api("GET", f"/api/events/{series['department_id']}/{gone['id']}", status=404)


def test_a_restored_replacement_replaces_its_occurrence_again(api, watched):
    series, client = watched
    replacement = change(api, series, "2026-01-12", title="새")
    before = shown(api, series)
    api.delete(replacement)
    restored = api.restore(replacement)
    assert (restored["recurring_event_id"], restored["original_date"]) == (series["id"], "2026-01-12")
    assert now(api, series)["exdates"] == []
    assert shown(api, series) == before
    client.wait("event_created", 2)
    client.wait("event_updated", 3)
    assert told(client)[-2:] == [("event_created", 6, replacement["id"]), ("event_updated", 7, series["id"])]


def test_a_replacement_whose_occurrence_is_no_longer_free_is_restored_as_an_event_of_its_own(api):
    series = new_series(api)
    alone = change(api, series, "2026-01-12", title="혼자")
    api.delete(series)
    restored = api.restore(alone)
    assert (restored["recurring_event_id"], restored["original_date"]) == ("", "")
    api.restore(series)
    assert now(api, alone) == restored
    assert [title for day, title in shown(api, series) if day == "2026-01-12"] == ["주간 회의", "혼자"]


def test_a_replacement_whose_series_has_another_rule_is_restored_as_an_event_of_its_own(api):
    series = new_series(api)
    replacement = change(api, series, "2026-01-12", title="새")
    api.delete(replacement)
    before = api.edit(series, rrule="FREQ=WEEKLY;INTERVAL=2")
    back = api.restore(replacement)
    assert (back["recurring_event_id"], back["original_date"], back["title"]) == ("", "", "새")
    assert now(api, series) == before


def test_the_history_of_a_series_tells_what_was_done_to_it(api):
    series = new_series(api)
    replacement = change(api, series, "2026-01-12", title="새")
    remove(api, series, "2026-01-19")
    found = [(entry["type"], entry["changed"]) for entry in api.history(series)]
    removed = {"exdates": {"from": [], "to": ["2026-01-19"]}}
    assert found == [("event_updated", removed), ("event_updated", {}), ("event_created", {})]
    assert [entry["type"] for entry in api.history(replacement)] == ["event_created"]
