"""The clients of tests: `Api` speaks REST, `Client` Socket.IO."""

import functools
import re
import threading
from collections.abc import Mapping
from typing import Any

import engineio
import requests
import socketio

from domain import Event, new_id
from running import wait_for

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def by_nobody(entity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the broadcast of an event as a server without accounts sends it."""
    return {**entity, "by": "", "by_name": ""}


def event_of(answer: Mapping[str, Any]) -> Event:
    """Return the entity that an answer shows; servers before 1.5 do not answer all fields."""
    return Event(**{**answer, "exdates": tuple(answer.get("exdates", ()))})


class Api:
    """A REST client that checks the parts that all answers share: headers, `success`, the shape of errors."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()

    def __call__(self, method: str, path: str, body: Any = None, *, status: int = 200, **options: Any) -> Any:
        if body is not None:
            options["json"] = body
        answer = self.session.request(method, self.url + path, timeout=20, **options)
        assert answer.headers["Content-Type"] == "application/json", (answer.status_code, answer.text)
        found = answer.json()
        assert answer.status_code == status, found
        assert found["success"] is (status < 400)
        if status >= 400:
            assert set(found) == {"success", "error", "message", "details"}
            assert (status == 503) == ("Retry-After" in answer.headers)
            assert any("가" <= char <= "힣" for char in found["message"])
        return found

    def department(self, name: str = "") -> dict[str, Any]:
        body = {"name": name or f"부서 {new_id()}"}
        return self("POST", "/api/departments", body, status=201)["department"]

    def event(self, department_id: str, title: str = "팀 회의", **fields: Any) -> dict[str, Any]:
        body = {"event_date": "2024-01-20", "title": title, **fields}
        return self("POST", f"/api/events/{department_id}", body, status=201)["event"]

    def events(self, department_id: str, query: str = "") -> list[dict[str, Any]]:
        return self("GET", f"/api/events/{department_id}{query}")["events"]

    def token(self, department_id: str) -> str:
        return self("GET", f"/api/events/{department_id}")["sync_token"]

    def edit(self, event: dict[str, Any], **fields: str) -> dict[str, Any]:
        return self("PUT", f"/api/events/{event['id']}", fields)["event"]

    def delete(self, event: dict[str, Any]) -> None:
        self("DELETE", f"/api/events/{event['id']}")

    def restore(self, event: dict[str, Any]) -> dict[str, Any]:
        return self("POST", f"/api/events/{event['department_id']}/{event['id']}/restore")["event"]

    def changes(self, department_id: str, token: str) -> list[dict[str, Any]]:
        """Return the changes after a sync token, which fit into one answer."""
        answer = self("GET", f"/api/events/{department_id}/changes?since={token}")
        assert not answer["has_more"]
        return answer["changes"]

    def history(self, event: dict[str, Any], limit: int = 100) -> list[dict[str, Any]]:
        """Return an event's changes, newest first, read in pages of `limit`."""
        query = {"event_id": event["id"], "limit": limit}
        found: list[dict[str, Any]] = []
        while True:
            answer = self("GET", f"/api/events/{event['department_id']}/history", params=query)
            found += answer["history"]
            if not answer["next_page_token"]:
                return found
            query["page_token"] = answer["next_page_token"]


class _EngineIOInOrder(engineio.Client):
    """Handles each message in the thread that reads it; the default, a thread for each, loses their order."""

    def _trigger_event(self, event: str, *arguments: Any, **options: Any) -> Any:
        return super()._trigger_event(event, *arguments, **{**options, "run_async": False})


class _SocketIOInOrder(socketio.Client):
    def _engineio_client_class(self) -> type[engineio.Client]:
        return _EngineIOInOrder


class Client:
    """A Socket.IO client that keeps the broadcasts it receives, in order: pairs of name and payload."""

    def __init__(
        self, url: str, transport: str = "websocket", *, reconnection: bool = False, **options: Any
    ) -> None:
        self.received: list[tuple[str, Any]] = []
        self._changed = threading.Condition()
        self.sio = _SocketIOInOrder(reconnection=reconnection)
        self.sio.on("*", self._note)
        self.sio.connect(url, transports=[transport], **options)

    def _note(self, name: str, *payload: Any) -> None:
        with self._changed:
            self.received.append((name, payload[0] if payload else None))
            self._changed.notify_all()

    def ask(self, message: str, *payload: Any) -> Any:
        """Send a message and return its acknowledgement."""
        return self.sio.call(message, payload if len(payload) != 1 else payload[0], timeout=10)

    def join(self, department_id: str, **more: Any) -> Any:
        answer = self.ask("join_department", {"department_id": department_id, **more})
        assert answer["success"], answer
        return answer

    def of(self, name: str) -> list[Any]:
        return [payload for kind, payload in self.received if kind == name]

    def wait(self, name: str, count: int = 1, seconds: float = 15.0) -> list[Any]:
        """Wait for `count` broadcasts of one name; return the payloads of all that arrived."""
        enough = f"{count} {name}; received {self.received[-20:]}"
        wait_for(lambda: len(self.of(name)) >= count, seconds, enough)
        return self.of(name)

    def close(self) -> None:
        if self.sio.eio.current_transport == "websocket":
            websocket = self.sio.eio.ws
            websocket.close = functools.partial(
                websocket.close, timeout=0.1
            )  # seconds to wait for the echo; the default is 3
        self.sio.disconnect()
