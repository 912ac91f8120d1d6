"""Payloads of broadcasts and answers that are no entities: positions, and the `sync_response`."""

from typing import Any

import orjson

from domain import Position
from services.sync import Sync


def department_position(department_id: str, position: Position) -> dict[str, Any]:
    """Build `{department_id, revision, sync_token}`: the position that a client has reached."""
    return {
        "department_id": department_id,
        "revision": position.revision,
        "sync_token": position.sync_token,
    }


def sync_response(sync: Sync) -> dict[str, Any]:
    """Build a `sync_response`: the changes after a client's token, or all events."""
    content: dict[str, Any]
    if sync.events is None:
        content = {"changes": [change.public() for change in sync.changes]}
    else:
        content = {"events": orjson.Fragment(b"[" + b",".join(sync.events) + b"]")}
    return {
        "department_id": sync.department_id,
        "full": sync.full,
        **content,
        "revision": sync.position.revision,
        "sync_token": sync.position.sync_token,
    }
