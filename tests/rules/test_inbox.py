"""A client's messages are handled in order, no faster than it reads; silent clients are ended."""

import threading
import time
from types import SimpleNamespace

import pytest

from realtime.inbox import QUEUE_BYTES, Inbox
from realtime.silent_clients import SilentClients
from running import wait_for


class FakeOutbox:
    """What a test says that the client has read."""

    is_read = True

    def wait_until_sent(self, _seconds: float) -> None:
        time.sleep(0.005)


class FakeEngine:
    """The parts of an Engine.IO server that watch over connections; background tasks are real threads."""

    def __init__(self) -> None:
        self.sockets = {"sid": SimpleNamespace(queue=FakeOutbox())}
        self.ended: list[str] = []
        self._pause = threading.Event()

    @property
    def outbox(self) -> FakeOutbox:
        return self.sockets["sid"].queue

    def sleep(self, seconds: float) -> None:
        self._pause.wait(seconds)

    def start_background_task(self, target) -> None:
        threading.Thread(target=target, daemon=True).start()

    def hang_up(self, sid: str) -> None:
        self.ended.append(sid)
        self.sockets.pop(sid, None)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def handled() -> list[str]:
    return []


@pytest.fixture
def inbox(engine, handled) -> Inbox:
    return Inbox(engine, "sid", lambda _sid, data: handled.append(data))


def test_a_message_is_handled_at_once_when_the_client_has_read(inbox, handled):
    inbox.receive("a")
    assert handled == ["a"]


def test_messages_wait_in_order_until_the_client_has_read(engine, inbox, handled):
    engine.outbox.is_read = False
    for letter in "abc":
        inbox.receive(letter)
    assert handled == []
    engine.outbox.is_read = True
    wait_for(lambda: handled == ["a", "b", "c"])
    inbox.receive("d")
    wait_for(lambda: handled == ["a", "b", "c", "d"])


def test_messages_that_come_at_the_same_time_are_handled_one_after_the_other(engine):
    handled, running = [], threading.Semaphore(0)
    resume = threading.Semaphore(0)

    def handle(_sid, data):
        running.release()
        assert resume.acquire(timeout=10)
        handled.append(data)

    inbox = Inbox(engine, "sid", handle)
    first = threading.Thread(target=inbox.receive, args=("a",))
    first.start()
    assert running.acquire(timeout=10)
    inbox.receive("b")
    inbox.receive("c")
    assert handled == []
    resume.release(3)
    first.join()
    wait_for(lambda: handled == ["a", "b", "c"])
    wait_for(lambda: not inbox.is_busy)


def test_the_rest_of_an_answer_goes_before_the_next_message(engine, inbox, handled):
    inbox.continue_answer(iter(map(handled.append, ["part 2", "part 3"])))
    inbox.receive("a")
    wait_for(lambda: handled == ["part 2", "part 3", "a"])


def test_each_part_waits_until_the_client_has_read_the_one_before(engine, inbox, handled):
    def parts():
        for number in range(3):
            handled.append(str(number))
            engine.outbox.is_read = False
            yield

    inbox.continue_answer(parts())
    for number in range(3):
        wait_for(lambda number=number: len(handled) == number + 1)
        engine.outbox.is_read = True
    wait_for(lambda: handled == ["0", "1", "2"])


def test_a_client_that_is_gone_gets_no_further_part(engine, inbox, handled):
    engine.outbox.is_read = False
    inbox.continue_answer(iter(map(handled.append, ["part 2", "part 3"])))
    engine.sockets.clear()
    inbox.receive("a")
    wait_for(lambda: not inbox.is_busy)
    assert handled == []


def test_a_part_that_cannot_be_made_ends_the_connection(engine, inbox):
    def failing():
        raise OSError("the store is gone")
        yield

    inbox.continue_answer(failing())
    wait_for(lambda: engine.ended == ["sid"])


def test_a_client_that_sends_more_than_it_reads_is_ended(engine, inbox):
    engine.outbox.is_read = False
    for _ in range(QUEUE_BYTES // 10_000):
        inbox.receive("x" * 9_900)
    assert engine.ended == []
    inbox.receive("x" * 9_900)
    assert engine.ended == ["sid"]


def test_a_message_that_breaks_the_library_ends_the_connection(engine):
    def fail(_sid, _data):
        raise ValueError("no packet")

    Inbox(engine, "sid", fail).receive("a")
    assert engine.ended == ["sid"]


def test_a_client_that_never_connects_is_ended(engine):
    silent = SilentClients(engine, connect_s=0.05)
    silent.watch("silent", "10.0.0.1")
    silent.watch("honest", "10.0.0.1")
    silent.forget("honest")
    wait_for(lambda: engine.ended == ["silent"])
    silent.watch("later", "10.0.0.1", is_stranger=False)
    wait_for(lambda: engine.ended == ["silent", "later"])


def test_the_oldest_silent_client_makes_room_for_a_new_one(engine):
    silent = SilentClients(engine, silent_max=2)
    for sid in ("first", "second", "third", "fourth"):
        silent.watch(sid, "10.0.0.1")
    assert engine.ended == ["first", "second"]


def test_silent_clients_of_one_network_end_none_of_another_and_none_that_is_known(engine):
    silent = SilentClients(engine, silent_max=4)
    silent.watch("program", "192.0.2.1")
    silent.watch("browser", "10.0.0.1", is_stranger=False)
    for number in range(10):
        silent.watch(f"attacker {number}", "10.0.0.1")
    assert engine.ended == [f"attacker {number}" for number in range(7)]
    assert silent.forget("program")
    assert silent.forget("browser")
