"""The quiet neighbour of an attack: a few requests a second and twenty WebSockets, in a process of its own.

`python -m attacks.neighbour URL DEPARTMENT TOKEN` prints a line when its WebSockets have joined, and
measures until it is sent a line. When it is sent another one, it looks at its WebSockets and prints a
`Report` as JSON.
The token is empty for a server without accounts.
"""

import contextlib
import dataclasses
import http.client
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import websocket

WEBSOCKETS = 20
REQUESTS_PER_S = 10
"""Of each of four kinds: a list, a search, a creation, a health check."""
TIMEOUT_S = 5.0
BROADCAST_S = 15.0
"""How long the broadcast of the last creation may take to reach every WebSocket after the attack."""


@dataclass
class Report:
    """What a neighbour has seen of a server."""

    answered: int = 0
    """How many requests were answered before it was told to stop, while the attack went on."""
    latencies_ms: list[float] = field(default_factory=list)
    """From the moment at which a request was due, so that those count that wait behind a slow one."""
    failures: list[str] = field(default_factory=list)
    """What was answered instead of success; such requests are among the latencies, too."""
    acknowledged: list[str] = field(default_factory=list)
    """Ids of the events that the server said were created."""
    websockets: int = 0
    """How many of them are open at the end and have received every broadcast, in order."""


class Member:
    """A WebSocket client in the department's room, which notes the revisions of broadcasts."""

    def __init__(self, url: str, department_id: str, token: str) -> None:
        address = f"{url.replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket"
        self.revisions: list[int] = []
        self.is_open = True
        self._websocket = websocket.create_connection(address, timeout=TIMEOUT_S)
        self._websocket.send("40" + (json.dumps({"token": token}) if token else ""))
        self._receive_until('42["connected"')
        self._websocket.send("42" + json.dumps(["join_department", {"department_id": department_id}]))
        self._receive_until('42["joined_department"')
        self._websocket.settimeout(None)
        threading.Thread(target=self._read, daemon=True).start()

    def has_all_until(self, revision: int) -> bool:
        """Tell whether every broadcast up to a revision has come, once and in order."""
        seen = self.revisions
        return bool(seen) and seen[-1] >= revision and seen == list(range(seen[0], seen[-1] + 1))

    def _receive_until(self, beginning: str) -> None:
        while not str(self._websocket.recv()).startswith(beginning):
            pass

    def _read(self) -> None:
        with contextlib.suppress(OSError, websocket.WebSocketException):
            while packet := self._websocket.recv():
                if packet == "2":
                    self._websocket.send("3")
                elif str(packet).startswith('42["event_created"'):
                    self.revisions.append(json.loads(packet[2:])[1]["revision"])
        self.is_open = False


class Neighbour:
    """Sends requests at a steady rate while others attack."""

    def __init__(self, url: str, department_id: str, token: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._address = urlsplit(url)
        self._list = f"/api/events/{department_id}"
        self._report = Report()
        self._revision = 0
        self._stopped = threading.Event()
        self._stopped_at = 0.0
        self._members = [Member(url, department_id, token) for _ in range(WEBSOCKETS)]

    def measure(self, wait: Callable[[], object]) -> Report:
        """Send requests until `wait` returns, look at the WebSockets when it returns again."""
        threads = [
            threading.Thread(target=self._repeat, args=arguments)
            for arguments in (
                ("GET", self._list),
                ("GET", f"{self._list}?q=nowhere"),
                ("POST", self._list),
                ("GET", "/healthz", True),
            )
        ]
        for thread in threads:
            thread.start()
        wait()
        self._stopped_at = time.monotonic()
        self._report.answered = len(self._report.latencies_ms) - len(self._report.failures)
        self._stopped.set()
        for thread in threads:
            thread.join()
        wait()
        self._report.websockets = self._count_members()
        return self._report

    def _count_members(self) -> int:
        deadline = time.monotonic() + BROADCAST_S
        while True:
            kept = sum(member.is_open and member.has_all_until(self._revision) for member in self._members)
            if kept == WEBSOCKETS or time.monotonic() > deadline:
                return kept
            time.sleep(0.05)

    def _repeat(self, method: str, path: str, reconnects: bool = False) -> None:
        """Send a request when it is due, on one connection or each on one of its own."""
        connection = self._connection()
        due = time.monotonic()
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            try:
                try:
                    self._send(connection, method, path)
                except ConnectionError:  # the server closes connections that were idle, as all servers do
                    connection.close()
                    self._send(connection, method, path)
            except (OSError, http.client.HTTPException) as error:
                self._report.failures.append(f"{method} {path}: {error!r}")
                connection.close()
            if reconnects:
                connection.close()
            self._note_latency(due)
            due += 1 / REQUESTS_PER_S
        connection.close()
        while due < self._stopped_at:  # requests that still wait behind a slow one have waited until now
            self._note_latency(due)
            due += 1 / REQUESTS_PER_S

    def _note_latency(self, due: float) -> None:
        self._report.latencies_ms.append(1_000 * (time.monotonic() - due))

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=TIMEOUT_S)

    def _send(self, connection: http.client.HTTPConnection, method: str, path: str) -> None:
        body = json.dumps({"event_date": "2024-01-20", "title": "팀 회의"}) if method == "POST" else None
        of_body = {"Content-Type": "application/json"} if body else {}
        connection.request(method, path, body, {**of_body, **self._headers})
        answer = connection.getresponse()
        found: Any = json.loads(answer.read())
        if answer.status >= 400:
            self._report.failures.append(f"{method} {path}: {answer.status} {found['error']}")
        elif body:
            self._report.acknowledged.append(found["event"]["id"])
            self._revision = found["event"]["revision"]


def main() -> None:
    neighbour = Neighbour(*sys.argv[1:4])
    print("ready", flush=True)  # noqa: T201 - for the process that started this one
    report = neighbour.measure(sys.stdin.readline)
    print(json.dumps(dataclasses.asdict(report)), flush=True)  # noqa: T201 - the same


if __name__ == "__main__":
    main()
