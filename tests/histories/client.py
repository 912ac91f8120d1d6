"""A client of one department in the process of its server, and the transport between them.

It follows the rules that README.md has for clients that speak Socket.IO themselves.
"""

import threading
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

import socketio

from api_client import event_of
from domain import Event
from fake_transport import FakeTransport
from realtime.engineio_guard import Json, Packet


class Client:
    """Applies the next revision, drops known ones, notes a hole as a fault. Takes a full answer in parts."""

    def __init__(self, department: str) -> None:
        self.revision: int | None = None
        """None until it holds a full answer."""
        self.events: dict[str, Event] = {}
        self.faults: list[str] = []
        self.was_told_to_leave = False
        self.took_parts = False
        self._department = department
        self._parts: list[dict[str, Any]] = []
        self._held: list[tuple[str, dict[str, Any]]] = []
        """Broadcasts before the first full answer, or between the parts of one."""

    def receive(self, name: str, payload: dict[str, Any]) -> None:
        if self.was_told_to_leave:
            return
        if name == "sync_response" and "part" in payload:
            self._collect(payload)
        elif name == "sync_response":
            if self._parts:  # the answer was pushed between them
                self._parts, self._held = [], []
            self._replace(payload, payload["events"])
        elif name == "department_deleted" and payload["id"] == self._department:
            self.was_told_to_leave = True
        elif name.startswith("event_"):
            if self.revision is None or self._parts:
                self._held.append((name, payload))
            else:
                self._apply(name, payload)

    def _collect(self, payload: dict[str, Any]) -> None:
        if payload["part"] == len(self._parts) + 1:
            self._parts.append(payload)
        if payload["part"] == payload["parts"] == len(self._parts):
            events = [event for part in self._parts for event in part["events"]]
            self._parts, self.took_parts = [], True
            self._replace(payload, events)

    def _replace(self, answer: dict[str, Any], events: list[dict[str, Any]]) -> None:
        self.revision = answer["revision"]
        self.events = {event["id"]: event_of(event) for event in events}
        held, self._held = self._held, []
        for name, payload in held:
            self._apply(name, payload)

    def _apply(self, name: str, payload: dict[str, Any]) -> None:
        assert self.revision is not None
        if payload["revision"] <= self.revision:
            return
        if payload["revision"] != self.revision + 1:
            self.faults.append(f"hole: {self.revision} then {payload['revision']}")
        self.revision = payload["revision"]
        if name == "event_deleted":
            self.events.pop(payload["id"], None)
        else:
            event = {name: payload[name] for name in payload if name not in ("by", "by_name")}
            self.events[payload["id"]] = event_of(event)


class ToClient(FakeTransport):
    """Hands every broadcast to one client, and the parts of an answer when `read_on` is called."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._rest: Iterator[object] = iter(())

    def emit(self, event: str, *payload: Any, to: str | None = None) -> None:
        packet = Packet(socketio.packet.EVENT, data=[event, *payload]).encode()
        text = packet if isinstance(packet, str) else b"".join(packet).decode()
        received = Json.loads(text.removeprefix("2"))[1]
        with self._lock:
            self._client.receive(event, received)

    def continue_answer(self, _sid: str, steps: Iterator[object]) -> None:
        self._rest = steps

    def read_on(self, steps: int) -> None:
        """Send some further parts of an answer, if there are any."""
        with self._reading:
            deque(islice(self._rest, steps), maxlen=0)

    def sleep(self, _seconds: float) -> None:
        pass
