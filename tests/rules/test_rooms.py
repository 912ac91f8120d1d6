"""Rooms: what entering one costs while the store is away, and what becomes of one whose department goes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import socketio

from domain import REGISTRY, Change, ChangeType, Department, Event, Head
from errors import StoreUnavailable, TableMissing
from realtime.engineio_guard import QUEUE_LIMIT, crowded
from realtime.messages import Messages
from realtime.push import BURST, Broadcasts
from running import wait_for
from services.events import Delta
from services.snapshots import Snapshot, _Recent

NOBODY = "11111111-2222-4333-8444-555555555555"
DEPARTMENT = "805d0fbd-dd60-412e-a9e7-4097e872610f"


class Wire:
    """A transport that keeps what is sent, and rooms that keep who is in them. Never polls."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str | None]] = []
        self.members: dict[str, set[str]] = {}

    def emit(self, event, *_payload, to=None):
        self.sent.append((event, to))

    def sleep(self, _seconds):
        raise AssertionError("no task runs here")

    def start_background_task(self, target, *arguments):
        if target.__name__ != "_poll":
            target(*arguments)

    def enter_room(self, sid, room, namespace=None):
        self.members.setdefault(room, set()).add(sid)

    def leave_room(self, sid, room, namespace=None):
        self.members[room].discard(sid)

    def close_room(self, room, namespace=None):
        self.members.pop(room, None)


