"""Randomised histories of the parts of several servers in one process, on one store whose index lags.

Fast, and fine-grained: the poll runs when the history says, servers forget everything in the middle of it.
The judgement itself is tested, too: with any one of the mechanisms switched off, it finds a fault.

`HISTORIES` in the environment sets the number of seeds; `make histories` runs hundreds.
"""

import os
import random
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
PARTS = 4
STEPS = 14
SERVERS = 3
USERS = 4


class Troubled(DynamoDBDatabase):
    """The real store, but its index shows a department as it was some reads ago, and answers get lost."""

    lag = 3

    def __init__(self, settings: Settings, dice: random.Random) -> None:
        super().__init__(settings)
        self.dice = dice
        self._shown: dict[str, deque[list[Event]]] = {}

    def indexed_events(self, department_id, first=None, last=None):
        now = list(super().indexed_events(department_id, None, None))
        states = self._shown.setdefault(department_id, deque([[]], maxlen=self.lag))
        states.append(now)
        return iter(states[0])

    def read_head(self, partition):
        head = super().read_head(partition)
        if self.dice.random() < 0.3:  # the answer takes its time, and others write meanwhile
            time.sleep(0.01)
        return head

    def commit(self, partition, head, writes):
        changes = super().commit(partition, head, writes)
        if self.dice.random() < 0.05:  # the answer is lost, and the resend loses the race with itself
            raise HeadMoved(self.read_head(partition))
        return changes


class OneClient(FakeTransport):
    """A transport whose one client applies what it is sent by the revision rule, and syncs over holes."""

    def __init__(self) -> None:
        super().__init__()
        self.client: Client | None = None

    def emit(self, event, *payload, to=None):
        if self.client:
            self.client.receive(event, Json.loads(Json.dumps(payload[0])))

    def sleep(self, _seconds):
        pass


class Client:
    """What a browser holds of one department: by the revision rule alone, without asking again."""

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
    """The parts of one server process; killing it forgets all that it kept."""

    def __init__(self, db: DynamoDBDatabase, department_id: str) -> None:
        self.calendar = Calendar(db)
        transport = OneClient()
        self._push = Push(transport, db, self.calendar.sync, poll_s=None)
        self.calendar.change_log.on_commit(self._push.on_commit)
        self._push.join("member", department_id)
        transport.client = self.client = Client(self.calendar.snapshot(department_id))

    def poll(self, department_id: str) -> None:
        self._push.catch_up(department_id)


def step(history: History, server: Server, dice: random.Random) -> None:
    """Let one user do one thing on one server."""
    before, known = history.so_far()
    kind = dice.choice(["create", "create", "edit", "edit", "delete", "read", "read", "read"])
    fields = {"title": str(dice.random())}
    try:
        if kind == "read":
            snapshot = server.calendar.snapshot(history.department)
            history.reads.append((before, snapshot.position.revision, dict(snapshot.events)))
        elif kind == "create" or not known:
            fields["event_date"] = f"2024-01-{dice.randint(10, 28)}"
            history.acknowledge(server.calendar.events.create_event(history.department, fields).entity)
        elif kind == "edit":
            fields = {dice.choice(["title", "description", "time"]): str(dice.random())}
            event = server.calendar.events.update_event(dice.choice(known), fields)
            history.edits[event.revision] = fields
            history.acknowledge(event)
        else:
            doomed = dice.choice(known)
            server.calendar.events.delete_event(doomed)
            history.deleted.add(doomed)
    except EventNotFound:
        pass  # somebody else deleted it
    except CalendarError as error:
        history.faults.append(f"{kind}: {error}")


def run(settings: Settings, seed: int) -> list[str]:
    """Play one history; return what was found wrong with it."""
    db = Troubled(settings, random.Random(seed))
    department = Calendar(db).departments.create_department(new_id()).entity.id
    history = History(department)
    servers = [Server(db, department) for _ in range(SERVERS)]

    def user(number: int) -> None:
        dice = random.Random(seed * 100 + number)
        for _ in range(STEPS):
            step(history, servers[dice.randrange(SERVERS)], dice)
            if dice.random() < 0.1:
                servers[dice.randrange(SERVERS)].poll(department)
            if dice.random() < 0.05:  # killed and started again; its client reconnects
                servers[dice.randrange(SERVERS)] = Server(db, department)

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
@pytest.mark.parametrize("part", range(PARTS))
def test_no_history_loses_a_write_or_shows_an_older_state(engine_settings, part):
    for seed in range(part, SEEDS, PARTS):
        assert run(engine_settings, seed) == [], f"seed {seed}"


ONLY_BETWEEN_PROCESSES = {"the receipt of a creation"}
"""The mechanisms that only the histories of processes put to the test."""


@pytest.mark.parametrize("mechanism", [name for name in SWITCHES if name not in ONLY_BETWEEN_PROCESSES])
def test_the_judgement_notices_when_a_mechanism_is_switched_off(engine_settings, monkeypatch, mechanism):
    monkeypatch.setattr(*SWITCHES[mechanism])
    assert any(run(engine_settings, seed) for seed in range(60))
