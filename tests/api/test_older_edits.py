"""Servers before 1.5 beside this one: what they edit loses none of the fields that they do not know."""

from collections.abc import Iterator
from typing import Any

import pytest

from api_client import Api, Client
from older_version import BEFORE_1_5, OLDER, as_before, lay_out
from running import Server, embedded, running_server

SERIES = {
    "event_date": "2024-01-20", "title": "주간", "time": "점심", "start_time": "12:00", "end_time": "13:00",
    "end_date": "2024-01-22", "location": "3층", "category": "회의", "rrule": "FREQ=WEEKLY;BYDAY=SA",
    "exdates": ["2024-01-27"],
}  # fmt: skip


@pytest.fixture(scope="module", params=[OLDER, BEFORE_1_5], ids=["1.1", "1.4"])
def servers(request, engine, engine_dir, tmp_path_factory) -> Iterator[tuple[Server, Server]]:
    """The older server and this one."""
    folder, settings = tmp_path_factory.mktemp("servers"), embedded(engine_dir)
    earlier = lay_out(request.param, tmp_path_factory.mktemp("earlier"))
    with (
        running_server(folder, "eventlet", settings, root=earlier) as older,
        running_server(folder, "eventlet", settings) as newer,
    ):
        yield older, newer
        for server in (older, newer):
            assert "Traceback" not in server.log, server.log


@pytest.fixture
def apis(servers) -> Iterator[list[Api]]:
    """Clients of the older server and of this one."""
    apis = [Api(server.url) for server in servers]
    yield apis
    for api in apis:
        api.session.close()


@pytest.fixture
def series(apis) -> dict[str, Any]:
    _, newer = apis
    path = f"/api/events/{newer.department()['id']}"
    return newer("POST", path, SERIES, status=201)["event"]


@pytest.mark.parametrize(
    ("edit", "follows"),
    [
        ({"title": "새 제목"}, {}),
        ({"description": "새 설명", "url": "https://example.com/"}, {}),
        ({"time": "점심"}, {}),
        ({"time": "오후 2:00~3:30"}, {"start_time": "14:00", "end_time": "15:30"}),
        ({"time": "언젠가"}, {"start_time": "", "end_time": ""}),
        ({"event_date": "2024-01-25"}, {"end_date": "2024-01-27"}),
        (
            {"event_date": "2024-03-01", "time": "9시"},
            {"end_date": "2024-03-03", "start_time": "09:00", "end_time": ""},
        ),
    ],
)
def test_an_edit_of_an_older_server_keeps_or_moves_what_it_does_not_know(
    servers, apis, series, edit, follows
):
    older, newer = apis
    client = Client(newer.url)
    client.join(series["department_id"])
    edited = older.edit(series, **edit)
    wanted = series | edit | follows | {name: edited[name] for name in ("revision", "last_modified")}
    assert edited == as_before(wanted)
    assert newer.events(series["department_id"]) == [wanted]
    assert newer.history(wanted)[0]["event"] == wanted
    [told] = client.wait("event_updated")
    assert told == wanted | {"by": "", "by_name": ""}
    client.close()


def test_an_event_of_one_day_that_an_older_server_moves_into_the_night_ends_on_the_next_day(apis):
    older, newer = apis
    department = newer.department()["id"]
    event = newer.event(department, event_date="2024-01-20", end_date="2024-01-20", time="14:00~15:00")
    older.edit(event, time="23:00~01:00")
    (found,) = newer.events(department)
    assert (found["start_time"], found["end_time"], found["end_date"]) == ("23:00", "01:00", "")


def test_what_an_older_server_deletes_is_restored_whole(apis, series):
    for deleting, restoring in (apis, apis[::-1]):
        deleting.delete(series)
        restoring.restore(series)
        (found,) = apis[1].events(series["department_id"])
        assert {name: found[name] for name in SERIES} == SERIES


def test_an_occurrence_that_an_older_server_edits_still_replaces_it(apis, series):
    older, newer = apis
    path = f"/api/events/{series['id']}"
    replacing = newer("PUT", path, {"title": "한 번만"}, params={"occurrence": "2024-02-03"})["event"]
    older.edit(replacing, time="9시")
    query = {"from": "2024-02-01", "to": "2024-02-09", "expand": "true"}
    expanded = newer("GET", f"/api/events/{series['department_id']}", params=query)["events"]
    assert [(one["occurrence_date"], one["title"], one["start_time"]) for one in expanded] == [
        ("2024-02-03", "한 번만", "09:00")
    ]
