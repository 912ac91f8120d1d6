"""`docs/storage.md`: its examples and units are compared with what runs of the services write and take."""

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from acting import Actor, acting_as
from aws_client import KEYS
from config import Settings
from domain import CHANGE_RETENTION, ChangeType, Department, Event, Write, new_id, timestamp, utc_now
from errors import SignInFailed
from in_process import Calendar
from models import DynamoDBDatabase
from older_version import BEFORE_1_1, OLDER, lay_out
from people import Role, Scope
from running import ROOT, run
from services.accounts.access import Principal
from services.accounts.accounts import Accounts, build_accounts
from services.accounts.joining import NewPerson, Offer
from services.accounts.sessions import Visit
from services.event_fields import settle
from store.dynamo_client import DynamoClient

PAGE = ROOT / "docs/storage.md"
FIELDS = {
    "event_date": "2024-01-20",
    "title": "팀 회의",
    "description": "주간 보고와 일정",
    "time": "오후 2:00",
}
MORE = {
    "event_date": "2024-03-04",
    "title": "워크숍",
    "time": "점심 먹고",
    "end_date": "2024-03-05",
    "start_time": "13:00",
    "end_time": "18:00",
    "location": "대강당",
    "category": "교육",
    "rrule": "FREQ=YEARLY;COUNT=3",
    "exdates": ("2025-03-04", "2026-03-04"),
}
"""All fields that clients may set."""
KEY = "one-try"
RECORDS = {
    "account": "Account",
    "password": "Password",
    "claim": "Claim",
    "admins": "Administrators",
    "session": "Session",
    "token": "Device token",
    "invitation": "Invitation",
    "link": "Link",
    "membership": "Membership",
    "visibility": "Visibility",
    "failures": "Failed sign-ins",
}
"""The headings of the kinds of items in the table of the accounts."""
KIM = NewPerson("kim@example.com", "김하나", "정확한 말 배터리 스테이플")
LEE = NewPerson("lee@example.com", "이두리", KIM.password)
VISIT = Visit("192.0.2.7", "Mozilla/5.0")
READS = {"get_item", "batch_get_item", "query", "scan"}

WITH_AN_OLDER_VERSION = """
from models import DynamoDBDatabase
from services.core import build_core

core = build_core(DynamoDBDatabase(), spawn=lambda *call: None, snapshot_bytes=1_000_000)
department = core.departments.create_department("재무팀").entity
event = core.events.create_event(department.id, {"event_date": "2024-01-20", "title": "결산"}).entity
core.events.update_event(event.id, {"title": "분기 결산"})
core.events.delete_event(event.id)
core.departments.delete_department(department.id)
"""

Row = Mapping[str, Mapping[str, Any]]


class CountingClient(DynamoClient):
    """Counts the capacity units that the store says its requests took."""

    read_units = write_units = 0.0

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        answer = super().call(operation, ReturnConsumedCapacity="TOTAL", **parameters)
        taken = answer.get("ConsumedCapacity", [])  # none of what makes a table
        units = sum(c["CapacityUnits"] for c in (taken if isinstance(taken, list) else [taken]))
        if operation in READS:
            self.read_units += units
        else:
            self.write_units += units
        return answer


@pytest.fixture
def settings(engine) -> Settings:
    """Settings of an empty set of tables on the embedded engine, which other processes can use, too."""
    prefix = new_id()[:8]
    return Settings(
        departments_table=f"{prefix}-departments",
        events_table=f"{prefix}-events",
        changes_table=f"{prefix}-changes",
        accounts_table=f"{prefix}-accounts",
        auth=True,
        dynamodb_endpoint_url=engine.url,
    )


