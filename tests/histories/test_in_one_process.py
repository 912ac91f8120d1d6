"""Randomised histories of several servers' services in one process, on one store whose index lags.

A history decides when a server polls and when it dies, so many interleavings are tried in a short time. The
judgement itself is tested, too: with any one of the mechanisms switched off, it finds a fault.

`HISTORIES` in the environment sets the number of seeds; `make histories` runs hundreds.
"""

import contextlib
import os
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from config import Settings
from domain import REGISTRY, Event, new_id
from errors import (
    CalendarError,
    DepartmentNotFound,
    EventIdTaken,
    EventNotFound,
    OccurrenceNotFound,
    SyncTokenExpired,
)
from histories.client import Client, ToClient
from histories.judging import History, judge
from histories.older_rows import write_older_rows
from histories.series import Wish, new_series, wish
from histories.switches import SWITCHES
from in_process import SNAPSHOT_BYTES, Calendar
from models import DynamoDBDatabase, HeadMoved
from realtime.push import Push
from services.accounts.access import OpenAccess

SEEDS = int(os.environ.get("HISTORIES", "24"))
SHARES = 4
STEPS = 14
SERVERS = 3
USERS = 4
BURSTS = (2, 5, 20, 98)
"""How many events a user creates at once; most of them share a commit."""
LARGE = "가" * 10_000
"""The description of half of the events in some histories: a list of them is sent in parts."""
SNAPSHOT_SIZES = (SNAPSHOT_BYTES, SNAPSHOT_BYTES, 20_000)
"""How many bytes a server keeps in memory; 20,000 are too few for most departments."""


class Troubled(DynamoDBDatabase):
    """A store whose index shows a department as it was `lag` reads ago, and which loses some answers."""

    lag = 3

    def __init__(self, settings: Settings, rng: random.Random) -> None:
        super().__init__(settings)
        self.rng = rng
        self._shown: dict[str, deque[list[Event]]] = {}

    def indexed_events(self, department_id, *_):
        now = list(super().indexed_events(department_id))
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


class Server:
    """The services and the push of one server process; a new one stands for a restart."""

    def __init__(
        self, db: DynamoDBDatabase, department_id: str, snapshot_bytes: int, rng: random.Random
    ) -> None:
        self._rng = rng
        self.calendar = Calendar(db, snapshot_bytes)
        self._department = department_id
        self._lock = threading.Lock()
        self._connect()

    def _connect(self) -> None:
        """Let a client join the department; raises `DepartmentNotFound`."""
        client = Client(self._department)
        transport = ToClient(client)
        self._push = Push(transport, self.calendar.db, self.calendar.sync, OpenAccess(), poll_s=None)
        self.calendar.group_commit.on_commit(self._push.on_commit)
        self._push.connect("member")
        self._push.join("member", self._department)
        everything = self.calendar.sync.full(self._department)
        self._push.sync_response("member", everything, in_parts=self._rng.random() < 0.7)
        self.client, self._transport = client, transport

    def read_on(self, parts: int) -> None:
        """Let the client receive further parts of its answer, if it comes in parts."""
        self._transport.read_on(parts)

    def poll(self) -> None:
        """Push what other servers have committed; a client that was told to leave joins again."""
        for partition in (REGISTRY, self._department):
            self._push.on_hint(partition, sys.maxsize)
        with self._lock:
            if self.client.was_told_to_leave:
                self._connect()


