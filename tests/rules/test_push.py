"""The push: what a room is told, what a join reads while the store is down, when a burst pauses."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import socketio

from domain import REGISTRY, Change, ChangeType, Department, Event, Position
from errors import DepartmentNotFound, StoreUnavailable, TableMissing
from fake_transport import FakeTransport
from realtime.engineio_guard import GuardedServer
from realtime.messages import Messages
from realtime.outbox import SMALL_BYTES
from realtime.push import Push
from realtime.room import BURST, BURST_CHARACTERS
from running import wait_for
from services.accounts.access import OpenAccess
from services.sync import Sync

EVENT = "11111111-2222-4333-8444-555555555555"
DEPARTMENT = "805d0fbd-dd60-412e-a9e7-4097e872610f"
ROOM = f"department:{DEPARTMENT}"


class FakeStore:
    """A store with one log, whose reads fail or wait when a test says so."""

    def __init__(self) -> None:
        self.log: list[Change] = []
        self.epoch = "e"
        self.deleted = False
        self.seen_by_poll: dict[str, Position | None] = {}
        """The heads that the poll reads, which may be older than those of the log."""
        self.error: Exception | None = None
        """The exception that every read of a head raises."""
        self.poll_errors: list[Exception] = []
        """The exceptions that the next polls raise, one each."""
        self.answering = threading.Event()
        """Reads of a head wait until it is set."""
        self.answering.set()
        self.head_reads = 0
        self.polled: list[list[str]] = []

    def read_head(self, _partition):
        self.head_reads += 1
        assert self.answering.wait(10)
        if self.error:
            raise self.error
        return None if self.deleted else Position(self.epoch, len(self.log))

    def recent_heads(self, partitions):
        self.polled.append(partitions)
        if self.poll_errors:
            raise self.poll_errors.pop(0)
        return self.seen_by_poll

    def changes_after(self, _partition, revision):
        return self.log[revision:]


class PausingTransport(FakeTransport):
    """Notes the revisions that are sent; with `held`, each pause lasts until a test releases `resume`."""

    def __init__(self, *, held: bool = False) -> None:
        super().__init__()
        self.revisions: list[int] = []
        self.pauses = 0
        self.resume = threading.Semaphore(0)
        self._held = held

    def emit(self, event, *payload, to=None):
        super().emit(event, *payload, to=to)
        if event == "event_created":
            self.revisions.append(payload[0]["revision"])

    def sleep(self, _seconds):
        self.pauses += 1
        if self._held:
            self.resume.acquire()


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def push(transport, store) -> Push:
    return Push(transport, store, None, OpenAccess(), poll_s=None)


def created(revision: int, description: str = "") -> Change:
    event = Event(
        id=EVENT,
        department_id=DEPARTMENT,
        event_date="2024-01-20",
        title="회의",
        description=description,
        revision=revision,
    )
    return Change(revision=revision, type=ChangeType.EVENT_CREATED, entity=event, at="")


def deletion(revision: int = 1) -> Change:
    """Return the deletion of the department, in the registry."""
    department = Department(id=DEPARTMENT, name="개발팀")
    return Change(revision=revision, type=ChangeType.DEPARTMENT_DELETED, entity=department, at="")


def creations(count: int) -> list[Change]:
    return [created(revision) for revision in range(1, count + 1)]


def test_clients_that_join_while_the_store_hangs_share_one_failed_read(transport, store, push):
    store.error = StoreUnavailable()
    store.answering.clear()
    with ThreadPoolExecutor(20) as pool:
        joins = [pool.submit(push.join, f"{n}", DEPARTMENT) for n in range(20)]
        wait_for(lambda: len(transport.members.get(ROOM, ())) == 20)
        store.answering.set()
        for join in joins:
            assert isinstance(join.exception(10), StoreUnavailable)
    assert store.head_reads < 5  # one, and one for clients that came after it had failed
    assert transport.members[ROOM] == set()
    store.error = None
    push.join("later", DEPARTMENT)
    assert transport.members[ROOM] == {"later"}


@pytest.mark.parametrize("error", [StoreUnavailable(), TableMissing("changes")])
def test_a_client_is_sent_connected_while_the_store_is_down(transport, store, push, error):
    store.error = error
    push.connect("sid")
    assert transport.sent == [("connected", "sid")]


def test_the_room_of_a_deleted_department_is_emptied_and_then_everybody_is_told(transport, store, push):
    """Whoever joins after having been told, because the department was restored, stays in the room."""
    told, rooms = transport.emit, []

    def emit(event, *payload, to=None):
        rooms.append((event, ROOM in transport.members))
        told(event, *payload, to=to)

    transport.emit = emit
    push.connect("sid")
    push.join("sid", DEPARTMENT)
    push.on_commit(REGISTRY, Position("e", 1), [deletion()])
    assert transport.sent == [("connected", "sid"), ("department_deleted", None)]
    assert rooms == [("connected", False), ("department_deleted", False)]
    assert transport.members == {}
    reads = store.head_reads
    push.on_hint(DEPARTMENT, 7)
    assert store.head_reads == reads


def test_a_deletion_that_comes_again_leaves_the_clients_of_the_restored_department_in_its_room(
    transport, push
):
    """A commit whose answer was lost is pushed when it is recognised, with all that was before it."""
    department = Department(id=DEPARTMENT, name="개발팀")
    deleted, restored, renamed = (
        Change(revision=revision, type=kind, entity=department, at="")
        for revision, kind in enumerate(
            (
                ChangeType.DEPARTMENT_DELETED,
                ChangeType.DEPARTMENT_CREATED,
                ChangeType.DEPARTMENT_UPDATED,
            ),
            1,
        )
    )
    push.connect("sid")
    push.on_commit(REGISTRY, Position("e", 2), [deleted, restored])
    push.join("sid", DEPARTMENT)
    push.on_commit(REGISTRY, Position("e", 3), [deleted, restored, renamed])
    assert transport.members[ROOM] == {"sid"}
    assert [name for name, _ in transport.sent] == [
        "connected", "department_deleted", "department_created", "department_updated",
    ]  # fmt: skip


def test_a_hint_for_a_room_that_everybody_left_reads_nothing(transport, store, push):
    push.join("sid", DEPARTMENT)
    push.leave("sid", DEPARTMENT)
    assert transport.members[ROOM] == set()
    reads = store.head_reads
    push.on_hint(DEPARTMENT, 7)
    assert store.head_reads == reads


@pytest.mark.parametrize("token", ["", "MS4w"])
def test_a_commit_during_a_join_reaches_the_client(transport, push, token):
    """A client enters the room before its state is read, so a commit right after the read reaches it."""
    push.join("other", DEPARTMENT)  # somebody is there already
    reached: list[set[str]] = []

    class ReadsBeforeACommit:
        """Answers with the state before a commit, which it makes before it returns."""

        def get_position(self, _department_id):
            self._commit()
            return Position("e", 0)

        def delta_or_full(self, department_id, _token):
            self._commit()
            return Sync(department_id, Position("e", 0))

        def _commit(self):
            push.on_commit(DEPARTMENT, Position("e", 1), [created(1)])
            reached.append(set(transport.members[ROOM]))

    server = socketio.Server(async_mode="threading")
    Messages(server, push, ReadsBeforeACommit())
    server.handlers["/"]["join_department"]("sid", {"department_id": DEPARTMENT, "sync_token": token})
    assert reached == [{"other", "sid"}]
    assert ("event_created", ROOM) in transport.sent


def test_changes_that_cannot_be_read_are_left_to_the_poll(transport, store, push, caplog):
    push.join("sid", DEPARTMENT)
    store.error = StoreUnavailable()
    push.on_hint(DEPARTMENT, 7)
    push.on_commit(DEPARTMENT, Position("e", 5), [created(5)])
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
        ({DEPARTMENT: None}, ["event_created", "event_created"]),
    ],
)
def test_the_poll_pushes_logs_that_have_moved_and_goes_on_after_failures(transport, store, push, seen, told):
    push.join("sid", DEPARTMENT)
    store.log = creations(2)
    store.seen_by_poll = seen
    store.poll_errors = [StoreUnavailable(), ValueError("of ours")]
    assert all(push.poll_once() for _ in range(4))
    assert [name for name, _ in transport.sent] == told
    assert store.polled == [[DEPARTMENT]] * 4


def test_the_poll_runs_as_long_as_a_room_has_members_and_begins_again_with_the_next(store):
    class LeavingTransport(FakeTransport):
        """Its only client leaves in each third pause of the poll."""

        pauses = 0

        def sleep(self, seconds):
            assert seconds == 5.0
            self.pauses += 1
            if self.pauses % 3 == 0:
                push.leave("sid", DEPARTMENT)

    transport = LeavingTransport()
    push = Push(transport, store, None, OpenAccess(), poll_s=5.0)
    push.join("sid", DEPARTMENT)
    assert (transport.pauses, len(store.polled)) == (3, 2)
    push.join("sid", DEPARTMENT)
    assert (transport.pauses, len(store.polled)) == (6, 4)


@pytest.mark.parametrize("way", ["hint", "commit"])
def test_joins_and_commits_do_not_wait_while_a_room_is_told_of_many_changes(store, way):
    transport = PausingTransport(held=True)
    push = Push(transport, store, None, OpenAccess(), poll_s=None)
    push.join("sid", DEPARTMENT)
    count = 2 * BURST + 1
    store.log = creations(count)
    begin = {
        "hint": lambda: push.on_hint(DEPARTMENT, count),
        "commit": lambda: push.on_commit(DEPARTMENT, Position("e", count), [created(count)]),
    }
    with ThreadPoolExecutor(1) as pool:
        pushing = pool.submit(begin[way])
        wait_for(lambda: transport.pauses == 1)
        push.join("late", DEPARTMENT)
        push.on_commit(DEPARTMENT, Position("e", count + 1), [created(count + 1)])
        assert transport.revisions == list(range(1, BURST + 1))
        transport.resume.release(2)
        pushing.result(5)
    assert transport.revisions == list(range(1, count + 2))


@pytest.mark.parametrize("way", ["leaves", "is gone", "department is deleted"])
def test_a_client_that_comes_back_to_a_room_is_told_no_more_by_the_push_from_before(store, way):
    """It was told everything before already, by its answer."""
    transport = PausingTransport(held=True)
    push = Push(transport, store, None, OpenAccess(), poll_s=None)
    push.connect("sid")
    push.join("sid", DEPARTMENT)
    go = {
        "leaves": lambda: push.leave("sid", DEPARTMENT),
        "is gone": lambda: push.disconnect("sid"),
        "department is deleted": lambda: push.on_commit(REGISTRY, Position("e", 1), [deletion()]),
    }
    store.log = creations(BURST + 1)
    with ThreadPoolExecutor(1) as pool:
        pushing = pool.submit(push.on_hint, DEPARTMENT, BURST + 1)
        wait_for(lambda: transport.pauses == 1)
        go[way]()
        push.join("sid", DEPARTMENT)
        push.on_commit(DEPARTMENT, Position("e", BURST + 2), [created(BURST + 2)])
        transport.resume.release()
        pushing.result(5)
    assert transport.revisions == [*range(1, BURST + 1), BURST + 2]


def test_a_client_that_comes_back_while_everything_is_read_for_its_old_room_is_not_sent_it(transport, store):
    class LeftDuringARead:
        """Its only client leaves and comes back while all events are read."""

        def full(self, department_id):
            push.leave("sid", DEPARTMENT)
            push.join("sid", DEPARTMENT)
            return Sync(department_id, Position("new", 0), events=[])

    push = Push(transport, store, LeftDuringARead(), OpenAccess(), poll_s=None)
    push.join("sid", DEPARTMENT)
    store.epoch = "new"
    store.seen_by_poll = {DEPARTMENT: Position("new", 0)}
    push.poll_once()
    assert transport.sent == []


def test_a_room_that_missed_a_deletion_is_sent_everything_after_the_restoration(transport, store):
    """The poll may see the department gone before the registry's room has told of it."""
    everything = Sync(DEPARTMENT, Position("restored", 2), events=[])
    push = Push(transport, store, SimpleNamespace(full=lambda _id: everything), OpenAccess(), poll_s=None)
    push.join("sid", DEPARTMENT)
    store.deleted = True
    store.seen_by_poll = {DEPARTMENT: None}
    push.poll_once()
    assert transport.sent == []
    store.deleted, store.epoch, store.log = False, "restored", creations(2)
    push.join("other", DEPARTMENT)
    push.on_commit(DEPARTMENT, Position("restored", 3), [created(3)])
    assert transport.sent == [("sync_response", ROOM)]
    push.on_commit(DEPARTMENT, Position("restored", 3), [created(3)])
    assert transport.sent == [("sync_response", ROOM), ("event_created", ROOM)]


