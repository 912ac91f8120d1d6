"""A client that openapi-generator makes for C#, compiled by mono, changes only the fields that it names."""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import programs
from accounts.company import Company
from running import ROOT, embedded, running_server

HERE = Path(__file__).parent
GENERATOR = HERE / "openapi-generator/lib"
NEWTONSOFT = (
    ROOT / "node_modules/jillejr.newtonsoft.json-for-unity/Plugins/Newtonsoft.Json Editor/Newtonsoft.Json.dll"
)
"""From npm: Debian has it no longer."""

Run = Callable[..., Any]


@pytest.fixture(scope="session")
def program(document: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of `csharp/`, compiled with the client that is generated from the server's document."""
    java, mcs, _ = map(programs.program, ("java", "mcs", "mono"))
    if not GENERATOR.is_dir():
        pytest.skip("the generator of the C# client is missing: make java-tools")
    folder = tmp_path_factory.mktemp("csharp")
    (jar,) = GENERATOR.glob("*.jar")
    run(java, "-jar", jar, "generate", "-g", "csharp", "--library", "httpclient", "-i", document,
        "-o", folder, "--additional-properties", "targetFramework=net47,packageName=Calendar")  # fmt: skip
    shutil.copy(NEWTONSOFT, folder)
    run(mcs, "-langversion:latest", f"-out:{folder / 'program.exe'}", "-r:System.Net.Http",
        "-r:System.Runtime.Serialization", "-r:System.ComponentModel.DataAnnotations", f"-r:{NEWTONSOFT}",
        f"-recurse:{folder}/src/Calendar/*.cs", *HERE.glob("csharp/*.cs"))  # fmt: skip
    return folder / "program.exe"


def run(*command: Any, status: int = 0, **settings: str) -> str:
    done = subprocess.run(
        list(map(str, command)),
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def client(server, program: Path) -> Run:
    def command(*arguments: str, status: int = 0) -> Any:
        return json.loads(run("mono", program, server.url, *arguments, status=status))

    return command


def test_a_device_token_lets_a_program_write_where_its_owner_may_and_nowhere_else(tmp_path, program):
    with running_server(tmp_path, "eventlet", embedded(tmp_path / "data", AUTH="on")) as server:
        company = Company(server)
        department, other = company.department(), company.department()
        token = company.program(company.person(department, "writer"), scope="write").token

        def create(where: str, status: int = 0, **settings: str) -> Any:
            words = ("create", where, "2024-01-20", "팀 회의", "회의실 3층", str(uuid.uuid4()))
            return json.loads(run("mono", program, server.url, *words, status=status, **settings))

        assert create(department, CALENDAR_TOKEN=token)["title"] == "팀 회의"
        assert create(other, 4, CALENDAR_TOKEN=token)["error"] == "department_not_found"
        assert create(department, 4)["error"] == "not_signed_in"


def test_a_department_that_is_renamed_keeps_its_description(api, client):
    created = client("create-department", f"개발팀 {uuid.uuid4()}", "제품 개발")
    renamed = client("rename-department", created["id"], f"연구소 {uuid.uuid4()}")
    assert renamed["name"].startswith("연구소")
    assert renamed["description"] == "제품 개발"
    assert api("GET", f"/api/departments/{created['id']}")["department"] == renamed
    client("delete-department", created["id"])
    assert api("GET", f"/api/departments/{created['id']}", status=404)


def test_an_event_is_created_renamed_moved_and_deleted_and_keeps_what_is_not_named(api, client):
    department = api.department()["id"]
    key = str(uuid.uuid4())
    created = client("create", department, "2024-01-20", "팀 회의", "회의실 3층\n둘째 줄", key)
    assert created == client("create", department, "2024-01-20", "팀 회의", "회의실 3층\n둘째 줄", key)
    assert created["description"] == "회의실 3층\n둘째 줄"
    assert (created["time"], created["start_time"]) == ("오후 2:00", "14:00")
    renamed = client("rename", created["id"], "주간 회의", '"1"')
    assert renamed == {
        **created, "title": "주간 회의", "revision": 2, "last_modified": renamed["last_modified"],
    }  # fmt: skip
    moved = client("move", created["id"], "2024-02-29")
    assert moved == {
        **renamed, "event_date": "2024-02-29", "revision": 3, "last_modified": moved["last_modified"],
    }  # fmt: skip
    assert client("list", department) == api.events(department) == [moved]
    client("delete", created["id"])
    assert client("list", department) == api.events(department) == []


def test_a_series_that_is_sent_back_whole_or_in_part_keeps_its_other_fields(api, client):
    fields = {
        "event_date": "2024-01-22", "title": "주간", "time": "오후 2:00~3:30", "end_date": "2024-01-23",
        "location": "3층", "category": "회의", "rrule": "FREQ=WEEKLY;BYDAY=MO", "exdates": ["2024-01-29"],
    }  # fmt: skip
    department = api.department()["id"]
    series = api("POST", f"/api/events/{department}", fields, status=201)["event"]
    renamed = client("rename", series["id"], "주간 회의", '"1"')
    kept = {**series, "title": "주간 회의"}
    assert renamed == {**kept, "revision": 2, "last_modified": renamed["last_modified"]}
    returned = client("send-back", department, series["id"], "주간")
    assert returned == {**series, "revision": 3, "last_modified": returned["last_modified"]}


def test_an_event_that_somebody_else_changed_is_refused_with_its_content(api, client):
    event = api.event(api.department()["id"])
    changed = api("PUT", f"/api/events/{event['id']}", {"title": "먼저"})["event"]
    refusal = client("rename", event["id"], "늦음", '"1"', status=4)
    assert refusal["error"] == "event_changed"
    assert refusal["details"] == {"event": changed}


def test_changes_are_read_including_deletions_and_those_of_later_servers(api, client, tmp_path):
    department = api.department()["id"]
    token = api.token(department)
    event = api.event(department)
    api("DELETE", f"/api/events/{event['id']}")
    changes = api("GET", f"/api/events/{department}/changes", params={"since": token})
    assert client("changes", department, token) == changes["changes"]
    changes["changes"][0] |= {"type": "event_moved", "by_name": "홍길동"}
    changes["changes"][0]["event"]["attendees"] = ["홍길동"]
    later = tmp_path / "later.json"
    later.write_text(json.dumps({**changes, "more": {"x": 1}}))
    assert [change["type"] for change in client("read-changes", str(later))] == [
        "event_moved",
        "event_deleted",
    ]