class Heads:
    """A store of heads that answers, or fails, when it is let to."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.asked = 0
        self.gate = threading.Semaphore(0)

    def read_head(self, _partition):
        self.asked += 1
        self.gate.acquire()
        if self.away:
            raise StoreUnavailable()
        return Head(0, "e")


def test_all_who_wait_to_enter_while_the_store_hangs_share_one_failure():
    wire, store = Wire(), Heads(away=True)
    broadcasts = Broadcasts(wire, store, None)
    with ThreadPoolExecutor(20) as pool:
        joins = [pool.submit(broadcasts.join, wire, f"{n}", DEPARTMENT) for n in range(20)]
        wait_for(lambda: len(wire.members.get(f"department:{DEPARTMENT}", ())) == 20)
        store.gate.release(100)
        for join in joins:
            assert isinstance(join.exception(10), StoreUnavailable)
    assert store.asked < 5  # one, and whoever came a moment later
    assert wire.members[f"department:{DEPARTMENT}"] == set()
    store.away = False
    broadcasts.join(wire, "later", DEPARTMENT)
    assert wire.members[f"department:{DEPARTMENT}"] == {"later"}


@pytest.mark.parametrize("error", [StoreUnavailable(), TableMissing("changes")])
def test_a_client_is_greeted_though_the_store_is_away(error):
    class Away(Heads):
        def read_head(self, _partition):
            raise error

    wire = Wire()
    Broadcasts(wire, Away(), None).connect("sid")
    assert wire.sent == [("connected", "sid")]


def test_the_room_of_a_deleted_department_is_emptied_after_everybody_was_told():
    wire, store = Wire(), Heads()
    store.gate.release(10)
    broadcasts = Broadcasts(wire, store, None)
    broadcasts.connect("sid")
    broadcasts.join(wire, "sid", DEPARTMENT)
    deletion = Change(
        revision=1, type=ChangeType.DEPARTMENT_DELETED, entity=Department(id=DEPARTMENT, name="개발팀"), at=""
    )
    broadcasts.on_commit(REGISTRY, Head(1, "e"), [deletion])
    assert wire.sent == [("connected", "sid"), ("department_deleted", None)]
    assert wire.members == {}
    asked = store.asked
    broadcasts.on_hint(DEPARTMENT, 7)
    assert store.asked == asked


def test_who_leaves_is_told_nothing_more():
    wire, store = Wire(), Heads()
    store.gate.release(10)
    broadcasts = Broadcasts(wire, store, None)
    broadcasts.join(wire, "sid", DEPARTMENT)
    broadcasts.leave(wire, "sid", DEPARTMENT)
    assert wire.members[f"department:{DEPARTMENT}"] == set()
    asked = store.asked
    broadcasts.on_hint(DEPARTMENT, 7)
    assert store.asked == asked


@pytest.mark.parametrize("token", ["", "MS4w"])
def test_what_is_committed_while_a_client_joins_reaches_it(token):
    """The state is read once the client is in the room: a commit right after the read is pushed to it."""
    wire, store = Wire(), Heads()
    store.gate.release(100)
    broadcasts = Broadcasts(wire, store, None)
    broadcasts.join(wire, "other", DEPARTMENT)  # somebody is there already
    event = Event(id=NOBODY, department_id=DEPARTMENT, event_date="2024-01-20", title="회의", revision=1)
    commit = Change(revision=1, type=ChangeType.EVENT_CREATED, entity=event, at="")
    reached: list[set[str]] = []

    class Events:
        """Reads of the state before the commit, which comes right after each of them."""

        def department(self, _department_id):
            self._commit()
            return Snapshot(DEPARTMENT, "e", 0, {}, 0, _Recent())

        def changes_since(self, _department_id, since, _limit):
            self._commit()
            return Delta([], since, has_more=False)

        def _commit(self):
            broadcasts.on_commit(DEPARTMENT, Head(1, "e"), [commit])
            reached.append(set(wire.members[f"department:{DEPARTMENT}"]))

    messages = Messages(SimpleNamespace(server=socketio.Server(async_mode="threading")), broadcasts, Events())
    messages._rooms = wire
    messages._join_department("sid", {"department_id": DEPARTMENT, "sync_token": token})
    assert reached == [{"other", "sid"}]
    assert ("event_created", f"department:{DEPARTMENT}") in wire.sent


def test_a_push_that_the_store_does_not_answer_is_left_to_the_poll(caplog):
    wire, store = Wire(), Heads()
    store.gate.release(10)
    broadcasts = Broadcasts(wire, store, None)
    broadcasts.join(wire, "sid", DEPARTMENT)
    store.away = True
    broadcasts.on_hint(DEPARTMENT, 7)
    event = Event(id=NOBODY, department_id=DEPARTMENT, event_date="2024-01-20", title="회의", revision=5)
    later = Change(revision=5, type=ChangeType.EVENT_CREATED, entity=event, at="")
    broadcasts.on_commit(DEPARTMENT, Head(5, "e"), [later])
    assert wire.sent == []
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert not any(record.exc_info for record in caplog.records)


class Looked(Exception):
    """Ends a poll after enough looks."""


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ({}, []),
        ({DEPARTMENT: Head(0, "e")}, []),
        ({DEPARTMENT: Head(2, "e")}, ["event_created", "event_created"]),
        ({DEPARTMENT: Head(0, "old")}, ["event_created", "event_created"]),
    ],
)
def test_a_poll_follows_what_it_sees_moved_and_outlives_its_failures(seen, told):
    class Moving(Heads):
        def recent_heads(self, partitions):
            assert partitions == [DEPARTMENT]
            self.looks += 1
            if self.looks <= 2:
                raise (StoreUnavailable(), ValueError("of ours"))[self.looks - 1]
            return seen

        def changes_after(self, _partition, revision):
            return [created(n) for n in (1, 2) if n > revision]

        def read_head(self, _partition):
            return Head(2, "e") if self.looks else Head(0, "e")

        looks = 0

    class Ending(Wire):
        def sleep(self, _seconds):
            if store.looks == 4:
                raise Looked

    def created(revision: int) -> Change:
        event = Event(
            id=NOBODY, department_id=DEPARTMENT, event_date="2024-01-20", title="회의", revision=revision
        )
        return Change(revision=revision, type=ChangeType.EVENT_CREATED, entity=event, at="")

    wire, store = Ending(), Moving()
    broadcasts = Broadcasts(wire, store, None)
    broadcasts.join(wire, "sid", DEPARTMENT)
    with pytest.raises(Looked):
        broadcasts._poll()
    assert [name for name, _ in wire.sent] == told


def created(revision: int) -> Change:
    event = Event(
        id=NOBODY, department_id=DEPARTMENT, event_date="2024-01-20", title="회의", revision=revision
    )
    return Change(revision=revision, type=ChangeType.EVENT_CREATED, entity=event, at="")


class Log(Heads):
    """A store whose log another server has filled."""

    filled = 0

    def read_head(self, _partition):
        return Head(self.filled, "e")

    def changes_after(self, _partition, revision):
        return [created(n) for n in range(revision + 1, self.filled + 1)]


class PausingWire(Wire):
    """A transport whose pauses last until they are let to end."""

    def __init__(self) -> None:
        super().__init__()
        self.revisions: list[int] = []
        self.pauses = 0
        self.gate = threading.Semaphore(0)

    def emit(self, event, *payload, to=None):
        super().emit(event, *payload, to=to)
        if event == "event_created":
            self.revisions.append(payload[0]["revision"])

    def sleep(self, _seconds):
        self.pauses += 1
        self.gate.acquire()


@pytest.mark.parametrize("way", ["hint", "commit"])
def test_nobody_waits_for_a_room_that_is_told_of_many_changes(way):
    wire, store = PausingWire(), Log()
    broadcasts = Broadcasts(wire, store, None)
    broadcasts.join(wire, "sid", DEPARTMENT)
    store.filled = 2 * BURST + 1
    last = Head(store.filled, "e")
    begin = {
        "hint": lambda: broadcasts.on_hint(DEPARTMENT, store.filled),
        "commit": lambda: broadcasts.on_commit(DEPARTMENT, last, [created(store.filled)]),
    }
    with ThreadPoolExecutor(1) as pool:
        pushing = pool.submit(begin[way])
        wait_for(lambda: wire.pauses == 1)
        broadcasts.join(wire, "late", DEPARTMENT)
        broadcasts.on_commit(DEPARTMENT, Head(store.filled + 1, "e"), [created(store.filled + 1)])
        assert wire.revisions == list(range(1, BURST + 1))
        wire.gate.release(2)
        pushing.result(5)
    assert wire.revisions == list(range(1, store.filled + 2))


def test_a_burst_pauses_for_clients_with_much_before_them_but_not_for_long(monkeypatch):
    monkeypatch.setattr("realtime.push.CROWDED_S", 0.2)
    wire, store = PausingWire(), Log()
    crowded = iter([True, True, False])
    wire.gate.release(10_000_000)
    broadcasts = Broadcasts(wire, store, None, lambda: next(crowded, True))
    broadcasts.join(wire, "sid", DEPARTMENT)
    store.filled = BURST
    broadcasts.on_hint(DEPARTMENT, store.filled)
    assert wire.pauses == 3
    store.filled = 2 * BURST
    broadcasts.on_hint(DEPARTMENT, store.filled)
    assert wire.revisions == list(range(1, store.filled + 1))


def test_a_client_with_half_of_its_queue_before_it_makes_a_crowd():
    queues = [SimpleNamespace(qsize=lambda: 0), SimpleNamespace(qsize=lambda: QUEUE_LIMIT // 2)]
    connections = {n: SimpleNamespace(queue=queue) for n, queue in enumerate(queues)}
    server = SimpleNamespace(eio=SimpleNamespace(sockets=connections))
    assert not crowded(server)
    queues[1].qsize = lambda: QUEUE_LIMIT // 2 + 1
    assert crowded(server)