@pytest.mark.parametrize("token", ["", "MS4w"])
def test_a_join_of_a_deleted_department_whose_room_is_still_there_enters_no_room(transport, push, token):
    class Deleted:
        def get_position(self, _department_id):
            raise DepartmentNotFound()

        def delta_or_full(self, _department_id, _token):
            raise DepartmentNotFound()

    push.join("other", DEPARTMENT)
    server = socketio.Server(async_mode="threading")
    Messages(server, push, Deleted())
    server.handlers["/"]["join_department"]("sid", {"department_id": DEPARTMENT, "sync_token": token})
    assert transport.members[ROOM] == {"other"}


@pytest.mark.parametrize(("times", "error", "members"), [(1, None, {"sid"}), (5, "store_unavailable", set())])
def test_a_client_whose_room_is_closed_while_it_joins_is_in_the_room_or_hears_of_it(
    transport, push, times, error, members
):
    """A server may tell of a deletion when it has been taken back already."""
    deletions = iter(range(1, times + 1))

    class ClosesTheRoom:
        def get_position(self, _department_id):
            if revision := next(deletions, None):
                push.on_commit(REGISTRY, Position("e", revision), [deletion(revision)])
            return Position("restored", 0)

    push.connect("sid")
    server = socketio.Server(async_mode="threading")
    Messages(server, push, ClosesTheRoom())
    answer = server.handlers["/"]["join_department"]("sid", {"department_id": DEPARTMENT})
    assert (answer["success"], answer.get("error")) == (error is None, error)
    assert transport.members.get(ROOM, set()) == members


