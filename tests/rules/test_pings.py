"""Each client is pinged an interval after it answered, from one task."""

import threading
from types import SimpleNamespace

import pytest

from realtime.pings import Pings
from running import wait_for


class FakeEngine:
    """The parts of an Engine.IO server that pings need; time passes as a test says."""

    ping_interval = 0.05

    def __init__(self) -> None:
        self.sockets = {
            sid: SimpleNamespace(last_ping=1.0, closed=False) for sid in ("first", "second", "third")
        }
        self.pinged: list[str] = []
        self.tasks = 0
        self._pause = threading.Event()

    def sleep(self, seconds: float) -> None:
        self._pause.wait(seconds)

    def start_background_task(self, target) -> None:
        self.tasks += 1
        threading.Thread(target=target, daemon=True).start()

    def send_packet(self, sid: str, packet: object) -> None:
        assert packet.encode() == "2"
        self.pinged.append(sid)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def test_clients_are_pinged_in_the_order_of_their_answers_by_one_task(engine):
    pings = Pings(engine)
    for sid in ("second", "first"):
        pings.schedule(sid)
        assert engine.sockets[sid].last_ping is None
    wait_for(lambda: engine.pinged == ["second", "first"])
    assert engine.sockets["first"].last_ping
    assert engine.tasks == 1


def test_a_client_is_pinged_once_however_many_answers_it_sends(engine):
    pings = Pings(engine)
    for _ in range(5):
        pings.schedule("first")
    pings.schedule("second")
    wait_for(lambda: "second" in engine.pinged)
    assert engine.pinged == ["first", "second"]


def test_a_client_that_is_gone_is_not_pinged(engine):
    pings = Pings(engine)
    for sid in ("first", "second", "third"):
        pings.schedule(sid)
    engine.sockets["first"].closed = True
    del engine.sockets["second"]
    pings.schedule("unknown")
    wait_for(lambda: engine.pinged == ["third"])


def test_pings_begin_again_after_a_time_without_clients(engine):
    pings = Pings(engine)
    pings.schedule("first")
    wait_for(lambda: engine.pinged == ["first"])
    pings.schedule("first")
    wait_for(lambda: engine.pinged == ["first", "first"])
