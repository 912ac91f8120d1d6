"""Attacks with requests of REST: headers that are slow to parse, and large departments."""

import json
import socket
from typing import Any

from attacks.messages import message
from attacks.wire import TEXT, Target, answer_to, frame, in_threads, request

UNKNOWN = "805d0fbd-dd60-412e-a9e7-4097e872610f"
COMMAS = "," * 8_000
"""A header line of nearly the length that gunicorn takes."""


def one_if_match(target: Target) -> None:
    """32 KB of commas in four lines."""
    ask_again(target, 1, request("DELETE", f"/api/events/{UNKNOWN}", *[("If-Match", COMMAS)] * 4))


def ninety_if_matches(target: Target) -> None:
    ask_again(target, 1, request("DELETE", f"/api/events/{UNKNOWN}", *[("If-Match", COMMAS)] * 90))


def accept(target: Target) -> None:
    """Name 180,000 types in `Accept`, and as many languages."""
    lines = [("Accept", "a/b," * 2_000), ("Accept-Language", "a-b," * 2_000)] * 45
    ask_again(target, 1, request("GET", "/", *lines))


def unknown_fields(target: Target) -> None:
    _create(target, {f"{number:x}": 1 for number in range(90_000)})


def long_texts(target: Target) -> None:
    """Send a title of a million characters that has to be looked at before it can be normalised."""
    _create(target, {"event_date": "2024-01-20", "title": "a\u0300" * 340_000})


def pages_of_long_texts(target: Target) -> None:
    ask_again(target, 2, listing(target, "long", "?limit=10"))


def pages_of_a_crowded_day(target: Target) -> None:
    ask_again(target, 2, listing(target, "crowded", "?limit=10"))


def searches_of_long_texts(target: Target) -> None:
    ask_again(target, 10, listing(target, "long", "?q=nowhere"))


def first_load(target: Target) -> None:
    ask_again(target, 1, listing(target, "large"))


def lists_after_edits(target: Target) -> None:
    """List a large department after each edit of one of its events."""
    create = creation(target, "large", {"event_date": "2024-01-20", "title": "edit"})
    ask_again(target, 1, create, listing(target, "large"))


def searches(target: Target) -> None:
    ask_again(target, 2, listing(target, "large", "?q=nowhere"))


def deletion(target: Target) -> None:
    """Delete a large department that is in memory, and then restore and delete it again."""
    department = f"/api/departments/{target.departments['doomed']}"
    restore = request("POST", f"{department}/restore", ("Content-Type", "application/json"), body=b"{}")
    ask_again(target, 1, request("DELETE", department), restore, listing(target, "doomed"))


def full_syncs(target: Target) -> None:
    """Eight clients that read all of a large department as fast as it comes, again and again."""

    def client() -> None:
        def attack() -> None:
            with target.websocket() as tcp:
                while target.remaining_s:
                    tcp.sendall(frame(message("sync_request", target.departments["large"]), TEXT))
                    _read_until(tcp, b'"sync_token"')

        target.persist(attack)

    in_threads(8, client)


def _create(target: Target, body: Any) -> None:
    ask_again(target, 1, creation(target, "small", body))


def creation(target: Target, kind: str, body: Any) -> bytes:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    path = f"/api/events/{target.departments[kind]}"
    return request("POST", path, ("Content-Type", "application/json"), body=text)


def listing(target: Target, kind: str, query: str = "") -> bytes:
    return request("GET", f"/api/events/{target.departments[kind]}{query}")


def ask_again(target: Target, clients: int, *requests: bytes) -> None:
    """Send requests one after the other in each of several clients, until the attack ends."""

    def client() -> None:
        def attack() -> None:
            with target.connect() as tcp:
                tcp.settimeout(60)
                while target.remaining_s:
                    for one in requests:
                        tcp.sendall(one)
                        answer_to(tcp)

        target.persist(attack)

    in_threads(clients, client)


def _read_until(tcp: socket.socket, mark: bytes) -> None:
    """Read until a mark has come; the answer is too large to keep."""
    end = b""
    while mark not in end:
        received = tcp.recv(1_000_000)
        if not received:
            raise ConnectionError("closed by the server")
        end = end[-len(mark) :] + received
