"""Departments as .ics and .csv files over REST: what they are called, what lies in them, who holds them."""

import csv
from typing import Any
from urllib.parse import quote

import pytest
import requests

from domain import new_id
from ical_reading import parsed

MARCH = "from=2026-03-01&to=2026-03-31"


@pytest.fixture
def department(api) -> str:
    """A department with a weekly series, one occurrence of which is moved, and an event of another month."""
    found: str = api.department(f"개발팀 {new_id()}")["id"]
    series = api.event(found, "주간 회의", event_date="2026-02-23", time="오후 2:00", rrule="FREQ=WEEKLY")
    api("PUT", f"/api/events/{series['id']}?occurrence=2026-03-09", {"event_date": "2026-03-10"})
    api.event(found, "=발표", event_date="2026-05-04")
    return found


@pytest.fixture
def fetch(server):
    """Return a function that fetches a file of a department."""

    def fetch(department: str, kind: str, query: str = "", **headers: str) -> requests.Response:
        url = f"{server.url}/api/events/{department}.{kind}?{query}"
        return requests.get(url, headers=headers, timeout=10)

    return fetch


def rows(answer: requests.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(answer.content.decode("utf-8-sig").splitlines()))


def series_and_moved(answer: requests.Response) -> list[Any]:
    """Return the entries of a file that share a UID: the series first."""
    entries = [entry for entry in parsed(answer.content) if entry["SUMMARY"] == "주간 회의"]
    return sorted(entries, key=lambda entry: "RECURRENCE-ID" in entry)


@pytest.mark.parametrize(
    ("kind", "media", "begin"),
    [("ics", "text/calendar", b"BEGIN:VCALENDAR\r\n"), ("csv", "text/csv", b'\xef\xbb\xbf"\xeb\x82\xa0')],
)
def test_a_file_has_its_media_type_and_the_name_of_the_department(api, fetch, department, kind, media, begin):
    answer = fetch(department.upper(), kind)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].partition(";")[0] == media
    name = quote(api("GET", f"/api/departments/{department}")["department"]["name"])
    assert answer.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{name}.{kind}"
    assert answer.content.startswith(begin)


def test_a_table_has_the_series_or_with_expand_their_occurrences(fetch, department):
    whole = rows(fetch(department, "csv"))
    assert [(row["날짜"], row["제목"], row["반복"]) for row in whole] == [
        ("2026-02-23", "주간 회의", "FREQ=WEEKLY"),
        ("2026-03-10", "주간 회의", ""),
        ("2026-05-04", "'=발표", ""),
    ]
    march = rows(fetch(department, "csv", MARCH))
    assert [row["날짜"] for row in march] == ["2026-02-23", "2026-03-10"]
    expanded = rows(fetch(department, "csv", f"{MARCH}&expand=true"))
    days = ["2026-03-02", "2026-03-10", "2026-03-16", "2026-03-23", "2026-03-30"]
    assert [(row["날짜"], row["시간"], row["반복"]) for row in expanded] == [
        (day, "오후 2:00", "") for day in days
    ]


def test_a_calendar_of_a_range_has_what_lies_in_it(fetch, department):
    assert [str(entry["SUMMARY"]) for entry in parsed(fetch(department, "ics", MARCH).content)] == [
        "주간 회의"
    ] * 2
    assert len(parsed(fetch(department, "ics").content)) == 3
    assert parsed(fetch(department, "ics", "to=2026-02-22").content) == []


@pytest.mark.parametrize(
    ("kind", "query", "rule"),
    [
        ("ics", "from=2026-03-02&to=2026-03-01", "range_reversed"),
        ("csv", "from=2026-03-32", "invalid_date"),
        ("csv", "expand=true", "range_missing"),
        ("csv", "expand=true&from=2026-01-01&to=2027-02-05", "range_too_long"),
    ],
)
def test_a_range_that_cannot_be_is_refused(fetch, department, kind, query, rule):
    answer = fetch(department, kind, query)
    assert (answer.status_code, answer.json()["details"][0]["rule"]) == (400, rule)


@pytest.mark.parametrize("kind", ["ics", "csv"])
@pytest.mark.parametrize("query", ["", MARCH, f"{MARCH}&expand=true"])
def test_a_file_that_somebody_holds_is_not_sent_again(api, fetch, department, kind, query):
    etag = fetch(department, kind, query).headers["ETag"]

    def is_held() -> bool:
        return fetch(department, kind, query, **{"If-None-Match": etag}).status_code == 304

    assert is_held()
    changes = [{"name": f"새 이름 {new_id()}"}, {"timezone": "Europe/Paris"}, {"color": "#aa0000"}, None]
    for change in changes:
        if change:
            api("PUT", f"/api/departments/{department}", change)
        else:
            api.event(department, "또 하나")
        assert not is_held(), change
        etag = fetch(department, kind, query).headers["ETag"]
        assert is_held()


def test_sequence_and_last_modified_rise_with_each_change_of_an_occurrence(api, fetch, department):
    def versions() -> list[tuple[int, Any]]:
        entries = series_and_moved(fetch(department, "ics"))
        return [(entry["SEQUENCE"], entry["LAST-MODIFIED"].dt) for entry in entries]

    series, moved = api.events(department, "?to=2026-03-31")
    before = versions()
    api("PUT", f"/api/events/{series['id']}?occurrence=2026-03-09", {"location": "3층"})
    for (sequence, at), (earlier, earlier_at) in zip(after := versions(), before, strict=True):
        assert sequence > earlier
        assert at >= earlier_at
    api("PUT", f"/api/events/{moved['id']}", {"location": "4층"})
    assert versions()[1] > after[1]
    api("DELETE", f"/api/events/{moved['id']}")
    ((sequence, _),) = versions()
    assert sequence > after[0][0]
