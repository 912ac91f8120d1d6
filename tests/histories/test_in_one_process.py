"""Randomised histories of several servers' services in one process, on one store whose index lags.

A history decides when a server polls and when it dies, so many interleavings are tried in a short time. The
judgement itself is tested, too: with any one of the mechanisms switched off, it finds a fault.

`HISTORIES` in the environment sets the number of seeds; `make histories` runs hundreds.
"""

import os
import random
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest

from config import Settings
from domain import Event, new_id
from errors import CalendarError, EventNotFound
from fake_transport import FakeTransport
from histories.judging import History, judge
from histories.switches import SWITCHES
from in_process import Calendar
from models import DynamoDBDatabase, HeadMoved
from realtime.engineio_guard import Json
from realtime.push import Push
from services.snapshots import Snapshot

SEEDS = int(os.environ.get("HISTORIES", "24"))
SHARES = 4
STEPS = 14
SERVERS = 3
USERS = 4


class Troubled(DynamoDBDatabase):
    """A store whose index shows a department as it was `lag` reads ago, and which loses some answers."""

    lag = 3

    def __init__(self, settings: Settings, rng: random.Random) -> None:
        super().__init__(settings)
        self.rng = rng
        self._shown: dict[str, deque[list[Event]]] = {}

    def indexed_events(self, department_id, first=None, last=None):
        now = list(super().indexed_events(department_id, None, None))
        states = self._shown.setdefault(department_id, deque([[]], maxlen=self.lag))
        states.append(now)
        return iter(states[0])

    def read_head(self, partition):
        head = super().read_head(partition)
        if self.rng.random() < 0.3:  # a slow answer: others write meanwhile
            time.sleep(0.01)
        return head

    def commit(self, partition, head, writes):
        changes = super().commit(partition, head, writes)
        if self.rng.random() < 0.05:  # the answer is lost, and the resend loses the race with itself
            raise HeadMoved(self.read_head(partition))
        return changes


class OneClient(FakeTransport):
    """A transport that hands every broadcast to one client."""

    def __init__(self) -> None:
        super().__init__()
        self.client: Client | None = None

    def emit(self, event, *payload, to=None):
        if self.client:
            self.client.receive(event, Json.loads(Json.dumps(payload[0])))

    def sleep(self, _seconds):
        pass


class Client:
    """A client of one department: applies the next revision, drops known ones, notes a hole as a fault."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.revision = snapshot.position.revision
        self.events = dict(snapshot.events)
        self.faults: list[str] = []

    def receive(self, name: str, payload: dict) -> None:
        if name == "sync_response":
            self.revision = payload["revision"]
            self.events = {e["id"]: Event(**e) for e in payload["events"]}
        elif name.startswith("event_") and payload["revision"] > self.revision:
            if payload["revision"] != self.revision + 1:
                self.faults.append(f"hole: {self.revision} then {payload['revision']}")
            self.revision = payload["revision"]
            if name == "event_deleted":
                self.events.pop(payload["id"], None)
            else:
                self.events[payload["id"]] = Event(**payload)


class Server:
    """The services and the push of one server process; a new one stands for a restart."""

    def __init__(self, db: DynamoDBDatabase, department_id: str) -> None:
        self.calendar = Calendar(db)
        transport = OneClient()
        self._push = Push(transport, db, self.calendar.sync, poll_s=None)
        self.calendar.group_commit.on_commit(self._push.on_commit)
        self._push.join("member", department_id)
        transport.client = self.client = Client(self.calendar.snapshot(department_id))

    def poll(self, department_id: str) -> None:
        self._push.on_hint(department_id, sys.maxsize)


def step(history: History, server: Server, rng: random.Random) -> None:
    """Let a user send one random request to a server."""
    before, known = history.so_far()
    kind = rng.choice(["create", "create", "edit", "edit", "delete", "read", "read", "read"])
    fields = {"title": str(rng.random())}
    try:
        if kind == "read":
            snapshot = server.calendar.snapshot(history.department)
            history.reads.append((before, snapshot.position.revision, dict(snapshot.events)))
        elif kind == "create" or not known:
            fields["event_date"] = f"2024-01-{rng.randint(10, 28)}"
            history.acknowledge(server.calendar.events.create_event(history.department, fields).entity)
        elif kind == "edit":
            fields = {rng.choice(["title", "description", "time"]): str(rng.random())}
            event = server.calendar.events.update_event(rng.choice(known), fields)
            history.edits[event.revision] = fields
            history.acknowledge(event)
        else:
            doomed = rng.choice(known)
            server.calendar.events.delete_event(doomed)
            history.deleted.add(doomed)
    except EventNotFound:
        pass  # somebody else deleted it
    except CalendarError as error:
        history.faults.append(f"{kind}: {error}")


def run(settings: Settings, seed: int) -> list[str]:
    """Run one history; return its faults."""
    db = Troubled(settings, random.Random(seed))
    department = Calendar(db).departments.create_department(new_id()).entity.id
    history = History(department)
    servers = [Server(db, department) for _ in range(SERVERS)]

    def user(number: int) -> None:
        rng = random.Random(seed * 100 + number)
        for _ in range(STEPS):
            step(history, servers[rng.randrange(SERVERS)], rng)
            if rng.random() < 0.1:
                servers[rng.randrange(SERVERS)].poll(department)
            if rng.random() < 0.05:  # killed and started again; its client reconnects
                servers[rng.randrange(SERVERS)] = Server(db, department)

    with ThreadPoolExecutor(USERS) as pool:
        for done in [pool.submit(user, number) for number in range(USERS)]:
            done.result()
    events = judge(history, db)
    for server in servers:
        server.poll(department)
        history.faults += server.client.faults
        if server.client.events != events:
            history.faults.append(f"a client stands at {server.client.revision} and differs from the log")
    return history.faults


@pytest.mark.timeout(600)
@pytest.mark.parametrize("share", range(SHARES))
def test_no_history_loses_a_write_or_shows_an_older_state(engine_settings, share):
    for seed in range(share, SEEDS, SHARES):
        assert run(engine_settings, seed) == [], f"seed {seed}"


ONLY_BETWEEN_PROCESSES = {"the receipt of a creation"}
"""The mechanisms that only the histories of processes put to the test."""


@pytest.mark.parametrize("mechanism", [name for name in SWITCHES if name not in ONLY_BETWEEN_PROCESSES])
def test_the_judgement_notices_when_a_mechanism_is_switched_off(engine_settings, monkeypatch, mechanism):
    monkeypatch.setattr(*SWITCHES[mechanism])
    assert any(run(engine_settings, seed) for seed in range(60))
