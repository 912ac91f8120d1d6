"""Attacks on a server with accounts, by people who have none."""

import itertools
import json
import secrets
from collections.abc import Callable

from attacks.wire import SMALL_FRAMES, Target, answer_to, frame, in_threads, request
from domain import new_id

CLIENTS = 10


def sign_ins(target: Target) -> None:
    """Try passwords for addresses that nobody has, from many connections at once."""

    def attempt() -> bytes:
        body = {"email": f"{new_id()}@example.com", "password": secrets.token_hex(8)}
        headers = (("Content-Type", "application/json"),)
        return request("POST", "/api/session", *headers, body=json.dumps(body).encode())

    _ask(target, attempt)


def invented_tokens(target: Target) -> None:
    path = f"/api/events/{target.departments['small']}"
    _ask(target, lambda: request("GET", path, ("Authorization", f"Bearer {_token()}")))


def invented_tokens_in_connect(target: Target) -> None:
    """Connect with one invented token after the other, on one WebSocket."""

    def attack() -> None:
        with target.websocket(joins=False) as tcp:
            attempts = (frame("40" + json.dumps({"token": _token()})) for _ in itertools.count())
            target.flood(tcp, attempts, SMALL_FRAMES)

    target.persist(attack)


def _token() -> str:
    """Return what looks like a device token."""
    return f"dct_{new_id()}.{secrets.token_urlsafe(24)}"


def _ask(target: Target, make: Callable[[], bytes]) -> None:
    def client() -> None:
        def attack() -> None:
            with target.connect() as tcp:
                while target.remaining_s:
                    tcp.sendall(make())
                    answer_to(tcp)

        target.persist(attack)

    in_threads(CLIENTS, client)
