"""A store of a test's own on a shared engine, and a relay that stands between the command and the engine."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pytest

from config import Settings
from domain import Department, Event, Position, new_id
from migrate_to_dynamodb import main
from models import DynamoDBDatabase
from store import local_engine

BACKEND = Path(__file__).resolve().parent.parent / "backend"
SAMPLES = Path(__file__).parent / "migration" / "samples"
COMMAND = BACKEND / "migrate_to_dynamodb.py"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "embedded",
    "AWS_SECRET_ACCESS_KEY": "embedded",
    "AWS_EC2_METADATA_DISABLED": "true",
}
TABLES = ("DEPARTMENTS", "EVENTS", "CHANGES")


class Store:
    """Tables with names of their own."""

    def __init__(self, engine: local_engine.Engine) -> None:
        self.url = engine.url
        self._data_dir = engine._data_dir
        self.prefix = new_id()
        self._databases: dict[str | None, DynamoDBDatabase] = {}

    def environment(self, url: str | None = None) -> dict[str, str]:
        names = {f"{kind}_TABLE": f"{self.prefix}-{kind.lower()}" for kind in TABLES}
        return (
            {"DYNAMODB_ENDPOINT_URL": url or self.url, "AWS_REGION": "ap-northeast-2"} | CREDENTIALS | names
        )

    def embedded(self) -> dict[str, str]:
        """The same tables for a process that finds the engine by itself, as `make run` does."""
        names = self.environment("embedded") | {"EMBEDDED_DATA_DIR": str(self._data_dir)}
        return {name: value for name, value in names.items() if name not in CREDENTIALS}

    def database(self, url: str | None = None) -> DynamoDBDatabase:
        """Connect to the tables, once for each address; credentials must stand in the environment."""
        if url not in self._databases:
            self._databases[url] = DynamoDBDatabase(Settings.from_env(self.environment(url)))
        return self._databases[url]

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
        """Every item of every table, to see that nothing at all has changed."""
        client = self.database()._client
        names = [self.environment()[f"{kind}_TABLE"] for kind in TABLES]
        return {
            name: sorted(json.dumps(item, sort_keys=True) for item in client.items("scan", TableName=name))
            for name in names
        }

    def content(self) -> list[Any]:
        """What people see of the tables: everything but revisions."""
        departments = [department.public() for department in self.database().list_departments()]
        events = [{**event.public(), "revision": 0} for event in self.events().values()]
        return sorted(departments, key=_id) + sorted(events, key=_id)

    def unfinished(self) -> Mapping[str, frozenset[str]]:
        database = self.database()
        return database.unfinished_loads([d.id for d in database.list_departments()])


def _id(row: Mapping[str, Any]) -> str:
    return str(row["id"])


def command(place: Path, environment: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start the command in a process of its own."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    return subprocess.Popen(
        [sys.executable, COMMAND, *arguments],
        cwd=place,
        env=inherited | dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass
class Run:
    """What one run of the command said and returned."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass
class Desk:
    """A working directory and a store; `migrate` runs the command there, in this process."""

    place: Path
    store: Store
    capture: pytest.CaptureFixture[str]

    def migrate(self, *arguments: str) -> Run:
        self.capture.readouterr()
        status = main(arguments)
        captured = self.capture.readouterr()
        return Run(status, captured.out, captured.err)

    def copy(self, sample: str) -> None:
        for file in (SAMPLES / sample).iterdir():
            shutil.copy(file, self.place)

    def write(self, departments: Any, events: Any) -> None:
        for name, rows in (("departments", departments), ("calendar_events", events)):
            text = rows if isinstance(rows, str) else json.dumps(rows, ensure_ascii=False)
            (self.place / f"{name}.json").write_text(text)

    def errors(self) -> list[dict[str, Any]]:
        return self._rows("migration_errors.json")

    def superseded(self) -> list[dict[str, Any]]:
        return self._rows("migration_superseded.json")

    def _rows(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.place / name).read_text())
        return found


Answer = tuple[int, bytes]
Hook = Callable[[int, str, dict[str, Any], Callable[[dict[str, Any]], Answer]], Answer]
"""Called with a request's number, its operation, its body, and the way to the engine."""


def pass_on(
    _number: int, _operation: str, body: dict[str, Any], forward: Callable[[dict[str, Any]], Answer]
) -> Answer:
    return forward(body)


class Relay:
    """Stands between a client and the engine, and lets a test see, change or break what passes."""

    def __init__(self, engine_url: str, hook: Hook = pass_on) -> None:
        self.hook = hook
        self.count = 0
        self._lock = threading.Lock()
        self._engine = urlsplit(engine_url).netloc
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer in one packet: two would wait for each other's acknowledgement
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers["X-Amz-Target"].split(".")[1]
                try:
                    status, answer = relay._answer(operation, body, dict(self.headers))
                except ConnectionError:
                    self.close_connection = True  # as a store that is gone: no answer at all
                    return
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _answer(self, operation: str, body: bytes, headers: dict[str, str]) -> Answer:
        with self._lock:
            self.count += 1
            number = self.count

        def forward(changed: dict[str, Any]) -> Answer:
            payload = json.dumps(changed).encode()
            connection = HTTPConnection(self._engine)
            try:
                sent = headers | {"Content-Length": str(len(payload)), "Host": self._engine}
                connection.request("POST", "/", payload, sent)
                answer = connection.getresponse()
                return answer.status, answer.read()
            finally:
                connection.close()

        return self.hook(number, operation, json.loads(body), forward)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def refuse(code: str) -> Answer:
    """Answer as DynamoDB does when it refuses a request."""
    return 400, json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": code}).encode()
