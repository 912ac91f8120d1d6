"""Ranges with series over REST: what lies in them, occurrences instead of series, and what is refused."""

import pytest

from config import Settings
from domain import Event, new_id
from models import DynamoDBDatabase


@pytest.fixture
def weekly(api, store: Settings) -> Event:
    """A series from 2 January 2024 on, each Tuesday but 16 January, with a replacement of 9 January."""
    department = api.department()["id"]
    series = Event(
        id=new_id(),
        department_id=department,
        event_date="2024-01-02",
        title="주간 회의",
        location="회의실",
        rrule="FREQ=WEEKLY",
        exdates=("2024-01-16",),
    )
    replacement = Event(
        id=new_id(),
        department_id=department,
        event_date="2024-01-10",
        title="옮긴 회의",
        recurring_event_id=series.id,
        original_date="2024-01-09",
    )
    trip = Event(
        id=new_id(), department_id=department, event_date="2024-01-05", end_date="2024-01-08", title="출장"
    )
    DynamoDBDatabase(store).put_events([series, replacement, trip])
    return series


def titles(api, event: Event, query: str) -> list[str]:
    return [e["title"] for e in api.events(event.department_id, query)]


def test_a_range_has_what_begins_before_it_and_reaches_into_it(api, weekly):
    assert titles(api, weekly, "?from=2024-01-08&to=2024-01-14") == ["출장", "옮긴 회의"]
    assert titles(api, weekly, "?from=2024-01-09&to=2024-01-22") == ["옮긴 회의"]
    assert titles(api, weekly, "?from=2024-01-11") == ["주간 회의"]
    assert titles(api, weekly, "?to=2024-01-04") == ["주간 회의"]
    assert titles(api, weekly, "?to=2024-01-01") == []


def test_an_expanded_range_has_occurrences_instead_of_series(api, weekly):
    found = api.events(weekly.department_id, "?from=2024-01-02&to=2024-01-23&expand=true")
    assert [(e["id"] == weekly.id, e["event_date"], e["end_date"], e["occurrence_date"]) for e in found] == [
        (True, "2024-01-02", "", "2024-01-02"),
        (False, "2024-01-05", "2024-01-08", "2024-01-05"),
        (False, "2024-01-10", "", "2024-01-09"),
        (True, "2024-01-23", "", "2024-01-23"),
    ]
    (series,) = (e for e in api.events(weekly.department_id) if e["id"] == weekly.id)
    assert found[0] == {**series, "occurrence_date": "2024-01-02"}


def test_an_expanded_range_is_paged_searched_and_not_sent_to_who_holds_it(api, weekly):
    path = f"/api/events/{weekly.department_id}"
    query = {"from": "2024-01-02", "to": "2024-02-29", "expand": "true", "q": "회의실", "limit": "2"}
    dates = []
    while True:
        page = api("GET", path, params=query)
        dates += [e["occurrence_date"] for e in page["events"]]
        if not page["next_page_token"]:
            break
        query["page_token"] = page["next_page_token"]
    assert dates == [f"2024-{day}" for day in ("01-02", "01-23", "01-30", "02-06", "02-13", "02-20", "02-27")]
    expanded = f"{api.url}{path}?from=2024-01-02&to=2024-01-31&expand=true"
    etag = api.session.get(expanded).headers["ETag"]
    assert api.session.get(expanded, headers={"If-None-Match": etag}).status_code == 304
    api.event(weekly.department_id)
    assert len(api.events(weekly.department_id, "?from=2024-01-02&to=2024-01-31&expand=true")) == 6


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("expand=true", "range_missing"),
        ("expand=true&from=2024-01-01", "range_missing"),
        ("expand=true&to=2024-01-01", "range_missing"),
        ("expand=true&from=2024-01-01&to=2025-02-04", "range_too_long"),
        ("expand=perhaps&from=2024-01-01&to=2024-01-02", "bool_parsing"),
    ],
)
def test_a_range_that_cannot_be_expanded_is_refused_in_korean(api, query, rule):
    refusal = api("GET", f"/api/events/{api.department()['id']}?{query}", status=400)
    assert refusal["error"] == "validation_failed"
    (detail,) = refusal["details"]
    assert (detail["field"], detail["rule"]) == ("expand" if rule == "bool_parsing" else "query", rule)
    assert any("가" <= char <= "힣" for char in detail["message"])


def test_the_longest_range_is_expanded(api, weekly):
    found = api.events(weekly.department_id, "?expand=true&from=2024-01-01&to=2025-02-03")
    assert found[-1]["occurrence_date"] == "2025-01-28"
