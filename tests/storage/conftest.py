"""The stores that the storage suite runs on: the embedded engine, moto, AWS's own DynamoDB Local."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from moto import mock_aws

from config import Settings
from domain import new_id
from in_process import Calendar
from log_rows import LogWriter
from models import DynamoDBDatabase
from programs import program
from running import DYNAMODB_LOCAL, running_dynamodb_local
from store.dynamo_client import DynamoClient

STORES = ("engine", "moto", "dynamodb-local")


@pytest.fixture(autouse=True)
def _credentials(aws_keys: None) -> None:
    """Let every test find invented credentials."""


@pytest.fixture(scope="session")
def dynamodb_local() -> Iterator[str]:
    program("java")
    if not DYNAMODB_LOCAL.is_dir():
        pytest.skip("DynamoDB Local is missing: make java-tools")
    with running_dynamodb_local() as url:
        yield url


@pytest.fixture(params=STORES)
def settings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of an empty set of tables on one of the stores."""
    prefix = new_id()[:8]
    settings = Settings(
        departments_table=f"{prefix}-departments",
        events_table=f"{prefix}-events",
        changes_table=f"{prefix}-changes",
    )
    if request.param == "moto":
        one_at_a_time(monkeypatch)
        with mock_aws():
            yield settings
    else:
        fixture = "engine" if request.param == "engine" else "dynamodb_local"
        value = request.getfixturevalue(fixture)
        yield replace(settings, dynamodb_endpoint_url=value if isinstance(value, str) else value.url)


@pytest.fixture
def client(settings: Settings) -> DynamoClient:
    """The client of `db`, for what a test reads or writes past the facade."""
    return DynamoClient(settings)


@pytest.fixture
def db(settings: Settings, client: DynamoClient) -> DynamoDBDatabase:
    database = DynamoDBDatabase(settings, client)
    database.create_tables(report=lambda line: None)
    return database


@pytest.fixture
def other_client(settings, db) -> DynamoClient:
    """A second client of the tables of `db`, whose requests no test interrupts."""
    return DynamoClient(settings)


@pytest.fixture
def other(settings, other_client) -> DynamoDBDatabase:
    """Another process on the tables of `db`."""
    return DynamoDBDatabase(settings, other_client)


@pytest.fixture
def calendar(db: DynamoDBDatabase) -> Calendar:
    """The services of a server on the tables."""
    return Calendar(db)


@pytest.fixture
def elsewhere(other: DynamoDBDatabase) -> Calendar:
    """The services of another server on the same tables, whose requests no test interrupts."""
    return Calendar(other)


@pytest.fixture
def department(calendar: Calendar) -> str:
    return calendar.departments.create_department("개발팀").entity.id


@pytest.fixture
def writer(client: DynamoClient, settings: Settings) -> LogWriter:
    return LogWriter(client, settings)


def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send one request at a time to moto, whose dictionaries break under concurrent requests."""
    lock, call = threading.Lock(), DynamoClient.call

    def locked(self, operation, **parameters):
        with lock:
            return call(self, operation, **parameters)

    monkeypatch.setattr(DynamoClient, "call", locked)