def sections() -> Iterator[tuple[str, str]]:
    """Yield heading and text of each part of the page that shows a kind of row."""
    for part in re.split(r"^#{2,3} ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        heading, _, text = part.partition("\n")
        yield heading, text


def examples() -> list[tuple[str, Row]]:
    """Return the examples of the page, each with the heading above it."""
    return [
        (heading, json.loads(row))
        for heading, text in sections()
        for block in re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for row in re.split(r"^(?=\{)", block, flags=re.MULTILINE)[1:]
    ]


def kind_of(row: Row) -> str:
    """Return the heading under which the page shows a row."""
    if "kind" in row:
        return RECORDS[row["kind"]["S"]]
    if "department_id" not in row:
        return "Department"
    if "event_date" in row:
        return "Event"
    partition = row["department_id"]["S"]
    for beginning, kind in {
        "key#": "Receipt",
        "name#": "Name row",
        "feed#": "Feed",
        "deleted#departments": "Row of a deleted department",
        "deleted#": "Deletion row",
        "purges": "Pending purge, up to 1.1",
    }.items():
        if partition.startswith(beginning):
            return kind
    if row["revision"] == {"N": "0"}:
        return "Head"
    if "first" in row:
        return "Commit row of the accounts" if partition == "accounts" else "Commit row"
    return "Change row, 1.1" if "previous" in row else "Change row, up to 1.0"


def shape(attributes: Row) -> dict[str, Any]:
    """Return the names of attributes with their types, down to the last."""
    return {name: _shape_of(value) for name, value in attributes.items()}


def _shape_of(value: Mapping[str, Any]) -> Any:
    [(kind, content)] = value.items()
    if kind == "M":
        return shape(content)
    return [_shape_of(element) for element in content] if kind == "L" else kind


def attributes_of(row: Row) -> set[str]:
    """Return the attributes of a row as paths. Those of an entity or record are of its item."""

    def paths(value: Any, path: str) -> Iterator[str]:
        if isinstance(value, list):
            for element in value:
                yield from paths(element, f"{path}[]")
        elif isinstance(value, dict):
            for name, inner in value.items():
                yield from paths(inner, f"{path}.{name}")
        else:
            yield f"{path} {value}"

    kind = kind_of(row)
    if kind in RECORDS.values():
        kind = "record"
    found = paths(shape(row), "entity" if kind in ("Department", "Event") else kind)
    items = (re.sub(r".*\bentity\.", "entity.", path) for path in found)
    records = (re.sub(r".*\b(puts|removes)\[\]\.", "record.", path) for path in items)
    return {re.sub(r"\babout\.\w+", "about.*", path) for path in records}


def stored_rows(client: DynamoClient, settings: Settings) -> list[Row]:
    tables = (
        settings.departments_table,
        settings.events_table,
        settings.changes_table,
        settings.accounts_table,
    )
    return [row for table in tables for row in client.iterate("scan", TableName=table)]


def write_every_kind(calendar: Calendar) -> None:
    """Use the services so that the tables hold a row of every kind that this version writes."""
    department = calendar.departments.create_department("개발팀", "제품 개발", key=KEY).entity.id
    event = calendar.events.create_event(department, FIELDS, key=KEY).entity
    updated = replace(event, title="주간 회의", last_modified=timestamp(utc_now()))
    with acting_as(Actor(new_id(), KIM.name)):
        update = Write(type=ChangeType.EVENT_UPDATED, entity=updated, before=event)
    commit_together(calendar, department, [update, creation(department)])
    calendar.events.delete_event(calendar.add(department, "취소된 회의").id)
    calendar.events.create_event(department, MORE)
    calendar.feeds.renew_secret(Principal(new_id()), department)
    calendar.departments.create_department("베를린 지사", timezone="Europe/Berlin", color="#1a73e8")
    loading = calendar.departments.create_department("영업팀").entity.id
    calendar.db.begin_load(loading, "load-1")
    for name in ("옛 팀", "더 옛 팀"):
        calendar.departments.delete_department(calendar.departments.create_department(name).entity.id)
    due = utc_now() + CHANGE_RETENTION + timedelta(hours=1)
    assert calendar.db.begin_purge(next(calendar.db.due_purges(due)))


def accounts_of(calendar: Calendar) -> Accounts:
    return build_accounts(calendar.db, calendar.group_commit, "http://localhost:5000")


def set_up(accounts: Accounts) -> Principal:
    """Make the first administrator by a setup link, and another link."""
    link, _ = accounts.joining.begin_setup(), accounts.joining.begin_setup()
    account = accounts.joining.set_up(str(link), KIM)
    return Principal(account.id, account.name)


def write_every_record(calendar: Calendar) -> None:
    """Use the accounts so that their table and log hold an item of every kind."""
    accounts = accounts_of(calendar)
    kim = set_up(accounts)
    [department, *_] = calendar.departments.list_departments()
    session = accounts.sessions.begin(accounts.own.get(kim), VISIT)
    _, token = accounts.device_tokens.create(
        replace(kim, session_id=session.id), "데스크톱", Scope.WRITE, 365
    )
    accounts.sessions.of_token(token, VISIT.address)
    accounts.joining.invite(kim, Offer(email=LEE.email, department_id=department.id, role=Role.WRITER))
    accounts.members.give(kim, department.id, kim.account_id, Role.MANAGER)
    accounts.members.set_visibility(kim, department.id, True)
    sign_in_in_vain(accounts)


def sign_in_in_vain(accounts: Accounts) -> None:
    with contextlib.suppress(SignInFailed):
        accounts.sessions.sign_in(KIM.email, "not the password", VISIT)


def creation(department: str, **fields: str) -> Write:
    now = timestamp(utc_now())
    draft = {**settle(None, FIELDS), "created_at": now, "last_modified": now, **fields}
    return Write(
        type=ChangeType.EVENT_CREATED, entity=Event(id=new_id(), department_id=department, **draft), at=now
    )


def commit_together(calendar: Calendar, department: str, writes: list[Write]) -> None:
    head = calendar.db.read_head(department)
    assert head
    assert len(calendar.db.commit(department, head, writes)) == len(writes)


@pytest.fixture
def rows(db, client, settings) -> list[Row]:
    """Rows of every kind, as this version writes them."""
    write_every_kind(Calendar(db))
    write_every_record(Calendar(db))
    return stored_rows(client, settings)


def is_of_an_earlier_version(kind: str) -> bool:
    return ", 1.1" in kind or ", up to" in kind


def test_every_example_is_under_the_heading_of_its_kind() -> None:
    assert [(heading, kind_of(row)) for heading, row in examples() if heading != kind_of(row)] == []


def test_every_example_has_the_attributes_of_a_row_that_is_stored(rows) -> None:
    stored = [shape(row) for row in rows]
    shown = [(kind, row) for kind, row in examples() if not is_of_an_earlier_version(kind)]

    assert [row for kind, row in shown if shape(row) not in stored] == []


def test_the_page_shows_every_kind_that_is_stored_and_no_other(rows) -> None:
    shown = {kind for kind, _ in examples() if not is_of_an_earlier_version(kind)}

    assert shown == {kind_of(row) for row in rows}


def test_the_page_shows_every_attribute_that_is_stored(rows) -> None:
    shown = {path for _, row in examples() for path in attributes_of(row)}

    assert {path for row in rows for path in attributes_of(row)} - shown == set()


@pytest.mark.parametrize(
    ("version", "kinds"),
    [
        (OLDER, {"Change row, 1.1", "Pending purge, up to 1.1"}),
        (BEFORE_1_1, {"Change row, up to 1.0", "Pending purge, up to 1.1"}),
    ],
    ids=["1.1", "1.0"],
)
def test_the_page_shows_the_rows_of_earlier_versions(db, client, settings, version, kinds, tmp_path) -> None:
    run_older_version(version, settings, tmp_path)
    stored = stored_rows(client, settings)
    shown = [row for kind, row in examples() if kind in kinds]
    shown_attributes = {path for _, row in examples() for path in attributes_of(row)}

    assert {kind_of(row) for row in stored if is_of_an_earlier_version(kind_of(row))} == kinds
    assert {kind_of(row) for row in shown} == kinds
    assert [row for row in shown if shape(row) not in [shape(row) for row in stored]] == []
    assert {path for row in stored for path in attributes_of(row)} - shown_attributes == set()


def run_older_version(version: str, settings: Settings, folder: Path) -> None:
    """Create, edit and delete with the services of an earlier version, on these tables."""
    older = lay_out(version, folder)
    done = run(
        [sys.executable, "-c", WITH_AN_OLDER_VERSION],
        older / "backend",
        **KEYS,
        DYNAMODB_ENDPOINT_URL=settings.dynamodb_endpoint_url,
        DEPARTMENTS_TABLE=settings.departments_table,
        EVENTS_TABLE=settings.events_table,
        CHANGES_TABLE=settings.changes_table,
    )
    assert done.returncode == 0, done.stderr


def units_on_the_page() -> dict[str, tuple[str, str]]:
    """Return the table of operations: name, write units, read units."""
    [tables] = [text for heading, text in sections() if heading == "What operations cost"]
    found = re.findall(r"^\| ([^|]+) \| ([\d.]+) \| ([\d.]+) \|", tables, re.MULTILINE)
    return {name: (writes, reads) for name, writes, reads in found}


def test_operations_cost_the_units_that_the_page_says(settings) -> None:
    client = CountingClient(settings)
    db = DynamoDBDatabase(settings, client)
    db.create_tables(report=lambda line: None)

    assert dict(measured_operations(Calendar(db), client)) == units_on_the_page()


def measured_operations(calendar: Calendar, client: CountingClient) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each operation of the page with the write and read units that it took for each event."""
    departments, events = calendar.departments, calendar.events
    department: Department = departments.create_department("개발팀").entity
    empty = departments.create_department("빈 팀").entity
    event = calendar.add(department.id)

    accounts = accounts_of(calendar)
    kim = set_up(accounts)
    lee = accounts.joining.invite(kim, Offer(email=LEE.email, department_id=department.id, role=Role.WRITER))
    offer = Offer(email="park@example.com", department_id=department.id, role=Role.READER)

    def together(count: int) -> None:
        commit_together(calendar, department.id, [creation(department.id) for _ in range(count)])

    operations: list[tuple[str, int, Callable[[], object]]] = [
        ("create an event", 1, lambda: events.create_event(department.id, FIELDS)),
        ("the same with an `Idempotency-Key`", 1, lambda: events.create_event(department.id, FIELDS, KEY)),
        ("edit an event", 1, lambda: events.update_event(event.id, {"title": "주간 회의"})),
        ("edit its date", 1, lambda: events.update_event(event.id, {"event_date": "2024-02-01"})),
        ("delete an event", 1, lambda: events.delete_event(event.id)),
        ("restore an event", 1, lambda: events.restore_event(department.id, event.id)),
        ("create an event in a group of 32", 32, lambda: together(32)),
        ("create an event in a group of 98", 98, lambda: together(98)),
        ("history of an event, 5 changes", 1, lambda: events.page_history(department.id, event.id, 100)),
        ("create a department", 1, lambda: departments.create_department("새 팀")),
        ("edit its description", 1, lambda: departments.update_department(empty.id, {"description": "x"})),
        ("rename a department", 1, lambda: departments.update_department(empty.id, {"name": "다른 팀"})),
        ("delete a department", 1, lambda: departments.delete_department(empty.id)),
        ("list the deleted departments", 1, lambda: departments.page_deleted_departments(100)),
        ("restore a department", 1, lambda: departments.restore_department(empty.id)),
        ("look for due purges, when there are none", 1, lambda: calendar.purge.run_due()),
        ("decide what a request may", 1, lambda: accounts.access.require(kim, department.id, Role.WRITER)),
        ("sign in", 1, lambda: accounts.sessions.sign_in(KIM.email, KIM.password, VISIT)),
        ("sign in with a wrong password", 1, lambda: sign_in_in_vain(accounts)),
        ("invite somebody", 1, lambda: accounts.joining.invite(kim, offer)),
        ("accept an invitation", 1, lambda: accounts.joining.accept(str(lee[1]), LEE)),
        ("give a role", 1, lambda: accounts.members.give(kim, department.id, kim.account_id, Role.WRITER)),
    ]
    for name, count, operation in operations:
        client.read_units = client.write_units = 0.0
        operation()
        writes, reads = client.write_units / count, client.read_units / count
        yield name, (f"{round(writes, 2):g}", f"{round(reads, 2):g}")
