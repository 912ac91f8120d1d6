"""What each migration test has for itself: tables, and a working folder in which it runs the command."""

import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys
import termios
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from aws_client import KEYS, REGION, aws_client
from config import Settings
from domain import Department, Event, Position, new_id
from migrate_to_dynamodb import main
from migration.bulk_load import INDEX_WAIT
from models import DynamoDBDatabase
from running import BACKEND

SAMPLES = Path(__file__).parent / "migration" / "samples"
COMMAND = BACKEND / "migrate_to_dynamodb.py"
CREDENTIALS = KEYS | {"AWS_EC2_METADATA_DISABLED": "true"}
TABLES = ("DEPARTMENTS", "EVENTS", "CHANGES")
ONE_REPLICA = replace(INDEX_WAIT, replica_lag_s=0.0)
"""How to wait for the index of the embedded engine, which has no replicas that lag."""


class Store:
    """Tables with names of their own on the embedded engine of a data folder."""

    def __init__(self, url: str, data_dir: Path) -> None:
        self.url = url
        self._data_dir = data_dir
        self._prefix = new_id()
        self._databases: dict[str | None, DynamoDBDatabase] = {}

    def environment(self, url: str | None = None) -> dict[str, str]:
        """Return the settings of a process that reaches the tables at an address, by default the engine's."""
        names = {f"{kind}_TABLE": self.table(kind) for kind in TABLES}
        return {"DYNAMODB_ENDPOINT_URL": url or self.url, "AWS_REGION": REGION} | CREDENTIALS | names

    def embedded(self) -> dict[str, str]:
        """Return the settings of a process that starts or finds the engine by itself, as `make run` does."""
        names = self.environment("embedded") | {"EMBEDDED_DATA_DIR": str(self._data_dir)}
        return {name: value for name, value in names.items() if name not in CREDENTIALS}

    def table(self, kind: str) -> str:
        """Return the name of one of the `TABLES`."""
        return f"{self._prefix}-{kind.lower()}"

    def database(self, url: str | None = None) -> DynamoDBDatabase:
        """Connect to the tables, once for each address; credentials must be in the environment."""
        if url not in self._databases:
            self._databases[url] = DynamoDBDatabase(Settings.from_env(self.environment(url)))
        return self._databases[url]

    @cached_property
    def client(self) -> Any:
        """A boto3 client, for items that the server would not write."""
        return aws_client("dynamodb", self.url)

    def created(self) -> DynamoDBDatabase:
        database = self.database()
        database.create_tables(report=lambda _line: None)
        return database

    def departments(self) -> dict[str, Department]:
        return {d.name: d for d in self.database().list_departments()}

    def events(self) -> dict[str, Event]:
        return {event.id: event for event in self.database().all_events()}

    def by_title(self) -> dict[str, Event]:
        return {event.title: event for event in self.events().values()}

    def heads(self) -> dict[str, Position | None]:
        database = self.database()
        return {d.id: database.read_head(d.id) for d in database.list_departments()}

    def everything(self) -> dict[str, list[str]]:
        """Return every item of every table as JSON, to check that nothing has changed."""
        scan = self.client.get_paginator("scan")
        found = {table: scan.paginate(TableName=table) for table in map(self.table, TABLES)}
        return {
            table: sorted(json.dumps(item, sort_keys=True) for page in pages for item in page["Items"])
            for table, pages in found.items()
        }

    def content(self) -> list[Any]:
        """Return all departments and events without their revisions, as users see them."""
        departments = [department.public() for department in self.database().list_departments()]
        events = [{**event.public(), "revision": 0} for event in self.events().values()]
        return sorted(departments, key=_id) + sorted(events, key=_id)

    def unfinished(self) -> Mapping[str, frozenset[str]]:
        database = self.database()
        return database.unfinished_loads([d.id for d in database.list_departments()])


def _id(row: Mapping[str, Any]) -> str:
    return str(row["id"])


def command(folder: Path, environment: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start the command in a process of its own."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    return subprocess.Popen(
        [sys.executable, COMMAND, *arguments],
        cwd=folder,
        env=inherited | dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass
class Run:
    """What one run of the command printed and returned."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass
class Workspace:
    """A working folder and a store; `migrate` runs the command there, in this process."""

    folder: Path
    store: Store
    capture: pytest.CaptureFixture[str]

    def migrate(self, *arguments: str) -> Run:
        self.capture.readouterr()
        status = main(arguments, index_wait=ONE_REPLICA)
        captured = self.capture.readouterr()
        return Run(status, captured.out, captured.err)

    def migrate_on_terminal(self, *arguments: str, typed: str = "", piped: bool = False) -> Run:
        """Run the command on a terminal of 80 columns, and type `typed` when it asks.

        The result's `err` is what the terminal showed. With `piped` the command's standard output goes to the
        result's `out` instead of the terminal.
        """
        screen, terminal = pty.openpty()
        termios.tcsetwinsize(terminal, (24, 80))
        run = subprocess.Popen(
            [sys.executable, COMMAND, *arguments],
            cwd=self.folder,
            env=dict(os.environ),
            stdin=terminal,
            stdout=subprocess.PIPE if piped else terminal,
            stderr=terminal,
        )
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal closes with the process
            while part := os.read(screen, 1_000):
                shown += part
                if typed and b"[y/N]" in shown:
                    os.write(screen, typed.encode())
                    typed = ""
        os.close(screen)
        out, _ = run.communicate(timeout=60)
        return Run(run.returncode, (out or b"").decode(), shown.decode())

    def copy(self, sample: str) -> None:
        for file in (SAMPLES / sample).iterdir():
            shutil.copy(file, self.folder)

    def write(self, departments: Any, events: Any) -> None:
        for name, rows in (("departments", departments), ("calendar_events", events)):
            text = rows if isinstance(rows, str) else json.dumps(rows, ensure_ascii=False)
            (self.folder / f"{name}.json").write_text(text)

    def errors(self) -> list[dict[str, Any]]:
        return self._rows("migration_errors.json")

    def superseded(self) -> list[dict[str, Any]]:
        return self._rows("migration_superseded.json")

    def _rows(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.folder / name).read_text())
        return found
