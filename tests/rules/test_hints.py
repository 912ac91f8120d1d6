"""Hints over Redis: a commit never waits for Redis."""

import threading

from domain import Position
from realtime.redis_hints import QUEUE_LIMIT, Hints


def test_a_commit_drops_hints_when_their_queue_is_full_and_does_not_wait():
    hints = Hints("redis://127.0.0.1:1/0", None)

    def commit() -> None:
        for revision in range(QUEUE_LIMIT + 100):
            hints.on_commit("d", Position("e", revision), [])

    writer = threading.Thread(target=commit, daemon=True)
    writer.start()
    writer.join(20)
    assert not writer.is_alive()
