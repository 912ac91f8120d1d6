"""Rooms: what entering one costs while the store is away, and what becomes of one whose department goes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from domain import REGISTRY, Change, ChangeType, Department, Event, Position
from errors import StoreUnavailable, TableMissing
from fake_transport import FakeTransport
from realtime.engineio_guard import QUEUE_LIMIT, GuardedServer
from realtime.messages import Messages
from realtime.push import Push
from realtime.room import BURST
from running import wait_for
from services.sync import Sync

NOBODY = "11111111-2222-4333-8444-555555555555"
DEPARTMENT = "805d0fbd-dd60-412e-a9e7-4097e872610f"


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
        return Position("e", 0)


def test_all_who_wait_to_enter_while_the_store_hangs_share_one_failure():
    transport, store = FakeTransport(), Heads(away=True)
    push = Push(transport, store, None, poll_s=None)
    with ThreadPoolExecutor(20) as pool:
        joins = [pool.submit(push.join, f"{n}", DEPARTMENT) for n in range(20)]
        wait_for(lambda: len(transport.members.get(f"department:{DEPARTMENT}", ())) == 20)
        store.gate.release(100)
        for join in joins:
            assert isinstance(join.exception(10), StoreUnavailable)
    assert store.asked < 5  # one, and whoever came a moment later
    assert transport.members[f"department:{DEPARTMENT}"] == set()
    store.away = False
    push.join("later", DEPARTMENT)
    assert transport.members[f"department:{DEPARTMENT}"] == {"later"}


@pytest.mark.parametrize("error", [StoreUnavailable(), TableMissing("changes")])
def test_a_client_is_greeted_though_the_store_is_away(error):
    class Away(Heads):
        def read_head(self, _partition):
            raise error

    transport = FakeTransport()
    Push(transport, Away(), None, poll_s=None).connect("sid")
    assert transport.sent == [("connected", "sid")]


def test_the_room_of_a_deleted_department_is_emptied_after_everybody_was_told():
    transport, store = FakeTransport(), Heads()
    store.gate.release(10)
    push = Push(transport, store, None, poll_s=None)
    push.connect("sid")
    push.join("sid", DEPARTMENT)
    deletion = Change(
        revision=1, type=ChangeType.DEPARTMENT_DELETED, entity=Department(id=DEPARTMENT, name="개발팀"), at=""
    )
    push.on_commit(REGISTRY, Position("e", 1), [deletion])
    assert transport.sent == [("connected", "sid"), ("department_deleted", None)]
    assert transport.members == {}
    asked = store.asked
    push.on_hint(DEPARTMENT, 7)
    assert store.asked == asked


def test_who_leaves_is_told_nothing_more():
    transport, store = FakeTransport(), Heads()
    store.gate.release(10)
    push = Push(transport, store, None, poll_s=None)
    push.join("sid", DEPARTMENT)
    push.leave("sid", DEPARTMENT)
    assert transport.members[f"department:{DEPARTMENT}"] == set()
    asked = store.asked
    push.on_hint(DEPARTMENT, 7)
    assert store.asked == asked


@pytest.mark.parametrize("token", ["", "MS4w"])
def test_what_is_committed_while_a_client_joins_reaches_it(token):
    """The state is read once the client is in the room: a commit right after the read is pushed to it."""
    transport, store = FakeTransport(), Heads()
    store.gate.release(100)
    push = Push(transport, store, None, poll_s=None)
    push.join("other", DEPARTMENT)  # somebody is there already
    event = Event(id=NOBODY, department_id=DEPARTMENT, event_date="2024-01-20", title="회의", revision=1)
    commit = Change(revision=1, type=ChangeType.EVENT_CREATED, entity=event, at="")
    reached: list[set[str]] = []

    class Reads:
        """Reads of the state before the commit, which comes right after each of them."""

        def get_position(self, _department_id):
            self._commit()
            return Position("e", 0)

        def since(self, department_id, _token):
            self._commit()
            return Sync(department_id, Position("e", 0))

        def _commit(self):
            push.on_commit(DEPARTMENT, Position("e", 1), [commit])
            reached.append(set(transport.members[f"department:{DEPARTMENT}"]))

    server = GuardedServer(async_mode="threading")
    Messages(server, push, Reads())
    server.handlers["/"]["join_department"]("sid", {"department_id": DEPARTMENT, "sync_token": token})
    assert reached == [{"other", "sid"}]
    assert ("event_created", f"department:{DEPARTMENT}") in transport.sent


def test_a_push_that_the_store_does_not_answer_is_left_to_the_poll(caplog):
    transport, store = FakeTransport(), Heads()
    store.gate.release(10)
    push = Push(transport, store, None, poll_s=None)
    push.join("sid", DEPARTMENT)
    store.away = True
    push.on_hint(DEPARTMENT, 7)
    event = Event(id=NOBODY, department_id=DEPARTMENT, event_date="2024-01-20", title="회의", revision=5)
    later = Change(revision=5, type=ChangeType.EVENT_CREATED, entity=event, at="")
    push.on_commit(DEPARTMENT, Position("e", 5), [later])
    assert transport.sent == []
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ({}, []),
        ({DEPARTMENT: Position("e", 0)}, []),
        ({DEPARTMENT: Position("e", 2)}, ["event_created", "event_created"]),
        ({DEPARTMENT: Position("old", 0)}, ["event_created", "event_created"]),
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
            return Position("e", 2) if self.looks else Position("e", 0)

        looks = 0

    transport, store = FakeTransport(), Moving()
    push = Push(transport, store, None, poll_s=None)
    push.join("sid", DEPARTMENT)
    assert all(push.poll_once() for _ in range(4))
    assert [name for name, _ in transport.sent] == told


def created(revision: int) -> Change:
    event = Event(
        id=NOBODY, department_id=DEPARTMENT, event_date="2024-01-20", title="회의", revision=revision
    )
    return Change(revision=revision, type=ChangeType.EVENT_CREATED, entity=event, at="")


class Log(Heads):
    """A store whose log another server has filled."""

    filled = 0

    def recent_heads(self, partitions):
        return {partition: self.read_head(partition) for partition in partitions}

    def read_head(self, _partition):
        return Position("e", self.filled)

    def changes_after(self, _partition, revision):
        return [created(n) for n in range(revision + 1, self.filled + 1)]


class PausingTransport(FakeTransport):
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
    transport, store = PausingTransport(), Log()
    push = Push(transport, store, None, poll_s=None)
    push.join("sid", DEPARTMENT)
    store.filled = 2 * BURST + 1
    last = Position("e", store.filled)
    begin = {
        "hint": lambda: push.on_hint(DEPARTMENT, store.filled),
        "commit": lambda: push.on_commit(DEPARTMENT, last, [created(store.filled)]),
    }
    with ThreadPoolExecutor(1) as pool:
        pushing = pool.submit(begin[way])
        wait_for(lambda: transport.pauses == 1)
        push.join("late", DEPARTMENT)
        push.on_commit(DEPARTMENT, Position("e", store.filled + 1), [created(store.filled + 1)])
        assert transport.revisions == list(range(1, BURST + 1))
        transport.gate.release(2)
        pushing.result(5)
    assert transport.revisions == list(range(1, store.filled + 2))


def test_a_burst_pauses_for_clients_with_much_before_them_but_not_for_long():
    transport, store = PausingTransport(), Log()
    crowded = iter([True, True, False])
    transport.gate.release(10_000_000)
    push = Push(transport, store, None, lambda: next(crowded, True), poll_s=None, crowded_s=0.2)
    push.join("sid", DEPARTMENT)
    store.filled = BURST
    push.on_hint(DEPARTMENT, store.filled)
    assert transport.pauses == 3
    store.filled = 2 * BURST
    push.on_hint(DEPARTMENT, store.filled)
    assert transport.revisions == list(range(1, store.filled + 1))


def test_a_client_with_half_of_its_queue_before_it_makes_a_crowd():
    queues = [SimpleNamespace(qsize=lambda: 0), SimpleNamespace(qsize=lambda: QUEUE_LIMIT // 2)]
    server = GuardedServer(async_mode="threading")
    server.eio.sockets = {n: SimpleNamespace(queue=queue) for n, queue in enumerate(queues)}
    assert not server.crowded()
    queues[1].qsize = lambda: QUEUE_LIMIT // 2 + 1
    assert server.crowded()


def test_a_heartbeat_tells_the_room_its_revision_and_the_registry_has_none():
    class Telling(FakeTransport):
        def emit(self, event, *payload, to=None):
            beats.append((event, payload[0], to))

    beats: list = []
    store = Log()
    store.filled = 3
    push = Push(Telling(), store, None, poll_s=None, heartbeat_s=0.0)
    push.join("sid", DEPARTMENT)
    push.connect("sid")
    beats.clear()
    assert push.poll_once()
    beat = {"department_id": DEPARTMENT, "revision": 3}
    assert beats == [("department_heartbeat", beat, f"department:{DEPARTMENT}")]
