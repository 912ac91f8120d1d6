"""A transport for the push that keeps in memory what is sent and who is in which room."""

from collections.abc import Callable, Iterator
from typing import Any


class FakeTransport:
    """The methods of a `socketio.Server` that the push calls; background tasks run at once."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str | None]] = []
        """Each broadcast's name, and the room or client it was sent to; None for all clients."""
        self.members: dict[str, set[str]] = {}

    def emit(self, event: str, *_payload: Any, to: str | None = None) -> None:
        self.sent.append((event, to))

    def continue_answer(self, _sid: str, steps: Iterator[object]) -> None:
        for _ in steps:
            pass

    def sleep(self, _seconds: float) -> None:
        raise AssertionError("nothing pauses here")

    def start_background_task(self, target: Callable[..., object], *arguments: Any) -> None:
        target(*arguments)

    def enter_room(self, sid: str, room: str, namespace: str | None = None) -> None:
        self.members.setdefault(room, set()).add(sid)

    def leave_room(self, sid: str, room: str, namespace: str | None = None) -> None:
        self.members.get(room, set()).discard(sid)

    def close_room(self, room: str, namespace: str | None = None) -> None:
        self.members.pop(room, None)
