"""Turns go round the keys, so that a crowd delays nobody but itself."""

import threading

import pytest

from deadlines import deadline
from errors import OutOfTime
from running import wait_for
from services.fair_turns import FairTurns


class Crowd:
    """Callers in threads, each of which notes its name while it has its turn."""

    def __init__(self, turns: FairTurns) -> None:
        self.turns = turns
        self.noted: list[str] = []
        self.threads: list[threading.Thread] = []

    def come(self, name: str, key: str) -> None:
        """Let a caller come, and wait until it waits for its turn."""
        waiting = self.waiting
        thread = threading.Thread(target=self._take, args=(name, key))
        self.threads.append(thread)
        thread.start()
        wait_for(lambda: self.waiting > waiting)

    @property
    def waiting(self) -> int:
        return sum(map(len, self.turns.waiting.values()))

    def _take(self, name: str, key: str) -> None:
        with self.turns.turn(key):
            self.noted.append(name)

    def end(self) -> list[str]:
        for thread in self.threads:
            thread.join(10)
        return self.noted


def test_who_comes_after_a_crowd_waits_for_one_of_it():
    crowd = Crowd(FairTurns(1))
    with crowd.turns.turn("busy"):
        for number in range(5):
            crowd.come(f"attacker {number}", "10.0.0.1")
        crowd.come("person", "10.0.0.2")
    assert crowd.end() == ["attacker 0", "person", *(f"attacker {number}" for number in range(1, 5))]


def test_two_crowds_keep_nobody_out_either():
    crowd = Crowd(FairTurns(1))
    with crowd.turns.turn("busy"):
        for number in range(8):
            crowd.come(f"attacker {number}", f"10.0.0.{number % 2}")
        crowd.come("person", "192.0.2.1")
    assert crowd.end()[:4] == ["attacker 0", "attacker 1", "person", "attacker 2"]


def test_as_many_as_may_work_at_once_do_and_no_more():
    turns = FairTurns(2)
    with turns.turn("a"), turns.turn("a"), deadline(0.01), pytest.raises(OutOfTime), turns.turn("b"):
        pass
    assert not turns.waiting
    with turns.turn("b"), turns.turn("c"):
        pass