class User:
    """Somebody who sends random requests for one department, each to a random server."""

    def __init__(
        self, history: History, servers: list[Server], rng: random.Random, descriptions: Sequence[str]
    ) -> None:
        self._history = history
        self._descriptions = descriptions
        self._servers = servers
        self._rng = rng
        self._last_read: tuple[int, str] | None = None
        """A revision and its sync token."""

    def act(self) -> None:
        """Send one random request, or several."""
        if self._rng.random() < 0.03:
            return self._absence()
        if self._rng.random() < 0.03:
            return self._burst(self._rng.choice(BURSTS))
        often = [self._create, self._edit, self._read, self._change_occurrence] * 2
        often += [self._change_occurrence, self._remove_occurrence]
        seldom = [self._delete, self._restore, self._read, self._catch_up, self._create_series]
        return self._send(self._rng.choice([*often, *seldom]))

    def calendar(self) -> Calendar:
        return self._rng.choice(self._servers).calendar

    def _send(self, request: Callable[[], None]) -> None:
        moment = self._history.moment()
        try:
            request()
        except OccurrenceNotFound:  # chosen at random, or somebody else removed it
            pass
        except (EventNotFound, EventIdTaken) as error:  # somebody else deleted it, or restored it
            if request == self._create:  # nobody else knows the new id
                self._history.faults.append(f"a creation met itself: {error}")
        except (DepartmentNotFound, SyncTokenExpired) as error:
            if not self._history.was_absent_since(moment) and not (
                isinstance(error, SyncTokenExpired) and self._history.absences
            ):
                self._history.faults.append(f"{request.__name__}: {error}")
        except CalendarError as error:
            self._history.faults.append(f"{request.__name__}: {error}")

    def _create(self) -> None:
        fields = {
            "title": str(self._rng.random()),
            "event_date": f"2024-01-{self._rng.randint(10, 28)}",
            "description": self._rng.choice(self._descriptions),
        }
        self._history.acknowledge(
            self.calendar().events.create_event(self._history.department, fields).entity
        )

    def _burst(self, size: int) -> None:
        with ThreadPoolExecutor(size) as pool:
            for done in [pool.submit(self._send, self._create) for _ in range(size)]:
                done.result()

    def _known(self) -> str:
        """Choose an event that was changed before; raises `EventNotFound` if there is none."""
        _, known = self._history.so_far()
        if not known:
            raise EventNotFound()
        return self._rng.choice(known)

    def _edit(self) -> None:
        fields = {self._rng.choice(["title", "description", "time"]): str(self._rng.random())}
        event = self.calendar().events.update_event(self._known(), fields)
        self._history.edits[event.revision] = fields
        self._history.acknowledge(event)

    def _delete(self) -> None:
        doomed = self._known()
        self.calendar().events.delete_event(doomed)
        self._history.deleted.append(doomed)

    def _restore(self) -> None:
        wanted = self._known()
        self._history.restored.add(wanted)
        self._history.acknowledge(self.calendar().events.restore_event(self._history.department, wanted))

    def _create_series(self) -> None:
        created = self.calendar().events.create_event(self._history.department, new_series(self._rng))
        self._history.acknowledge(created.entity)
        self._history.series.known.append(created.entity.id)

    def _wish(self) -> Wish:
        """Choose an occurrence, of a new series if there is none."""
        if not self._history.series.known:
            self._create_series()
        return wish(self._rng, self._history.series.known)

    def _change_occurrence(self) -> None:
        wanted = self._wish()
        event = self.calendar().events.update_occurrence(
            wanted.series, wanted.day, wanted.fields, following=wanted.following
        )
        self._history.series.changed[event.revision] = wanted
        self._history.acknowledge(event)
        if wanted.following:
            self._history.series.known.append(event.id)

    def _remove_occurrence(self) -> None:
        wanted = self._wish()
        self.calendar().events.delete_occurrence(wanted.series, wanted.day, following=wanted.following)
        self._history.series.removed.append(wanted)

    def _read(self) -> None:
        before, _ = self._history.so_far()
        snapshot = self.calendar().snapshot(self._history.department)
        self._history.reads.append((before, snapshot.position.revision, dict(snapshot.events)))
        self._last_read = snapshot.position.revision, snapshot.position.sync_token

    def _catch_up(self) -> None:
        if self._last_read is None:
            return self._read()
        (begin, token), self._last_read = self._last_read, None
        before, _ = self._history.so_far()
        limit = self._rng.choice([1, 3, 1_000])
        delta = self.calendar().sync.changes_since(self._history.department, token, limit)
        told = [(change.revision, change.type.value, change.entity.id) for change in delta.changes]
        self._history.deltas.append((0 if delta.has_more else before, begin, told))
        self._last_read = begin + len(told), delta.position.sync_token
        return None

    def _absence(self) -> None:
        """Delete the department, find it gone, and restore it after a while, each at a random server."""
        history = self._history
        if not history.begin_absence():
            return
        try:
            self._delete_and_restore()
        except CalendarError as error:
            history.faults.append(f"delete and restore the department: {error}")
        history.end_absence()

    def _delete_and_restore(self) -> None:
        history = self._history
        self.calendar().departments.delete_department(history.department)
        for request in (self._create, self._edit, self._read) * self._rng.choice([0, 1, 3]):
            try:
                request()
            except (DepartmentNotFound, EventNotFound):
                continue
            history.faults.append(f"{request.__name__} reached the deleted department")
        self.calendar().departments.restore_department(history.department)


def run(settings: Settings, seed: int) -> list[str]:
    """Run one history; return its faults."""
    db = Troubled(settings, random.Random(seed))
    department = Calendar(DynamoDBDatabase(settings)).departments.create_department(new_id()).entity.id
    history = History(department)
    if seed % 2:
        write_older_rows(settings, history, with_previous=seed % 4 == 1)
    descriptions = ["", LARGE] if seed % 3 == 0 else [""]

    def start(number: int, rng: random.Random) -> Server:
        return Server(db, department, SNAPSHOT_SIZES[number], rng)

    servers = [start(number, random.Random(seed * 100 + USERS + number)) for number in range(SERVERS)]

    def user(number: int) -> None:
        rng = random.Random(seed * 100 + number)
        somebody = User(history, servers, rng, descriptions)
        for _ in range(STEPS):
            somebody.act()
            with contextlib.suppress(DepartmentNotFound):
                if rng.random() < 0.1:
                    servers[rng.randrange(SERVERS)].poll()
                if rng.random() < 0.05:  # killed and started again; its client reconnects
                    killed = rng.randrange(SERVERS)
                    servers[killed] = start(killed, rng)
                servers[rng.randrange(SERVERS)].read_on(rng.randrange(3))

    with ThreadPoolExecutor(USERS) as pool:
        for done in [pool.submit(user, number) for number in range(USERS)]:
            done.result()
    events = judge(history, db)
    if db.read_head(department) is None:
        return history.faults
    for server in servers:
        server.poll()
        server.read_on(sys.maxsize)
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