def test_a_burst_pauses_until_clients_have_read(store):
    transport = PausingTransport()
    push = Push(transport, store, None, OpenAccess(), lambda _sids: transport.pauses < 3, poll_s=None)
    push.join("sid", DEPARTMENT)
    store.log = creations(BURST)
    push.on_hint(DEPARTMENT, BURST)
    assert transport.pauses == 3
    assert transport.revisions == list(range(1, BURST + 1))


def test_a_burst_of_long_texts_pauses_before_too_much_waits_for_clients(store):
    transport = PausingTransport()
    push = Push(transport, store, None, OpenAccess(), poll_s=None)
    push.join("sid", DEPARTMENT)
    store.log = [created(revision, "가" * (BURST_CHARACTERS // 4)) for revision in range(1, 11)]
    push.on_hint(DEPARTMENT, 10)
    assert (transport.pauses, len(transport.revisions)) == (2, 10)


def test_a_writer_does_not_wait_while_a_large_commit_of_its_is_pushed(store):
    class ThreadingTransport(PausingTransport):
        def start_background_task(self, target, *arguments):
            threading.Thread(target=target, args=arguments, daemon=True).start()

    transport = ThreadingTransport(held=True)
    push = Push(transport, store, None, OpenAccess(), poll_s=None)
    push.join("sid", DEPARTMENT)
    push.on_commit(
        DEPARTMENT, Position("e", BURST + 1), creations(BURST + 1)
    )  # returns though nobody resumes
    wait_for(lambda: transport.pauses == 1)
    push.on_commit(DEPARTMENT, Position("e", BURST + 2), [created(BURST + 2)])
    assert transport.revisions == list(range(1, BURST + 1))
    transport.resume.release()
    wait_for(lambda: transport.revisions == list(range(1, BURST + 3)))


def test_a_burst_goes_on_after_a_while_though_clients_do_not_read(store):
    transport = PausingTransport()
    push = Push(transport, store, None, OpenAccess(), lambda _sids: True, poll_s=None, crowded_s=0.05)
    push.join("sid", DEPARTMENT)
    store.log = creations(2 * BURST)
    push.on_hint(DEPARTMENT, 2 * BURST)
    assert transport.revisions == list(range(1, 2 * BURST + 1))


def test_a_room_is_crowded_when_a_quarter_of_the_limit_waits_for_one_of_its_members():
    server = GuardedServer(async_mode="threading")
    queues = {sid: SimpleNamespace(small_bytes=0) for sid in ("member", "other")}
    for sid, queue in queues.items():
        server.eio.sockets[sid] = SimpleNamespace(queue=queue)
    members = [server.manager.connect("member", "/")]
    server.manager.connect("other", "/")
    queues["member"].small_bytes = SMALL_BYTES // 4
    queues["other"].small_bytes = SMALL_BYTES
    assert not server.is_crowded(members)
    queues["member"].small_bytes += 1
    assert server.is_crowded(members)
    assert not server.is_crowded(["gone"])
